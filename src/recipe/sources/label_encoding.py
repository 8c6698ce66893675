"""Encodes the labels of a source as class numbers and class names."""

import math
import re
from collections import defaultdict
from collections.abc import Sequence

from recipe.data.split_names import is_missing
from recipe.errors import RecipeError
from recipe.problems import Problem, spelling_problems

MOST_CLASSES = 200  # more distinct whole numbers are a quantity rather than names of classes
NO_LABEL = ("", "?", "nan", "n/a", "#n/a", "<na>", "nat", "null")  # in any case; "NA" and "None" may name a class
NAMED_ROWS = 20  # rows listed for each spelling of a class


def encode_labels(
    values: Sequence, places: Sequence[str], where: str, classes: Sequence[str] | None = None
) -> tuple[list, list[str], list[Problem]]:
    """(class number per example, class names, problems of their spelling).

    classes: the names in label order; None: the labels that occur, whole numbers by size, names by the alphabet. A
    value that is not a class is returned unchanged, a missing one (None, NaN, blank, `?`, `n/a`, `null`) as None;
    `prepare` lists both as unknown labels. Whole floats are whole numbers: 1.0 is the class 1. places: the place of
    each value. Raises RecipeError where the labels are a quantity.
    """
    names = _whole([_name(value, classes or ()) for value in values], classes)
    known = sorted({n for n in names if n is not None}, key=label_order)
    if classes is None:
        _refuse_quantity(known, where)
        if not known:
            raise RecipeError(f"{where}: all labels are missing.")
        classes = known
    number = {str(name): label for label, name in enumerate(classes)}
    rows = defaultdict(list)
    for name, place in zip(names, places, strict=True):
        if name is not None:
            rows[name].append(place)
    targets = [number.get(name, name) if name is not None else None for name in names]
    return targets, [str(c) for c in classes], list(spelling_problems({name: _listed(rows[name]) for name in rows}))


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


def _listed(places: Sequence[str]) -> str:
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


def _refuse_quantity(known: Sequence[str], where: str) -> None:
    numbers = [_number(name) for name in known]
    if not known or None in numbers:
        return
    fractions = [name for name in known if not float(name).is_integer()]
    if fractions or len(known) > MOST_CLASSES:
        values = f"{len(known)} different numbers" + (f", {fractions[0]} among them" if fractions else "")
        raise RecipeError(
            f"{where}: the label holds {values}: a quantity to predict, not a class. Regression is not supported: make "
            "classes of it (below 5, 5 to 7, ...), or choose another column as the label."
        )
