"""Inputs that nobody has prepared: a person's files, made what the store holds by the functions that made the store."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipe.data.images import Fit, lossless, preview
from recipe.data.reading import CONVERSIONS, apply_fit
from recipe.data.source import FEATURES, IMAGE
from recipe.data.store import Store
from recipe.decode import pool
from recipe.decode.value_range import ValueRange
from recipe.errors import RecipeError
from recipe.problems import RAGGED, UNREADABLE, shown
from recipe.sources.delimited_text import DELIMITERS
from recipe.sources.feature_encoding import Layout, encode_features
from recipe.sources.folder import METADATA
from recipe.sources.list_files import list_files
from recipe.sources.npz import as_bytes, open_archive, read_array
from recipe.sources.read_table import TableRows

TABLES = {*DELIMITERS, ".parquet"}
ARRAYS = {".npy", ".npz"}


@dataclass(frozen=True)
class Fresh:
    """An input with its name, or why there is none."""

    name: str  # the file's name below the folder given, or the line of a table
    value: np.ndarray | None  # (C, H, W) or (F,), as the store has them
    problem: str = ""


@dataclass(frozen=True)
class Form:
    """What an input is, and how a file becomes one; from store.json, or from a saved system."""

    kind: str
    shape: tuple[int, ...]
    dtype: str
    columns: tuple[str, ...]  # of rows of features
    fit: Callable | None  # decoded (H, W, C) -> (as it enters the net, notes); None: as it is
    own: bool  # a person's own function has fitted the images, and is not here
    limits: pool.DecodingLimits
    layout: Layout | None
    value_range: ValueRange | None = None  # stored values of black and white
    files: bool = True  # prepare read files; else arrays, to which the range applies as well

    @classmethod
    def of(cls, facts: dict) -> "Form":
        """facts: FACTS of store.json."""
        files, layout = facts["files"] or {}, facts["layout"]
        fit, limits = files.get("fit"), files.get("limits")
        own, ranged = fit == "own", facts.get("value_range")
        layout = Layout.of_facts(layout) if layout else None
        return cls(
            facts["kind"], tuple(facts["shape"]), facts["dtype"], tuple(facts["columns"]),
            Fit(**fit) if fit and not own else None, own, pool.DecodingLimits(**limits or {}), layout,
            ValueRange(**ranged) if ranged else None, facts["files"] is not None,
        )  # fmt: skip

    @property
    def told(self) -> str:
        return f"{self.dtype} {' x '.join(map(str, self.shape))}"

    def checked(self, name: str, value: np.ndarray) -> Fresh:
        """As `prepare`, which stores one shape and one type."""
        if (value.shape, value.dtype.name) == (self.shape, self.dtype):
            return Fresh(name, value)
        found = f"{value.dtype} {' x '.join(map(str, value.shape))}"
        return Fresh(name, None, f"odd shape: it is {found}, the model was trained on {self.told}")


FACTS = ("kind", "shape", "dtype", "columns", "files", "layout", "value_range")


def fresh(path: Path, form: Form, workers: int) -> Iterator[Fresh]:
    """What `path` holds, in order: an image, a folder of images (recursive), a table, or an array (.npy, .npz).

    An image of another size is fitted as `prepare` did; where the source gave arrays, nothing was fitted, and files
    and arrays alike must have the shape and type that it gave. Raises RecipeError where `path` as a whole is of no
    use: missing, of another kind than the model was trained on, a table without a column that the model needs.
    """
    suffix = path.suffix.lower()
    if not path.exists():
        raise RecipeError(f"{path} is missing. Name an image, a folder of images, a table or an array.")
    if suffix in ARRAYS:
        return from_array(path, form)
    if form.kind == FEATURES:
        if path.is_dir() or suffix not in TABLES:
            raise RecipeError(f"{path}: the model reads rows of features: a .csv, .tsv, .parquet, .npy or .npz file.")
        if not form.layout:
            raise RecipeError(
                f"{path}: the model was trained on arrays of {form.shape[0]} numbers a row, without a table: store the "
                "rows as .npy (numpy.save), or as `x` in .npz."
            )
        return from_rows(form.layout.read(path), form.layout)
    if suffix in TABLES:
        raise RecipeError(f"{path}: the model reads images; name an image, a folder of them, or an array.")
    return from_images(path, form, workers)


def from_images(path: Path, form: Form, workers: int) -> Iterator[Fresh]:
    """An image, or every file below a folder: what is no image has its reason."""
    if form.own:
        raise RecipeError(
            f"{path}: the images were made {form.told} by a person's own function, which is not part of the system. "
            "Hand in arrays of that shape: .npy, or `x` in .npz."
        )
    odd = []
    if path.is_dir():
        below = list_files(path)
        names = [name for name, _ in below.files if name != METADATA]
        files = [path / name for name in names]
        names = [shown(name) for name in names]
        odd = [problem for problem in below.problems if problem.kind == UNREADABLE]
        if not files:
            raise RecipeError(f"{path}: there is no file below this folder.")
    else:
        files, names = [path], [shown(path.name)]
    yield from decoded(files, names, form, workers)
    yield from (Fresh(problem.name, None, f"unreadable: {problem.detail}") for problem in odd)


def decoded(files: Iterable, names: Iterable[str], form: Form, workers: int) -> Iterator[Fresh]:
    """files: paths, or bytes."""
    for name, found in zip(names, pool.decode(files, form.limits, workers, form.value_range), strict=True):
        if found.problem:
            yield Fresh(name, None, f"{found.problem}: {found.detail}")
        else:
            yield form.checked(name, apply_fit(found.image, form.fit)[0])


def from_rows(rows: TableRows, layout: Layout) -> Iterator[Fresh]:
    """The rows of a table in its order; lines that could not be split into cells are among them."""
    values, mistakes = encode_features(layout.features, rows.columns)
    found = [
        Fresh(place, None, mistakes[i][1]) if i in mistakes else Fresh(place, values[i])
        for i, place in enumerate(rows.places)
    ]
    ragged = [p for p in rows.problems if p.kind == RAGGED]  # the others are about the file as a whole
    found += [Fresh(problem.name, None, f"{problem.kind}: {problem.detail}") for problem in ragged]
    return iter(sorted(found, key=lambda f: int(f.name.rpartition(" ")[2])) if ragged else found)


def from_array(path: Path, form: Form) -> Iterator[Fresh]:
    """The first axis of an array counts the examples. Of an archive: its only array, or `x`."""
    if path.suffix.lower() == ".npz":
        held = open_archive(path)
        values = read_array(held, held.files[0] if len(held.files) == 1 else "x", str(path))
    else:
        try:
            values = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise RecipeError(f"{path} cannot be read as a NumPy array: {error}") from None
    if form.kind == IMAGE and form.dtype == "uint8":
        values = as_bytes(values)
    if values.ndim < 2:
        raise RecipeError(f"{path} is {values.dtype} {values.shape}: no row of inputs, each {form.told}.")
    return (_of_array(f"{path.name}, row {i}", value, form) for i, value in enumerate(values))


def given(request, form: Form) -> Iterator[Fresh]:
    """What a program hands in: a pandas table with a row per input, or an array whose first axis counts them.

    The table has the columns of the file that was learned from, or `image`, the bytes of an image file each.
    """
    if not hasattr(request, "columns"):
        return (_of_array(f"row {i}", value, form) for i, value in enumerate(request))
    columns = {str(name): request[name].tolist() for name in request.columns}
    places = [f"row {i}" for i in range(len(request))]
    if form.layout:
        return from_rows(form.layout.of(TableRows("the request", columns, places)), form.layout)
    if form.kind == FEATURES:
        return (_of_array(name, row, form) for name, row in zip(places, request.to_numpy(), strict=True))
    if "image" not in columns:
        raise RecipeError(f"the request has no column `image`; there are {', '.join(map(shown, columns))}.")
    return decoded(columns["image"], places, form, 1)


def example(form: Form, store: Store):
    """A request of two inputs, in a form that `given` reads."""
    import pandas

    if form.layout:
        return pandas.DataFrame(form.layout.back(store.inputs[:2]))
    stored = np.array(store.inputs[:2])
    if form.value_range and not (form.files and form.fit is None):
        stored = form.value_range.back(stored)
    if form.fit is None:
        return stored
    if form.value_range is None and form.dtype == "uint8":
        return pandas.DataFrame({"image": [preview(store.picture(row)) for row in range(2)]})
    return pandas.DataFrame({"image": [lossless(image.transpose(1, 2, 0)) for image in stored]})


def _of_array(name: str, value: np.ndarray, form: Form) -> Fresh:
    try:
        value, white = CONVERSIONS[form.kind](value, [])
        if form.value_range and not form.files:
            value = form.value_range(value, white, [])
    except (TypeError, ValueError) as error:
        return Fresh(name, None, f"unreadable: {error}")
    return form.checked(name, value)
