"""Two systems on the same examples: what lies between them, and whether chance could have put it there."""

from dataclasses import dataclass

import torch
from torch import Tensor

from recipe.metrics.scores import bootstrap, nlls, percentiles, right


@dataclass(frozen=True)
class Versus:
    """`system` less `other`: accuracy (above 0: better) and nll (below 0: better), each (difference, low, high) with
    its 95 % bootstrap interval over examples; how many examples only one of them gets right; McNemar's p."""

    system: str
    other: str
    accuracy: tuple[float, float, float]
    nll: tuple[float, float, float]
    only_system: int
    only_other: int
    p: float

    @property
    def real(self) -> bool:
        """Its nll is lower by more than chance."""
        return self.nll[2] < 0

    def row(self) -> dict:
        found = {"system": self.system, "against": self.other}
        for name in ("accuracy", "nll"):
            found |= dict(zip((name, f"{name}_low", f"{name}_high"), getattr(self, name), strict=True))
        return found | {"only_system_right": self.only_system, "only_other_right": self.only_other, "mcnemar_p": self.p}

    def told(self) -> str:
        points, low, high = (100 * v for v in self.accuracy)
        return (
            f"{self.system} against {self.other}: accuracy {points:+.1f} points [{low:+.1f}, {high:+.1f}], nll "
            f"{self.nll[0]:+.4f} [{self.nll[1]:+.4f}, {self.nll[2]:+.4f}]; right by it alone {self.only_system}, by "
            f"the other alone {self.only_other} (McNemar p = {self.p:.2g})"
        )


def versus(system: str, p: Tensor, other: str, q: Tensor, y: Tensor) -> Versus:
    """Probabilities p and q (N, K) against labels (N,), paired by example."""
    hits, losses = (torch.stack([f(p, y), f(q, y)]) for f in (right, nlls))
    differences = torch.stack([hits[0] - hits[1], losses[0] - losses[1]], 1)
    drawn = bootstrap(differences)
    ours, theirs = int((differences[:, 0] > 0).sum()), int((differences[:, 0] < 0).sum())
    found = [(differences[:, i].mean().item(), *percentiles(drawn[:, i])) for i in (0, 1)]
    return Versus(system, other, *found, ours, theirs, mcnemar(ours, theirs))


def mcnemar(one: int, other: int) -> float:
    """Exact two-sided p (McNemar 1947): of the examples that only one gets right, is it more often the one?"""
    from scipy.stats import binomtest

    return float(binomtest(one, one + other).pvalue) if one + other else 1.0
