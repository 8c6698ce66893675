"""Which members make the ensemble, and how many are enough, both on validation."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recipe.metrics.fifths import fifths
from recipe.metrics.intervals import Z95
from recipe.metrics.metric import Metric
from recipe.metrics.scores import weighted
from recipe.tasks.task import Task

SUBSETS = 50  # random ones of each size; all where there are fewer


def greedy(task: Task, p: Tensor, actual: Tensor) -> tuple[list[int], list[float]]:
    """(members of p (M, N, K) in the order in which they are picked, loss of their mean after each pick), up to the
    lowest loss.

    Caruana et al. 2004, Ensemble selection from libraries of models: forwards, with replacement, so that a good member
    may count several times. There are as many rounds as members; the picks after the lowest loss are dropped.
    """
    total = torch.zeros_like(p[0], dtype=torch.float64)
    picks: list[int] = []
    path: list[float] = []
    for taken in range(1, len(p) + 1):
        losses = [task.losses((total + member) / taken, actual).mean().item() for member in p]
        best = min(range(len(losses)), key=losses.__getitem__)
        total = total + p[best]
        picks.append(best)
        path.append(losses[best])
    enough = min(range(len(path)), key=path.__getitem__) + 1
    return picks[:enough], path[:enough]


def counts(picks: list[int], members: int) -> list[int]:
    """How often each member was picked."""
    return [picks.count(i) for i in range(members)]


def held_out(
    task: Task, p: Tensor, actual: Tensor, choose: Callable[[Tensor, Tensor], list[int]]
) -> tuple[Tensor, Tensor]:
    """((N,) losses, (N,) losses with a calibration) on val, cross-validated, of the members of `choose(p, actual) ->
    counts`.

    Each fifth of val is judged with members and a calibration that the other four chose. In the order of fifths.
    """
    plain, calibrated = [], []
    for judged in map(torch.from_numpy, fifths(len(actual))):
        others = ~judged
        times = choose(p[:, others], actual[others])
        calibration = task.calibrate(weighted(p[:, others], times), actual[others])
        mean = weighted(p[:, judged], times)
        plain.append(task.losses(mean, actual[judged]))
        calibrated.append(task.losses(task.calibrated(mean, calibration), actual[judged]))
    return torch.cat(plain), torch.cat(calibrated)


# ---- how many ------------------------------------------------------------------------------------------------


LOSS = "loss"
CALIBRATION_ERROR = "ece"  # among the metrics of tasks that predict probabilities


@dataclass(frozen=True)
class EnsembleSize:
    """Ensembles of so many members: mean measures on val of random subsets, with 95 % CI over the choice of members.

    The measures are the metric, the loss and, where there is one, the calibration error.
    """

    members: int
    subsets: int
    means: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]

    def row(self) -> dict:
        row: dict[str, float] = {"members": self.members, "subsets": self.subsets}
        for name in self.means:
            row |= {name: self.means[name], f"{name}_low": self.low[name], f"{name}_high": self.high[name]}
        return row


def ensemble_sizes(task: Task, metric: Metric, p: Tensor, actual: Tensor, seed: int = 0) -> list[EnsembleSize]:
    """Every number of the M members p (M, N, K), which differ in their seed alone.

    Subsets of a size overlap the more, the larger they are, so that their spread is too small: of a mean, by the factor
    1 - size / M (the correction for a finite population). It is divided out; all M have one subset, and their spread is
    that of M - 1 (the jackknife, Tukey 1958).
    """
    measures = measured(task, metric)
    members, sizes = len(p), []
    spread: dict[str, float] = {}
    for size in range(1, members + 1):
        chosen = _subsets(members, size, seed)
        means_of_subsets = [p[list(which)].mean(0) for which in chosen]
        values = {
            name: np.array([of(mean, actual) for mean in means_of_subsets]) for name, (of, *_) in measures.items()
        }
        if size < members:
            spread = {name: float(v.std()) * math.sqrt(members / (members - size)) for name, v in values.items()}
        else:
            spread = {name: v * math.sqrt((members - 1) / members) for name, v in spread.items()}
        means = {name: float(v.mean()) for name, v in values.items()}
        low = {name: max(least, means[name] - Z95 * spread[name]) for name, (_, least, _) in measures.items()}
        high = {name: min(most, means[name] + Z95 * spread[name]) for name, (_, _, most) in measures.items()}
        sizes.append(EnsembleSize(members=size, subsets=len(chosen), means=means, low=low, high=high))
    return sizes


def measured(task: Task, metric: Metric) -> dict[str, tuple[Callable[[Tensor, Tensor], float], float, float]]:
    """{measure: ((p, actual) -> value, the least and the greatest value that it can have)}."""
    measures = {
        metric.name: (metric.of, *_range(metric)),
        LOSS: (lambda p, actual: task.losses(p, actual).mean().item(), 0.0, math.inf),
    }
    if error := task.metrics.get(CALIBRATION_ERROR):
        measures[CALIBRATION_ERROR] = (error.of, 0.0, 1.0)
    return measures


def _range(metric: Metric) -> tuple[float, float]:
    if metric.percent:
        return 0.0, 1.0
    return (-math.inf, math.inf) if metric.higher_is_better else (0.0, math.inf)


def _subsets(members: int, size: int, seed: int) -> list[tuple[int, ...]]:
    if math.comb(members, size) <= SUBSETS:
        return list(itertools.combinations(range(members), size))
    generator = np.random.default_rng([seed, size])
    return [tuple(sorted(generator.choice(members, size, replace=False).tolist())) for _ in range(SUBSETS)]


def enough(sizes: list[EnsembleSize]) -> int:
    """The smallest number of members whose mean loss is within the interval of the largest's."""
    return next(s.members for s in sizes if s.means[LOSS] <= sizes[-1].high[LOSS])
