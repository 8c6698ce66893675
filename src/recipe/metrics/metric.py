"""A metric: one number for predictions and targets, with what a reader needs to know about it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recipe.metrics.intervals import wilson

if TYPE_CHECKING:
    from torch import Tensor  # takes a second to import; the report's stages need no tensor

DRAWS = 1000  # of a bootstrap: the 2.5th percentile of 1000 is the 25th smallest


@dataclass(frozen=True)
class Metric:
    """of: (predictions (N, K) float64, targets (N,) or (N, K)) -> value, on the CPU; both as `Task.predict` and
    `Task.actual` give them. of_networks: the same during training, (outputs (M, N, K) of M networks, y) -> (M,).
    """

    name: str  # as in report.json: test_<name>, val_<name>
    title: str  # as in a sentence
    of: "Callable[[Tensor, Tensor], float]"
    of_networks: "Callable[[Tensor, Tensor], Tensor]"
    higher_is_better: bool = True
    percent: bool = False  # a share from 0 to 1, shown in percent
    unit: str = ""
    counts_examples: bool = False  # the value is a share of the examples, so that Wilson's interval is exact for it

    def facts(self) -> dict[str, str | bool]:
        """What a reader of a stage's report needs to show the scores."""
        names = ("name", "title", "higher_is_better", "percent", "unit")
        return {name: getattr(self, name) for name in names}

    def shown(self, value: float) -> str:
        """`97.3 %`, `2.153 rings`, `0.8412`."""
        if self.percent:
            return f"{value:.1%}"
        return f"{value:.4g} {self.unit}".rstrip()

    def better(self, a: float, b: float) -> bool:
        return a > b if self.higher_is_better else a < b

    def interval(self, p: "Tensor", y: "Tensor", seed: int = 0) -> tuple[float, float]:
        """The 95 % interval over examples: Wilson's of a share of them, else by a bootstrap (Efron 1979)."""
        if self.counts_examples:
            low, high = wilson(self.of(p, y), len(y))
            return float(low), float(high)
        return bootstrapped(self.of, p, y, seed)


def bootstrapped(
    of: "Callable[[Tensor, Tensor], float]", p: "Tensor", y: "Tensor", seed: int = 0
) -> tuple[float, float]:
    """The 2.5th and the 97.5th percentile of `of` over examples that are drawn with replacement.

    Draws without a value, as where a rare class is missing, are left out.
    """
    import torch  # here, as above

    generator = np.random.default_rng(seed)
    values = []
    for _ in range(DRAWS):
        index = torch.from_numpy(generator.integers(len(y), size=len(y)))
        values.append(of(p[index], y[index]))
    finite = [v for v in values if np.isfinite(v)]
    if not finite:
        return float("nan"), float("nan")
    low, high = np.percentile(finite, [2.5, 97.5])
    return float(low), float(high)
