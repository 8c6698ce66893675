"""Configurations compared over paired seeds: is the gain of one over the other more than seed noise?"""

import math
import statistics
from dataclasses import dataclass

from omegaconf import DictConfig

from recipe.data.batches import Data
from recipe.experiment import build
from recipe.train.lane import Trained

TEST = "paired t-interval over seeds, two-sided"


@dataclass
class Arm:
    """One configuration, trained once per seed."""

    name: str
    changes: dict
    lanes: list[Trained]
    early_stopping: bool = False

    def values(self, metric: str) -> list[float]:
        return [t.row(self.early_stopping)[metric] for t in self.lanes]

    def score(self) -> dict:
        return score(self.name, [t.row(self.early_stopping) for t in self.lanes])

    @property
    def lost(self) -> list[str]:
        """Why lanes ended on a loss that is not finite, one text each."""
        return [t.ended for t in self.lanes if t.lost]


@dataclass
class Gain:
    """How much a change lowers the loss: mean over paired seeds, and its interval."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def significant(self) -> bool:
        """The interval excludes zero, on the good side."""
        return self.low > 0

    def __str__(self) -> str:
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}], n = {self.n}"


def interval(differences: list[float], confidence: float) -> Gain:
    """Student's t for the mean of paired differences (Gosset 1908). n >= 2."""
    from scipy.stats import t

    n = len(differences)
    mean, spread = statistics.fmean(differences), statistics.stdev(differences)
    half = float(t.ppf((1 + confidence) / 2, n - 1)) * spread / math.sqrt(n)
    return Gain(mean, mean - half, mean + half, n)


def train_arms(
    cfg: DictConfig, data: Data, arms: dict[str, dict], run, label: str = "", main: str = "", **kwargs
) -> dict[str, Arm]:
    """{name: its changes} -> {name: Arm}, one lane per seed; all in one call of the engine, which kwargs go to.

    Arms share seeds, initial weights (where shapes agree) and data order: they are paired.
    """
    seeds = lane_seeds(cfg)
    lanes = [build.lane(cfg, data, seed, changes) for changes in arms.values() for seed in seeds]
    trained = build.train(cfg, data, lanes, run, label or ", ".join(arms), **kwargs)
    done = {}
    for i, (name, changes) in enumerate(arms.items()):
        mine = trained[i * len(seeds) : (i + 1) * len(seeds)]
        early = bool(changes.get("train.early_stopping", cfg.train.early_stopping))
        done[name] = Arm(name, changes, mine, early)
        for seed, lane in zip(seeds, mine, strict=True):
            params = {**changes, "arm": name, "seed": seed}
            first = name == main and seed == seeds[0]
            run.lane(f"{name} seed {seed}", lane, params, early_stopping=early, main=first)
    return done


def gain(base: Arm, arm: Arm, confidence: float) -> Gain:
    """Of `arm` over `base` in validation loss.

    Early stopping chooses a step by the validation loss, so its own loss there is too good. It is judged crosswise:
    the step chosen on one half of val, the loss taken on the other.
    """
    if arm.early_stopping or base.early_stopping:
        pairs = zip(_judged(base), _judged(arm), strict=True)
    else:
        pairs = zip(base.values("val_loss"), arm.values("val_loss"), strict=True)
    return interval([b - a for b, a in pairs], confidence)


def _judged(arm: Arm) -> list[float]:
    return [crosswise(lane) if arm.early_stopping else _halves(lane.curve[-1]) for lane in arm.lanes]


def _halves(row: dict) -> float:
    return (row["val_loss_a"] + row["val_loss_b"]) / 2


def chosen(lane: Trained) -> tuple[int, int]:
    """The rows of the curve at which each half of val has its lowest loss."""
    rows = range(len(lane.curve))
    return min(rows, key=lambda r: lane.curve[r]["val_loss_a"]), min(rows, key=lambda r: lane.curve[r]["val_loss_b"])


def crosswise(lane: Trained) -> float:
    """The validation loss of early stopping, each half of val judged at the step that the other half chose."""
    on_a, on_b = chosen(lane)
    return (lane.curve[on_a]["val_loss_b"] + lane.curve[on_b]["val_loss_a"]) / 2


SHOWN = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


def score(system: str, rows: list[dict]) -> dict:
    """Mean over seeds of each metric, and the spread of the validation accuracy; a row of the score ladder."""
    means = {k: statistics.fmean(r[k] for r in rows) for k in SHOWN}
    spread = statistics.stdev(r["val_accuracy"] for r in rows) if len(rows) > 1 else None
    return {"system": system, "seeds": len(rows)} | means | {"val_accuracy_sd": spread}


def lane_seeds(cfg: DictConfig) -> list[int]:
    """The seeds of a stage's lanes: apart for every `seed`, so that a sweep over seeds repeats none."""
    return [100 * cfg.seed + i for i in range(cfg.seeds)]
