"""Columns of a file as columns of features: decided once, by the file that was learned from, applied to any other."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipe.data.problems import shown
from recipe.data.tabular import Rows, read_rows
from recipe.errors import RecipeError

MISSING = ("", "?", "na", "n/a", "nan", "null", "none")  # in any case, and with blanks around
MOST_VALUES = 32  # of a column of names; one of more is no category but an identifier or a text
NUMBERS = 0.9  # a column with at least this share of numbers is one of numbers, and the other cells are mistakes


@dataclass(frozen=True)
class Feature:
    """What becomes of a column of the file: itself, or a column of 0 and 1 for each of `names`."""

    column: str
    names: Sequence[str] | None  # None: its cells are numbers
    gaps: bool  # whether another column of 0 and 1 says where a cell was missing

    @property
    def columns(self) -> list[str]:
        own = [self.column] if self.names is None else [f"{self.column}={name}" for name in self.names]
        return own + ([f"{self.column} is missing"] if self.gaps else [])


@dataclass(frozen=True)
class Layout:
    """How a file is read (see tabular.read_rows), and its columns are made features."""

    features: Sequence[Feature]
    header: bool = True
    delimiter: str | None = None

    def read(self, path: Path) -> Rows:
        """A file like the one that was learned from; its label may be missing. Raises RecipeError as `of` does."""
        return self.of(read_rows(path, header=self.header, delimiter=self.delimiter))

    def of(self, rows: Rows) -> Rows:
        """The rows, if they have every column that the features need; else RecipeError that names the first."""
        if absent := [f.column for f in self.features if f.column not in rows.columns]:
            more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            raise RecipeError(
                f"{rows.file}: no column `{shown(absent[0])}`{more}, and the model needs it; there are "
                f"{', '.join(map(shown, rows.columns))}."
            )
        return rows

    def back(self, values: np.ndarray) -> dict[str, list]:
        """{column: cells} of a file that would give these rows of features (N, F)."""
        found, at = {}, 0
        for feature in self.features:
            part = values[:, at : at + len(feature.columns)]
            at += len(feature.columns)
            if feature.names is None:
                found[feature.column] = part[:, 0].astype(float).tolist()
            else:
                chosen = part[:, : len(feature.names)]
                found[feature.column] = [feature.names[row.argmax()] if row.any() else "" for row in chosen]
        return found


def learned(name: str, rows: Rows) -> Feature:
    """What the column is. Raises RecipeError where it is neither numbers nor a few names."""
    cells = [_number(cell) for cell in rows.columns[name]]
    there = [cell for cell in cells if cell is not None]
    if not there:
        raise RecipeError(f"{rows.file}: the column `{shown(name)}` has no value at all; name it under `metadata`.")
    gaps = len(there) < len(cells)
    if sum(isinstance(cell, str) for cell in there) <= (1 - NUMBERS) * len(there):
        return Feature(name, None, gaps)
    known = sorted({_name(cell) for cell, n in zip(rows.columns[name], cells, strict=True) if n is not None})
    if len(known) > MOST_VALUES:
        raise RecipeError(
            f"{rows.file}: the column `{shown(name)}` holds {len(known)} different names, as {shown(known[0])!r}; a "
            f"category has at most {MOST_VALUES}. Name it under `metadata`: the audit sees it there, the net does not."
        )
    return Feature(name, known, gaps)


def encoded(features: Sequence[Feature], rows: Rows) -> tuple[np.ndarray, dict[int, str]]:
    """((N, F) float32, {row: what in it cannot be meant}); a number that is missing is NaN."""
    mistakes: dict[int, str] = {}
    parts = [part for feature in features for part in _columns(feature, rows, mistakes)]
    with np.errstate(over="ignore"):  # too large for float32 becomes inf, which the audit reports
        return np.stack(parts, axis=1).astype(np.float32), mistakes


def _columns(feature: Feature, rows: Rows, mistakes: dict[int, str]) -> list[np.ndarray]:
    cells = rows.columns[feature.column]
    numbers = [_number(cell) for cell in cells]
    gaps = [np.array([n is None for n in numbers], float)] if feature.gaps else []
    about = f"`{shown(feature.column)}`"
    if feature.names is None:
        for i, n in enumerate(numbers):
            if isinstance(n, str):
                mistakes.setdefault(i, f"{about} is {shown(n)[:40]!r}, most cells are numbers")
        return [np.array([n if isinstance(n, float) else np.nan for n in numbers]), *gaps]
    names = [None if n is None else _name(cell) for cell, n in zip(cells, numbers, strict=True)]
    for i in (i for i, name in enumerate(names) if name is not None and name not in feature.names):
        known = ", ".join(shown(name)[:40] for name in feature.names)
        mistakes.setdefault(i, f"{about} is {shown(names[i])[:40]!r}; known are {known}")
    return [*(np.array([n == name for n in names], float) for name in feature.names), *gaps]


def _name(cell) -> str:
    return str(cell).strip()


def _number(cell) -> float | str | None:
    """The number, the text where it is none, None where the cell is missing."""
    if cell is None or isinstance(cell, (bool, int, float)):
        return None if cell is None or cell != cell else float(cell)
    text = str(cell).strip()
    if text.lower() in MISSING:
        return None
    try:
        return text if "_" in text else float(text)  # Python reads 1_000 as a number, and nobody else does
    except ValueError:
        return text
