"""A ladder of capacities: the smallest model that learns the training set by heart."""

from dataclasses import dataclass
from itertools import pairwise

from omegaconf import DictConfig
from torch import Tensor

from recipe.config.changes import leaves
from recipe.data.batches import Data
from recipe.data.expected_repeats import row_codes
from recipe.errors import RecipeError
from recipe.experiment import build
from recipe.stages.runner import Run
from recipe.train.lane import Row, Trained


@dataclass
class SizedModel:
    """One model of the ladder. value: of the ladder's key; None where the model has no such setting."""

    name: str
    value: object
    parameters: int
    trained: Trained

    @property
    def train_loss(self) -> float:
        return self.trained.curve[-1]["train_loss"]

    def learned(self, enough: float) -> bool:
        return self.train_loss < enough


def irreducible_loss(data: Data) -> float:
    """The training loss that no model can go below: equal rows of a table with different targets. 0 for images."""
    if data.train.x.ndim != 2 or not isinstance(data.train.x, Tensor):
        return 0.0
    return data.task.lowest_loss(row_codes(data.train.x.cpu().numpy()), data.train.y.cpu())


def enough_loss(cfg: DictConfig, data: Data, irreducible: float) -> float:
    """The training loss at which the training set counts as learned: conf's, or the task's, above what is reachable."""
    return irreducible + (data.task.enough if cfg.enough is None else float(cfg.enough))


def train_ladder(cfg: DictConfig, data: Data, run: Run, enough: float) -> list[SizedModel]:
    """Trains one model per value of `cfg.ladder.key`, to a training loss below `enough` or for all steps.

    Every model is trained, also those above the smallest that learns: that a larger model fits better is a claim.
    """
    values = list(cfg.ladder["values"])
    if values != sorted(values) or not values:
        raise RecipeError(f"conf/overfit.yaml: ladder.values must rise, it is {values}.")
    if cfg.ladder.key not in leaves(cfg):
        run.say(f"{cfg.model._target_} has no {cfg.ladder.key}: the ladder has one model")
        values = [None]
    changes = [{} if value is None else {cfg.ladder.key: value} for value in values]
    lanes = [build.lane(cfg, data, cfg.seed, c, enough=enough) for c in changes]
    results = build.train(cfg, data, lanes, run, "ladder")
    models = []
    for value, change, lane, trained in zip(values, changes, lanes, results, strict=True):
        parameters = sum(p.numel() for p in lane.model.parameters())
        models.append(SizedModel(_name(cfg.ladder.key, value), value, parameters, trained))
        run.lane(models[-1].name, trained, {**change, "parameters": parameters}, main=value == values[-1])
    return models


def _name(key: str, value: object) -> str:
    return "as configured" if value is None else f"{key.rsplit('.', 1)[-1]} {value}"


def smallest_that_learned(models: list[SizedModel], enough: float) -> SizedModel:
    """The smallest that learned the training set; where none did, the one with the lowest training loss."""
    return next((m for m in models if m.learned(enough)), min(models, key=lambda m: m.train_loss))


def changes_for_later_stages(cfg: DictConfig, best: SizedModel) -> dict:
    """The size of the best model, and a training that is long enough to overfit it.

    A model that does not overfit cannot be regularised. 1.5 times the steps, since a regularised model learns slower.
    """
    steps = {"train.steps": round(1.5 * best.trained.curve[-1]["step"])}
    return steps if best.value is None else {cfg.ladder.key: best.value} | steps


def predictions(models: list[SizedModel], key: str) -> list[dict]:
    """Recipe 2: more capacity, lower training loss - compared after the same number of steps."""
    rows = []
    for small, large in pairwise(models):
        a, b = rows_at_same_step(small, large)
        rows.append(
            {
                "change": f"{key} {small.value} → {large.value}",
                "expected": "train_loss falls",
                "measured": f"{a['train_loss']:.4f} → {b['train_loss']:.4f} at step {a['step']}",
                "outcome": "confirmed" if b["train_loss"] < a["train_loss"] else "refuted",
            }
        )
    return rows


def rows_at_same_step(small: SizedModel, large: SizedModel) -> tuple[Row, Row]:
    """The rows of both at the last step that both reached."""
    at = min(len(small.trained.curve), len(large.trained.curve)) - 1
    return small.trained.curve[at], large.trained.curve[at]


def history(models: list[SizedModel]) -> list[dict]:
    """A row per model and evaluation."""
    return [{"rung": model.name, **row} for model in models for row in model.trained.curve]
