"""Configurations compared over paired seeds: is the gain of one over the other more than seed noise?

With folds, each training is that of one seed in one fold, and arms are paired by both.
"""

import math
import statistics
from dataclasses import dataclass, replace
from typing import Any

from omegaconf import DictConfig

from recipe.data.batches import Data
from recipe.experiment import build
from recipe.formatting import count, interval, lowering
from recipe.metrics import power
from recipe.train.lane import Lane, Row, Trained, metric_of

TEST = "paired t-interval over seeds, two-sided"
TEST_OF_FOLDS = (
    "paired t-interval over folds, corrected for shared training examples (Nadeau and Bengio 2003), two-sided"
)


@dataclass
class Arm:
    """One configuration, trained once per seed."""

    name: str
    changes: dict
    lanes: list[Trained]
    early_stopping: bool = False
    folds: int = 0  # over which the lanes are spread

    def values(self, metric: str) -> list[float]:
        return [t.row(self.early_stopping)[metric] for t in self.lanes]

    def score(self) -> dict:
        return score(self.name, [t.row(self.early_stopping) for t in self.lanes])

    def in_first_fold(self) -> "Arm":
        """The trainings that were validated on val; without folds all of them."""
        return replace(self, lanes=self.lanes[:: self.folds or 1], folds=0)

    @property
    def lost(self) -> list[str]:
        """Why lanes ended on a loss that is not finite, one text each."""
        return [t.ended for t in self.lanes if t.lost]


@dataclass
class Gain:
    """By how much a change lowers the validation loss: mean over n paired seeds, and its interval.

    folds: over which the n trainings are spread; 0: all have the same train and val.
    """

    mean: float
    low: float
    high: float
    n: int
    confidence: float = 0.95
    folds: int = 0

    @property
    def sample(self) -> str:
        """`6 seeds`, `10 trainings in 5 folds`."""
        return f"{count(self.n, 'training')} in {self.folds} folds" if self.folds else count(self.n, "seed")

    @property
    def over(self) -> str:
        return "folds" if self.folds else "seeds"

    @property
    def needed(self) -> str:
        """What would decide where the interval contains zero, in a sentence."""
        if self.folds:
            return "More examples would decide; more trainings hardly would, since folds share their training examples."
        estimate = power.of_interval(self.mean, self.low, self.high, self.n)
        return power.about(estimate, abs(self.mean), power.Z95, "seeds")

    @property
    def significant(self) -> bool:
        """The change lowers the loss: the interval lies above zero."""
        return self.low > 0

    def sentence(self) -> str:
        """`lowers validation loss by 0.026 (95 % CI 0.016 to 0.037, 6 seeds)`."""
        return lowering(self.mean, self.low, self.high, "validation loss", self.sample, self.confidence)

    def __str__(self) -> str:
        return f"{self.mean:.4f} ({interval(self.low, self.high, self.confidence, 4)}, {self.sample})"


def paired_gain(differences: list[float], confidence: float, folds: int = 0) -> Gain:
    """Student's t for the mean of paired differences (Gosset 1908). n >= 2.

    folds: of a cross-validation over which the differences are spread. Their training sets share examples, so the
    variance of the mean is s^2 (1 / n + `overlap`) (Nadeau and Bengio 2003, Inference for the generalization error,
    section 5.2; of several seeds in each fold Bouckaert and Frank 2004, Evaluating the replicability of tests).
    """
    from scipy.stats import t  # scipy.stats takes seconds to import

    n = len(differences)
    mean, deviation = statistics.fmean(differences), statistics.stdev(differences)
    half = float(t.ppf((1 + confidence) / 2, n - 1)) * deviation * math.sqrt(1 / n + overlap(folds))
    return Gain(mean, mean - half, mean + half, n, confidence, folds)


def train_arms(
    cfg: DictConfig, data: Data, arms: dict[str, dict], run: Any, label: str = "", main: str = "", **kwargs: Any
) -> dict[str, Arm]:
    """{name: its changes} -> {name: Arm}, one lane per seed; all in one call of the engine, which gets kwargs.

    Arms share seeds, initial weights (where shapes agree), data order and folds: they are paired.
    """
    seeds = lane_seeds(cfg, data)
    lanes = [lane_of(cfg, data, seed, changes) for changes in arms.values() for seed in seeds]
    trained = build.train(cfg, data, lanes, run, label or ", ".join(arms), **kwargs)
    done = {}
    for i, (name, changes) in enumerate(arms.items()):
        results = trained[i * len(seeds) : (i + 1) * len(seeds)]
        early = bool(changes.get("train.early_stopping", cfg.train.early_stopping))
        done[name] = Arm(name, changes, results, early, folds=len(data.folds))
        for seed, lane in zip(seeds, results, strict=True):
            params = {**changes, "arm": name, "seed": seed}
            first = name == main and seed == seeds[0]
            run.lane(f"{name} seed {seed}", lane, params, early_stopping=early, main=first)
    return done


def gain(base: Arm, arm: Arm, confidence: float) -> Gain:
    """By how much `arm` lowers the validation loss of `base`.

    Early stopping chooses a step by the validation loss, so its loss at that step is biased downwards. It is
    cross-validated: the step is chosen on one half of val, and the loss is taken on the other.
    """
    if arm.early_stopping or base.early_stopping:
        pairs = zip(_unbiased_losses(base), _unbiased_losses(arm), strict=True)
    else:
        pairs = zip(base.values("val_loss"), arm.values("val_loss"), strict=True)
    return paired_gain([b - a for b, a in pairs], confidence, arm.folds)


def _unbiased_losses(arm: Arm) -> list[float]:
    if arm.early_stopping:
        return [cross_validated_loss(lane) for lane in arm.lanes]
    return [_mean_of_halves(lane.curve[-1]) for lane in arm.lanes]


def _mean_of_halves(row: Row) -> float:
    return (row["val_loss_a"] + row["val_loss_b"]) / 2


def best_rows_by_half(lane: Trained) -> tuple[int, int]:
    """The rows of the curve at which each half of val has its lowest loss."""
    rows = range(len(lane.curve))
    return min(rows, key=lambda r: lane.curve[r]["val_loss_a"]), min(rows, key=lambda r: lane.curve[r]["val_loss_b"])


def cross_validated_loss(lane: Trained) -> float:
    """The validation loss of early stopping: each half of val at the step that is best for the other half."""
    on_a, on_b = best_rows_by_half(lane)
    return (lane.curve[on_a]["val_loss_b"] + lane.curve[on_b]["val_loss_a"]) / 2


def score(system: str, rows: list[Row]) -> dict:
    """Means over seeds of loss and metric, and the standard deviation of the metric on val; a row of scores."""
    metric = metric_of(rows[0])
    shown = ("train_loss", f"train_{metric}", "val_loss", f"val_{metric}")
    means = {key: statistics.fmean(row[key] for row in rows) for key in shown}
    deviation = statistics.stdev(row[f"val_{metric}"] for row in rows) if len(rows) > 1 else None
    return {"system": system, "seeds": len(rows)} | means | {f"val_{metric}_sd": deviation}


def lane_seeds(cfg: DictConfig, data: Data | None = None, count: int | None = None) -> list[int]:
    """The seeds of a stage's lanes: disjoint for every `seed`, so that a sweep over seeds repeats none.

    count: by default that of conf. With folds in `data`, as many more as fill each fold equally often.
    """
    folds = len(data.parts) if data else 1
    return [100 * cfg.seed + i for i in range(folds * math.ceil((count or cfg.seeds) / folds))]


def lane_of(cfg: DictConfig, data: Data, seed: int, changes: dict | None = None) -> Lane:
    """One training, in the fold that its seed belongs to where there are folds."""
    if not data.folds:
        return build.lane(cfg, data, seed, changes)
    fold = data.folds[seed % 100 % len(data.folds)]
    return build.lane(cfg, fold, seed, changes, fold=fold)


def overlap(folds: int) -> float:
    """Validation examples per training example of each fold; 0 without folds."""
    return 1 / (folds - 1) if folds else 0.0
