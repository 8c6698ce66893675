"""Two systems on the same examples: their difference, its interval, and whether chance explains it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from recipe.formatting import interval
from recipe.metrics.resampling import percentiles
from recipe.metrics.scores import bootstrap, nlls, right


@dataclass(frozen=True)
class Comparison:
    """`system` less `other`: accuracy (above 0: better) and nll (below 0: better), each (difference, low, high) with
    its 95 % bootstrap interval over `count` examples; how many of them only one gets right; McNemar's p."""

    system: str
    other: str
    accuracy: tuple[float, float, float]
    nll: tuple[float, float, float]
    only_system: int
    only_other: int
    p: float
    count: int

    @property
    def significant(self) -> bool:
        """The system has a lower nll: the interval excludes zero."""
        return self.nll[2] < 0

    def row(self) -> dict[str, str | float]:
        columns: dict[str, str | float] = {"system": self.system, "against": self.other}
        for name, values in (("accuracy", self.accuracy), ("nll", self.nll)):
            columns |= dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))
        counts = {"only_system_right": self.only_system, "only_other_right": self.only_other}
        return columns | counts | {"mcnemar_p": self.p}

    def sentence(self) -> str:
        points, low, high = (100 * v for v in self.accuracy)
        return (
            f"{self.system} compared with {self.other}: accuracy differs by {points:+.1f} points "
            f"({interval(low, high, decimals=1)}), NLL by {self.nll[0]:+.4f} ({interval(*self.nll[1:], decimals=4)}), "
            f"n = {self.count:,} examples; only {self.system} is right on {self.only_system}, only {self.other} on "
            f"{self.only_other} (McNemar p = {self.p:.2g})"
        )


def compare(system: str, p: Tensor, other: str, q: Tensor, y: Tensor) -> Comparison:
    """Probabilities p and q (N, K) against labels (N,), paired by example."""
    hits, losses = (torch.stack([f(p, y), f(q, y)]) for f in (right, nlls))
    differences = torch.stack([hits[0] - hits[1], losses[0] - losses[1]], 1)
    drawn = bootstrap(differences)
    accuracy, nll = ((differences[:, i].mean().item(), *percentiles(drawn[:, i])) for i in (0, 1))
    only_system, only_other = int((differences[:, 0] > 0).sum()), int((differences[:, 0] < 0).sum())
    p_value = mcnemar(only_system, only_other)
    return Comparison(system, other, accuracy, nll, only_system, only_other, p_value, len(y))


def mcnemar(one: int, other: int) -> float:
    """Exact two-sided p (McNemar 1947): of the examples that only one gets right, is it more often the one?"""
    from scipy.stats import binomtest  # scipy.stats takes seconds to import

    return float(binomtest(one, one + other).pvalue) if one + other else 1.0
