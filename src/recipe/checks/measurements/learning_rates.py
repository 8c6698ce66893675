"""The learning rate at each step of the whole training."""

from torch.optim.lr_scheduler import ReduceLROnPlateau

from recipe.checks.measurements.measured_once import measured_once
from recipe.checks.measurements.short_run import short_run
from recipe.checks.setup import Setup


@measured_once
def learning_rates(s: Setup) -> list[float]:
    """The highest rate of all parameter groups per step; [] without a schedule, or where it follows a metric.

    As measured in a user-defined `fit` that changes the rate, else as the schedule gives it.
    """
    if s.fit is not None and (s.schedule is not None or len(set(short_run(s).rates)) > 1):
        return short_run(s).rates
    return [max(groups) for groups in s.scheduled_rates] if s.schedule is not None and not _follows_metric(s) else []


def _follows_metric(s: Setup) -> bool:
    return s.schedule is not None and isinstance(
        s.schedule(s.optimizer(s.new_model()), 10, s.epochs), ReduceLROnPlateau
    )
