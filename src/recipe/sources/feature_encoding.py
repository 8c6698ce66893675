"""Encodes columns of a table as columns of features, in a way that is decided once and applied to every later table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipe.errors import RecipeError
from recipe.problems import NOT_FINITE, UNREADABLE, shown
from recipe.sources import dates
from recipe.sources.cells import Cells, Numbers
from recipe.sources.numerals import PERCENT
from recipe.sources.read_table import TableRows, read_rows

OTHER = "other"
BOOLEANS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "y": 1.0, "n": 0.0, "t": 1.0, "f": 0.0}
BOOLEANS |= {"1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}  # as some programs export them
LARGEST = float(np.finfo(np.float32).max)

Mistake = tuple[str, str]  # kind of problem, what the cell is
Read = tuple[np.ndarray, np.ndarray, dict[int, Mistake]]  # values (N, k), missing (N,), {row: its mistake}


@dataclass(frozen=True)
class Number:
    """A column of numbers, kept as one column, NaN where a cell is missing.

    gaps: whether another column of 0 and 1 marks the missing cells, for all kinds of features. decimal: the decimal
    sign of its texts. unit: a currency, which a cell may omit, or %, which every cell has.
    """

    column: str
    gaps: bool
    decimal: str = "."
    unit: str = ""
    kind: str = "number"

    @property
    def columns(self) -> list[str]:
        return [self.column]

    def read(self, cells: Cells) -> Read:
        column = f"`{shown(self.column)}`"
        wrong: dict[int, Mistake]
        if cells.plain is not None and self.decimal == "." and self.unit != PERCENT:
            values, wrong = cells.plain.copy(), {}
        else:
            numbers = cells.numbers(self.decimal)
            values = numbers.values[cells.codes]
            wrong = _per_row({i: f"{column} is {what}" for i, what in self._wrong(cells, numbers).items()}, cells)
        missing = np.isnan(values)
        rows = list(wrong)
        missing[rows], values[rows] = False, np.nan
        for row in np.flatnonzero(np.abs(values) > LARGEST):
            text = f"{column} is {values[row]:g}, which float32 cannot hold as a finite number (up to {LARGEST:.2g})"
            wrong[int(row)] = (NOT_FINITE, text)
        return values[:, None], missing, wrong

    def _wrong(self, cells: Cells, numbers: Numbers) -> dict[int, str]:
        """{index of the distinct cell: what it is instead}"""
        no_numbers = np.flatnonzero(~numbers.known).tolist()
        unusual = {i: "most cells are numbers" for i in no_numbers if not cells.missing[i]}
        kind = f"most cells are in {self.unit}" if self.unit else "most cells are numbers without a unit"
        unusual |= {i: kind for i, unit in numbers.units.items() if unit and unit != self.unit}
        if self.unit == PERCENT:
            texts = [i for i in np.flatnonzero(numbers.known).tolist() if isinstance(cells.values[i], str)]
            unusual |= {i: kind for i in texts if numbers.units.get(i) != PERCENT}
        return {i: f"{shown(cells.texts[i])[:40]!r}, {what}" for i, what in unusual.items()}

    def decode(self, values: np.ndarray) -> list:
        return values[:, 0].astype(float).tolist()


@dataclass(frozen=True)
class Boolean:
    """A column of true and false, or yes and no (or their first letters), as one column of 1 and 0."""

    column: str
    gaps: bool
    kind: str = "boolean"

    @property
    def columns(self) -> list[str]:
        return [self.column]

    def read(self, cells: Cells) -> Read:
        words = [BOOLEANS.get(text.lower(), np.nan) for text in cells.texts]
        wrong = {
            i: f"`{shown(self.column)}` is {shown(text)[:40]!r}; known are true and false, yes and no"
            for i, (text, word, gone) in enumerate(zip(cells.texts, words, cells.missing, strict=True))
            if np.isnan(word) and not gone
        }
        return np.array(words)[cells.codes][:, None], np.array(cells.missing)[cells.codes], _per_row(wrong, cells)

    def decode(self, values: np.ndarray) -> list:
        return [None if np.isnan(v) else bool(v) for v in values[:, 0]]


@dataclass(frozen=True)
class Date:
    """A column of dates as year, month (1 to 12), weekday (0 Monday to 6), days since the first one, and hour of day.

    form: the format, for pandas.to_datetime. hours: whether any date has a time of day.
    """

    column: str
    gaps: bool
    form: str
    since: str
    hours: bool = False
    kind: str = "date"

    @property
    def columns(self) -> list[str]:
        what = ["year", "month", "weekday", f"days since {self.since}", *(["hour"] if self.hours else [])]
        return [f"{self.column} ({part})" for part in what]

    def read(self, cells: Cells) -> Read:
        when, form = times_of(cells, self.form), dates.describe_format(self.form)
        wrong = {
            i: f"`{shown(self.column)}` is {shown(text)[:40]!r}, which is not a date as {form}"
            for i, (text, t, gone) in enumerate(zip(cells.texts, when, cells.missing, strict=True))
            if np.isnat(t) and not gone
        }
        values = dates.date_parts(when, self.since, self.hours)
        return values[cells.codes], np.array(cells.missing)[cells.codes], _per_row(wrong, cells)

    def decode(self, values: np.ndarray) -> list:
        days = values[:, 3] if self.hours else np.rint(values[:, 3])
        return [None if np.isnan(d) else self._written(float(d)) for d in days]

    def _written(self, days: float) -> str:
        import pandas

        when = pandas.Timestamp(self.since) + pandas.Timedelta(days=days)
        if self.form == dates.ISO:
            return when.isoformat() if self.hours else when.date().isoformat()
        return when.strftime(self.form.replace("%z", "+0000"))


def times_of(cells: Cells, form: str) -> np.ndarray:
    """(D,) datetime64 of the distinct cells, NaT where one is missing or not a date of this form."""
    if any(dates.is_date(value) for value in cells.values):  # of parquet, or of a request
        texts = [v.isoformat() if dates.is_date(v) else t for t, v in zip(cells.texts, cells.values, strict=True)]
        when = dates.times(texts, dates.ISO)
    else:
        when = dates.times(cells.texts, form)
    return np.where(cells.missing, np.datetime64("NaT"), when)


@dataclass(frozen=True)
class Names:
    """A column of names as a column of 0 and 1 for each of `names`, `colour=red`; all 0 where it is missing.

    other: whether the last name, `other`, stands for all names that are not listed.
    """

    column: str
    gaps: bool
    names: Sequence[str]
    other: bool = False
    kind: str = "names"

    @property
    def columns(self) -> list[str]:
        return [f"{self.column}={name}" for name in self.names]

    def read(self, cells: Cells) -> Read:
        at = {name: i for i, name in enumerate(self.names)}
        rest = at[OTHER] if self.other else None
        places = [at.get(t, None if gone else rest) for t, gone in zip(cells.texts, cells.missing, strict=True)]
        values = np.zeros((len(places), len(at)), np.float32)
        wrong = {}
        for i, (text, name, gone) in enumerate(zip(cells.texts, places, cells.missing, strict=True)):
            if name is not None:
                values[i, name] = 1
            elif not gone:
                known = ", ".join(shown(name)[:40] for name in self.names)
                wrong[i] = f"`{shown(self.column)}` is {shown(text)[:40]!r}; known are {known}"
        missing = np.array([name is None and gone for name, gone in zip(places, cells.missing, strict=True)])
        return values[cells.codes], missing[cells.codes], _per_row(wrong, cells)

    def decode(self, values: np.ndarray) -> list:
        return [self.names[row.argmax()] if row.any() else "" for row in values]


@dataclass(frozen=True)
class Ordered:
    """A column of names that have an order, as one column of their places 0, 1, 2, ...; NaN where it is missing."""

    column: str
    gaps: bool
    names: Sequence[str]
    kind: str = "ordered"

    @property
    def columns(self) -> list[str]:
        return [self.column]

    def read(self, cells: Cells) -> Read:
        at = {name: float(i) for i, name in enumerate(self.names)}
        values = np.array([at.get(text, np.nan) for text in cells.texts], np.float32)
        missing, known = np.array(cells.missing), ", ".join(map(shown, self.names))
        wrong = {
            int(i): f"`{shown(self.column)}` is {shown(cells.texts[i])[:40]!r}; in order are {known}"
            for i in np.flatnonzero(np.isnan(values) & ~missing)
        }
        return values[cells.codes][:, None], missing[cells.codes], _per_row(wrong, cells)

    def decode(self, values: np.ndarray) -> list:
        return ["" if np.isnan(v) else self.names[int(v)] for (v,) in values]


Feature = Number | Boolean | Date | Names | Ordered
KINDS = {kind.kind: kind for kind in (Number, Boolean, Date, Names, Ordered)}


def _per_row(wrong: dict[int, str], cells: Cells) -> dict[int, Mistake]:
    """{row: its mistake}, of {index of the distinct cell: what is wrong with it}."""
    return {int(row): (UNREADABLE, text) for i, text in wrong.items() for row in np.flatnonzero(cells.codes == i)}


@dataclass(frozen=True)
class Layout:
    """How a file is read (see read_table.read_rows) and its columns are encoded as features."""

    features: Sequence[Feature]
    header: bool = True
    delimiter: str | None = None
    encoding: str | None = None

    @classmethod
    def from_dict(cls, content: dict) -> "Layout":
        """The layout of which dataclasses.asdict made this dict, which store.json and system.yaml hold."""
        features = [KINDS[f["kind"]](**f) for f in content["features"]]
        return cls(**content | {"features": features})

    @property
    def columns(self) -> list[str]:
        """The names of the features."""
        return [name for f in self.features for name in feature_columns(f)]

    def read(self, path: Path) -> TableRows:
        """Reads a file with the same columns; the label may be missing. Raises RecipeError like `require_columns`."""
        return self.require_columns(
            read_rows(path, header=self.header, delimiter=self.delimiter, encoding=self.encoding)
        )

    def require_columns(self, rows: TableRows) -> TableRows:
        """The rows; raises RecipeError where a column is missing that the features need."""
        if absent := [f.column for f in self.features if f.column not in rows.columns]:
            more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            raise RecipeError(
                f"{rows.file}: no column `{shown(absent[0])}`{more}, and the model needs it; there are "
                f"{', '.join(map(shown, rows.columns))}."
            )
        return rows

    def decode(self, values: np.ndarray) -> dict[str, list]:
        """{column: cells} of a table that would be encoded as these rows of features (N, F)."""
        columns, at = {}, 0
        for feature in self.features:
            columns[feature.column] = feature.decode(values[:, at : at + len(feature.columns)])
            at += len(feature_columns(feature))
        return columns


def feature_columns(feature: Feature) -> list[str]:
    """The names of its columns of features, including the one for missing cells."""
    return feature.columns + ([f"{feature.column} is missing"] if feature.gaps else [])


def encode_features(
    features: Sequence[Feature], columns: Mapping[str, Sequence | Cells]
) -> tuple[np.ndarray, dict[int, Mistake]]:
    """((N, F) float32, {row: all its mistakes}); a missing number or date is NaN."""
    parts: list[np.ndarray] = []
    mistakes: dict[int, list[Mistake]] = {}
    for feature in features:
        cells = columns[feature.column]
        values, missing, wrong = feature.read(cells if isinstance(cells, Cells) else Cells(cells))
        parts += [values, missing[:, None]] if feature.gaps else [values]
        for row, mistake in wrong.items():
            mistakes.setdefault(row, []).append(mistake)
    with np.errstate(over="ignore"):  # too large for float32: a mistake, whose row is not used
        whole = np.concatenate([part.astype(np.float32) for part in parts], axis=1)
    return whole, {row: (some[0][0], "; ".join(text for _, text in some)) for row, some in sorted(mistakes.items())}
