"""Which members make the ensemble, and how many are enough, both on validation.

The log-likelihood of a mean of members depends only on the members' probabilities of the label: `label` (M, N) below.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recipe.metrics.calibration import fit_temperature, tempered
from recipe.metrics.intervals import Z95
from recipe.metrics.scores import TINY, nlls, quality, weighted

FOLDS = 5
SUBSETS = 50  # random ones of each size; all where there are fewer
MAXIMUM = {"accuracy": 1.0, "nll": math.inf, "ece": 1.0}
MEASURES = tuple(MAXIMUM)


def of_label(p: Tensor, y: Tensor) -> Tensor:
    """(M, N): each member's probability of the label, of p (M, N, K)."""
    return p[:, torch.arange(len(y)), y].double()


def greedy(label: Tensor) -> tuple[list[int], list[float]]:
    """(members in the order in which they are picked, nll of their mean after each pick), up to the lowest nll.

    Caruana et al. 2004, Ensemble selection from libraries of models: forwards, with replacement, so that a good member
    may count several times. There are as many rounds as members; the picks after the lowest nll are dropped.
    """
    total = torch.zeros_like(label[0])
    picks: list[int] = []
    path: list[float] = []
    for taken in range(1, len(label) + 1):
        losses = [-((total + member) / taken).clamp_min(TINY).log().mean().item() for member in label]
        best = min(range(len(losses)), key=losses.__getitem__)
        total = total + label[best]
        picks.append(best)
        path.append(losses[best])
    enough = min(range(len(path)), key=path.__getitem__) + 1
    return picks[:enough], path[:enough]


def counts(picks: list[int], members: int) -> list[int]:
    """How often each member was picked."""
    return [picks.count(i) for i in range(members)]


def held_out(p: Tensor, y: Tensor, choose: Callable[[Tensor, Tensor], list[int]]) -> tuple[Tensor, Tensor]:
    """((N,) nlls, (N,) nlls with a temperature) on val, cross-validated, of the members of `choose(p, y) -> counts`.

    Each fifth of val is judged with members and a temperature that the other four chose. In the order of fifths.
    """
    fold, plain, calibrated = torch.arange(len(y)) % FOLDS, [], []
    for i in range(FOLDS):
        judged, others = fold == i, fold != i
        times = choose(p[:, others], y[others])
        temperature = fit_temperature(weighted(p[:, others], times), y[others])
        mean = weighted(p[:, judged], times)
        plain.append(nlls(mean, y[judged]))
        calibrated.append(nlls(tempered(mean, temperature), y[judged]))
    return torch.cat(plain), torch.cat(calibrated)


# ---- how many ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EnsembleSize:
    """Ensembles of so many members: mean measures on val of random subsets, with 95 % CI over the choice of members."""

    members: int
    subsets: int
    means: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]

    def row(self) -> dict:
        row: dict[str, float] = {"members": self.members, "subsets": self.subsets}
        for name in MEASURES:
            row |= {name: self.means[name], f"{name}_low": self.low[name], f"{name}_high": self.high[name]}
        return row


def ensemble_sizes(p: Tensor, y: Tensor, seed: int = 0) -> list[EnsembleSize]:
    """Every number of the M members p (M, N, K), which differ in their seed alone.

    Subsets of a size overlap the more, the larger they are, so that their spread is too small: of a mean, by the factor
    1 - size / M (the correction for a finite population). It is divided out; all M have one subset, and their spread is
    that of M - 1 (the jackknife, Tukey 1958).
    """
    members, sizes = len(p), []
    spread: dict[str, float] = {}
    for size in range(1, members + 1):
        chosen = _subsets(members, size, seed)
        scores = [quality(p[list(which)].mean(0), y) for which in chosen]
        values = {name: np.array([getattr(q, name) for q in scores]) for name in MEASURES}
        if size < members:
            spread = {name: float(v.std()) * math.sqrt(members / (members - size)) for name, v in values.items()}
        else:
            spread = {name: v * math.sqrt((members - 1) / members) for name, v in spread.items()}
        means = {name: float(v.mean()) for name, v in values.items()}
        low = {name: max(0.0, float(means[name] - Z95 * spread[name])) for name in MEASURES}
        high = {name: min(MAXIMUM[name], float(means[name] + Z95 * spread[name])) for name in MEASURES}
        sizes.append(EnsembleSize(members=size, subsets=len(chosen), means=means, low=low, high=high))
    return sizes


def _subsets(members: int, size: int, seed: int) -> list[tuple[int, ...]]:
    if math.comb(members, size) <= SUBSETS:
        return list(itertools.combinations(range(members), size))
    generator = np.random.default_rng([seed, size])
    return [tuple(sorted(generator.choice(members, size, replace=False).tolist())) for _ in range(SUBSETS)]


def enough(sizes: list[EnsembleSize]) -> int:
    """The smallest number of members whose mean nll is within the interval of the largest's."""
    return next(s.members for s in sizes if s.means["nll"] <= sizes[-1].high["nll"])
