"""Encodes the labels of a source as class numbers and class names."""

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from recipe.data.split_names import is_missing
from recipe.errors import RecipeError
from recipe.problems import Problem, spelling_problems

MOST_CLASSES = 200  # more distinct whole numbers are a quantity rather than names of classes
FEW_CLASSES = 10
ALIKE = 0.5  # correlation of the counts of neighbouring numbers, from which on they seem to have an order
NO_LABEL = ("", "?", "nan", "n/a", "#n/a", "<na>", "nat", "null")  # in any case; "NA" and "None" may name a class
NAMED_ROWS = 20  # rows listed for each spelling of a class


def encode_labels(
    values: Sequence, places: Sequence[str], where: str, classes: Sequence[str] | None = None
) -> tuple[list, list[str], list[Problem]]:
    """(class number per example, class names, problems of their spelling).

    classes: the names in label order; None: the labels that occur, whole numbers by size, names by the alphabet. A
    value that is not a class is returned unchanged, a missing one (None, NaN, blank, `?`, `n/a`, `null`) as None;
    `prepare` lists both as unknown labels. Whole floats are whole numbers: 1.0 is the class 1. places: the place of
    each value. Raises RecipeError where all labels are missing.
    """
    names = label_names(values, classes)
    if classes is None:
        classes = sorted({n for n in names if n is not None}, key=label_order)
        if not classes:
            raise RecipeError(f"{where}: all labels are missing.")
    number = {str(name): label for label, name in enumerate(classes)}
    rows = defaultdict(list)
    for name, place in zip(names, places, strict=True):
        if name is not None:
            rows[name].append(place)
    targets = [number.get(name, name) if name is not None else None for name in names]
    return (
        targets,
        [str(c) for c in classes],
        list(spelling_problems({name: listed_places(rows[name]) for name in rows})),
    )


def label_names(values: Sequence, classes: Sequence[str] | None = None) -> list[str | None]:
    """The values as names, None where one is missing; see `encode_labels`."""
    return _whole([_name(value, classes or ()) for value in values], classes)


def _name(value, classes: Sequence[str]) -> str | None:
    """A label as the name of a class; 3, 3.0 and "3" are the same. None where it is missing."""
    value = value.item() if hasattr(value, "item") else value
    if is_missing(value):
        return None
    if isinstance(value, str) and value.strip().lower() in NO_LABEL and value not in classes:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


def _whole(names: list[str | None], classes: Sequence[str] | None) -> list[str | None]:
    """The names, with "1.0" as "1" where a class has that name, or where all names are numbers."""
    spelt_whole = {n: str(int(float(n))) for n in set(names) if n is not None and re.fullmatch(r"[+-]?\d+\.0*", n)}
    if classes is not None:
        known = set(map(str, classes))
        spelt_whole = {n: whole for n, whole in spelt_whole.items() if n not in known and whole in known}
    elif any(n is not None and _number(n) is None for n in set(names)):
        return names
    return [None if name is None else spelt_whole.get(name, name) for name in names]


def listed_places(places: Sequence[str]) -> str:
    """`x.csv, line 3, line 7`; for many rows the first one and their number."""
    if len(places) > NAMED_ROWS:
        return f"{places[0]} and {len(places) - 1:,} more"
    return ", ".join([places[0], *(place.rpartition(", ")[2] for place in places[1:])])


def _number(name: str) -> float | None:
    try:
        return float(name)
    except ValueError:
        return None


def label_order(name: str) -> tuple:
    """A sort key for class names: numbers by size, even in quotes, before names; class9 before class10."""
    number = _number(name.strip("'\""))
    if number is not None and math.isfinite(number):
        return (0, number, [], name)
    return (1, 0.0, [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)], name)


def why_quantity(names: Sequence[str]) -> str:
    """Why different labels are a quantity rather than names of classes; empty where they may be classes."""
    numbers = [_number(name) for name in names]
    if not numbers or None in numbers:
        return ""
    fractions = [name for name in names if not float(name).is_integer()]
    if not fractions and len(names) <= MOST_CLASSES:
        return ""
    return f"{len(names):,} different numbers" + (f", {fractions[0]} among them" if fractions else "")


def why_ordered(counts: Mapping[str, int]) -> str:
    """Why classes that are whole numbers may be a quantity, such as ages or years; empty where nothing suggests it.

    counts: examples of each class. Numbers of classes leave no gap, and neighbouring ones are no more alike in their
    counts than others. Few classes are not judged.
    """
    numbers = {_number(name): count for name, count in counts.items()}
    if len(numbers) <= FEW_CLASSES or None in numbers:
        return ""
    ordered = sorted((number, count) for number, count in numbers.items() if number is not None)
    low, high = ordered[0][0], ordered[-1][0]
    size = np.array([count for _, count in ordered], float)
    alike = size.std() > 0 and np.corrcoef(size[:-1], size[1:])[0, 1] > ALIKE
    gapless = low in (0, 1) and high - low == len(ordered) - 1
    return "" if gapless and not alike else f"{len(ordered)} different whole numbers, from {low:g} to {high:g}"
