"""A ladder of capacities: the smallest model that learns the training set by heart."""

from dataclasses import dataclass
from itertools import pairwise

from omegaconf import DictConfig
from torch import Tensor

from recipe.config.compose import leaves
from recipe.data.batches import Data
from recipe.data.expected_repeats import error_floor, row_codes
from recipe.errors import RecipeError
from recipe.experiment import build
from recipe.train.lane import Trained


@dataclass
class Rung:
    name: str
    value: object  # of the ladder's key; None where the model has no such knob
    parameters: int
    trained: Trained

    @property
    def train_loss(self) -> float:
        return self.trained.curve[-1]["train_loss"]

    def learned(self, enough: float) -> bool:
        return self.train_loss < enough


def lowest(data: Data) -> float:
    """Nats of training loss that no model can go below: equal rows of a table with different labels. 0 of others."""
    if data.train.x.ndim != 2 or not isinstance(data.train.x, Tensor):
        return 0.0
    return error_floor(row_codes(data.train.x.cpu().numpy()), data.train.y.cpu().numpy()).loss


def climb(cfg: DictConfig, data: Data, run, floor: float = 0.0) -> list[Rung]:
    """Trains one model per value of `cfg.ladder.key`, to `floor + cfg.enough` or for all steps.

    Every rung is climbed, the later ones too: that a larger model fits better is one of the claims.
    """
    values = list(cfg.ladder["values"])
    if values != sorted(values) or not values:
        raise RecipeError(f"conf/overfit.yaml: ladder.values must rise, it is {values}.")
    if cfg.ladder.key not in leaves(cfg):
        run.say(f"{cfg.model._target_} has no {cfg.ladder.key}: a ladder of one rung")
        values = [None]
    changes = [{} if value is None else {cfg.ladder.key: value} for value in values]
    lanes = [build.lane(cfg, data, cfg.seed, c, enough=floor + cfg.enough) for c in changes]
    rungs = []
    for value, change, lane, trained in zip(
        values, changes, lanes, build.train(cfg, data, lanes, run, "ladder"), strict=True
    ):
        size = sum(p.numel() for p in lane.model.parameters())
        rungs.append(Rung(_name(cfg.ladder.key, value), value, size, trained))
        run.lane(rungs[-1].name, trained, {**change, "parameters": size}, main=value == values[-1])
    return rungs


def _name(key: str, value) -> str:
    return "as chosen" if value is None else f"{key.rsplit('.', 1)[-1]} {value}"


def pick(rungs: list[Rung], enough: float) -> Rung:
    """The smallest that learned the training set; where none did, the one that came nearest."""
    return next((r for r in rungs if r.learned(enough)), min(rungs, key=lambda r: r.train_loss))


def handed_on(cfg: DictConfig, best: Rung) -> dict:
    """The changes that later stages start from: the pick, and long enough a training to overfit it.

    What is not overfitted cannot be regularised; half as many steps again, since a regularised model learns slower.
    """
    steps = {"train.steps": round(1.5 * best.trained.curve[-1]["step"])}
    return steps if best.value is None else {cfg.ladder.key: best.value} | steps


def predictions(rungs: list[Rung], key: str) -> list[dict]:
    """Recipe 2: more capacity, lower training loss - compared after the same number of steps."""
    found = []
    for small, large in pairwise(rungs):
        a, b = at_same_step(small, large)
        found.append(
            {
                "change": f"{key} {small.value} → {large.value}",
                "expected": "train_loss falls",
                "measured": f"{a['train_loss']:.4f} → {b['train_loss']:.4f} at step {a['step']}",
                "outcome": "confirmed" if b["train_loss"] < a["train_loss"] else "refuted",
            }
        )
    return found


def at_same_step(small: Rung, large: Rung) -> tuple[dict, dict]:
    """The rows of both at the last step that both reached."""
    at = min(len(small.trained.curve), len(large.trained.curve)) - 1
    return small.trained.curve[at], large.trained.curve[at]
