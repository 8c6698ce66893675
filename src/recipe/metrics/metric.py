"""A metric: one number for predictions and targets, with what a reader needs to know about it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recipe.formatting import number
from recipe.metrics.intervals import wilson
from recipe.metrics.resampling import draws, percentiles
from recipe.metrics.weighted import Array

if TYPE_CHECKING:
    from torch import Tensor  # takes a second to import; the report's stages need no tensor

Weighted = Callable[[Array, Array, Array], Array]  # (p, actual, w (D, N)) -> (D,): see recipe.metrics.weighted


@dataclass(frozen=True)
class Metric:
    """of: (predictions (N, K) float64, targets (N,) or (N, K)) -> value, on the CPU; both as `Task.predict` and
    `Task.actual` give them. of_networks: the same during training, (outputs (M, N, K) of M networks, y) -> (M,).

    A value that does not exist is NaN, and is shown as nothing.
    """

    name: str  # as in report.json: test_<name>, val_<name>
    title: str  # as in a sentence
    of: "Callable[[Tensor, Tensor], float]"
    of_networks: "Callable[[Tensor, Tensor], Tensor]"
    higher_is_better: bool = True
    percent: bool = False  # a share from 0 to 1, shown in percent
    unit: str = ""
    counts_examples: bool = False  # the value is a share of the examples, so that Wilson's interval is exact for it
    weighted: Weighted | None = None  # `of` for all draws of a bootstrap at once; None: one after the other
    limits: Callable[[Array, Array], tuple[float, float]] | None = None  # a 95 % interval that is better than those

    def facts(self) -> dict[str, str | bool]:
        """What a reader of a stage's report needs to show the scores."""
        names = ("name", "title", "higher_is_better", "percent", "unit")
        return {name: getattr(self, name) for name in names}

    def shown(self, value: float) -> str:
        """`97.3 %`, `2.153 rings`, `0.8412`; nothing of a value that does not exist."""
        if not math.isfinite(value):
            return ""
        if self.percent:
            return f"{value:.1%}"
        return f"{number(value)} {self.unit}".rstrip()

    def better(self, a: float, b: float) -> bool:
        return a > b if self.higher_is_better else a < b

    def interval(self, p: "Tensor", y: "Tensor", seed: int = 0) -> tuple[float, float]:
        """The 95 % interval over examples: Wilson's of a share of them, else percentiles of a bootstrap (Efron 1979).

        Draws without a value, as where a rare class is missing, are left out; NaN where the value itself is.
        """
        value = self.of(p, y)
        if not math.isfinite(value):
            return math.nan, math.nan
        if self.counts_examples:
            low, high = wilson(value, len(y))
            return float(low), float(high)
        if self.limits:
            return self.limits(array(p), array(y))
        return percentiles(self.draws(p, y, seed))

    def draws(self, p: "Tensor", y: "Tensor", seed: int = 0) -> Array:
        """(DRAWS,): the values on examples drawn with replacement; the same examples for every system and metric, so
        that the difference of two systems is paired."""
        weighted = self.weighted or _one_after_the_other(self.of, p, y)
        in_order_of_examples = map(np.asfortranarray, draws(len(y), seed))  # as rankings gather them: twice as fast
        return np.concatenate([weighted(array(p), array(y), w) for w in in_order_of_examples])


def array(values: Any) -> Array:
    """A tensor on any device as a numpy array."""
    result: Array = values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)
    return result


def of_weighted(
    name: str, title: str, weighted: Weighted, networks: "Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]",
    **more: Any,
) -> Metric:  # fmt: skip
    """A metric by its form for many draws, of which the value itself is one where every example counts once.

    networks: (outputs (N, K) of one network, y) -> (p, actual).
    """

    def of(p: Any, y: Any) -> float:
        return float(weighted(array(p), array(y), np.ones((1, len(y))))[0])

    def of_networks(outputs: "Tensor", y: "Tensor") -> "Tensor":
        return outputs.double().new_tensor([of(*networks(each, y)) for each in outputs])

    return Metric(name, title, **{"of": of, "of_networks": of_networks, "weighted": weighted} | more)


def _one_after_the_other(of: "Callable[[Tensor, Tensor], float]", p: "Tensor", y: "Tensor") -> Weighted:
    """For a metric that knows no weights: an example that counts twice is there twice."""

    def weighted(_p: Array, _y: Array, w: Array) -> Array:
        places = np.arange(w.shape[1])
        return np.array([of(p[drawn], y[drawn]) for drawn in (np.repeat(places, row.astype(int)) for row in w)])

    return weighted
