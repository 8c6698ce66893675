"""What is to be predicted: the words of conf that say so, and the columns that they name.

`label` names a column of classes, `target` one or several columns of quantities, `labels` several columns of 0 and 1 or
one column with several names in a cell. `task: auto` reads a `label` of names or of few whole numbers as classes, one
of other numbers as a quantity, and one of lists as several labels; where that could be wrong, a note says which word
says it outright.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from recipe.errors import RecipeError
from recipe.problems import TASK, Problem, shown
from recipe.sources import label_sets
from recipe.sources.label_encoding import encode_labels, label_names, label_order, why_ordered, why_quantity
from recipe.sources.quantities import read_quantities
from recipe.sources.read_table import TableRows

Column = str | int
TaskWord = Literal["auto", "classification", "multilabel", "regression"]
OF_WORD = {"label": "one class of each example", "target": "quantities", "labels": "several labels"}


@dataclass(frozen=True)
class Words:
    """The words of conf. classes: names, of classes or of labels, in their order; None: those that occur.

    unit: of the quantities, as text. decimal: the decimal sign of their cells; None to recognise it.
    """

    label: Column | None = None
    target: Column | Sequence[Column] | None = None
    labels: Column | Sequence[Column] | Mapping[str, Any] | None = None
    classes: Sequence[str] | None = None
    unit: str | None = None
    task: str = "auto"
    decimal: str | None = None

    @property
    def is_label(self) -> bool:
        """The column is one of classes, unless its cells say otherwise."""
        return self.target is None and self.labels is None and self.task in ("auto", "classification")

    def __post_init__(self) -> None:
        given = {word: getattr(self, word) for word in OF_WORD if getattr(self, word) is not None}
        if len(given) > 1:
            both = " and ".join(f"`{word}: {value}` ({OF_WORD[word]})" for word, value in given.items())
            raise RecipeError(f"{both} both say what is to be predicted: keep one of them.")
        fits = {"target": "regression", "labels": "multilabel"}
        for word, task in fits.items():
            if word in given and self.task not in ("auto", task):
                raise RecipeError(
                    f"`{word}: {given[word]}` names {OF_WORD[word]}, which `task: {self.task}` contradicts: "
                    f"leave `task` out, or write the column under `label`."
                )
        if self.classes is not None and (self.target is not None or self.task == "regression"):
            raise RecipeError("`classes` names classes or labels, and a quantity has none: remove it.")
        if self.unit is not None and (self.labels is not None or self.task in ("classification", "multilabel")):
            raise RecipeError(f"`unit: {self.unit}` is of a quantity, and classes have none: remove it.")
        if isinstance(self.labels, Mapping) and (
            "column" not in self.labels or not set(self.labels) <= {"column", "separator"}
        ):
            raise RecipeError(
                f"`labels: {dict(self.labels)}` must be a list of columns of 0 and 1, or "
                '{column: NAME, separator: ";"} for one column with several names in a cell.'
            )


@dataclass(frozen=True)
class Targets:
    """A target per row, what a source with such targets offers (see recipe.data.source), and where they were read.

    values: a class number, a tuple of 0 and 1, or a tuple of floats; what is none of them stays as it was, and
    `prepare` lists it as an unknown label.
    """

    values: list[Any]
    offers: dict[str, Any]
    columns: list[str]
    problems: list[Problem]

    def set_on(self, source: Any) -> None:
        source.targets = self.values
        for name, value in self.offers.items():
            setattr(source, name, value)


def target_columns(words: Words, rows: TableRows, usual: str) -> list[str]:
    """The names of the columns that hold the targets. usual: the label, where no word names a column."""
    value = words.labels if words.labels is not None else words.target if words.target is not None else words.label
    if isinstance(value, Mapping):
        value = value["column"]
    listed = [usual if value is None else value] if value is None or isinstance(value, str | int) else list(value)
    if not listed:
        raise RecipeError(f"{rows.file}: `{'labels' if words.labels is not None else 'target'}` lists no column.")
    names = [rows.name_of(name) for name in listed]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise RecipeError(f"{rows.file}: the column `{shown(twice[0])}` is listed twice as what is to be predicted.")
    return names


def read_targets(words: Words, rows: TableRows, usual: str = "label") -> Targets:
    """The targets of all rows. usual: the column of the label, where no word names one.

    Raises RecipeError where there is no such column, or its cells are of another kind than the word says.
    """
    columns = target_columns(words, rows, usual)
    words, rows = _with_class_names(words, rows, columns[0])
    if isinstance(words.labels, Sequence) and not isinstance(words.labels, str):
        return _several(words, rows, columns)
    if words.labels is not None or words.task == "multilabel":
        return _names(words, rows, columns[0])
    if words.target is not None or words.task == "regression":
        return _quantities(words, rows, columns)
    return _label(words, rows, columns[0])


def _with_class_names(words: Words, rows: TableRows, column: str) -> tuple[Words, TableRows]:
    """With names in place of the numbers that stand for them, where the file has these and no quantity is meant."""
    names = rows.class_names.get(column)
    several = isinstance(words.labels, Sequence) and not isinstance(words.labels, str)
    if not names or several or words.target is not None or words.task == "regression":
        return words, rows
    known = dict(enumerate(names))

    def named(entry: Any) -> Any:
        return known.get(entry, entry) if isinstance(entry, int) else entry

    cells = [[*map(named, cell)] if isinstance(cell, list) else named(cell) for cell in rows.columns[column]]
    return replace(words, classes=words.classes or names), replace(rows, columns=rows.columns | {column: cells})


def _several(words: Words, rows: TableRows, columns: list[str]) -> Targets:
    if words.classes is not None and len(words.classes) != len(columns):
        raise RecipeError(f"{rows.file}: `labels` lists {len(columns)} columns, `classes` {len(words.classes)} names.")
    names = [str(name) for name in words.classes or columns]
    return Targets(label_sets.from_columns(rows, columns), {"labels": names}, columns, [])


def _names(words: Words, rows: TableRows, column: str, note: str = "") -> Targets:
    separator = words.labels.get("separator") if isinstance(words.labels, Mapping) else None
    values, names, problems = label_sets.from_names(rows, column, separator, words.classes)
    notes = [_note(rows, column, note)] if note else []
    return Targets(values, {"labels": names}, [column], notes + problems)


def _quantities(words: Words, rows: TableRows, columns: list[str], note: str = "") -> Targets:
    values, names, unit = read_quantities(rows, columns, words.decimal)
    offers = {"target_columns": names, "unit": unit if words.unit is None else words.unit}
    return Targets(values, offers, columns, [_note(rows, columns[0], note)] if note else [])


def _label(words: Words, rows: TableRows, column: str) -> Targets:
    """One column whose cells decide, where `task` does not."""
    cells, name = rows.columns[column], shown(column)
    lists = [cell for cell in cells if isinstance(cell, list | tuple)]
    chosen = words.task == "classification"
    if lists and chosen:
        raise RecipeError(f"{rows.file}, column `{name}` holds lists, and `task: classification` needs one class each.")
    if lists and any(isinstance(entry, float) and not entry.is_integer() for cell in lists for entry in cell):
        return _quantities(words, rows, [column], f"its lists of numbers are quantities: `target: {name}` says so")
    if lists:
        return _names(words, rows, column, f"its lists are several labels of an example: `labels: {name}` says so")
    notes = []
    if words.classes is None and not chosen:
        counts = Counter(n for n in label_names(cells) if n is not None)
        if why := why_quantity(sorted(counts, key=label_order)):
            advice = f"`target: {name}` says so, `task: classification` makes each a class"
            return _quantities(words, rows, [column], f"{why}, are read as a quantity: {advice}")
        if why := why_ordered(counts):
            advice = f"if they are a quantity, write `target: {name}` in place of `label`"
            notes = [_note(rows, column, f"{why}, are read as classes: {advice}; else `task: classification`")]
    if words.unit is not None:
        raise RecipeError(f"{rows.file}, column `{name}` holds classes, and `unit: {words.unit}` is of a quantity.")
    where = f"{rows.file}, column `{name}`"
    values, classes, problems = encode_labels(cells, rows.places, where, words.classes)
    return Targets(values, {"classes": classes}, [column], notes + problems)


def _note(rows: TableRows, column: str, detail: str) -> Problem:
    return Problem(TASK, f"{rows.file}, column `{shown(column)}`", detail)
