"""Tables as sources: columns of features, or a column of texts."""

from collections import Counter
from collections.abc import Sequence

from recipe.data.contract import FEATURES, TEXT
from recipe.data.features import Layout, encoded, learned
from recipe.data.labels import coded
from recipe.data.problems import shown
from recipe.data.split_names import refuse_unnamed, required
from recipe.data.tabular import Rows, read_rows
from recipe.errors import RecipeError


class Table:
    """A csv, tsv or parquet file, a row per example: columns of numbers and of names as one row of features.

    A column of numbers stays what it is, NaN where a cell is missing. A column of names becomes one of 0 and 1 for each
    name, `colour=red`; all 0 where it is missing. A column that lacks values gets another of 0 and 1, `age is missing`.
    A cell that is no number among numbers makes its row unreadable.

    label, group, split: names of columns, or positions. split: the column that says train, val or test. metadata:
    columns that are no features (identifiers, dates, sites) and that the audit gets to see. classes: the names in label
    order, else what stands in the column.
    """

    kind = FEATURES

    def __init__(
        self, file: str, label: str | int, group: str | int | None = None, metadata: Sequence[str | int] = (),
        classes: Sequence[str] | None = None, header: bool = True, delimiter: str | None = None,
        split: str | int | None = None,
    ):  # fmt: skip
        rows = read_rows(file, header=header, delimiter=delimiter)
        label, aside = rows.named(label), [rows.named(name) for name in metadata]
        _take_label(self, rows, label, classes)
        self.groups = rows.column(group) if group is not None else None
        self.metadata = {name: rows.columns[name] for name in aside}
        apart = [rows.named(name) for name in (group, split) if name is not None]
        features = [name for name in rows.columns if name not in (label, *aside, *apart)]
        _take_split(self, rows, split, features)
        if not features:
            raise RecipeError(f"{file}: no column is left for features beside the label `{label}`.")
        self.layout = Layout([learned(name, rows) for name in features], header, delimiter)
        self.columns = [column for feature in self.layout.features for column in feature.columns]
        if twice := [column for column, count in Counter(self.columns).items() if count > 1]:
            raise RecipeError(f"{file}: two columns become the feature `{shown(twice[0])}`: rename one of them.")
        self.values, self.mistakes = encoded(self.layout.features, rows)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int):
        if index in self.mistakes:
            raise ValueError(self.mistakes[index])
        return self.values[index], self.targets[index]


class Text:
    """A csv, tsv or parquet file with a text and a label in each row. quoted: false where quotes are plain characters.

    text, label, group, metadata, split: as in Table.
    """

    kind = TEXT

    def __init__(
        self, file: str, text: str | int, label: str | int, group: str | int | None = None,
        metadata: Sequence[str | int] = (), classes: Sequence[str] | None = None, header: bool = True,
        quoted: bool = True, delimiter: str | None = None, split: str | int | None = None,
    ):  # fmt: skip
        rows = read_rows(file, header=header, quoted=quoted, delimiter=delimiter)
        self.texts = rows.column(text)
        _take_label(self, rows, label, classes)
        self.groups = rows.column(group) if group is not None else None
        self.metadata = {rows.named(name): rows.column(name) for name in metadata}
        used = [rows.named(name) for name in (text, label, group, *metadata) if name is not None]
        _take_split(self, rows, split, [name for name in rows.columns if name not in used])

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int):
        return self.texts[index], self.targets[index]


def _take_label(source: Table | Text, rows: Rows, label: str | int, classes: Sequence[str] | None) -> None:
    """targets, classes, names and problems, as both kinds have them."""
    where = f"{rows.file}, column `{shown(rows.named(label))}`"
    source.targets, source.classes, problems = coded(rows.column(label), rows.places, where, classes)
    source.names, source.problems = rows.places, rows.problems + problems


def _take_split(source: Table | Text, rows: Rows, split: str | int | None, others: Sequence[str]) -> None:
    """given_split of the named column; where none is named, none of the `others` may hold splits."""
    if split is None:
        refuse_unnamed({name: rows.columns[name] for name in others}, rows.file)
    else:
        where = f"{rows.file}, column `{shown(rows.named(split))}`"
        source.given_split = required(rows.column(split), where)
