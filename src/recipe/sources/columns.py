"""What each column of a table becomes: a feature, or metadata. Every column is looked at, all problems are one list.

The kinds that are recognised, and their order (missing codes, dates, numbers, names with few and with many levels), are
those of skrub's TableVectorizer (BSD-3). It is not used itself: it can only be kept as a pickle, it turns what it
cannot read into gaps without a word, and its month-first dates, currencies and ids would need the code below anyway.
"""

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
from recipe.sources.feature_encoding import BOOLEANS, OTHER, Boolean, Date, Feature, Names, Number, times_of
from recipe.sources.numerals import number
from recipe.sources.read_table import TableRows

LEVELS = 32  # of a column of names; the rarer ones become `other`
MOST = 0.9  # a column with at least this share of numbers (dates) is one of them, and the other cells are mistakes
NEW = 0.5  # more different names than this share of the rows: a new row most often brings a new one
FEW = 20  # rows; with fewer, all cells of a column may well differ
EXACT = 2.0**53  # whole numbers beyond are rounded by a float
ID = re.compile(r"(^|[_\s.\-])(?i:ids?|uuid|guid|index)$|[a-z]I[dD]$")  # id, user_id, PassengerId
GAP_CODES = [-99.0, -999.0, -9999.0, -99999.0, 999.0, 9999.0, 99999.0, 999999.0]


@dataclass
class LearnedColumns:
    """features: in the order of the columns; aside: those that became metadata, {column: cells}."""

    features: list[Feature] = field(default_factory=list)
    aside: dict[str, Sequence] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def learn_features(
    rows: TableRows, columns: Mapping[str, Cells], *, decimal: str | None = None, levels: int = LEVELS,
    formats: Mapping[str, str] | None = None,
) -> LearnedColumns:  # fmt: skip
    """columns: those that are to be features. decimal, formats ({column: of its dates}): None to recognise them."""
    result = LearnedColumns()
    signs = decimal_signs(columns, decimal)
    for name, cells in columns.items():
        column = _Column(name, cells, rows, [], decimal is not None)
        feature = _decided(column, signs[name], levels, (formats or {}).get(name))
        if feature is not None:
            result.features.append(feature)
        elif cells.present:
            result.aside[name] = rows.columns[name]
        result.problems += column.problems
    if decimal is None:
        commas = [f.column for f in result.features if isinstance(f, Number) and f.decimal == ","]
        result.problems = _decimal_commas(rows, {name: columns[name] for name in commas}) + result.problems
    return result


def normalise_dates(rows: TableRows, name: str, form: str | None) -> tuple[Sequence, list[Problem]]:
    """(a column of metadata, its dates as ISO 8601 writes them; a note on that). Other columns are as in the file.

    form: of its dates; None to recognise it. A split by time reads dates in this form alone.
    """
    cells = Cells(rows.columns[name])
    column = _Column(name, cells, rows, [])
    if cells.plain is not None or not cells.present or any(dates.is_date(value) for value in cells.values):
        return rows.columns[name], []
    forms = [form] if form else dates.formats_of(*zip(*column.known, strict=True), MOST)
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
    sign_given: bool = False  # conf says the decimal sign, and with it that of the thousands

    def note(self, kind: str, detail: str) -> None:
        self.problems.append(Problem(kind, f"{self.rows.file}, column `{shown(self.name)}`", shown(detail)))

    def aside(self, detail: str) -> None:
        self.note(ASIDE, detail)

    @property
    def gaps(self) -> bool:
        return self.cells.present < len(self.cells)

    @cached_property
    def known(self) -> list[tuple[str, int]]:
        """(text, rows) of the different cells that are not missing."""
        cells = self.cells
        return [(t, n) for t, n, gone in zip(cells.texts, cells.counts, cells.missing, strict=True) if not gone]


def _decided(c: _Column, sign: str | None, levels: int, form: str | None) -> Feature | None:
    """The feature, or None with a note why not."""
    cells = c.cells
    if c.name == c.rows.index:
        return c.aside("the first column, without a name: an index of rows, as pandas writes it. It became metadata")
    if cells.plain is not None and sign == "." and not form:
        return _number(c, ".")
    if not cells.present:
        return c.aside("it has no value at all, and is left out")
    if form:
        return _date(c, form, given=True)
    if np.array(cells.counts)[cells.numbers(sign or ".").known].sum() >= MOST * cells.present:
        if sign is None:
            return _two_numbers(c)
        return _number(c, sign)
    words = {text.lower() for text, _ in c.known[:10]}
    if len(words) == 2 and len(c.known) < 10 and {BOOLEANS.get(word) for word in words} == {0.0, 1.0}:
        return Boolean(c.name, c.gaps)
    if any(dates.is_date(value) for value in cells.values):
        return _date(c, dates.ISO)
    texts, counts = zip(*c.known, strict=True)
    forms = dates.formats_of(texts, counts, MOST)
    if len(forms) > 1:
        choice = " or ".join(f'"{form}"' for form in forms)
        detail = f"its dates, as {texts[0]!r}, can be read as {' or as '.join(map(_short, forms))}"
        return c.note(AMBIGUOUS, f"{detail}: set `dates: {{{c.name}: {choice}}}`. Until then it is metadata")
    return _date(c, forms[0]) if forms else _names(c, levels)


def _short(form: str) -> str:
    return dates.describe_format(form).partition(",")[0]


# ---- numbers -------------------------------------------------------------------------------------------------------


def _two_numbers(c: _Column) -> None:
    text = next(text for text, _ in c.known if "," in text)
    a, b = (number(text, sign)[0] for sign in ".,")
    c.note(
        AMBIGUOUS,
        f"{text!r} is {a:g} with a comma between thousands, and {b:g} with a decimal comma: "
        'set `thousands: ","` or `decimal: ","`. Until then it is metadata',
    )


def _number(c: _Column, sign: str) -> Feature | None:
    cells = c.cells
    unit = "" if cells.plain is not None and sign == "." else cells.numbers(sign).unit(cells.counts)
    values, missing, _ = Number(c.name, False, sign, unit).read(cells)
    values = values[:, 0]
    if missing.all():
        return c.aside("it has no value at all, and is left out")
    if reason := _identifies(c, values):
        return c.aside(f"{reason} It became metadata")
    if _digits_are_dates(c, values):
        return _date(c, "%Y%m%d")
    if cells.plain is None and sign == ".":
        _note_form(c)
    _note_gap_codes(c, values)
    return Number(c.name, bool(missing.any()), sign, unit)


def _identifies(c: _Column, values: np.ndarray) -> str:
    """Why whole numbers tell a row apart and measure nothing; empty where they may measure something."""
    known = values[np.isfinite(values)]
    if len(known) <= FEW or not (known == np.rint(known)).all():
        return ""
    if np.median(np.abs(known)) > EXACT and all(re.fullmatch(r"[+-]?\d+", str(v)) for v in c.cells.cells[:1000] if v):
        return f"whole numbers beyond 2^53, as {c.known[0][0]}, which a float would round: ids."
    if len(known) == len(values) and (np.diff(values) == 1).all():
        return f"it counts the rows, from {values[0]:.0f} to {values[-1]:.0f}."
    if ID.search(c.name) and (different := len(np.unique(known))) > LEVELS:
        return _id_reason(different, len(known))
    return ""


def _id_reason(different: int, rows: int) -> str:
    again = "" if different == rows else " If rows with one id belong together, name it as `group`."
    return f"{different:,} different values in {rows:,} rows, which name a row and measure nothing.{again}"


def _digits_are_dates(c: _Column, values: np.ndarray) -> bool:
    """20201231 and the like, all of them."""
    known = values[~np.isnan(values)]
    if not ((known >= 19000101) & (known <= 20991231)).all() or (known == known[0]).all():
        return False
    texts = [text for text, _ in c.known]
    return all(map(str.isdecimal, texts)) and not np.isnat(dates.times(texts, "%Y%m%d")).any()


def _note_form(c: _Column) -> None:
    """That texts which are no plain number are read as one, with an example."""
    numbers = c.cells.numbers(".")
    if any(numbers.units.values()) or (numbers.units and not c.sign_given):
        first, count = next(iter(numbers.units)), sum(c.cells.counts[i] for i in numbers.units)
        example = f"{c.cells.texts[first]!r} is {numbers.values[first]:.15g}"
        c.note(ASSUMED, f"{count:,} numbers with a unit or groups of thousands: {example}")


def _decimal_commas(rows: TableRows, columns: Mapping[str, Cells]) -> list[Problem]:
    """One note on the columns in which a comma separates the fraction."""
    texts = (text for cells in columns.values() for text in cells.texts if not text.isdecimal() and number(text, ","))
    if (text := next(texts, None)) is None:
        return []
    names = [f"`{shown(name)}`" for name in columns]
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if names[5:] else "")
    detail = f"decimal commas in {listed}: {text!r} is {number(text, ',')[0]:.15g}"
    return [Problem(ASSUMED, rows.file, shown(detail))]


def _note_gap_codes(c: _Column, values: np.ndarray) -> None:
    """Values such as -999 far from all others often stand for a gap."""
    finite = np.isfinite(values)
    for code in GAP_CODES:
        here = values == code
        if not here.any():
            continue
        rest = values[finite & ~np.isin(values, GAP_CODES)]
        if not len(rest) or rest.min() == rest.max():
            continue
        low, high = rest.min(), rest.max()
        far = max(low - code, code - high) > 2 * (high - low)
        if far or (code < 0 <= low):
            where = ", ".join(c.rows.places[row].rpartition(", ")[2] for row in np.flatnonzero(here)[:5])
            more = f" and {n} more" if (n := int(here.sum()) - 5) > 0 else ""
            c.note(
                ODD_VALUE,
                f"{code:g} in {where}{more}, the others are {low:g} to {high:g}: a gap, perhaps",
            )


# ---- dates and names -----------------------------------------------------------------------------------------------


def _date(c: _Column, form: str, given: bool = False) -> Feature | None:
    when = times_of(c.cells, form)
    known = when[~np.isnat(when)]
    if not len(known):
        first = shown(c.known[0][0])[:40]
        return c.note(AMBIGUOUS, f"no cell is a date as {dates.describe_format(form)}; the first is {first!r}")
    first, last = (str(day.astype("datetime64[D]")) for day in (known.min(), known.max()))
    if not given:
        c.note(
            ASSUMED,
            f"dates as {dates.describe_format(form)}, from {first} to {last}: year, month, weekday and days since",
        )
    return Date(c.name, c.gaps, form, first, bool((known != known.astype("datetime64[D]")).any()))


def _names(c: _Column, levels: int) -> Feature | None:
    known = c.known
    rows = c.cells.present
    if len(known) > max(levels, NEW * rows) or len(known) == rows > FEW or (ID.search(c.name) and len(known) > levels):
        return c.aside(f"{_id_reason(len(known), rows)} The first is {known[0][0][:40]!r}. It became metadata")
    _note_spellings(c, known)
    if len(known) <= levels:
        return Names(c.name, c.gaps, sorted(text for text, _ in known))
    common = sorted(known, key=lambda pair: (-pair[1], pair[0]))[: levels - 1]
    kept = sorted(text for text, _ in common if text != OTHER)
    rare = rows - sum(n for text, n in common if text != OTHER)
    c.note(
        ASSUMED,
        f"{len(known):,} different names: the {len(kept)} commonest have a column each, the rest ({rare:,} rows, "
        f"{rare / rows:.1%}) is `{OTHER}`",
    )
    return Names(c.name, c.gaps, [*kept, OTHER], other=True)


def _note_spellings(c: _Column, known: list[tuple[str, int]]) -> None:
    alike = defaultdict(list)
    for text, n in known:
        alike[" ".join(text.casefold().split())].append(f"{text!r} ({n:,} rows)")
    for spellings in alike.values():
        if len(spellings) > 1:
            c.note(LEVEL_SPELLING, f"{', '.join(spellings)}: different names, perhaps of one thing")
