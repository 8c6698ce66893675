"""Tables as sources: columns of features, or a column of texts."""

from collections.abc import Sequence

import numpy as np

from recipe.data.contract import FEATURES, TEXT
from recipe.data.labels import coded
from recipe.data.problems import shown
from recipe.data.tabular import Rows, read_rows
from recipe.errors import RecipeError

MISSING = ("", "?", "na", "n/a", "nan", "null", "none")  # in any case, and with blanks around
MOST_VALUES = 32  # of a column of names; one of more is no category but an identifier or a text
NUMBERS = 0.9  # a column with at least this share of numbers is one of numbers, and the other cells are mistakes


class Table:
    """A csv, tsv or parquet file, a row per example: columns of numbers and of names as one row of features.

    A column of numbers stays what it is, NaN where a cell is missing. A column of names becomes one of 0 and 1 for each
    name, `colour=red`; all 0 where it is missing. A column that lacks values gets another of 0 and 1, `age is missing`.
    A cell that is no number among numbers makes its row unreadable.

    label, group: names of columns, or positions. metadata: columns that are no features (identifiers, dates, sites) and
    that the audit gets to see. classes: the names in label order, else what stands in the column.
    """

    kind = FEATURES

    def __init__(
        self, file: str, label: str | int, group: str | int | None = None, metadata: Sequence[str | int] = (),
        classes: Sequence[str] | None = None, header: bool = True, delimiter: str | None = None,
    ):  # fmt: skip
        rows = read_rows(file, header=header, delimiter=delimiter)
        label, aside = rows.named(label), [rows.named(name) for name in metadata]
        _take_label(self, rows, label, classes)
        self.groups = rows.column(group) if group is not None else None
        self.metadata = {name: rows.columns[name] for name in aside}
        grouped = [rows.named(group)] if group is not None else []
        features = [name for name in rows.columns if name not in (label, *aside, *grouped)]
        if not features:
            raise RecipeError(f"{file}: no column is left for features beside the label `{label}`.")
        self.mistakes: dict[int, str] = {}  # {row: what is no number in it}
        parts = {}
        for name in features:
            parts |= _features(name, rows, self.mistakes)
        self.columns = list(parts)
        with np.errstate(over="ignore"):  # too large for float32 becomes inf, which the audit reports
            self.values = np.stack(list(parts.values()), axis=1).astype(np.float32)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int):
        if index in self.mistakes:
            raise ValueError(self.mistakes[index])
        return self.values[index], self.targets[index]


class Text:
    """A csv, tsv or parquet file with a text and a label in each row. quoted: false where quotes are plain characters.

    text, label, group, metadata: as in Table.
    """

    kind = TEXT

    def __init__(
        self, file: str, text: str | int, label: str | int, group: str | int | None = None,
        metadata: Sequence[str | int] = (), classes: Sequence[str] | None = None, header: bool = True,
        quoted: bool = True, delimiter: str | None = None,
    ):  # fmt: skip
        rows = read_rows(file, header=header, quoted=quoted, delimiter=delimiter)
        self.texts = rows.column(text)
        _take_label(self, rows, label, classes)
        self.groups = rows.column(group) if group is not None else None
        self.metadata = {rows.named(name): rows.column(name) for name in metadata}

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int):
        return self.texts[index], self.targets[index]


def _take_label(source: Table | Text, rows: Rows, label: str | int, classes: Sequence[str] | None) -> None:
    """targets, classes, names and problems, as both kinds have them."""
    where = f"{rows.file}, column `{shown(rows.named(label))}`"
    source.targets, source.classes, problems = coded(rows.column(label), rows.places, where, classes)
    source.names, source.problems = rows.places, rows.problems + problems


def _features(name: str, rows: Rows, mistakes: dict[int, str]) -> dict[str, np.ndarray]:
    """{column: (N,) float64} of one column of the file; rows with a cell that cannot be meant go into `mistakes`."""
    cells = rows.columns[name]
    numbers = [_number(cell) for cell in cells]
    missing = np.array([n is None for n in numbers])
    if missing.all():
        raise RecipeError(f"{rows.file}: the column `{shown(name)}` has no value at all; name it under `metadata`.")
    texts = [i for i, n in enumerate(numbers) if isinstance(n, str)]
    indicator = {f"{name} is missing": missing.astype(float)} if missing.any() else {}
    if len(texts) <= (1 - NUMBERS) * (~missing).sum():
        for i in texts:
            mistakes.setdefault(i, f"`{shown(name)}` is {shown(numbers[i])[:40]!r}, most cells are numbers")
        return {name: np.array([n if isinstance(n, float) else np.nan for n in numbers])} | indicator
    names = [None if n is None else str(cell).strip() for cell, n in zip(cells, numbers, strict=True)]
    known = sorted({n for n in names if n is not None})
    if len(known) > MOST_VALUES:
        raise RecipeError(
            f"{rows.file}: the column `{shown(name)}` holds {len(known)} different names, as {shown(known[0])!r}; a "
            f"category has at most {MOST_VALUES}. Name it under `metadata`: the audit sees it there, the net does not."
        )
    return {f"{name}={value}": np.array([n == value for n in names], float) for value in known} | indicator


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
