"""What trainings are judged by on validation: the loss, or the metric."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recipe.formatting import lowering
from recipe.metrics.metric import Metric

HALVES = "/a", "/b"  # endings of the columns in which a curve has the objective on each half of val


@dataclass(frozen=True)
class Objective:
    """By it early stopping chooses an evaluation, regularize a change, and the search a trial. metric: None: the loss.

    A cost is lower where a training is better, whatever the objective is.
    """

    metric: Metric | None = None

    @property
    def column(self) -> str:
        """Of a curve."""
        return f"val_{self.metric.name}" if self.metric else "val_loss"

    @property
    def title(self) -> str:
        """As in a sentence: `validation loss`."""
        return f"validation {self.metric.title if self.metric else 'loss'}"

    @property
    def higher_is_better(self) -> bool:
        return bool(self.metric and self.metric.higher_is_better)

    @property
    def best(self) -> str:
        return "highest" if self.higher_is_better else "lowest"

    @property
    def improves(self) -> str:
        """`lower validation loss`."""
        return f"{'higher' if self.higher_is_better else 'lower'} {self.title}"

    def cost(self, row: Mapping[str, float], half: str = "") -> float:
        """Of an evaluation, on val or on one half of it; infinite where the metric does not exist, as of a class that
        is missing there."""
        cost = self.turned(row[self.column + half])
        return math.inf if math.isnan(cost) else cost

    def best_row(self, curve: Sequence[Mapping[str, float]]) -> int | None:
        """The number of the trained row of the lowest cost; None where nothing was trained."""
        return min(range(1, len(curve)), key=lambda r: self.cost(curve[r]), default=None)

    def turned(self, value: float) -> float:
        """The cost of a value, and the value of a cost."""
        return -value if self.higher_is_better else value

    def effect(self, fall: float, low: float, high: float, sample: str, confidence: float = 0.95, of: str = "") -> str:
        """`lowers validation loss by 0.026 (95 % CI 0.016 to 0.037, 6 seeds)`. fall: of the cost. of: the title."""
        ends = (-fall, -high, -low) if self.higher_is_better else (fall, low, high)
        return lowering(*ends, of or self.title, sample, confidence)


LOSS = Objective()
BY_METRIC = "metric"  # as `judged_by` in conf has it, in place of "loss"


def objective_of(judged_by: str, metric: Metric | None) -> Objective:
    return Objective(metric) if judged_by == BY_METRIC else LOSS
