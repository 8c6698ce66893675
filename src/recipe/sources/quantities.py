"""Reads the quantities to be predicted from columns of numbers."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from recipe.errors import RecipeError
from recipe.problems import shown
from recipe.sources.cells import Cells
from recipe.sources.decimal_signs import decimal_signs
from recipe.sources.feature_encoding import Number
from recipe.sources.read_table import TableRows

MOST = 0.9  # a column with a smaller share of numbers is one of texts; in others a text is the mistake of its row
EXAMPLES = 5  # cells that an error shows


def read_quantities(
    rows: TableRows, columns: Sequence[str], decimal: str | None
) -> tuple[list[Any], list[str], str]:  # fmt: skip
    """(a tuple of floats per row, the names of the quantities, their unit where all have the same one).

    One column of lists of one length is as many quantities. A missing number is None and a cell that is not a number
    stays a text: `prepare` lists both as unknown labels. Raises RecipeError for a column of texts, one with a single
    value and one whose numbers can be read in two ways.
    """
    if len(columns) == 1 and any(isinstance(cell, list | tuple) for cell in rows.columns[columns[0]]):
        columns, parts = _unpacked(rows, columns[0])
    else:
        parts = [rows.columns[name] for name in columns]
    read = [_numbers(rows, name, cells, decimal) for name, cells in zip(columns, parts, strict=True)]
    units = {unit for _, unit in read}
    values = list(zip(*(numbers for numbers, _ in read), strict=True))
    return values, list(columns), units.pop() if len(units) == 1 else ""


def _unpacked(rows: TableRows, column: str) -> tuple[list[str], list[list]]:
    """(names, columns) of a column of lists; a row whose list has another length than most has no values."""
    cells = [list(cell) if isinstance(cell, list | tuple) else [] for cell in rows.columns[column]]
    width = Counter(len(cell) for cell in cells if cell).most_common(1)
    if not width:
        raise RecipeError(f"{_place(rows, column)}: all its lists are empty.")
    many = width[0][0]
    names = [column] if many == 1 else [f"{column} {i}" for i in range(many)]
    return names, [[cell[i] if len(cell) == many else None for cell in cells] for i in range(many)]


def _numbers(rows: TableRows, name: str, values: Sequence, decimal: str | None) -> tuple[list[Any], str]:
    """(a float per row, None where it is missing, a text where it is not a number; the unit)"""
    cells, place = Cells(values), _place(rows, name)
    if not cells.present:
        raise RecipeError(f"{place}: all its values are missing.")
    sign = decimal_signs({name: cells}, decimal)[name]
    if sign is None:
        text = next(text for text in cells.texts if "," in text)
        raise RecipeError(
            f'{place}: {text!r} has a decimal comma or a comma between thousands: set `decimal: ","` or `decimal: "."`.'
        )
    plain = cells.plain is not None and sign == "."
    if not plain:
        known = cells.numbers(sign).known
        if np.array(cells.counts)[known].sum() < MOST * cells.present:
            raise RecipeError(f"{place}: a quantity is to be predicted, and {_texts(rows, values, cells, known)}")
    unit = "" if plain else cells.numbers(sign).unit(cells.counts)
    read, missing, wrong = Number(name, False, sign, unit).read(cells)
    numbers: list[Any] = [None if gone else value for value, gone in zip(read[:, 0].tolist(), missing, strict=True)]
    for row in wrong:
        numbers[row] = _as_float(values[row])
    different = {value for value in numbers if isinstance(value, float)}
    if len(different) == 1:
        raise RecipeError(f"{place}: every value is {different.pop():g}, so there is nothing to predict.")
    return numbers, unit


def _as_float(cell: Any) -> Any:
    """An infinite or very large number as float, any other cell unchanged."""
    try:
        return float(cell)
    except (TypeError, ValueError):
        return cell


def _texts(rows: TableRows, values: Sequence, cells: Cells, known: np.ndarray) -> str:
    """The first different texts of the column, each with its line."""
    is_text = ~(known | np.array(cells.missing))
    first = [int(np.argmax(cells.codes == code)) for code in np.flatnonzero(is_text)[:EXAMPLES]]
    some = ", ".join(f"{shown(str(values[row]))[:40]!r} ({rows.places[row].rpartition(', ')[2]})" for row in first)
    return f"this column holds texts: {some}. Name a column of numbers; for classes write `label` in place of `target`."


def _place(rows: TableRows, column: str) -> str:
    return f"{rows.file}, column `{shown(column)}`"
