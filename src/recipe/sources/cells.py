"""The cells of one column: different ones are looked at once, and mapped back to their rows."""

import datetime
import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from recipe.sources.numerals import PERCENT, number

MISSING = ("", "?", "na", "n/a", "#n/a", "nan", "<na>", "nat", "null", "none")  # in any case, with blanks around
DASHES = ("-", "--", "–", "—")  # missing, too, unless the column also holds a plus


class Cells:
    """texts: the different cells without blanks around them; typed values of parquet as they are in `values`."""

    def __init__(self, cells: Sequence):
        self.cells = cells
        self._numbers: dict[str, Numbers] = {}

    def __len__(self) -> int:
        return len(self.cells)

    @cached_property
    def plain(self) -> np.ndarray | None:
        """(N,) float64 where every cell is a number as Python writes it; else None. The short way for most columns."""
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
        """The different cells in order of appearance: stripped texts, numbers, dates, None where one is missing."""
        return self._distinct[0]

    @property
    def codes(self) -> np.ndarray:
        """(N,) which of `values` each row has."""
        return self._distinct[1]

    @cached_property
    def texts(self) -> list[str]:
        return [value if type(value) is str else "" if value is None else str(value) for value in self.values]

    @cached_property
    def counts(self) -> list[int]:
        """Rows of each of `values`."""
        return np.bincount(self.codes, minlength=len(self.values)).tolist()

    @cached_property
    def missing(self) -> list[bool]:
        """Of each of `values`."""
        codes = MISSING if "+" in self.texts else MISSING + DASHES
        longest = max(map(len, codes))
        return [len(text) <= longest and text.lower() in codes for text in self.texts]

    @cached_property
    def present(self) -> int:
        """Rows that are not missing."""
        return sum(n for n, gone in zip(self.counts, self.missing, strict=True) if not gone)

    def numbers(self, decimal: str) -> "Numbers":
        """The different cells as numbers with this decimal sign."""
        if decimal not in self._numbers:
            self._numbers[decimal] = Numbers(self, decimal)
        return self._numbers[decimal]

    def contains(self, sign: str) -> bool:
        """Whether any text does, in the first thousands of different ones."""
        return any(sign in value for value in self.values[:5000] if isinstance(value, str))


class Numbers:
    """Different cells as numbers. values: (D,) float64, NaN where one is missing or no number; known: (D,) which are.

    units: {which: its unit, perhaps empty} of those that are not written as Python writes a number.
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
            elif (read := number(str(value), decimal)) is not None:
                self.values[i], self.known[i] = read[0], True
                if read[2]:
                    self.units[i] = read[1]

    def unit(self, counts: Sequence[int]) -> str:
        """% where most numbers have it, else the commonest currency, if any."""
        rows: dict[str, int] = {}
        for i, unit in self.units.items():
            rows[unit] = rows.get(unit, 0) + counts[i]
        if 2 * rows.pop(PERCENT, 0) > np.array(counts)[self.known].sum():
            return PERCENT
        rows.pop("", None)
        return max(sorted(rows), key=rows.__getitem__) if rows else ""


def _plain(cell):
    """Something that can be a key: texts stripped; lists and the like as their text."""
    if isinstance(cell, str):
        return cell.strip()
    cell = cell.item() if hasattr(cell, "item") and not isinstance(cell, datetime.date) else cell
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, bool):
        return str(cell)  # True and 1 are one key, and not one name
    if isinstance(cell, (int, float)):
        return cell
    if isinstance(cell, datetime.date):
        return cell if cell == cell else None  # NaT is not equal to itself
    return cell.decode(errors="backslashreplace") if isinstance(cell, bytes) else str(cell)
