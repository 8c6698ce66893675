"""The learning rate over the whole training."""

from itertools import pairwise

from torch.optim.lr_scheduler import ReduceLROnPlateau

from recipe.checks.measurements.learning_rates import learning_rates
from recipe.checks.scheduler import step_scheduler
from recipe.checks.setup import Setup
from recipe.verdict import FAIL, PASS, Verdict, below, check, skip

NO_SCHEDULE = "there is no schedule, or it follows a metric"


@check(source="ivadomed/ivadomed#55; automl/Auto-PyTorch#210; leftthomas/SRGAN#94")
def learning_rate_lasts(s: Setup, low: float = 0.01, share: float = 0.3) -> Verdict:
    """The learning rate is not near zero for a large part of the training.

    A scheduler made for epochs is stepped per batch, its length is given in the wrong unit, warm-up multiplies a zero.
    Healthy: the tail of a cosine, 6 %. The value is the share of steps below one per cent of the highest rate.
    """
    rates = learning_rates(s)
    if not rates:
        return skip(NO_SCHEDULE)
    return below(sum(rate <= 1.001 * low * max(rates) for rate in rates) / len(rates), share)


@check(source="Recipe 3, be careful with learning rate decay; automl/Auto-PyTorch#210")
def learning_rate_peaks_early(s: Setup, share: float = 0.6) -> Verdict:
    """Warm-up ends: the learning rate reaches its highest value in about the first half of the training.

    Warm-up in epochs where steps are counted or the other way round, a factor above one, a schedule that is longer than
    the training. Healthy: one-cycle, 30 %. The value is the share of the training before 95 % of the peak are reached.
    """
    rates = learning_rates(s)
    if not rates:
        return skip(NO_SCHEDULE)
    return below(next(i for i, rate in enumerate(rates) if rate >= 0.95 * max(rates)) / len(rates), share)


@check(source="Recipe 3, be careful with learning rate decay; leftthomas/SRGAN#94")
def learning_rate_follows_its_schedule(s: Setup, change: float = 0.01, turns: float = 2.0) -> Verdict:
    """A schedule changes the learning rate over the training, without oscillating within every epoch.

    A cosine whose length is in epochs, stepped per batch, goes down and up again many times; one whose length is in
    steps, stepped per epoch, hardly starts. The value is the relative change, or the turns per epoch.
    """
    rates = learning_rates(s)
    if not rates:
        return skip(NO_SCHEDULE)
    moved = 1 - min(rates) / max(rates)
    if moved < change:
        return Verdict(FAIL, moved, f"a change of {change:g} or more")
    ups = [b > a for a, b in pairwise(rates) if abs(b - a) > 1e-9 * max(rates)]
    per_epoch = sum(a != b for a, b in pairwise(ups)) / s.epochs
    return Verdict(FAIL if per_epoch >= turns else PASS, per_epoch, f"< {turns:g} turns per epoch")


@check(source="PaulRitsche/DeepACSA#36")
def a_plateau_lowers_the_rate(s: Setup) -> Verdict:
    """A schedule that waits for a metric lowers the learning rate where the metric stays as it is.

    Its lowest rate is the rate that the training has, or the rate is so small that a change counts as none (`eps`). The
    value is the lowest rate after a wait as long as its patience, over the highest before.
    """
    if s.schedule is None:
        return skip("there is no schedule")
    optimizer = s.optimizer(s.new_model())
    scheduler = s.schedule(optimizer, -(-len(s.train) // s.batch_size), s.epochs)
    if not isinstance(scheduler, ReduceLROnPlateau):
        return skip("the schedule does not wait for a metric")
    before = [group["lr"] for group in optimizer.param_groups]
    for _ in range(scheduler.patience + scheduler.cooldown + 3):
        step_scheduler(scheduler, 1.0)
    return below(min(group["lr"] / rate for group, rate in zip(optimizer.param_groups, before, strict=True)), 1.0)
