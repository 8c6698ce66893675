"""Splits by time: the times of the examples, and the times at which they are cut into train, val and test."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from recipe.errors import RecipeError

FORMS = "a number, or a date or time such as 2024-05-31 or 2024-05-31T08:30:00"
OF_TIME = {"date", "datetime", "time", "timestamp", "epoch", "year"}  # words in the name of a column of numbers
RANGES = ((1900, 2100), (3e8, 4e9), (3e11, 4e12))  # of years; seconds and milliseconds since 1970

Moment = Any  # float or datetime, one kind in a data set


def moments(values: Sequence[Any], places: Sequence[str], column: str) -> list[Moment]:
    """The time of each example: numbers unchanged, texts parsed as ISO 8601, converted to UTC if they have an offset.

    Raises RecipeError with the first value that is neither, or of another kind than the first one, and its place.
    """
    times: list[Moment] = []
    offset = None
    for value, place in zip(values, places, strict=True):
        moment = _moment(value)
        where = f"conf/split.yaml, `by: time`: `{column}` of {place}"
        if moment is None:
            raise RecipeError(f"{where} is `{value}`; every example needs {FORMS}.")
        if times and isinstance(moment, datetime) != isinstance(times[0], datetime):
            raise RecipeError(f"{where} is `{value}`, and that of {places[0]} `{values[0]}`: write all in one form.")
        if isinstance(moment, datetime):
            aware = moment.tzinfo is not None
            if offset not in (None, aware):
                raise RecipeError(f"{where} is `{value}`: either all times have an offset from UTC, or none does.")
            offset = aware
            moment = moment.astimezone(UTC) if aware else moment
        times.append(moment)
    return times


def _moment(value: Any) -> Moment | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return value if math.isfinite(value) else None
    try:
        return datetime.fromisoformat(str(value).strip())
    except ValueError:
        return None


def cut(latest: Mapping[str, Moment], units: Sequence[str], shares: Mapping[str, float]) -> list[str]:
    """A split name per example, in the order of `shares` (sum 1): the earliest in the first, the latest in the last.

    units: a name per example, the same for examples that stay together. latest: {unit: its latest time}; a unit counts
    as that late, so that no earlier split contains an example of a later time. Units of one time are in one split. Each
    cut is where the number of examples before it is nearest to their share. Raises RecipeError where there are fewer
    distinct times than splits.
    """
    count = Counter(latest[unit] for unit in units)
    times = sorted(count)
    if len(times) < len(shares):
        raise RecipeError(
            f"conf/split.yaml, `by: time`: {len(times)} distinct time(s) cannot be cut into {len(shares)} splits, "
            "because examples of one time stay together. Name a finer `column`, or set `by: random`."
        )
    before, total = [0], 0
    for time in times:
        total += count[time]
        before.append(total)
    ends, target = [0], 0.0
    for left, share in zip(range(len(shares) - 1, 0, -1), shares.values(), strict=False):
        target += share * total
        possible = range(ends[-1] + 1, len(times) - left + 1)
        ends.append(min(possible, key=lambda i: (abs(before[i] - target), i)))
    split_of: dict[Moment, str] = {}
    for name, first, last in zip(shares, ends, [*ends[1:], len(times)], strict=True):
        split_of |= dict.fromkeys(times[first:last], name)
    return [split_of[latest[unit]] for unit in units]


def latest_of(units: Sequence[str], times: Sequence[Moment]) -> dict[str, Moment]:
    """{unit: the latest time of its examples}"""
    of_unit = defaultdict(list)
    for unit, time in zip(units, times, strict=True):
        of_unit[unit].append(time)
    return {unit: max(values) for unit, values in of_unit.items()}


def dated_columns(examples: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """{metadata column that holds dates or times: (the earliest, the latest) value}.

    Texts in ISO 8601; numbers where the column's name contains a word of time and they lie in one of the ranges.
    """
    dated = {}
    for column in examples[0] if examples else ():
        if not column.startswith("meta_"):
            continue
        values = [v for e in examples if (v := e[column]) not in (None, "") and v == v]
        if not values or _moment(values[0]) is None:  # most columns are not times
            continue
        times: list[Any] = [_moment(value) for value in values]
        if None in times or len(set(map(str, values))) < 2:
            continue
        if isinstance(values[0], str):
            if len({isinstance(t, datetime) and t.tzinfo is None for t in times}) > 1:
                continue
        elif not _are_numbers_of_time(column, values):
            continue
        order = sorted(range(len(values)), key=lambda i: times[i])
        dated[column] = (str(values[order[0]]), str(values[order[-1]]))
    return dated


def _are_numbers_of_time(column: str, values: Sequence[float]) -> bool:
    words = set(column.removeprefix("meta_").casefold().replace("-", "_").replace(" ", "_").split("_"))
    return bool(words & OF_TIME) and any(all(low <= v <= high for v in values) for low, high in RANGES)
