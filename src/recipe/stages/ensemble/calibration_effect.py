"""What the calibration changes, on the split that chose it and on test."""

from dataclasses import dataclass

from torch import Tensor

from recipe.metrics.scores import gained
from recipe.tasks.task import Task

Measures = dict[str, tuple[float, float, float]]


@dataclass(frozen=True)
class CalibrationEffect:
    """Before and after, on one split: each measure with its 95 % interval over examples, none where predictions are not
    calibrated; and by how much the loss falls, with its paired interval."""

    split: str
    before: Measures
    after: Measures
    fall: tuple[float, float, float]

    def rows(self) -> list[dict[str, str | float]]:
        return [
            {"split": self.split, "calibration": name, "measure": measure, "value": value, "low": low, "high": high}
            for name, measures in (("before", self.before), ("after", self.after))
            for measure, (value, low, high) in measures.items()
        ]


def calibration_effect(
    split: str, task: Task, before: Tensor, parameters: tuple[float, ...], actual: Tensor
) -> CalibrationEffect:
    """Of predictions (N, K) against targets."""
    after = task.calibrated(before, parameters)
    return CalibrationEffect(
        split,
        before=task.calibration_measures(before, actual),
        after=task.calibration_measures(after, actual),
        fall=gained(task.losses(before, actual), task.losses(after, actual)),
    )
