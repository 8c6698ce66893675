"""Tables as sources: rows of features, or texts."""

import codecs
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recipe.data.split_names import refuse_unnamed, required
from recipe.errors import RecipeError
from recipe.formatting import count
from recipe.inputs.read import FEATURES, TEXTS
from recipe.problems import BadExample, Problem, shown
from recipe.sources.cells import Cells
from recipe.sources.columns import LEVELS, learn_features, normalise_dates
from recipe.sources.dates import times
from recipe.sources.feature_encoding import Layout, encode_features
from recipe.sources.read_table import TableRows, read_rows
from recipe.sources.targets import Column, Targets, TaskWord, Words, read_targets
from recipe.sources.text_layout import TextLayout, require_texts, required_text


class Table:
    """A csv, tsv or parquet file with a row per example, whose columns become a row of features.

    A column of numbers is kept, NaN where a cell is missing; money, percent and thousands are numbers, too. Dates
    become year, month, weekday and days since the first. Names become a column of 0 and 1 each, `colour=red`, all 0
    where it is missing; of more than `levels` names the rarest share `other`; names with an order become their places
    in it, where `ordered` ({column: names from low to high}) has them. A column with missing values gets another column
    of 0 and 1, `age is missing`. A cell of a different kind than its column makes its row unreadable. A column
    that identifies rows (an index, ids) becomes metadata. `problems` lists what was recognised and all that is odd.

    label, target, labels, classes, unit, task: what is to be predicted, see recipe.sources.targets; None of the first
    three: the column `label`. These columns, group and split are named or given by their position. split: the column
    that holds train, val or test. metadata: columns that are not features (identifiers, dates, sites) but are shown to
    the audit. delimiter, encoding, decimal and thousands (signs), dates ({column: a format of datetime.strptime}): None
    to recognise them.
    """

    kind = FEATURES.name
    targets: list
    names: list[str]
    problems: list[Problem]
    given_split: list

    def __init__(
        self, file: str, label: Column | None = None, group: Column | None = None, metadata: Sequence[Column] = (),
        classes: Sequence[str] | None = None, header: bool = True, delimiter: str | None = None,
        split: Column | None = None, encoding: str | None = None, decimal: str | None = None,
        thousands: str | None = None, dates: Mapping[str, str] | None = None, levels: int = LEVELS,
        ordered: Mapping[str, Sequence[Any]] | None = None,
        target: Column | Sequence[Column] | None = None, labels: Sequence[Column] | Mapping[str, Any] | None = None,
        unit: str | None = None, task: TaskWord = "auto",
    ):  # fmt: skip
        decimal = _decimal(file, decimal, thousands)
        _require_encoding(file, encoding)
        rows = read_rows(file, header=header, delimiter=delimiter, encoding=encoding)
        kept = [rows.name_of(name) for name in metadata]
        predicted = _take_targets(self, rows, Words(label, target, labels, classes, unit, task, decimal))
        self.groups = rows.column(group) if group is not None else None
        roles = {*predicted.columns, *kept, *(rows.name_of(name) for name in (group, split) if name is not None)}
        columns = {name: Cells(cells) for name, cells in rows.columns.items() if name not in roles}
        _take_split(self, rows, split, list(columns))
        formats = {rows.name_of(name): _format(file, name, form) for name, form in (dates or {}).items()}
        orders = {rows.name_of(name): _order(file, name, names) for name, names in (ordered or {}).items()}
        _require_listed(file, {name: columns[name] for name in orders if name in columns}, orders)
        learned = learn_features(rows, columns, decimal=decimal, levels=levels, formats=formats, ordered=orders)
        self.problems += learned.problems
        self.metadata: dict[str, Sequence] = {}
        for name in kept:
            self.metadata[name], notes = normalise_dates(rows, name, formats.get(name))
            self.problems += notes
        self.metadata |= learned.metadata
        if not learned.features:
            why = "".join(f" {p.name}: {p.detail}." for p in learned.problems[:3])
            named = ", ".join(f"`{shown(name)}`" for name in predicted.columns)
            raise RecipeError(f"{file}: no column is left for features besides the label {named}.{why}")
        self.layout = Layout(learned.features, header, delimiter, encoding)
        self.columns = self.layout.columns
        if twice := [column for column, count in Counter(self.columns).items() if count > 1]:
            raise RecipeError(f"{file}: two columns become the feature `{shown(twice[0])}`: rename one of them.")
        self.values, self.mistakes = encode_features(self.layout.features, columns)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int):
        if index in self.mistakes:
            raise BadExample(*self.mistakes[index])
        return self.values[index], self.targets[index]


class Text:
    """A csv, tsv or parquet file with a text and a label in each row. quoted: false where quotes are plain characters.

    text: its column. label, target, labels, classes, unit, task, group, metadata, split, delimiter, encoding: as in
    Table.
    """

    kind = TEXTS.name
    targets: list
    names: list[str]
    problems: list[Problem]
    given_split: list

    def __init__(
        self, file: str, text: Column, label: Column | None = None, group: Column | None = None,
        metadata: Sequence[Column] = (), classes: Sequence[str] | None = None, header: bool = True,
        quoted: bool = True, delimiter: str | None = None, split: Column | None = None, encoding: str | None = None,
        target: Column | Sequence[Column] | None = None, labels: Sequence[Column] | Mapping[str, Any] | None = None,
        unit: str | None = None, task: TaskWord = "auto",
    ):  # fmt: skip
        _require_encoding(file, encoding)
        rows = read_rows(file, header=header, quoted=quoted, delimiter=delimiter, encoding=encoding)
        self.texts = require_texts(rows, text)
        self.layout = TextLayout(rows.name_of(text), header, quoted, delimiter, encoding)
        predicted = _take_targets(self, rows, Words(label, target, labels, classes, unit, task))
        self.groups = rows.column(group) if group is not None else None
        self.metadata = {rows.name_of(name): rows.column(name) for name in metadata}
        used = {*predicted.columns, *(rows.name_of(name) for name in (text, group, *metadata) if name is not None)}
        _take_split(self, rows, split, [name for name in rows.columns if name not in used])

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int):
        return required_text(self.texts[index]), self.targets[index]


def _take_targets(source: Table | Text, rows: TableRows, words: Words) -> Targets:
    """Sets the targets, what they are, names and problems."""
    predicted = read_targets(words, rows)
    predicted.set_on(source)
    source.names, source.problems = rows.places, rows.problems + predicted.problems
    return predicted


def _take_split(source: Table | Text, rows: TableRows, split: Column | None, others: Sequence[str]) -> None:
    """Sets given_split from the named column; where none is named, none of the `others` may hold splits."""
    if split is None:
        refuse_unnamed({name: rows.columns[name] for name in others}, rows.file)
    else:
        where = f"{rows.file}, column `{shown(rows.name_of(split))}`"
        source.given_split = required(rows.column(split), where)


def _decimal(file: str | Path, decimal: str | None, thousands: str | None) -> str | None:
    """The given decimal sign, or the one that follows from the sign of thousands."""
    if decimal not in (None, ".", ","):
        raise RecipeError(f'{file}: `decimal: "{decimal}"` must be "." or ",", or null to recognise it.')
    if thousands not in (None, ".", ",", " ", "'"):
        raise RecipeError(f'{file}: `thousands: "{thousands}"` must be ".", ",", " " or "\'", or null to recognise it.')
    if thousands is not None and thousands == decimal:
        raise RecipeError(f'{file}: `decimal` and `thousands` are both "{decimal}": they must differ.')
    return decimal or {",": ".", ".": ","}.get(thousands or "")


def _format(file: str | Path, name: str, form: str) -> str:
    try:
        times(["2020"], form)
    except (ValueError, TypeError, re.error) as error:
        raise RecipeError(f"{file}: `dates: {{{name}: {form}}}` is not a format such as %d/%m/%Y: {error}.") from None
    return form


def _order(file: str | Path, name: str, names: Sequence[Any]) -> list[str]:
    listed = [str(each).strip() for each in names] if isinstance(names, Sequence) and not isinstance(names, str) else []
    if len(set(listed)) < max(2, len(listed)):
        raise RecipeError(
            f"{file}: `ordered: {{{name}: {names}}}` must list at least two different names, low to high."
        )
    return listed


def _require_listed(file: str | Path, columns: Mapping[str, Cells], orders: Mapping[str, Sequence[str]]) -> None:
    """Raises RecipeError where a column has a name that its order lacks."""
    for name, cells in columns.items():
        lacking = {
            text: n for text, n, gone in zip(cells.texts, cells.counts, cells.missing, strict=True)
            if not gone and text not in orders[name]
        }  # fmt: skip
        if lacking:
            text, n = max(lacking.items(), key=lambda pair: pair[1])
            more = f", and {count(len(lacking) - 1, 'other name')}" if len(lacking) > 1 else ""
            raise RecipeError(
                f"{file}: column `{shown(name)}` holds {shown(text)!r} ({count(n, 'cell')}){more}, and `ordered` lists "
                f"{', '.join(map(shown, orders[name]))}: add what is lacking at its place."
            )


def _require_encoding(file: str | Path, encoding: str | None) -> None:
    try:
        codecs.lookup(encoding or "utf-8")
    except LookupError:
        raise RecipeError(
            f"{file}: Python knows no `encoding: {encoding}`; common ones are utf-8, cp1252, latin-1, cp1251, utf-16."
        ) from None
