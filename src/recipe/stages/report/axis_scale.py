"""The place of a number on an axis, in per cent of its width: what the pages' inline drawings need."""

import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from recipe.formatting import finite, number
from recipe.stages.report.shown_metric import ShownMetric

LEFT, RIGHT = 2.0, 96.0  # room for the dots at both ends
ROUND = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001)


@dataclass(frozen=True)
class Tick:
    at: str
    label: str
    minor: bool  # hidden where the page is narrow


@dataclass(frozen=True)
class AxisScale:
    """`place(value)` is the value's x as an SVG length, `ticks` the axis below."""

    share: Callable[[float], float]  # value -> 0 to 1
    ticks: tuple[Tick, ...]
    note: str  # how to read the axis, in a sentence

    def place(self, value: float) -> str:
        return _at(self.share(value))


def _at(share: float) -> str:
    return f"{LEFT + (RIGHT - LEFT) * min(1.0, max(0.0, share)):.2f}%"


def scale_of(metric: ShownMetric, values: Iterable[float]) -> AxisScale:
    """The scale that fits the metric; linear where nothing is known but that more is better."""
    if not metric.higher_is_better:
        return loss_scale(values)
    return share_scale(values) if metric.percent else linear_scale(values)


def share_scale(values: Iterable[float]) -> AxisScale:
    """Of shares: logarithmic in the error, so that 98 and 99 per cent are as far apart as 0 and 50: the error halves.

    No error at all has no place on such an axis: where a value has none, the right end means 100 per cent.
    """
    errors = [1 - v for v in values if finite(v)]
    floor = next((r for r in ROUND if r <= 0.8 * min((e for e in errors if e > 0), default=0.1)), ROUND[-1])
    perfect = 0 in errors
    if perfect:
        floor /= 2

    def share(value: float) -> float:
        return math.log(max(1 - value, floor)) / math.log(floor)

    ticks = [
        Tick(_at(share(1 - r)), f"{100 * (1 - r):.6g} %", minor=f"{r:g}"[-1] == "2")
        for r in (1.0, *ROUND)
        if r > floor or (r == floor and not perfect)
    ]
    if perfect:
        ticks.append(Tick(_at(1.0), "100 %", minor=False))
    note = "The axis is logarithmic in the error: equal steps to the right divide the error by the same factor."
    return AxisScale(share, tuple(ticks), note)


def loss_scale(values: Iterable[float]) -> AxisScale:
    """Logarithmic in the loss; what is not positive is at the left end.

    So are subnormal numbers, below 2.2e-308: rounding leaves no room around them.
    """
    positive = [v for v in values if finite(v) and v >= sys.float_info.min]
    low, high = 0.8 * min(positive, default=0.1), 1.25 * max(positive, default=1.0)
    low = max(low, high * 1e-6)

    def share(loss: float) -> float:
        return math.log(max(loss, low) / low) / math.log(high / low)

    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = [m * 10.0**p for p in powers for m in (1, 2, 5) if low <= m * 10.0**p <= high]
    tens = [v for v in every if f"{v:e}".startswith("1.0")]
    ticks = tuple(Tick(_at(share(v)), number(v), minor=v not in tens) for v in (tens if len(tens) > 2 else every))
    return AxisScale(share, ticks, "The axis is logarithmic: further left is better.")


def linear_scale(values: Iterable[float]) -> AxisScale:
    """From the least value to the greatest, with four to nine ticks between."""
    known = [v for v in values if finite(v)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if not 1e-9 * max(1.0, abs(low)) < high - low < math.inf:
        low, high = low - 0.5 * max(1.0, abs(low)), low + 0.5 * max(1.0, abs(low))

    def share(value: float) -> float:
        return (value - low) / (high - low)

    power = 10.0 ** math.floor(math.log10((high - low) / 2))
    step = next(power * m for m in (1, 2, 5, 10) if (high - low) / (power * m) < 9)
    counted = range(math.ceil(low / step), math.floor(high / step) + 1)
    ticks = tuple(Tick(_at(share(n * step)), number(n * step), minor=n % 2 == 1) for n in counted)
    return AxisScale(share, ticks, "Further right is better.")
