"""Statistical power: are there enough examples to detect a difference of the size that a check looks for?

An estimate is approximately normal around the true value with its standard error, which shrinks with the square root
of the number of examples. A difference is *detected* where the estimate lies more than `errors` standard errors from
zero (with few examples by Student's t at the same tail probability). The smallest true difference that is detected with
probability POWER is then (errors + z_POWER) standard errors, and the number of examples for a given one follows from it
(Cohen 1988, Statistical power analysis for the behavioral sciences, chapter 2; Lachin 1981, Controlled Clinical Trials
2:93-113).

The difference looked for is fixed before the measurement: a power computed from the measured difference says no more
than its p-value (Hoenig and Heisey 2001, The American Statistician 55:19-24).
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from recipe.verdict import FAIL, PASS, Verdict, bounded, undecided

POWER = 0.8  # Cohen's convention
CONFIDENCE_KEPT = (1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125)  # shares of a model's outputs, against overconfidence
Z95 = 1.96  # standard errors of a 95 % interval
MOST = 30  # times smaller an effect than can be detected: beyond it the number of examples needed is out of reach


@dataclass(frozen=True)
class Estimate:
    """A difference or a share, measured on n examples; error: its standard error, infinite where n is 1.

    entropy: of a share of a loss, that loss in nats; 0 of other numbers.
    """

    value: float
    error: float
    n: int
    entropy: float = 0.0

    def margin(self, errors: float) -> float:
        """Half of the interval: `errors` standard errors, by Student's t with n - 1 degrees of freedom."""
        from scipy.special import ndtr, stdtrit  # scipy.stats takes seconds to import

        if self.n < 2 or not math.isfinite(self.error):
            return math.inf
        return -float(stdtrit(self.n - 1, ndtr(-errors))) * self.error

    def ci(self, errors: float) -> str:
        """`95.4 % CI -0.01 to 0.12`, of `errors` standard errors."""
        half = self.margin(errors)
        return f"{100 * confidence(errors):.3g} % CI {self.value - half:.2g} to {self.value + half:.2g}"

    def smallest(self, errors: float) -> float:
        """The smallest true difference from zero that is detected with probability POWER."""
        from scipy.special import ndtri

        return self.margin(errors) + float(ndtri(POWER)) * self.error if self.n > 1 else math.inf

    def needed(self, effect: float, errors: float) -> int | None:
        """How many examples detect a true difference `effect` with probability POWER; None beyond reach."""
        smallest = self.smallest(errors)
        times = smallest / effect
        return math.ceil(self.n * times**2) if times < MOST else None


def confidence(errors: float) -> float:
    """Of an interval of so many standard errors to both sides."""
    from scipy.special import ndtr  # as above

    return float(2 * ndtr(errors) - 1)


def planned(e: Estimate, effect: float) -> Estimate:
    """The same with the standard error under a true `effect`: answers without information hardly vary.

    Of a share of a loss: a log-likelihood ratio with the mean m has a variance of about 2 m (Kullback 1959, Information
    theory and statistics, chapter 2: the divergence is half of Fisher's information, which is that variance).
    """
    deviation = math.sqrt(2 * effect / e.entropy) if e.entropy > 0 else 0.0
    return replace(e, error=max(e.error, deviation / math.sqrt(e.n)))


def paired(better: Tensor, worse: Tensor) -> Estimate:
    """By how much the mean of (N,) numbers falls from `worse` to `better`, measured on the same N examples."""
    difference = (worse - better).double()
    n = len(difference)
    return Estimate(difference.mean().item(), difference.std().item() / n**0.5 if n > 1 else math.inf, n)


def share_saved(better: Tensor, worse: Tensor, squares: bool = False) -> Estimate:
    """The share of the worse mean loss that the better one saves, measured on the same N examples.

    squares: the losses are squared errors and the like; in units of twice their mean they are nats.
    """
    fall, whole = paired(better, worse), max(abs(worse.double().mean().item()), 1e-9)
    return Estimate(fall.value / whole, fall.error / whole, fall.n, 0.5 if squares else whole)


def share(count: int, n: int) -> Estimate:
    """A share of n with its binomial standard error, of at least one example so that 0 of n is not certain."""
    p = count / max(n, 1)
    return Estimate(p, math.sqrt(max(p * (1 - p), 1 / n) / n) if n else math.inf, n)


def commonest(y: Tensor) -> float:
    """The share of the commonest class of labels (N,): the accuracy of always predicting it."""
    return int(torch.unique(y, return_counts=True)[1].max()) / len(y)


def of_interval(value: float, low: float, high: float, n: int) -> Estimate:
    """From a 95 % interval by Student's t, as over n seeds."""
    return Estimate(value, (high - low) / 2 / Estimate(0.0, 1.0, n).margin(Z95), n)


def difference(a: Estimate, b: Estimate) -> Estimate:
    """a less b, of independent examples; n is the smaller number, from which most of the error comes."""
    return Estimate(a.value - b.value, math.hypot(a.error, b.error), min(a.n, b.n))


def exceeds(
    e: Estimate, *, floor: float, effect: float, errors: float, what: str, weak: bool = False, finding: str = ""
) -> Verdict:
    """The claim `e is more than floor, and more than zero beyond chance`, judged by its interval.

    fail: a true value of `effect` would have been detected, and the whole interval lies below it; of a value beyond
    chance, below `floor`. undecided: too few examples to detect it, or the interval contains both. what: the examples
    that are counted, in the plural. weak: features without information are healthy too, so only equal answers fail.
    finding: see recipe.verdict.
    """
    bound, half = f"> {floor:.4g}, by more than {errors:g} standard errors", e.margin(errors)
    true = planned(e, effect)
    if not math.isfinite(e.value):
        return bounded(FAIL, e.value, bound, finding=finding)
    if e.value > max(half, floor):
        return bounded(PASS, e.value, bound)
    if e.value > half and (weak or e.value + half >= floor):
        return undecided(e.value, bound, _small(e, floor, what), finding=finding)
    features = (
        f"No signal beyond chance could be shown with {e.n:,} {what}; other features may decide. " if weak else ""
    )
    if e.value + true.margin(errors) < 0 and not weak:  # worse than a constant answer is not weak
        return bounded(FAIL, e.value, bound, finding=finding)
    if true.smallest(errors) > effect:
        return undecided(e.value, bound, features + too_few(true, effect, errors, what), finding=finding)
    if e.value + true.margin(errors) >= effect:
        return undecided(e.value, bound, features + _both(true, effect, errors, what), finding=finding)
    if weak and e.error > 0:  # answers that do not differ at all are not a weak signal
        return undecided(e.value, bound, features + _absent(effect, what), finding=finding)
    return bounded(FAIL, e.value, bound, finding=finding)


def sign(e: Estimate, *, errors: float, what: str, finding: str = "") -> Verdict:
    """The claim `e is above zero`: undecided where the interval contains zero."""
    half = e.margin(errors)
    bound = f"> 0 ({e.ci(errors)}, n = {e.n:,} {what})"
    if abs(e.value) > half or not math.isfinite(e.value):
        return bounded(PASS if e.value > 0 else FAIL, e.value, bound, finding=finding)
    return undecided(
        e.value, bound, f"The {e.ci(errors)} contains 0. {about(e, abs(e.value), errors, what)}", finding=finding
    )


def stays_below(e: Estimate, *, limit: float, largest: float, errors: float, what: str) -> Verdict:
    """The claim `e is below limit, or not above zero beyond chance`, where a defect moves e by at most `largest`.

    undecided: a defect could not have been detected, since `largest` is within the limit or within the interval.
    """
    half = e.margin(errors)
    bound = f"< {max(limit, half):.4g}"
    if not math.isfinite(e.value) or e.value > max(limit, half):
        return bounded(FAIL, e.value, bound)
    if largest > max(limit, half):
        return bounded(PASS, e.value, bound)
    if limit >= largest:
        return undecided(e.value, bound, _too_weak(largest, limit))
    return undecided(e.value, bound, too_few(e, largest, errors, what))


def agrees(e: Estimate, *, limit: float, errors: float, what: str) -> Verdict:
    """The claim `the true share is below limit`: undecided where the interval contains the limit."""
    half, bound = e.margin(errors), f"< {limit:.4g}"
    if e.value - half >= limit or e.value + half < limit:
        return bounded(PASS if e.value < limit else FAIL, e.value, bound)
    gap = max(abs(e.value - limit), limit / 2)
    return undecided(e.value, bound, f"The {e.ci(errors)} contains the limit. {about(e, gap, errors, what)}")


def too_few(e: Estimate, effect: float, errors: float, what: str) -> str:
    """What would decide, where an effect of the size looked for could not have been detected."""
    undetected = f"A true value of {effect:.2g} could not have been detected with {e.n:,} {what}."
    return f"{undetected} {about(e, effect, errors, what)}"


def _absent(effect: float, what: str) -> str:
    return f"A true value of {effect:.2g} would have been detected; more {what} would decide where it is smaller."


def _too_weak(largest: float, limit: float) -> str:
    return (
        f"A defect could move this by at most {max(largest, 0):.2g}, and the limit is {limit:.2g}: features that say "
        "more about the label would decide."
    )


def _small(e: Estimate, floor: float, what: str) -> str:
    return (
        f"There is a signal beyond chance, but it is weak: {e.n:,} {what} are enough to detect it, and it is below "
        f"{floor:.2g}. Features that say more about the label would decide."
    )


def _both(e: Estimate, effect: float, errors: float, what: str) -> str:
    both = f"The {e.ci(errors)} contains both 0 and {effect:.2g}."
    return f"{both} {about(e, effect / 2, errors, what)}"


def about(e: Estimate, effect: float, errors: float, what: str) -> str:
    """How many examples would detect a true difference `effect`, in a sentence."""
    needed = e.needed(effect, errors) if effect > 0 else None
    if needed is None:
        return f"Far more {what} would decide (there are {e.n:,})."
    return f"About {max(rounded(needed), e.n + 1):,} {what} would decide (there are {e.n:,})."


def rounded(n: int) -> int:
    """To two significant digits, upwards: the precision of such an estimate."""
    unit: int = 10 ** max(0, len(str(n)) - 2)
    return -(-n // unit) * unit
