"""What a source must be and may offer, read and checked before the first example is."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from recipe.data.split_names import normalised
from recipe.decode.value_range import ValueRange
from recipe.errors import RecipeError
from recipe.problems import Problem, shown

FORM = (
    "A data set is what torchvision's are: len(d), d[i] -> (image, int), and d.classes (names, in label order); "
    "the image a PIL image, an array (H, W[, C]) or a tensor ([C, ]H, W)."
)
IMAGE, FEATURES, TEXT = "image", "features", "text"
PER_EXAMPLE = ("groups", "given_split", "names", "targets")


@dataclass(frozen=True)
class Description:
    """What a source says of itself; lists hold a value per example.

    kind      d.kind: image; features, with d[i] -> (row of numbers, int) and their names d.columns; text, with a str
    encoded   d.encoded(i) -> path, bytes or (name, bytes), and d.targets, in place of d[i]: the store decodes the files
    layout    d.layout: how the columns of a file became rows of features (sources.feature_encoding.Layout), or None
    fit       d.fit: decoded image (H, W, C) -> (image as it enters the net, notes); None leaves it as it is
    value_range  d.value_range: a recipe.decode.value_range.ValueRange, or None: that of the type; knob: it can be set
    metadata  d.metadata: {column: a value per example}; annotations: d.annotations, the same with fixed columns
    given_split  d.given_split, as train, val or test; no_split: {index: why} of the examples whose split is not known
    problems  d.problems: what the source found wrong before any example was read
    """

    name: str
    classes: list[str]
    total: int
    kind: str
    columns: list[str]
    encoded: bool
    fit: object
    layout: object
    value_range: ValueRange | None
    knob: bool
    targets: Sequence | None
    groups: list[str]
    given_split: list[str]
    names: list[str]
    no_split: dict[int, str]
    metadata: dict[str, list]
    annotations: dict[str, list]
    problems: list[Problem]


def describe(source) -> Description:
    """Raises RecipeError where `source` is no data set, or what it offers does not fit its length."""
    name = type(source).__name__
    encoded = hasattr(source, "encoded")
    needed = ("__len__", "targets" if encoded else "__getitem__")
    missing = [attribute for attribute in needed if not hasattr(source, attribute)]
    if missing or not len(getattr(source, "classes", None) or ()):
        raise RecipeError(f"{name} is not a data set: it has no {(missing or ['classes'])[0]}. {FORM}")
    classes = [str(c) for c in source.classes]
    if twice := [c for c, n in Counter(classes).items() if n > 1]:
        raise RecipeError(f"{name}: the class `{twice[0]}` is named twice in d.classes.")
    if len(classes) == 1:
        raise RecipeError(
            f"{name}: there is one class, `{shown(classes[0])}`, and so nothing to tell apart. Add another."
        )
    kind = getattr(source, "kind", IMAGE)
    if kind not in (IMAGE, FEATURES, TEXT):
        raise RecipeError(f"{name}: d.kind is {kind!r}; it must be {IMAGE}, {FEATURES} or {TEXT}.")
    total = len(source)
    lists = {a: getattr(source, a, None) for a in PER_EXAMPLE if a != "targets" or encoded}
    tables = {a: dict(getattr(source, a, None) or {}) for a in ("metadata", "annotations")}
    sized = {a: v for a, v in lists.items() if v is not None}
    sized |= {f"{a}[{c!r}]": v for a, table in tables.items() for c, v in table.items()}
    for attribute, values in sized.items():
        if len(values) != total:
            raise RecipeError(f"{name}: d.{attribute} has {len(values)} entries for {total} examples.")
    texts = [[_text(v) for v in lists[a]] if lists[a] is not None else [""] * total for a in ("groups", "names")]
    splits, no_split = normalised(lists["given_split"] if lists["given_split"] is not None else [""] * total)
    return Description(
        name, classes, total, kind, [str(c) for c in getattr(source, "columns", ())], encoded,
        getattr(source, "fit", None), getattr(source, "layout", None),
        ValueRange.of(getattr(source, "value_range", None)), hasattr(source, "value_range"), lists.get("targets"),
        texts[0], splits, texts[1], no_split, **tables, problems=list(getattr(source, "problems", ())),
    )  # fmt: skip


def _text(value) -> str:
    return "" if value is None or value != value else shown(str(value))  # NaN: a missing cell
