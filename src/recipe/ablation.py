"""One change at a time, over paired seeds: is its gain more than seed noise?"""

import math
import statistics
from dataclasses import dataclass, field

from omegaconf import DictConfig

from recipe import build
from recipe.config import leaves
from recipe.data.batches import Data
from recipe.floors import lane_seeds, score
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


@dataclass
class Gain:
    """How much a change lowers the loss: mean over paired seeds, and its interval."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def real(self) -> bool:
        """The interval excludes zero, on the good side."""
        return self.low > 0


def interval(differences: list[float], confidence: float) -> Gain:
    """Student's t for the mean of paired differences (Gosset 1908). n >= 2."""
    from scipy.stats import t

    n = len(differences)
    mean, spread = statistics.fmean(differences), statistics.stdev(differences)
    half = float(t.ppf((1 + confidence) / 2, n - 1)) * spread / math.sqrt(n)
    return Gain(mean, mean - half, mean + half, n)


def train_arm(cfg: DictConfig, data: Data, name: str, changes: dict, run, main: bool = False) -> Arm:
    """One lane per seed. Arms share seeds, initial weights (where shapes agree) and data order: they are paired."""
    seeds = lane_seeds(cfg)
    lanes = [build.lane(cfg, data, seed, changes) for seed in seeds]
    early = bool(changes.get("train.early_stopping", cfg.train.early_stopping))
    arm = Arm(name, changes, build.train(cfg, data, lanes, run, name), early)
    for seed, trained in zip(seeds, arm.lanes, strict=True):
        params = {**changes, "arm": name, "seed": seed}
        run.lane(f"{name} seed {seed}", trained, params, early_stopping=early, main=main and seed == seeds[0])
    return arm


def gain(base: Arm, arm: Arm, confidence: float) -> Gain:
    """Of `arm` over `base` in validation loss.

    Early stopping chooses a step by the validation loss, so its own loss there is too good. It is judged crosswise:
    the step chosen on one half of val, the loss taken on the other.
    """
    if arm.early_stopping and not base.early_stopping:
        pairs = [(_halves(b.curve[-1]), _crosswise(a)) for b, a in zip(base.lanes, arm.lanes, strict=True)]
        return interval([b - a for b, a in pairs], confidence)
    pairs = zip(base.values("val_loss"), arm.values("val_loss"), strict=True)
    return interval([b - a for b, a in pairs], confidence)


def _halves(row: dict) -> float:
    return (row["val_loss_a"] + row["val_loss_b"]) / 2


def _crosswise(lane: Trained) -> float:
    chosen_on_a = min(lane.curve, key=lambda r: r["val_loss_a"])
    chosen_on_b = min(lane.curve, key=lambda r: r["val_loss_b"])
    return (chosen_on_a["val_loss_b"] + chosen_on_b["val_loss_a"]) / 2


@dataclass
class Step:
    """One rung that was tried: kept or refused, with its numbers; or skipped, with the reason."""

    name: str
    change: dict
    expected: str
    arm: Arm | None = None
    gain: Gain | None = None
    skipped: str = ""

    @property
    def kept(self) -> bool:
        return bool(self.gain and self.gain.real)

    def prediction(self) -> dict:
        what = f"{self.name} ({', '.join(f'{k}={v}' for k, v in self.change.items())})"
        if self.gain is None:
            return {"change": what, "expected": self.expected, "measured": self.skipped, "outcome": "skipped"}
        g = self.gain
        measured = f"gain {g.mean:+.4f} [{g.low:+.4f}, {g.high:+.4f}], n = {g.n}"
        outcome = "confirmed" if self.kept else "refuted"
        return {"change": what, "expected": self.expected, "measured": measured, "outcome": outcome}


@dataclass
class Ablation:
    base: Arm
    pick: Arm
    changes: dict
    steps: list[Step] = field(default_factory=list)


def table(result: Ablation) -> list[dict]:
    """A row per rung: what was tried, its numbers, and whether it was kept."""
    rows = []
    for step in result.steps:
        g = step.gain or Gain(math.nan, math.nan, math.nan, 0)
        row = {
            "rung": step.name,
            "kept": step.kept,
            "gain": g.mean,
            "low": g.low,
            "high": g.high,
            "seeds": g.n,
        }
        rows.append(row | {"change": " ".join(f"{k}={v}" for k, v in step.change.items()), "skipped": step.skipped})
    return rows


def regularize(cfg: DictConfig, data: Data, start: dict, run) -> Ablation:
    """Tries each rung of conf in order on top of what was kept so far; keeps it when its gain is real."""
    base = train_arm(cfg, data, "no regularisation", start, run, main=True)
    result = Ablation(base, base, dict(start))
    for rung in cfg.rungs:
        change = dict(rung.change)
        step = Step(rung.name, change, rung.expected)
        result.steps.append(step)
        if missing := [k for k in change if k not in leaves(cfg)]:
            step.skipped = f"this model or optimizer has no {', '.join(missing)}"
            run.say(f"{rung.name}: skipped, {step.skipped}")
            continue
        changes = result.changes | change
        if set(change) == {"train.early_stopping"}:  # the same trainings, read at another step
            step.arm = Arm(rung.name, changes, result.pick.lanes, early_stopping=True)
        else:
            step.arm = train_arm(cfg, data, rung.name, changes, run)
        step.gain = gain(result.pick, step.arm, cfg.confidence)
        g = step.gain
        verdict = "kept" if step.kept else "refused"
        run.say(f"{rung.name}: gain {g.mean:+.4f} [{g.low:+.4f}, {g.high:+.4f}], n = {g.n}: {verdict}")
        if step.kept:
            result.pick, result.changes = step.arm, changes
    return result
