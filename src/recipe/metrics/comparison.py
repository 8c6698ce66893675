"""Two systems on the same examples: their difference, its interval, and whether chance explains it."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from recipe.formatting import interval
from recipe.metrics.metric import Metric
from recipe.metrics.resampling import percentiles
from recipe.metrics.scores import gained


@dataclass(frozen=True)
class Rights:
    """How many examples only one of two systems gets right; p: McNemar's."""

    only_system: int
    only_other: int
    p: float


@dataclass(frozen=True)
class Comparison:
    """`system` less `other`: metric and loss (below 0: better), each (difference, low, high) with its 95 % bootstrap
    interval over `count` examples. rights: None where predictions are more or less right."""

    system: str
    other: str
    of: Metric
    metric: tuple[float, float, float]
    loss_name: str
    loss: tuple[float, float, float]
    rights: Rights | None
    count: int

    @property
    def significant(self) -> bool:
        """The system has a lower loss: the interval excludes zero."""
        return self.loss[2] < 0

    def row(self) -> dict[str, str | float]:
        columns: dict[str, str | float] = {"system": self.system, "against": self.other}
        for name, values in ((self.of.name, self.metric), ("loss", self.loss)):
            columns |= dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))
        if not self.rights:
            return columns
        counts = {"only_system_right": self.rights.only_system, "only_other_right": self.rights.only_other}
        return columns | counts | {"mcnemar_p": self.rights.p}

    def sentence(self) -> str:
        text = (
            f"{self.system} compared with {self.other}: {self.of.title} differs by {self._metric_difference()}, "
            f"{self.loss_name} by {self.loss[0]:+.4f} ({interval(*self.loss[1:], decimals=4)}), n = {self.count:,} "
            "examples"
        )
        if not (rights := self.rights):
            return text
        return (
            f"{text}; only {self.system} is right on {rights.only_system}, only {self.other} on {rights.only_other} "
            f"(McNemar p = {rights.p:.2g})"
        )

    def _metric_difference(self) -> str:
        value, low, high = self.metric
        if self.of.percent:
            return f"{100 * value:+.1f} points ({interval(100 * low, 100 * high, decimals=1)})"
        unit = f" {self.of.unit}" if self.of.unit else ""
        return f"{value:+.4g}{unit} (95 % CI {low:.4g} to {high:.4g})"


def compare(
    system: str, p: Tensor, other: str, q: Tensor, actual: Tensor, *,
    metric: Metric, loss_name: str, losses: Callable[[Tensor, Tensor], Tensor],
    right: Callable[[Tensor, Tensor], Tensor | None],
) -> Comparison:  # fmt: skip
    """Predictions p and q (N, K) against targets, paired by example.

    losses, right: (p, actual) -> (N,), as those of a task and of its answers.
    """
    drawn = metric.draws(p, actual) - metric.draws(q, actual)
    difference = metric.of(p, actual) - metric.of(q, actual), *percentiles(drawn)
    return Comparison(
        system, other, metric, difference, loss_name, gained(losses(p, actual), losses(q, actual)),
        _rights(right(p, actual), right(q, actual)), len(actual),
    )  # fmt: skip


def _rights(system: Tensor | None, other: Tensor | None) -> Rights | None:
    if system is None or other is None:
        return None
    only_system, only_other = int((system > other).sum()), int((other > system).sum())
    return Rights(only_system, only_other, mcnemar(only_system, only_other))


def mcnemar(one: int, other: int) -> float:
    """Exact two-sided p (McNemar 1947): of the examples that only one gets right, is it more often the one?"""
    from scipy.stats import binomtest  # scipy.stats takes seconds to import

    return float(binomtest(one, one + other).pvalue) if one + other else 1.0
