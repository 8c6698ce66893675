"""How often the true quantity is in its interval, on test."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from recipe.formatting import interval
from recipe.metrics.conformal import SHARE, covered
from recipe.metrics.intervals import wilson


@dataclass(frozen=True)
class Coverage:
    """Of one quantity. low, high: Wilson's 95 % interval over the test examples.

    both_low, both_high: the same over test and over the validation examples that set the width. The share that a width
    covers varies from one validation set to another by as much as the share that is measured varies from one test set
    to another of the same size (Vovk 2012, Conditional validity of inductive conformal predictors).
    """

    target: str
    half_width: float
    share: float
    low: float
    high: float
    both_low: float
    both_high: float
    count: int

    def row(self) -> dict[str, str | float]:
        values = {"value": self.share, "low": self.low, "high": self.high}
        return {"split": "test", "calibration": f"interval of {self.target}", "measure": "coverage"} | values

    def sentence(self, unit: str, folds: int = 0) -> str:
        how = "split-conformal, from the residuals of validation"
        if folds:
            how = f"from the residuals of {folds} folds, and a little wide: all networks together predict better"
        ends = interval(100 * self.low, 100 * self.high, decimals=1)
        width = f"{self.half_width:.4g} {unit}".rstrip()
        return (
            f"The {100 * SHARE:g} % interval of {self.target} is the prediction ± {width} ({how}); on test it "
            f"contains {self.share:.1%} of the true values ({ends} %, n = {self.count:,})."
        )


def coverage(
    names: Sequence[str], p: Tensor, actual: Tensor, half_widths: tuple[float, ...], calibrated_on: int
) -> list[Coverage]:
    """Of predictions (N, T) on test; calibrated_on: examples of validation. Empty where there are no intervals."""
    if not half_widths:
        return []
    shares, count = covered(p, actual, half_widths).mean(0).tolist(), len(actual)
    rows = []
    for name, width, share in zip(names, half_widths, shares, strict=True):
        low, high = wilson(share, count)
        both_low, both_high = wilson(share, 1 / (1 / count + 1 / calibrated_on))
        both_ends = {"both_low": float(both_low), "both_high": float(both_high)}
        rows.append(Coverage(name, width, share, float(low), float(high), count=count, **both_ends))
    return rows
