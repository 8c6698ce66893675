"""Reads several labels per example: from columns of 0 and 1, or from one column with several names in a cell."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from recipe.data.split_names import is_missing
from recipe.errors import RecipeError
from recipe.formatting import count
from recipe.problems import TASK, Problem, shown, spelling_problems
from recipe.sources.feature_encoding import BOOLEANS
from recipe.sources.label_encoding import NO_LABEL, label_names, label_order, listed_places
from recipe.sources.read_table import TableRows

MOST = 0.9  # of the cells of a column are 0 or 1; a column with fewer is another kind of column
SEPARATORS = (";", "|", ",")  # the first that occurs is taken for the separator
EXAMPLES = 5  # cells that an error shows


def from_columns(rows: TableRows, columns: Sequence[str]) -> list[tuple]:
    """A tuple of 0 and 1 per row, None where a cell is missing; any other cell stays as it is, for `prepare` to list.

    True and false, yes and no are 1 and 0. Raises RecipeError for a column that holds something else.
    """
    read = []
    for name in columns:
        values = [_present(cell) for cell in rows.columns[name]]
        wrong = [row for row, value in enumerate(values) if value not in (0, 1, None)]
        if len(wrong) > (1 - MOST) * sum(value is not None for value in values):
            some = ", ".join(f"{shown(str(values[r]))[:40]!r} ({_line(rows, r)})" for r in wrong[:EXAMPLES])
            raise RecipeError(
                f"{_place(rows, name)}: `labels` lists columns of 0 and 1, and this one holds {some}. For one column "
                f"with the names of the labels write `labels: {{column: {shown(name)}}}`, for one class `label`."
            )
        read.append(values)
    return list(zip(*read, strict=True))


def from_names(
    rows: TableRows, column: str, separator: str | None, names: Sequence[str] | None
) -> tuple[list[Any], list[str], list[Problem]]:
    """(a tuple of 0 and 1 per row, the names of the labels, problems) of a column whose cells hold several names.

    A cell is a list, or a text divided by `separator`, None to recognise it. An empty one has none of the labels; a
    missing one (None, NaN, `?`, `n/a`, ...) is None. A cell with a name that is not among `names` stays as it is.
    Lists of one length that hold 0 and 1 alone say of each label whether it is present. names: None to take all that
    occur. Raises RecipeError where no cell names a label.
    """
    cells = rows.columns[column]
    lists = [cell for cell in cells if isinstance(cell, list | tuple)]
    if lists and _are_indicators(lists):
        return _indicators(rows, column, cells, names)
    separator, problems = _separator(rows, column, separator) if not lists else (separator, [])
    sets = [_names(cell, separator) for cell in cells]
    places = defaultdict(list)
    for row, found in enumerate(sets):
        for name in found or ():
            places[name].append(rows.places[row])
    if not places:
        raise RecipeError(f"{_place(rows, column)}: no cell names a label.")
    known = [str(name) for name in names] if names else sorted(places, key=label_order)
    values: list[Any] = [
        cell if found and not found <= set(known) else None if found is None else _present_of(known, found)
        for cell, found in zip(cells, sets, strict=True)
    ]
    if empty := [row for row, found in enumerate(sets) if found is not None and not found]:
        gaps = count(len(empty), "empty cell")
        detail = f"{gaps}, the first in {_line(rows, empty[0])}, read as none of the labels"
        problems.append(Problem(TASK, _place(rows, column), detail))
    problems += spelling_problems({name: listed_places(rows) for name, rows in places.items()})
    return values, known, problems


def _present(cell: Any) -> Any:
    """0 or 1, None where the cell is missing, else the cell."""
    cell = cell.item() if hasattr(cell, "item") else cell
    if is_missing(cell):
        return None
    if isinstance(cell, str):
        text = cell.strip().lower()
        return None if text in NO_LABEL else BOOLEANS.get(text, cell)
    return cell


def _are_indicators(lists: Sequence[Sequence]) -> bool:
    width = len(lists[0])
    return width > 1 and all(len(cell) == width and all(entry in (0, 1) for entry in cell) for cell in lists)


def _indicators(
    rows: TableRows, column: str, cells: Sequence, names: Sequence[str] | None
) -> tuple[list[Any], list[str], list[Problem]]:
    width = next(len(cell) for cell in cells if isinstance(cell, list | tuple))
    if names and len(names) != width:
        raise RecipeError(
            f"{_place(rows, column)} holds {width} numbers a row, and `classes` names {len(names)} labels."
        )
    known = [str(name) for name in names] if names else [f"{column} {i}" for i in range(width)]
    return [tuple(cell) if isinstance(cell, list | tuple) else None for cell in cells], known, []


def _separator(rows: TableRows, column: str, given: str | None) -> tuple[str | None, list[Problem]]:
    if given is not None:
        return given, []
    texts = [cell for cell in rows.columns[column] if isinstance(cell, str)]
    sign = next((sign for sign in SEPARATORS if any(sign in text for text in texts)), None)
    if sign is None:
        return None, []
    detail = f'`{sign}` separates the labels of a cell: `labels: {{column: {shown(column)}, separator: "{sign}"}}`'
    return sign, [Problem(TASK, _place(rows, column), detail)]


def _names(cell: Any, separator: str | None) -> set[str] | None:
    if isinstance(cell, list | tuple):
        return {name for name in label_names(list(cell)) if name is not None}
    if isinstance(cell, str):
        if cell.strip() and cell.strip().lower() in NO_LABEL:
            return None
        parts = cell.split(separator) if separator else [cell]
        return {part.strip() for part in parts if part.strip()}
    return None if is_missing(cell) else {name for name in label_names([cell]) if name is not None}


def _present_of(known: Sequence[str], found: set[str]) -> tuple[int, ...]:
    return tuple(int(name in found) for name in known)


def _line(rows: TableRows, row: int) -> str:
    return rows.places[row].rpartition(", ")[2]


def _place(rows: TableRows, column: str) -> str:
    return f"{rows.file}, column `{shown(column)}`"
