"""Decides what each column of a table becomes: a feature, or metadata. All problems are collected in one list.

The kinds that are recognised, and their order (missing codes, dates, numbers, names with few and with many levels), are
those of skrub's TableVectorizer (BSD-3). The recipe does not use it because it can only be stored as a pickle, silently
turns what it cannot read into missing values, and would still need the code below for dates, currencies and ids.
"""

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from recipe.problems import AMBIGUOUS, ASIDE, ASSUMED, LEVEL_SPELLING, ODD_VALUE, Problem, shown
from recipe.sources import dates
from recipe.sources.cells import Cells
from recipe.sources.decimal_signs import decimal_signs
from recipe.sources.feature_encoding import BOOLEANS, OTHER, Boolean, Date, Feature, Names, Number, Ordered, times_of
from recipe.sources.numerals import number
from recipe.sources.read_table import TableRows

LEVELS = 32  # distinct names of a column; the rarest of more become `other`
MOST = 0.9  # a column with at least this share of numbers (dates) is of that kind; its other cells are mistakes
NEW = 0.5  # with more distinct names than this share of the rows, most rows have a name that no other row has
FEW = 20  # rows; in fewer, all cells of a column may differ by chance
EXACT = 2.0**53  # a float rounds larger whole numbers
EMPTY = "all its cells are missing, and it is left out"
ID = re.compile(r"(^|[_\s.\-])(?i:ids?|uuid|guid|index)$|[a-z]I[dD]$")  # id, user_id, PassengerId
MISSING_CODES = [-99.0, -999.0, -9999.0, -99999.0, 999.0, 9999.0, 99999.0, 999999.0]


@dataclass
class LearnedColumns:
    """features: in the order of the columns; metadata: {column: cells} of the columns that are not features."""

    features: list[Feature] = field(default_factory=list)
    metadata: dict[str, Sequence] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def learn_features(
    rows: TableRows, columns: Mapping[str, Cells], *, decimal: str | None = None, levels: int = LEVELS,
    formats: Mapping[str, str] | None = None, ordered: Mapping[str, Sequence[str]] | None = None,
) -> LearnedColumns:  # fmt: skip
    """columns: candidates for features. decimal, formats ({column: format of its dates}): None to recognise them.
    ordered: {column: its names in order}."""
    result = LearnedColumns()
    signs = decimal_signs(columns, decimal)
    for name, cells in columns.items():
        column = _Column(name, cells, rows, [], decimal is not None)
        feature: Feature | None
        if names := (ordered or {}).get(name):
            feature = Ordered(name, column.has_missing, list(names))
        else:
            feature = _decided(column, signs[name], levels, (formats or {}).get(name))
        if feature is not None:
            result.features.append(feature)
        elif cells.present:
            result.metadata[name] = rows.columns[name]
        result.problems += column.problems
    if decimal is None:
        commas = [f.column for f in result.features if isinstance(f, Number) and f.decimal == ","]
        result.problems = _decimal_commas(rows, {name: columns[name] for name in commas}) + result.problems
    return result


def normalise_dates(rows: TableRows, name: str, form: str | None) -> tuple[Sequence, list[Problem]]:
    """(a column of metadata, with dates in ISO 8601; a note on that). Columns without dates are unchanged.

    form: the format of its dates; None to recognise it. A split by time reads ISO 8601 only.
    """
    cells = Cells(rows.columns[name])
    column = _Column(name, cells, rows, [])
    if cells.plain is not None or not cells.present or any(dates.is_date(value) for value in cells.values):
        return rows.columns[name], []
    forms = [form] if form else dates.formats_of(column.texts, column.counts, MOST)
    if len(forms) != 1 or forms[0] == dates.ISO:
        return rows.columns[name], []
    when = times_of(cells, forms[0])
    if not form:
        column.note(ASSUMED, f"dates as {dates.describe_format(forms[0])}; they are kept in the form of ISO 8601")
    texts = [text if np.isnat(t) else dates.iso(t) for text, t in zip(cells.texts, when, strict=True)]
    return [texts[code] for code in cells.codes], column.problems


@dataclass
class _Column:
    name: str
    cells: Cells
    rows: TableRows
    problems: list[Problem]
    sign_given: bool = False  # conf sets the decimal sign, and with it the sign of thousands

    def note(self, kind: str, detail: str) -> None:
        self.problems.append(Problem(kind, f"{self.rows.file}, column `{shown(self.name)}`", shown(detail)))

    @property
    def has_missing(self) -> bool:
        return self.cells.present < len(self.cells)

    @cached_property
    def known(self) -> list[tuple[str, int]]:
        """(text, rows) of the distinct cells that are not missing."""
        cells = self.cells
        return [(t, n) for t, n, gone in zip(cells.texts, cells.counts, cells.missing, strict=True) if not gone]

    @property
    def texts(self) -> list[str]:
        return [text for text, _ in self.known]

    @property
    def counts(self) -> list[int]:
        return [n for _, n in self.known]


def _decided(c: _Column, sign: str | None, levels: int, form: str | None) -> Feature | None:
    """The feature, or None, with a note on the reason."""
    cells = c.cells
    if c.name == c.rows.index:
        c.note(ASIDE, "the first column, without a name: an index of rows, as pandas writes it. It became metadata")
        return None
    if cells.plain is not None and sign == "." and not form:
        return _number(c, ".")
    if not cells.present:
        c.note(ASIDE, EMPTY)
        return None
    if form:
        return _date(c, form, given=True)
    if np.array(cells.counts)[cells.numbers(sign or ".").known].sum() >= MOST * cells.present:
        if sign is not None:
            return _number(c, sign)
        _note_two_numbers(c)
        return None
    words = {text.lower() for text, _ in c.known[:10]}
    if len(words) == 2 and len(c.known) < 10 and {BOOLEANS.get(word) for word in words} == {0.0, 1.0}:
        return Boolean(c.name, c.has_missing)
    if any(dates.is_date(value) for value in cells.values):
        return _date(c, dates.ISO)
    forms = dates.formats_of(c.texts, c.counts, MOST)
    if len(forms) > 1:
        choice = " or ".join(f'"{form}"' for form in forms)
        detail = f"its dates, as {c.texts[0]!r}, can be read as {' or as '.join(map(_short, forms))}"
        c.note(AMBIGUOUS, f"{detail}: set `dates: {{{c.name}: {choice}}}`. Until then it is metadata")
        return None
    return _date(c, forms[0]) if forms else _names(c, levels)


def _short(form: str) -> str:
    return dates.describe_format(form).partition(",")[0]


# ---- numbers -------------------------------------------------------------------------------------------------------


def _note_two_numbers(c: _Column) -> None:
    text = next(text for text in c.texts if "," in text)
    c.note(
        AMBIGUOUS,
        f"{text!r} is {_value(text, '.'):g} with a comma between thousands, and {_value(text, ','):g} with a decimal "
        'comma: set `thousands: ","` or `decimal: ","`. Until then it is metadata',
    )


def _value(text: str, sign: str) -> float:
    numeral = number(text, sign)
    return math.nan if numeral is None else numeral.value


def _number(c: _Column, sign: str) -> Feature | None:
    cells = c.cells
    unit = "" if cells.plain is not None and sign == "." else cells.numbers(sign).unit(cells.counts)
    values, missing, _ = Number(c.name, False, sign, unit).read(cells)
    values = values[:, 0]
    if missing.all():
        c.note(ASIDE, EMPTY)
        return None
    if reason := _why_identifier(c, values):
        c.note(ASIDE, f"{reason} It became metadata")
        return None
    if _digits_are_dates(c, values):
        return _date(c, "%Y%m%d")
    if cells.plain is None and sign == ".":
        _note_form(c)
    _note_missing_codes(c, values)
    return Number(c.name, bool(missing.any()), sign, unit)


def _why_identifier(c: _Column, values: np.ndarray) -> str:
    """Why whole numbers identify rows instead of measuring something; empty where they may be a measurement."""
    known = values[np.isfinite(values)]
    if len(known) <= FEW or not (known == np.rint(known)).all():
        return ""
    if np.median(np.abs(known)) > EXACT and all(re.fullmatch(r"[+-]?\d+", str(v)) for v in c.cells.cells[:1000] if v):
        return f"whole numbers beyond 2^53, as {c.texts[0]}, which a float would round: ids."
    if len(known) == len(values) and (np.diff(values) == 1).all():
        return f"it counts the rows, from {values[0]:.0f} to {values[-1]:.0f}."
    if ID.search(c.name) and (different := len(np.unique(known))) > LEVELS:
        return _id_reason(different, len(known))
    return ""


def _id_reason(different: int, rows: int) -> str:
    again = "" if different == rows else " If rows with the same id belong together, set `group` to this column."
    return f"{different:,} different values in {rows:,} rows, which identify rows and measure nothing.{again}"


def _digits_are_dates(c: _Column, values: np.ndarray) -> bool:
    """Whether all numbers are dates such as 20201231."""
    known = values[~np.isnan(values)]
    if not ((known >= 19000101) & (known <= 20991231)).all() or (known == known[0]).all():
        return False
    return all(map(str.isdecimal, c.texts)) and not np.isnat(dates.times(c.texts, "%Y%m%d")).any()


def _note_form(c: _Column) -> None:
    """Notes that texts which Python would not read as a number are read as numbers, with an example."""
    numbers = c.cells.numbers(".")
    if any(numbers.units.values()) or (numbers.units and not c.sign_given):
        first, count = next(iter(numbers.units)), sum(c.cells.counts[i] for i in numbers.units)
        example = f"{c.cells.texts[first]!r} is {numbers.values[first]:.15g}"
        c.note(ASSUMED, f"{count:,} numbers with a unit or groups of thousands: {example}")


def _decimal_commas(rows: TableRows, columns: Mapping[str, Cells]) -> list[Problem]:
    """One note on all columns with a decimal comma."""
    texts = (text for cells in columns.values() for text in cells.texts if not text.isdecimal() and number(text, ","))
    if (text := next(texts, None)) is None:
        return []
    names = [f"`{shown(name)}`" for name in columns]
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if names[5:] else "")
    detail = f"decimal commas in {listed}: {text!r} is {_value(text, ','):.15g}"
    return [Problem(ASSUMED, rows.file, shown(detail))]


def missing_codes(values: np.ndarray) -> dict[float, int]:
    """{value, such as -999: how often it occurs} of those far from all others: they often stand for a missing value."""
    finite = np.isfinite(values)
    rest = values[finite & ~np.isin(values, MISSING_CODES)]
    if not len(rest) or rest.min() == rest.max():
        return {}
    low, high = rest.min(), rest.max()
    counts = {code: int((values == code).sum()) for code in MISSING_CODES}
    far = [c for c in MISSING_CODES if max(low - c, c - high) > 2 * (high - low) or c < 0 <= low]
    return {code: counts[code] for code in far if counts[code]}


def _note_missing_codes(c: _Column, values: np.ndarray) -> None:
    """Notes each of them."""
    codes = missing_codes(values)
    rest = values[np.isfinite(values) & ~np.isin(values, MISSING_CODES)]
    for code, count in codes.items():
        where = ", ".join(c.rows.places[row].rpartition(", ")[2] for row in np.flatnonzero(values == code)[:5])
        more = f" and {n} more" if (n := count - 5) > 0 else ""
        c.note(
            ODD_VALUE,
            f"{code:g} in {where}{more}, the others are {rest.min():g} to {rest.max():g}: it may stand for a missing "
            "value",
        )


# ---- dates and names -----------------------------------------------------------------------------------------------


def _date(c: _Column, form: str, given: bool = False) -> Feature | None:
    when = times_of(c.cells, form)
    known = when[~np.isnat(when)]
    if not len(known):
        first = shown(c.texts[0])[:40]
        c.note(AMBIGUOUS, f"no cell is a date as {dates.describe_format(form)}; the first is {first!r}")
        return None
    first, last = (str(day.astype("datetime64[D]")) for day in (known.min(), known.max()))
    if not given:
        c.note(
            ASSUMED,
            f"dates as {dates.describe_format(form)}, from {first} to {last}: year, month, weekday and days since",
        )
    return Date(c.name, c.has_missing, form, first, bool((known != known.astype("datetime64[D]")).any()))


def _names(c: _Column, levels: int) -> Feature | None:
    known = c.known
    rows = c.cells.present
    if len(known) > max(levels, NEW * rows) or len(known) == rows > FEW or (ID.search(c.name) and len(known) > levels):
        c.note(ASIDE, f"{_id_reason(len(known), rows)} The first is {known[0][0][:40]!r}. It became metadata")
        return None
    _note_spellings(c, known)
    if len(known) <= levels:
        return Names(c.name, c.has_missing, sorted(text for text, _ in known))
    common = sorted(known, key=lambda pair: (-pair[1], pair[0]))[: levels - 1]
    kept = sorted(text for text, _ in common if text != OTHER)
    rare = rows - sum(n for text, n in common if text != OTHER)
    c.note(
        ASSUMED,
        f"{len(known):,} different names: the {len(kept)} commonest have a column each, the others ({rare:,} rows, "
        f"{rare / rows:.1%}) share `{OTHER}`",
    )
    return Names(c.name, c.has_missing, [*kept, OTHER], other=True)


def _note_spellings(c: _Column, known: list[tuple[str, int]]) -> None:
    alike = defaultdict(list)
    for text, n in known:
        alike[" ".join(text.casefold().split())].append(f"{text!r} ({n:,} rows)")
    for spellings in alike.values():
        if len(spellings) > 1:
            c.note(LEVEL_SPELLING, f"{', '.join(spellings)}: different names, perhaps of the same thing")
