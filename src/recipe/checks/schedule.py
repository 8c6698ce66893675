"""The learning rate over the whole training."""

from itertools import pairwise

from torch.optim.lr_scheduler import ReduceLROnPlateau

from recipe.checks.measurements.short_run import seeing
from recipe.checks.setup import Setup, once
from recipe.verdict import FAIL, PASS, Verdict, below, check, skip


@once
def _plateau(s: Setup) -> bool:
    return s.schedule is not None and isinstance(s.schedule(s.optimizer(s.fresh()), 10, s.epochs), ReduceLROnPlateau)


@once
def rates(s: Setup) -> list[float]:
    """Per step: what the person's own fit has used where it tells, else what the schedule gives; [] without one."""
    if s.own_fit and (s.schedule is not None or len(set(seeing(s).rates)) > 1):
        return seeing(s).rates
    return [max(groups) for groups in s.rates] if s.schedule is not None and not _plateau(s) else []


NONE = "there is no schedule, or it follows a metric"


@check(source="ivadomed/ivadomed#55; automl/Auto-PyTorch#210; leftthomas/SRGAN#94")
def learning_rate_lasts(s: Setup, low: float = 0.01, share: float = 0.3) -> Verdict:
    """The learning rate is not near zero for a large part of the training.

    A scheduler made for epochs is stepped per batch, its length is given in the wrong unit, warm-up multiplies a zero.
    Healthy: the tail of a cosine, 6 %. The value is the share of steps below one per cent of the highest rate.
    """
    found = rates(s)
    if not found:
        return skip(NONE)
    return below(sum(rate <= 1.001 * low * max(found) for rate in found) / len(found), share)


@check(source="Recipe 3, be careful with learning rate decay; automl/Auto-PyTorch#210")
def learning_rate_peaks_early(s: Setup, share: float = 0.6) -> Verdict:
    """The learning rate reaches its highest value in the first half or so of the training, and warm-up ends.

    Warm-up in epochs where steps are counted or the other way round, a factor above one, a schedule that is longer than
    the training. Healthy: one-cycle, 30 %. The value is where in the training 95 % of the peak are reached first.
    """
    found = rates(s)
    if not found:
        return skip(NONE)
    return below(next(i for i, rate in enumerate(found) if rate >= 0.95 * max(found)) / len(found), share)


@check(source="Recipe 3, be careful with learning rate decay; leftthomas/SRGAN#94")
def learning_rate_follows_its_schedule(s: Setup, change: float = 0.01, turns: float = 2.0) -> Verdict:
    """Over the whole training a schedule does something, and does not swing back and forth within every epoch.

    A cosine whose length is in epochs, stepped per batch, goes down and up again many times; one whose length is in
    steps, stepped per epoch, hardly starts. The value is the relative change, or the turns per epoch.
    """
    found = rates(s)
    if not found:
        return skip(NONE)
    moved = 1 - min(found) / max(found)
    if moved < change:
        return Verdict(FAIL, moved, f"a change of {change:g} or more")
    ups = [b > a for a, b in pairwise(found) if abs(b - a) > 1e-9 * max(found)]
    per_epoch = sum(a != b for a, b in pairwise(ups)) / s.epochs
    return Verdict(FAIL if per_epoch >= turns else PASS, per_epoch, f"< {turns:g} turns per epoch")
