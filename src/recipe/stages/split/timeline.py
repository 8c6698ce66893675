"""Splits by time: the moments of examples, and where a line of time is cut so that no split knows its future."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from recipe.errors import RecipeError

FORMS = "a number, or a date or time as 2024-05-31 or 2024-05-31T08:30:00"
OF_TIME = {"date", "datetime", "time", "timestamp", "epoch", "year"}  # words in the name of a column of numbers
RANGES = ((1900, 2100), (3e8, 4e9), (3e11, 4e12))  # of years; seconds and milliseconds since 1970


def moments(values: Sequence, places: Sequence[str], column: str) -> list[float | datetime]:
    """When each example was: numbers as they are, texts as ISO 8601 says, in UTC where they name their offset.

    Raises RecipeError with the first value that is neither, or of another kind than the first one, and its place.
    """
    found, offset = [], None
    for value, place in zip(values, places, strict=True):
        moment = _moment(value)
        where = f"conf/split.yaml, `by: time`: `{column}` of {place}"
        if moment is None:
            raise RecipeError(f"{where} is `{value}`; every example needs {FORMS}.")
        if found and isinstance(moment, datetime) != isinstance(found[0], datetime):
            raise RecipeError(f"{where} is `{value}`, and that of {places[0]} `{values[0]}`: write all in one form.")
        if isinstance(moment, datetime):
            aware = moment.tzinfo is not None
            if offset not in (None, aware):
                raise RecipeError(f"{where} is `{value}`: either all times name their offset from UTC, or none does.")
            offset = aware
            moment = moment.astimezone(UTC) if aware else moment
        found.append(moment)
    return found


def _moment(value) -> float | datetime | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return value if math.isfinite(value) else None
    try:
        return datetime.fromisoformat(str(value).strip())
    except ValueError:
        return None


def cut(latest: Mapping[str, float | datetime], units: Sequence[str], shares: Mapping[str, float]) -> list[str]:
    """A split name per example, in the order of `shares` (sum 1): the earliest in the first, the latest in the last.

    units: a name per example, the same for examples that stay together. latest: {unit: its latest moment}; a unit
    counts as that late, so that what stays together never carries its future into an earlier split. Units of one moment
    are in one split. Each cut is where the examples before it are nearest to their share. Raises RecipeError where
    there are fewer moments than splits.
    """
    count = Counter(latest[unit] for unit in units)
    moments = sorted(count)
    if len(moments) < len(shares):
        raise RecipeError(
            f"conf/split.yaml, `by: time`: {len(moments)} different moment(s) cannot be cut into {len(shares)} splits, "
            "and examples of one moment stay together. Name a finer `column`, or `by: random`."
        )
    before, total = [0], 0
    for moment in moments:
        total += count[moment]
        before.append(total)
    ends, wanted = [0], 0.0
    for left, share in zip(range(len(shares) - 1, 0, -1), shares.values(), strict=False):
        wanted += share * total
        possible = range(ends[-1] + 1, len(moments) - left + 1)
        ends.append(min(possible, key=lambda i: (abs(before[i] - wanted), i)))
    split_of = {}
    for name, first, last in zip(shares, ends, [*ends[1:], len(moments)], strict=True):
        split_of |= dict.fromkeys(moments[first:last], name)
    return [split_of[latest[unit]] for unit in units]


def latest_of(units: Sequence[str], moments: Sequence[float | datetime]) -> dict[str, float | datetime]:
    """{unit: the latest moment of its examples}"""
    found = defaultdict(list)
    for unit, moment in zip(units, moments, strict=True):
        found[unit].append(moment)
    return {unit: max(times) for unit, times in found.items()}


def dated(examples: Sequence[Mapping]) -> dict[str, tuple[str, str]]:
    """{metadata column that holds dates or times: (the earliest, the latest) value}.

    Texts that ISO 8601 knows; numbers where the column's name has a word of time and they lie in the range of one.
    """
    found = {}
    for column in examples[0] if examples else ():
        if not column.startswith("meta_"):
            continue
        values = [v for e in examples if (v := e[column]) not in (None, "") and v == v]
        if not values or _moment(values[0]) is None:  # most columns are of names
            continue
        times = [_moment(value) for value in values]
        if None in times or len(set(map(str, values))) < 2:
            continue
        if isinstance(values[0], str):
            if len({t.tzinfo is None for t in times}) > 1:
                continue
        elif not _numbers_of_time(column, values):
            continue
        order = sorted(range(len(values)), key=times.__getitem__)
        found[column] = (str(values[order[0]]), str(values[order[-1]]))
    return found


def _numbers_of_time(column: str, values: Sequence[float]) -> bool:
    words = set(column.removeprefix("meta_").casefold().replace("-", "_").replace(" ", "_").split("_"))
    return bool(words & OF_TIME) and any(all(low <= v <= high for v in values) for low, high in RANGES)
