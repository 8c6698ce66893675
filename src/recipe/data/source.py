"""The contract of a data source: what it must have and may offer, checked before the first example is read."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recipe.data.split_names import is_missing, normalised
from recipe.decode.value_range import ValueRange
from recipe.errors import RecipeError
from recipe.inputs.inputs import Inputs
from recipe.inputs.read import IMAGES, KINDS
from recipe.problems import Problem, shown
from recipe.tasks.classification import Classification
from recipe.tasks.labels import JOINT
from recipe.tasks.multilabel import Multilabel
from recipe.tasks.regression import Regression
from recipe.tasks.task import Task

FORM = (
    "A data set is what torchvision's are: len(d), d[i] -> (image, int), and d.classes (names, in label order); "
    "the image a PIL image, an array (H, W[, C]) or a tensor ([C, ]H, W). With d.labels (names) in place of d.classes, "
    "d[i] -> (image, a 0 or 1 for each); with d.target_columns (names), d[i] -> (image, a number for each)."
)
NOUNS = {"classes": "class", "labels": "label", "target_columns": "quantity"}
PER_EXAMPLE = ("groups", "given_split", "names", "targets")


@dataclass(frozen=True)
class Description:
    """The attributes of a source `d`, with defaults for those it lacks; lists hold a value per example.

    task      of one of d.classes, d.labels (names; each target a row of 0 and 1) and d.target_columns (names; each
              target a number or a row of numbers, in d.unit where there is one)
    kind      d.kind: image; features, with d[i] -> (row of numbers, int) and their names d.columns; text, with a str
    encoded   d.encoded(i) -> path, bytes or (name, bytes), and d.targets, in place of d[i]: `prepare` decodes the files
    layout    d.layout: how the columns of a file became rows of features (sources.feature_encoding.Layout), or which
              one holds texts (sources.text_layout.TextLayout); None where there is no such file
    fit       d.fit: decoded image (H, W, C) -> (image as it enters the net, notes); None leaves it unchanged
    window    d.window: (height, width) of the part of a stored image that enters the net; None: all of it
    value_range  d.value_range: a recipe.decode.value_range.ValueRange, or None: the range of the type
    range_settable  whether conf can set `value_range` of this source
    metadata  d.metadata: {column: a value per example}; annotations: d.annotations, the same with fixed columns
    given_split  d.given_split, as train, val or test; no_split: {index: why} of the examples whose split is not known
    problems  d.problems: what the source reported before any example was read
    """

    name: str
    task: Task
    total: int
    kind: Inputs
    columns: list[str]
    encoded: bool
    fit: Callable[[np.ndarray], tuple[np.ndarray, tuple[str, ...]]] | None
    window: tuple[int, int] | None
    layout: Any  # this room does not know sources.feature_encoding
    value_range: ValueRange | None
    range_settable: bool
    targets: Sequence[Any] | None
    groups: list[str]
    given_split: list[str]
    names: list[str]
    no_split: dict[int, str]
    metadata: dict[str, list[Any]]
    annotations: dict[str, list[Any]]
    problems: list[Problem]


def describe(source: Any) -> Description:
    """Raises RecipeError where `source` is not a data set, or one of its attributes does not have its length."""
    name = type(source).__name__
    encoded = hasattr(source, "encoded")
    needed = ("__len__", "targets" if encoded else "__getitem__")
    if missing := [attribute for attribute in needed if not hasattr(source, attribute)]:
        raise RecipeError(f"{name} is not a data set: it has no {missing[0]}. {FORM}")
    task = _task(source, name)
    kind = getattr(source, "kind", IMAGES.name)
    if kind not in KINDS:
        raise RecipeError(f"{name}: d.kind is {kind!r}; it must be one of {', '.join(KINDS)}.")
    total = len(source)
    lists = {a: getattr(source, a, None) for a in PER_EXAMPLE if a != "targets" or encoded}  # None: not offered
    tables = {a: dict(getattr(source, a, None) or {}) for a in ("metadata", "annotations")}
    sized = {a: v for a, v in lists.items() if v is not None}
    sized |= {f"{a}[{c!r}]": v for a, table in tables.items() for c, v in table.items()}
    for attribute, values in sized.items():
        if len(values) != total:
            raise RecipeError(f"{name}: d.{attribute} has {len(values)} entries for {total} examples.")
    empty = [""] * total
    splits, no_split = normalised(sized.get("given_split", empty))
    return Description(
        name=name,
        task=task,
        total=total,
        kind=KINDS[kind],
        columns=[str(c) for c in getattr(source, "columns", ())],
        encoded=encoded,
        fit=getattr(source, "fit", None),
        window=getattr(source, "window", None),
        layout=getattr(source, "layout", None),
        value_range=ValueRange.of(getattr(source, "value_range", None)),
        range_settable=hasattr(source, "value_range"),
        targets=sized.get("targets"),
        groups=[_text(v) for v in sized.get("groups", empty)],
        given_split=splits,
        names=[_text(v) for v in sized.get("names", empty)],
        no_split=no_split,
        metadata=tables["metadata"],
        annotations=tables["annotations"],
        problems=list(getattr(source, "problems", ())),
    )


def _task(source: Any, name: str) -> Task:
    """Of the attribute that says what the targets are; `labels` that are not names, as torchvision's, are not one."""
    offered = {a: getattr(source, a, None) for a in NOUNS}
    lists = {a: list(value) for a, value in offered.items() if value is not None and len(value)}
    named = {a: values for a, values in lists.items() if a == "classes" or isinstance(values[0], str)}
    if not named:
        raise RecipeError(f"{name} is not a data set: it has no classes. {FORM}")
    if len(named) > 1:
        both = " and ".join(f"d.{attribute}" for attribute in named)
        raise RecipeError(f"{name} has {both}: keep the one that says what is to be predicted. {FORM}")
    (attribute, values), *_ = named.items()
    names = [str(value) for value in values]
    if twice := [value for value, count in Counter(names).items() if count > 1]:
        raise RecipeError(f"{name}: the {NOUNS[attribute]} `{twice[0]}` is named twice in d.{attribute}.")
    if attribute == "labels" and (joined := [value for value in names if JOINT in value]):
        raise RecipeError(
            f"{name}: the label `{shown(joined[0])}` contains `{JOINT}`, which joins labels. If it separates them in "
            f'the data, set `separator: "{JOINT}"`; if it belongs to a name, rename that.'
        )
    if attribute == "classes" and len(names) == 1:
        raise RecipeError(f"{name}: there is only one class, `{shown(names[0])}`; classification needs at least two.")
    if attribute == "target_columns":
        return Regression(tuple(names), str(getattr(source, "unit", "") or ""))
    return Classification(tuple(names)) if attribute == "classes" else Multilabel(tuple(names))


def _text(value: Any) -> str:
    return "" if is_missing(value) else shown(str(value))
