"""From the labels as a source writes them to class numbers and names."""

from collections.abc import Sequence

from recipe.data.problems import Problem, spelt
from recipe.errors import RecipeError

MOST_CLASSES = 200  # more different whole numbers are a quantity rather than names of classes


def coded(
    values: Sequence, places: Sequence[str], where: str, classes: Sequence[str] | None = None
) -> tuple[list, list[str], list[Problem]]:
    """(class number per example, class names, problems of their spelling).

    classes: the names in label order; found where it is None: whole numbers by size, names by the alphabet. A value of
    no class stays what it is, a missing one is None, and the store lists both as unknown labels. places: where each
    value stands. Raises RecipeError where the labels are a quantity.
    """
    names = [_name(value) for value in values]
    known = sorted({n for n in names if n is not None}, key=_order)
    if classes is None:
        _refuse_quantity(known, where)
        if not known:
            raise RecipeError(f"{where}: there is no label at all.")
        classes = known
    number = {str(name): label for label, name in enumerate(classes)}
    first = {}
    for name, place in zip(names, places, strict=True):
        if name is not None:
            first.setdefault(name, place)
    targets = [number.get(name, name) if name is not None else None for name in names]
    return targets, [str(c) for c in classes], list(spelt(first))


def _name(value) -> str | None:
    """A label as a class's name; 3, 3.0 and "3" are the same."""
    value = value.item() if hasattr(value, "item") else value
    if value is None or value == "" or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


def _number(name: str) -> float | None:
    try:
        return float(name)
    except ValueError:
        return None


def _order(name: str) -> tuple:
    number = _number(name)
    return (1, 0.0, name) if number is None else (0, number, name)


def _refuse_quantity(known: Sequence[str], where: str) -> None:
    numbers = [_number(name) for name in known]
    if not known or None in numbers:
        return
    fractions = [name for name, number in zip(known, numbers, strict=True) if number != number // 1]
    if fractions or len(known) > MOST_CLASSES:
        found = f"{len(known)} different numbers" + (f", {fractions[0]} among them" if fractions else "")
        raise RecipeError(
            f"{where}: the label holds {found}: a quantity to predict, not a class. Regression is not there yet: make "
            "classes of it (below 5, 5 to 7, ...), or choose another column as the label."
        )
