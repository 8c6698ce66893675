"""Which members make the ensemble, and how many are enough: all of it on validation.

Only the probability of the label counts for the log-likelihood of a mean of members, whence `label` (M, N) below.
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
MOST = {"accuracy": 1.0, "nll": math.inf, "ece": 1.0}
MEASURES = tuple(MOST)


def of_label(p: Tensor, y: Tensor) -> Tensor:
    """(M, N): each member's probability of the label, of p (M, N, K)."""
    return p[:, torch.arange(len(y)), y].double()


def greedy(label: Tensor) -> tuple[list[int], list[float]]:
    """(members in the order in which they are taken, nll of their mean after each), up to the best number of them.

    Caruana et al. 2004, Ensemble selection from libraries of models: forwards, with replacement, so that a good member
    may count several times. As many rounds as there are members; what comes after the lowest nll is cut off.
    """
    total, picks, path = torch.zeros_like(label[0]), [], []
    for taken in range(1, len(label) + 1):
        losses = [-((total + mine) / taken).clamp_min(TINY).log().mean().item() for mine in label]
        best = min(range(len(losses)), key=losses.__getitem__)
        total = total + label[best]
        picks.append(best)
        path.append(losses[best])
    enough = min(range(len(path)), key=path.__getitem__) + 1
    return picks[:enough], path[:enough]


def counts(picks: list[int], members: int) -> list[int]:
    """How often each member was taken."""
    return [picks.count(i) for i in range(members)]


def held_out(p: Tensor, y: Tensor, choose: Callable[[Tensor, Tensor], list[int]]) -> tuple[Tensor, Tensor]:
    """((N,) nlls, (N,) nlls with a temperature) on val of what `choose(p, y) -> counts` would take.

    Each fifth of val is judged with members and a temperature that the other four chose. In the order of fifths.
    """
    fold, plain, calibrated = torch.arange(len(y)) % FOLDS, [], []
    for i in range(FOLDS):
        mine, others = fold == i, fold != i
        times = choose(p[:, others], y[others])
        temperature = fit_temperature(weighted(p[:, others], times), y[others])
        mean = weighted(p[:, mine], times)
        plain.append(nlls(mean, y[mine]))
        calibrated.append(nlls(tempered(mean, temperature), y[mine]))
    return torch.cat(plain), torch.cat(calibrated)


# ---- how many ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Size:
    """Ensembles of so many members: means over random subsets of measures on val, 95 % intervals over which members."""

    members: int
    subsets: int
    means: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]

    def row(self) -> dict:
        found = {"members": self.members, "subsets": self.subsets}
        for name in MEASURES:
            found |= {name: self.means[name], f"{name}_low": self.low[name], f"{name}_high": self.high[name]}
        return found


def sizes(p: Tensor, y: Tensor, seed: int = 0) -> list[Size]:
    """Every number of the M members p (M, N, K), which differ in their seed alone.

    Subsets of a size overlap the more, the larger they are, so that their spread is too small: of a mean, by the factor
    1 - size / M (the correction for a finite population). It is divided out; all M have one subset, and their spread is
    that of M - 1 (the jackknife, Tukey 1958).
    """
    members, found, spread = len(p), [], {}
    for size in range(1, members + 1):
        chosen = _subsets(members, size, seed)
        scores = [quality(p[list(which)].mean(0), y) for which in chosen]
        values = {name: np.array([getattr(q, name) for q in scores]) for name in MEASURES}
        if size < members:
            spread = {name: v.std() * math.sqrt(members / (members - size)) for name, v in values.items()}
        else:
            spread = {name: v * math.sqrt((members - 1) / members) for name, v in spread.items()}
        means = {name: float(v.mean()) for name, v in values.items()}
        low = {name: max(0.0, float(means[name] - Z95 * spread[name])) for name in MEASURES}
        high = {name: min(MOST[name], float(means[name] + Z95 * spread[name])) for name in MEASURES}
        found.append(Size(size, len(chosen), means, low, high))
    return found


def _subsets(members: int, size: int, seed: int) -> list[tuple[int, ...]]:
    if math.comb(members, size) <= SUBSETS:
        return list(itertools.combinations(range(members), size))
    chance = np.random.default_rng([seed, size])
    return [tuple(sorted(chance.choice(members, size, replace=False).tolist())) for _ in range(SUBSETS)]


def enough(found: list[Size]) -> int:
    """The smallest number of members whose mean nll is within the interval of the largest's."""
    return next(s.members for s in found if s.means["nll"] <= found[-1].high["nll"])


def told(found: list[Size]) -> str:
    """Whether it tops out, in a sentence."""
    first, last, least = found[0].means["nll"], found[-1], enough(found)
    start = f"One member has a validation nll of {first:.4f}, {last.members} have {last.means['nll']:.4f} "
    start += f"[{last.low['nll']:.4f}, {last.high['nll']:.4f}, over which members]"
    if least == 1:
        return f"{start}: averaging seeds gains nothing that can be told from the choice of seeds."
    if least == last.members:
        return f"{start}: it has not topped out, more members would gain more."
    return f"{start}; {least} are within that interval, so it tops out at about {least} (Recipe 6: at about 5)."
