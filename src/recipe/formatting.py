"""Values as a reader meets them: on one line, of bounded length, with four significant digits."""

import math
import re
from typing import TypeGuard


def line(value: object, limit: int = 300) -> str:
    """Any value as one line of at most `limit` characters: no control characters, no lone surrogates."""
    text = "" if value is None else str(value)[: 8 * limit]
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def numeric(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(value: object, limit: int = 300) -> str:
    """Four significant digits; whole numbers whole, with separators from 10,000 on; text as it is."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not numeric(value):
        return line(value, limit)
    if isinstance(value, int):
        return f"{value:,}" if 10_000 <= abs(value) < 10**15 else line(value, limit)
    if math.isfinite(value) and 10_000 <= abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def percent(share: object) -> str:
    """An accuracy between 0 and 1 as per cent; empty where there is none."""
    return f"{100 * share:#.4g} %" if finite(share) else ""


def points(share: object) -> str:
    """A difference of two accuracies, in percentage points."""
    return f"{100 * share:z.2f}" if finite(share) else ""


def difference(a: float, b: float) -> str:
    """`b - a`, to as many places as the larger of them has: what lies below is rounding."""
    largest = max(abs(a), abs(b))
    return number(round(b - a, 3 - math.floor(math.log10(largest))) + 0.0) if largest else "0"


def finite(value: object) -> TypeGuard[float]:
    return numeric(value) and math.isfinite(value)


def metric(name: str, value: object) -> str:
    """A metric by its name: an accuracy is shown in per cent, its spread in points."""
    if "accuracy" not in name or not finite(value) or abs(value) > 1:
        return number(value)
    return f"{points(value)} points" if name.endswith(("_sd", "gain", "gap")) else percent(value)


def count(n: int, noun: str, plural: str = "") -> str:
    """`1 class`, `1,234 classes`; the plural is the noun with an s unless it is given."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {plural or noun + 's'}"


def interval(low: float, high: float, confidence: float = 0.95, decimals: int = 3) -> str:
    """`95 % CI 0.016 to 0.037`."""
    return f"{100 * confidence:.4g} % CI {low:.{decimals}f} to {high:.{decimals}f}"


def lowering(mean: float, low: float, high: float, what: str, sample: str, confidence: float = 0.95) -> str:
    """`lowers validation loss by 0.026 (95 % CI 0.016 to 0.037, 6 seeds)`; where the mean is negative, raises.

    mean, low, high: by how much `what` falls. sample: what the interval is over, with its number.
    """
    if mean == low == high == 0:
        return f"does not change {what} ({sample})"
    verb = "lowers"
    if mean < 0:
        verb, mean, low, high = "raises", -mean, -high, -low
    half = (high - low) / 2
    decimals = max(3, -math.floor(math.log10(half))) if half > 0 and math.isfinite(half) else 3
    amount = f"{mean:.{decimals}f}" if round(mean, decimals) else f"less than {10**-decimals:.{decimals}f}"
    return f"{verb} {what} by {amount} ({interval(low, high, confidence, decimals)}, {sample})"


def outcome(low: float, high: float) -> str:
    """Of a prediction that something falls; low, high: the interval of its fall."""
    return "confirmed" if low > 0 else "refuted" if high < 0 else "undecided"


def slug(text: str) -> str:
    """A text as an anchor of a page."""
    return re.sub(r"[^a-z0-9_]+", "-", str(text).lower()).strip("-")[:80]
