"""The cells of one column of a table: each distinct cell is examined once, and mapped back to its rows."""

import datetime
import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from recipe.data.split_names import is_missing
from recipe.sources.numerals import PERCENT, number

MISSING = ("", "?", "na", "n/a", "#n/a", "nan", "<na>", "nat", "null", "none")  # in any case, with blanks around
DASHES = ("-", "--", "–", "—")  # also missing, unless the column holds a plus


class Cells:
    """The cells of a column. values: the distinct ones, typed in parquet; texts: the same as texts, without blanks."""

    def __init__(self, cells: Sequence):
        self.cells = cells
        self._numbers: dict[str, Numbers] = {}

    def __len__(self) -> int:
        return len(self.cells)

    @cached_property
    def plain(self) -> np.ndarray | None:
        """(N,) float64 where every cell is a number as Python writes it; else None. Most columns need no more."""
        types = set(map(type, self.cells))
        if types <= {int, float, type(None)} and types != {type(None)}:
            return np.array(self.cells, float)  # None becomes NaN
        if types != {str}:
            return None
        try:
            values = np.array(list(map(float, self.cells)))
        except ValueError:
            return None
        return None if "_" in "".join(self.cells) else values

    @cached_property
    def _distinct(self) -> tuple[list, np.ndarray]:
        first: dict = {}
        keys = map(str.strip, self.cells) if set(map(type, self.cells)) == {str} else map(_plain, self.cells)
        codes = [first.setdefault(key, len(first)) for key in keys]
        return list(first), np.array(codes, np.int64)

    @property
    def values(self) -> list:
        """The distinct cells in order of appearance: stripped texts, numbers, dates, None for a missing one."""
        return self._distinct[0]

    @property
    def codes(self) -> np.ndarray:
        """(N,) the index in `values` of each row."""
        return self._distinct[1]

    @cached_property
    def texts(self) -> list[str]:
        return [value if type(value) is str else "" if value is None else str(value) for value in self.values]

    @cached_property
    def counts(self) -> list[int]:
        """How many rows have each of `values`."""
        return np.bincount(self.codes, minlength=len(self.values)).tolist()

    @cached_property
    def missing(self) -> list[bool]:
        """Whether each of `values` means a missing cell."""
        codes = MISSING if "+" in self.texts else MISSING + DASHES
        longest = max(map(len, codes))
        return [len(text) <= longest and text.lower() in codes for text in self.texts]

    @cached_property
    def present(self) -> int:
        """How many rows are not missing."""
        return sum(n for n, gone in zip(self.counts, self.missing, strict=True) if not gone)

    def numbers(self, decimal: str) -> "Numbers":
        """The distinct cells as numbers with this decimal sign."""
        if decimal not in self._numbers:
            self._numbers[decimal] = Numbers(self, decimal)
        return self._numbers[decimal]

    def contains(self, sign: str) -> bool:
        """Whether any of the first 5,000 distinct texts contains the sign."""
        return any(sign in value for value in self.values[:5000] if isinstance(value, str))


class Numbers:
    """Distinct cells as numbers. values: (D,) float64, NaN for a missing cell or one that is not a number.

    known: (D,) which of them are numbers. units: {index: unit, perhaps empty} of numbers that Python would not read.
    """

    def __init__(self, cells: Cells, decimal: str):
        self.values = np.full(len(cells.values), np.nan)
        self.known = np.zeros(len(cells.values), bool)
        self.units: dict[int, str] = {}
        for i, (value, gone) in enumerate(zip(cells.values, cells.missing, strict=True)):
            if gone:
                continue
            if isinstance(value, (int, float)):
                self.values[i], self.known[i] = value, True
            elif (parsed := number(str(value), decimal)) is not None:
                self.values[i], self.known[i] = parsed.value, True
                if parsed.formatted:
                    self.units[i] = parsed.unit

    def unit(self, counts: Sequence[int]) -> str:
        """% where most numbers have it, else the commonest currency, or empty."""
        rows: dict[str, int] = {}
        for i, unit in self.units.items():
            rows[unit] = rows.get(unit, 0) + counts[i]
        if 2 * rows.pop(PERCENT, 0) > np.array(counts)[self.known].sum():
            return PERCENT
        rows.pop("", None)
        return max(sorted(rows), key=rows.__getitem__) if rows else ""


def _plain(cell):
    """The cell as a hashable value: texts stripped; lists and the like as their text."""
    if isinstance(cell, str):
        return cell.strip()
    cell = cell.item() if hasattr(cell, "item") and not isinstance(cell, datetime.date) else cell
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, bool):
        return str(cell)  # True and 1 are the same key but not the same name
    if isinstance(cell, (int, float)):
        return cell
    if isinstance(cell, datetime.date):
        return None if is_missing(cell) else cell
    return cell.decode(errors="backslashreplace") if isinstance(cell, bytes) else str(cell)
