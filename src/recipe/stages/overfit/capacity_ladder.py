"""A ladder of capacities: the smallest model that learns the training set by heart, or that overfits it.

Recipe 3: first a model that is large enough to overfit. Clean images are learned by heart; of rows of a table that say
little about their target, a model learns the noise only after hundreds of passes, long after its validation loss has
begun to rise. That rise is what the later stages need.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from omegaconf import DictConfig
from torch import Tensor

from recipe.config.changes import change, leaves
from recipe.data.batches import Data
from recipe.data.expected_repeats import row_codes
from recipe.errors import RecipeError
from recipe.experiment import build
from recipe.experiment.budget import Budget, cost_of
from recipe.metrics.objective import LOSS
from recipe.stages.runner import Run
from recipe.train import cost
from recipe.train.lane import Row, Trained

RISE = 0.05  # of the validation loss above its lowest, as a share of it, from which on a model counts as overfitted
DEPTH, PASSES = "model.depth", "train.epochs"
LONGER = 64  # times the passes that a linear model is given before it is replaced by one with a hidden layer
# Of the loss that counts as learned, for heads on embeddings: a linear one has learned the training set by heart long
# before it is near its optimum, where logistic regression is. With the whole, 420 SMS gave a validation loss of 0.085
# after all changes, logistic regression 0.047.
EMBEDDED = 0.1


@dataclass
class SizedModel:
    """One model of the ladder. value: of the ladder's key; None where the model has no such setting. grown: larger than
    the configured ones. cost_of_pass: multiplications."""

    name: str
    key: str
    value: Any
    parameters: int
    trained: Trained
    grown: bool = False
    cost_of_pass: float = 0.0

    @property
    def train_loss(self) -> float:
        return self.trained.curve[-1]["train_loss"]

    @property
    def lowest(self) -> Row:
        """The evaluation with the lowest validation loss, whatever conf judges by."""
        return self.trained.curve[LOSS.best_row(self.trained.curve) or 0]

    def learned(self, enough: float) -> bool:
        return self.train_loss < enough

    @property
    def overfits(self) -> bool:
        """Since its lowest the validation loss has risen while the training loss fell."""
        best, last = self.lowest, self.trained.curve[-1]
        return last["val_loss"] > (1 + RISE) * best["val_loss"] and last["train_loss"] < best["train_loss"]


def irreducible_loss(data: Data) -> float:
    """The training loss that no model can go below: equal rows or texts with different targets. 0 for images."""
    if data.kind.has_pixels or not isinstance(data.train.x, Tensor):
        return 0.0
    return data.task.lowest_loss(row_codes(data.train.x.cpu().numpy()), data.train.y.cpu())


def enough_loss(cfg: DictConfig, data: Data) -> float:
    """The training loss at which the training set counts as learned: conf's, or the task's, above what is reachable."""
    usual = EMBEDDED * data.task.enough if data.features else data.task.enough
    return irreducible_loss(data) + (usual if cfg.enough is None else float(cfg.enough))


def train_ladder(cfg: DictConfig, data: Data, run: Run, enough: float) -> list[SizedModel]:
    """Trains one model per value of `cfg.ladder.key`, to a training loss below `enough` or for all passes, and larger
    ones where none of them gets there; a linear model is trained for longer first, until it overfits.

    Every configured model is trained, also those above the smallest that learns: that a larger model fits better is a
    claim. The largest are left out where the stage's budget has no room for them.
    """
    key, values = _key_and_values(cfg, data, run)
    changes = [{} if value is None else {key: value} for value in values]
    changes = _within_budget(cfg, data, run, key, changes)
    models = _train(cfg, data, run, key, changes, enough)
    epochs = cfg.train.epochs
    while not any(m.learned(enough) for m in models) and isinstance(models[-1].value, int):
        if key == DEPTH and models[-1].overfits:
            break  # for longer, or with a hidden layer, it would only overfit more
        epochs *= 2
        same = key == DEPTH and epochs <= LONGER * cfg.train.epochs
        larger = {key: models[-1].value if same else max(1, 2 * models[-1].value), PASSES: epochs}
        if (needed := cost_of(cfg, data, larger)) > cfg.ladder.growth:
            run.say(f"{_name(key, larger)} is not tried: {needed:.1g} multiplications, ladder.growth allows fewer")
            break
        models += _train(cfg, data, run, key, [larger], enough, grown=not same)
    return models


def _key_and_values(cfg: DictConfig, data: Data, run: Run) -> tuple[str, list]:
    """The key that sets the capacity, and its values. Where conf's has no effect, as the width of a linear head, it is
    the number of hidden layers, with the value that it has; where a model has neither, the only value is None."""
    values, key = list(cfg.ladder["values"]), cfg.ladder.key
    if values != sorted(values) or not values:
        raise RecipeError(f"conf/overfit.yaml: ladder.values must rise, it is {values}.")
    known = leaves(cfg)
    if key in known and (len(values) == 1 or len({_shapes(cfg, data, {key: value}) for value in values}) > 1):
        return key, values
    what = "changes nothing in" if key in known else "is no setting of"
    run.say(f"{key} {what} {cfg.model._target_}: the ladder has one model")
    return (DEPTH, [known[DEPTH]]) if DEPTH in known and key in known else ("", [None])


def _shapes(cfg: DictConfig, data: Data, changes: dict) -> tuple:
    return build.shapes(build.model(change(cfg, changes), data, cfg.seed))


def _train(
    cfg: DictConfig, data: Data, run: Run, key: str, changes: list[dict], enough: float, grown: bool = False
) -> list[SizedModel]:
    lanes = [build.lane(cfg, data, cfg.seed, c, enough=enough) for c in changes]
    first = _name(key, changes[0])
    name = f"larger, {first}" if grown else f"longer, {first}" if PASSES in changes[0] else "ladder"
    models = []
    for one, lane, trained in zip(changes, lanes, build.train(cfg, data, lanes, run, name), strict=True):
        parameters = sum(p.numel() for p in lane.model.parameters())
        of_pass = cost.of_training(lane, data.train.x) * len(data.train) / (lane.steps * lane.batch_size)
        models.append(SizedModel(_name(key, one), key, one.get(key), parameters, trained, grown, of_pass))
        run.lane(models[-1].name, trained, {**one, "parameters": parameters}, main=one is changes[-1])
    return models


def _within_budget(cfg: DictConfig, data: Data, run: Run, key: str, changes: list[dict]) -> list[dict]:
    """The smallest models, as many as there is room for; one at least."""
    if cfg.budget is None:
        return changes
    costs = [cost_of(cfg, data, each) for each in changes]
    budget = Budget(cfg.budget, costs[-1])
    fitting = [i for i in range(len(costs)) if i == 0 or sum(costs[: i + 1]) <= budget.left]
    budget.left_out = [_name(key, each) for each in changes[len(fitting) :]]
    run.note(budget.sentence("overfit"))
    return changes[: len(fitting)]


def _name(key: str, change: dict) -> str:
    if key not in change:
        return "as configured"
    longer = f", {change[PASSES]:g} passes" if key == DEPTH and PASSES in change else ""
    return f"{key.rsplit('.', 1)[-1]} {change[key]}{longer}"


def smallest_that_fits(models: list[SizedModel], enough: float, baseline: float = math.inf) -> SizedModel:
    """The model for the later stages: the smallest configured one that learned the training set by heart.

    Where none did, the smallest that learned it, or that overfits and fits the training set better than the model of
    the baseline stage, whose training loss is `baseline`; where there is none, that of the lowest training loss.
    """
    configured = [m for m in models if m.learned(enough) and not m.grown]
    fitting = configured or [m for m in models if m.learned(enough) or (m.overfits and m.train_loss < baseline)]
    return fitting[0] if fitting else min(models, key=lambda m: m.train_loss)


def changes_for_later_stages(cfg: DictConfig, best: SizedModel, enough: float) -> dict:
    """The size of the best model, and a training that is long enough to overfit it.

    A model that does not overfit cannot be regularised. 1.5 times the passes until it learned the training set by
    heart, since a regularised model learns slower; where it only overfits, 1.5 times those until its lowest validation
    loss, and not fewer than here. Where such a training takes more multiplications than `cfg.training`, it has fewer
    passes: as many as these allow, but 1.5 times those until the lowest validation loss.
    """
    least = 1.5 * best.lowest["epoch"]
    if best.learned(enough) and not best.grown:
        epochs = 1.5 * best.trained.curve[-1]["epoch"]
    else:
        epochs = max(least, cfg.train.epochs)
    if cfg.training is not None and best.cost_of_pass:
        epochs = min(epochs, max(least, cfg.training / best.cost_of_pass))
    passes = {"train.epochs": round(epochs, 2)}
    return passes if best.value is None else {best.key: best.value} | passes


def predictions(models: list[SizedModel]) -> list[dict]:
    """Recipe 2: more capacity, lower training loss - compared after the same number of passes."""
    rows = []
    for small, large in ((a, b) for a, b in pairwise(models) if a.value != b.value):
        a, b = rows_at_same_step(small, large)
        rows.append(
            {
                "change": f"{small.key} {small.value} → {large.value}",
                "expected": "train_loss falls",
                "measured": f"{a['train_loss']:.4f} → {b['train_loss']:.4f} after {a['epoch']:.3g} passes",
                "outcome": "confirmed" if b["train_loss"] < a["train_loss"] else "refuted",
            }
        )
    return rows


def rows_at_same_step(small: SizedModel, large: SizedModel) -> tuple[Row, Row]:
    """The rows of both at the last step at which both were evaluated."""
    of_small, of_large = ({row["step"]: row for row in model.trained.curve} for model in (small, large))
    at = max(of_small.keys() & of_large.keys())
    return of_small[at], of_large[at]


def history(models: list[SizedModel]) -> list[dict]:
    """A row per model and evaluation."""
    return [{"rung": model.name, **row} for model in models for row in model.trained.curve]
