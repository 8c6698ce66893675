"""Configurations compared over paired seeds: is the gain of one over the other more than seed noise?

With folds, each training is that of one seed in one fold, and arms are paired by both.
"""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from omegaconf import DictConfig

from recipe.data.batches import Data
from recipe.errors import RecipeError
from recipe.experiment import build
from recipe.formatting import count, interval
from recipe.metrics import power
from recipe.metrics.objective import HALVES, LOSS, Objective
from recipe.train.lane import Lane, Row, Trained, metric_of

TEST = "paired t-interval over seeds, two-sided"
LEAST = 2  # seeds that every arm has
TEST_OF_FOLDS = (
    "paired t-interval over folds, corrected for shared training examples (Nadeau and Bengio 2003), two-sided"
)


def sample(trainings: int, folds: int) -> str:
    """`6 seeds`, `10 trainings in 5 folds`."""
    return f"{count(trainings, 'training')} in {folds} folds" if folds else count(trainings, "seed")


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

    @property
    def sample(self) -> str:
        return sample(len(self.lanes), self.folds)

    def in_first_fold(self) -> "Arm":
        """The trainings that were validated on val; without folds all of them."""
        return replace(self, lanes=self.lanes[:: self.folds or 1], folds=0)

    @property
    def lost(self) -> list[str]:
        """Why lanes ended on a loss that is not finite, one text each."""
        return [t.ended for t in self.lanes if t.lost]


@dataclass
class Gain:
    """By how much a change improves the objective, as the fall of its cost: mean over n paired seeds, and its interval.

    folds: over which the n trainings are spread; 0: all have the same train and val.
    """

    mean: float
    low: float
    high: float
    n: int
    confidence: float = 0.95
    folds: int = 0
    objective: Objective = LOSS

    @property
    def sample(self) -> str:
        return sample(self.n, self.folds)

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
        """The change is an improvement: the interval lies above zero."""
        return self.low > 0

    def sentence(self) -> str:
        """`lowers validation loss by 0.026 (95 % CI 0.016 to 0.037, 6 seeds)`."""
        return self.objective.effect(self.mean, self.low, self.high, self.sample, self.confidence)

    def __str__(self) -> str:
        return f"{self.mean:.4f} ({interval(self.low, self.high, self.confidence, 4)}, {self.sample})"


def paired_gain(differences: list[float], confidence: float, folds: int = 0, objective: Objective = LOSS) -> Gain:
    """Student's t for the mean of paired differences (Gosset 1908). n >= 2.

    folds: of a cross-validation over which the differences are spread. Their training sets share examples, so the
    variance of the mean is s^2 (1 / n + `overlap`) (Nadeau and Bengio 2003, Inference for the generalization error,
    section 5.2; of several seeds in each fold Bouckaert and Frank 2004, Evaluating the replicability of tests).
    """
    from scipy.stats import t  # scipy.stats takes seconds to import

    n = len(differences)
    mean, deviation = statistics.fmean(differences), statistics.stdev(differences)
    half = float(t.ppf((1 + confidence) / 2, n - 1)) * deviation * math.sqrt(1 / n + overlap(folds))
    return Gain(mean, mean - half, mean + half, n, confidence, folds, objective)


def train_arms(
    cfg: DictConfig, data: Data, arms: dict[str, dict], run: Any, label: str = "", main: str = "",
    seeds: list[int] | None = None, **kwargs: Any,
) -> dict[str, Arm]:  # fmt: skip
    """{name: its changes} -> {name: Arm}, one lane per seed; all in one call of the engine, which gets kwargs.

    Arms share seeds, initial weights (where shapes agree), data order and folds: they are paired. seeds: by default
    all of conf.
    """
    seeds = lane_seeds(cfg, data) if seeds is None else seeds
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


def train_promising(
    cfg: DictConfig, data: Data, arms: dict[str, dict], base: Arm, run: Any, label: str, most: int | None = None
) -> dict[str, Arm]:
    """As `train_arms`, but an arm that is no better than `base` on average over the first third of the seeds (at least
    two) has these alone.

    No interval of such an arm could become significant but by rare luck, so this costs hardly any power (of 8 seeds
    less than 0.003 at any effect, of 16 less than 0.01), and it cannot add false positives: stopping for futility
    needs no correction (Jennison and Turnbull 1999, Group Sequential Methods, section 10.2). With folds, whose
    trainings are few, every arm has all of them. most: seeds of an arm, where the budget has no room for all.
    """
    seeds = lane_seeds(cfg, data)[: None if data.folds else most]
    first = first_look(cfg, data)
    if first >= len(seeds):
        return train_arms(cfg, data, arms, run, label)
    done = train_arms(cfg, data, arms, run, label, seeds=seeds[:first])
    better = {name: arms[name] for name, arm in done.items() if not arm.lost and _mean_gain(base, arm, data) > 0}
    if better:
        more = train_arms(cfg, data, better, run, f"{label}, further seeds", seeds=seeds[first:])
        done |= {name: replace(done[name], lanes=done[name].lanes + arm.lanes) for name, arm in more.items()}
    return done


def first_look(cfg: DictConfig, data: Data) -> int:
    """How many trainings every arm of `train_promising` has."""
    seeds = len(lane_seeds(cfg, data))
    return seeds if data.folds else min(seeds, max(LEAST, math.ceil(seeds / 3)))


def _mean_gain(base: Arm, arm: Arm, data: Data) -> float:
    return gain(base, arm, 0.95, data.objective).mean


def gain(base: Arm, arm: Arm, confidence: float, objective: Objective = LOSS) -> Gain:
    """By how much `arm` is better than `base` on val; where one has fewer seeds, on these.

    Early stopping chooses an evaluation by the objective, whose value there is biased to the better. It is
    cross-validated: the evaluation is chosen on one half of val, and the value is taken on the other. Raises
    RecipeError where a metric does not exist on a half.
    """
    common = min(len(base.lanes), len(arm.lanes))
    base, arm = (replace(each, lanes=each.lanes[:common]) for each in (base, arm))
    stopped = arm.early_stopping or base.early_stopping
    costs = [_unbiased_costs(each, objective) if stopped else _costs(each, objective) for each in (base, arm)]
    if objective.metric and not all(map(math.isfinite, costs[0] + costs[1])):
        part = "a half of the validation set" if stopped else "the validation set"
        raise RecipeError(
            f"`judged_by: metric`: {objective.metric.title} does not exist on {part}, as where it has no example of a "
            "class. Use `judged_by: loss`, or more validation examples."
        )
    return paired_gain([b - a for b, a in zip(*costs, strict=True)], confidence, arm.folds, objective)


def _costs(arm: Arm, objective: Objective) -> list[float]:
    return [objective.cost(t.row(arm.early_stopping)) for t in arm.lanes]


def _unbiased_costs(arm: Arm, objective: Objective) -> list[float]:
    if arm.early_stopping:
        return [cross_validated(lane, objective, objective.cost) for lane in arm.lanes]
    return [statistics.fmean(objective.cost(lane.curve[-1], half) for half in HALVES) for lane in arm.lanes]


def best_rows_by_half(lane: Trained, objective: Objective) -> list[int]:
    """The rows of the curve at which each half of val is best."""
    rows = range(len(lane.curve))
    return [min(rows, key=lambda r: objective.cost(lane.curve[r], half)) for half in HALVES]


def cross_validated(lane: Trained, objective: Objective, value: Callable[[Row, str], float]) -> float:
    """A value with early stopping, (row, half) -> number: each half of val at the row that is best for the other."""
    on_a, on_b = best_rows_by_half(lane, objective)
    a, b = HALVES
    return (value(lane.curve[on_a], b) + value(lane.curve[on_b], a)) / 2


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
