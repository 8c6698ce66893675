"""New inputs: users' files and requests, prepared by the same functions that prepared the training examples."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from recipe.data.images import Fit, lossless, preview
from recipe.data.reading import apply_fit, converted
from recipe.data.store import Store
from recipe.decode import pool
from recipe.decode.value_range import ValueRange
from recipe.errors import RecipeError
from recipe.inputs.inputs import Inputs
from recipe.inputs.read import KINDS
from recipe.problems import RAGGED, UNREADABLE, BadExample, shown
from recipe.sources.delimited_text import DELIMITERS
from recipe.sources.feature_encoding import Layout, encode_features
from recipe.sources.folder import METADATA
from recipe.sources.list_files import list_files
from recipe.sources.npz import as_bytes, open_archive, read_array
from recipe.sources.read_table import TableRows
from recipe.sources.text_layout import LONGEST, TextLayout, required_text
from recipe.verdict import cause

TEXT_FILE, BYTES = ".txt", 4  # a character of UTF-8 at most
TABLES = {*DELIMITERS, ".parquet"}
ARRAYS = {".npy", ".npz"}


@dataclass(frozen=True)
class NamedInput:
    """A prepared input, or the reason why there is none."""

    name: str  # the file's name below the folder, or the line of a table
    value: np.ndarray | str | None  # (C, H, W) or (F,), in the form of the store, or a text
    problem: str = ""


@dataclass(frozen=True)
class InputForm:
    """Shape and type of an input, and how a file becomes one; from store.json, or from a saved system."""

    kind: Inputs
    shape: tuple[int, ...]
    dtype: str
    columns: tuple[str, ...]  # of rows of features
    fit: Callable | None  # decoded (H, W, C) -> (as it enters the net, notes); None: unchanged
    user_fit: bool  # a user-defined function has fitted the images, and is not part of the system
    limits: pool.DecodingLimits
    layout: Layout | None
    text_layout: TextLayout | None = None
    window: tuple[int, int] | None = None  # height and width of the part of an image that enters the net; None: all
    value_range: ValueRange | None = None  # stored values of black and white
    files: bool = True  # `prepare` read files; otherwise arrays, to which the range applies as well

    @classmethod
    def of_facts(cls, facts: dict) -> "InputForm":
        """facts: FACTS of store.json."""
        files, layout, kind = facts["files"] or {}, facts["layout"], KINDS[facts["kind"]]
        fit, value_range = files.get("fit"), facts.get("value_range")
        user_fit = fit == "own"
        return cls(
            kind=kind,
            shape=tuple(facts["shape"]),
            dtype=facts["dtype"],
            columns=tuple(facts["columns"]),
            fit=Fit(**fit) if fit and not user_fit else None,
            user_fit=user_fit,
            limits=pool.DecodingLimits(**files.get("limits") or {}),
            layout=Layout.from_dict(layout) if layout and kind.has_columns else None,
            text_layout=TextLayout(**layout) if layout and not kind.axes else None,
            window=tuple(facts["window"]) if facts.get("window") else None,
            value_range=ValueRange(**value_range) if value_range else None,
            files=facts["files"] is not None,
        )

    def __str__(self) -> str:
        return _shape_text(self.shape, self.dtype) if self.kind.axes else self.kind.plural

    def checked(self, name: str, value: np.ndarray) -> NamedInput:
        """One shape and one type, as in the store."""
        if (value.shape, value.dtype.name) == (self.shape, self.dtype):
            return NamedInput(name, value)
        shape = _shape_text(value.shape, value.dtype.name)
        return NamedInput(name, None, f"odd shape: it is {shape}, the model was trained on {self}")


def _shape_text(shape: tuple[int, ...], dtype: str) -> str:
    """`uint8 1 x 8 x 8`."""
    return f"{dtype} {' x '.join(map(str, shape))}"


FACTS = ("kind", "shape", "dtype", "columns", "files", "layout", "window", "value_range")


def read_inputs(path: Path, form: InputForm, workers: int) -> Iterator[NamedInput]:
    """The inputs in `path`, in order: an image, a folder of images (recursive), a table, or an array (.npy, .npz).

    An image of another size is fitted as `prepare` did; where the source gave arrays, nothing was fitted, and files
    and arrays alike must have its shape and type. Raises RecipeError where `path` as a whole cannot be used: missing,
    of another kind than the model was trained on, a table without a column that the model needs.
    """
    suffix = path.suffix.lower()
    if not path.exists():
        raise RecipeError(f"{path} is missing. Name an image, a text, a folder of them, a table or an array.")
    if not form.kind.axes:
        return from_texts(path, form)
    if suffix in ARRAYS:
        return from_array(path, form)
    if form.kind.has_columns:
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


def from_texts(path: Path, form: InputForm) -> Iterator[NamedInput]:
    """A .txt file, every one below a folder, or a text in each row of a table or of an array."""
    suffix = path.suffix.lower()
    if suffix in ARRAYS:
        texts = _array_of(path)
        if texts.dtype.kind != "U" or texts.ndim != 1:
            raise RecipeError(f"{path} is {texts.dtype} {texts.shape}: it must be a row of texts.")
        return (_named_text(f"{path.name}, row {i}", text) for i, text in enumerate(texts))
    if suffix in TABLES - {TEXT_FILE}:
        layout = form.text_layout or TextLayout("text")
        return _texts_of(layout.read(path), layout)
    if path.is_dir():
        names = [name for name, _ in list_files(path).files if name.lower().endswith(TEXT_FILE)]
        if not names:
            raise RecipeError(f"{path}: there is no {TEXT_FILE} file below this folder.")
        return (_text_file(shown(name), path / name) for name in names)
    if suffix != TEXT_FILE:
        raise RecipeError(f"{path}: the model reads texts: a {TEXT_FILE} file, a folder of them, a table or an array.")
    return iter([_text_file(shown(path.name), path)])


def _texts_of(rows: TableRows, layout: TextLayout) -> Iterator[NamedInput]:
    for place, text in zip(rows.places, rows.columns[layout.text], strict=True):
        yield _named_text(place, text)


def _text_file(name: str, path: Path) -> NamedInput:
    if path.stat().st_size > BYTES * LONGEST:
        return NamedInput(name, None, f"too large: {path.stat().st_size:,} bytes; {LONGEST:,} characters at most")
    try:
        return _named_text(name, path.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, OSError) as error:
        return NamedInput(name, None, f"unreadable: {cause(error)}")


def _named_text(name: str, cell: Any) -> NamedInput:
    try:
        return NamedInput(name, required_text(cell))
    except BadExample as bad:
        return NamedInput(name, None, bad.args[1])


def from_images(path: Path, form: InputForm, workers: int) -> Iterator[NamedInput]:
    """An image, or every file below a folder: a file that is not an image has a reason instead of a value."""
    if form.user_fit:
        raise RecipeError(
            f"{path}: the images were converted to {form} by a user-defined function, which is not part of the system. "
            "Use arrays of that shape: .npy, or `x` in .npz."
        )
    unreadable = []
    if path.is_dir():
        below = list_files(path)
        names = [name for name, _ in below.files if name != METADATA]
        files = [path / name for name in names]
        names = [shown(name) for name in names]
        unreadable = [problem for problem in below.problems if problem.kind == UNREADABLE]
        if not files:
            raise RecipeError(f"{path}: there is no file below this folder.")
    else:
        files, names = [path], [shown(path.name)]
    yield from decode_files(files, names, form, workers)
    yield from (NamedInput(problem.name, None, f"unreadable: {problem.detail}") for problem in unreadable)


def decode_files(files: Iterable, names: Iterable[str], form: InputForm, workers: int) -> Iterator[NamedInput]:
    """files: paths, or bytes."""
    for name, decoded in zip(names, pool.decode(files, form.limits, workers, form.value_range), strict=True):
        if decoded.image is None:
            yield NamedInput(name, None, f"{decoded.problem}: {decoded.detail}")
        else:
            yield form.checked(name, apply_fit(decoded.image, form.fit)[0])


def from_rows(rows: TableRows, layout: Layout) -> Iterator[NamedInput]:
    """The rows of a table, in order, among them the lines that could not be split into cells."""
    values, mistakes = encode_features(layout.features, rows.columns)
    inputs = [
        NamedInput(place, None, mistakes[i][1]) if i in mistakes else NamedInput(place, values[i])
        for i, place in enumerate(rows.places)
    ]
    ragged = [p for p in rows.problems if p.kind == RAGGED]  # the others are about the file as a whole
    inputs += [NamedInput(problem.name, None, f"{problem.kind}: {problem.detail}") for problem in ragged]
    return iter(sorted(inputs, key=lambda one: int(one.name.rpartition(" ")[2])) if ragged else inputs)


def from_array(path: Path, form: InputForm) -> Iterator[NamedInput]:
    """The first axis of an array counts the examples. Of an archive: its only array, or `x`."""
    values = _array_of(path)
    if form.kind.has_pixels and form.dtype == "uint8":
        values = as_bytes(values)
    if values.ndim < 2:
        raise RecipeError(f"{path} is {values.dtype} {values.shape}: it must be a row of inputs, each {form}.")
    return (_of_array(f"{path.name}, row {i}", value, form) for i, value in enumerate(values))


def _array_of(path: Path) -> np.ndarray:
    if path.suffix.lower() == ".npz":
        archive = open_archive(path)
        return read_array(archive, archive.files[0] if len(archive.files) == 1 else "x", str(path))
    try:
        return cast(np.ndarray, np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise RecipeError(f"{path} cannot be read as a NumPy array: {error}") from None


def request_inputs(request, form: InputForm) -> Iterator[NamedInput]:
    """The inputs of a request: a pandas table with a row per input, or an array whose first axis counts them.

    The table has the columns of the file that was learned from, or `image` with the bytes of an image file each.
    """
    if not form.kind.axes:
        return _texts_of_request(request, form.text_layout or TextLayout("text"))
    if not hasattr(request, "columns"):
        return (_of_array(f"row {i}", value, form) for i, value in enumerate(request))
    columns = {str(name): request[name].tolist() for name in request.columns}
    places = [f"row {i}" for i in range(len(request))]
    if form.layout:
        return from_rows(form.layout.require_columns(TableRows("the request", columns, places)), form.layout)
    if form.kind.has_columns:
        return (_of_array(name, row, form) for name, row in zip(places, request.to_numpy(), strict=True))
    if "image" not in columns:
        raise RecipeError(f"the request has no column `image`; there are {', '.join(map(shown, columns))}.")
    return decode_files(columns["image"], places, form, 1)


def _texts_of_request(request, layout: TextLayout) -> Iterator[NamedInput]:
    places = [f"row {i}" for i in range(len(request))]
    if not hasattr(request, "columns"):
        return (_named_text(place, text) for place, text in zip(places, request, strict=True))
    columns = {str(name): request[name].tolist() for name in request.columns}
    return _texts_of(layout.require_column(TableRows("the request", columns, places)), layout)


def example_request(form: InputForm, store: Store):
    """A request of two inputs, in a form that `request_inputs` reads."""
    import pandas

    if not form.kind.axes:
        return pandas.DataFrame({(form.text_layout or TextLayout("text")).text: store.texts()[:2]})
    if form.layout:
        return pandas.DataFrame(form.layout.decode(store.inputs[:2]))
    stored = np.array(store.inputs[:2])
    if form.value_range and not (form.files and form.fit is None):
        stored = form.value_range.inverse(stored)
    if form.fit is None:
        return stored
    if form.value_range is None and form.dtype == "uint8":
        return pandas.DataFrame({"image": [preview(store.picture(row)) for row in range(2)]})
    return pandas.DataFrame({"image": [lossless(image.transpose(1, 2, 0)) for image in stored]})


def _of_array(name: str, value: np.ndarray, form: InputForm) -> NamedInput:
    try:
        array, white = converted(form.kind, value, [])
        value = cast(np.ndarray, array)
        if form.value_range and not form.files:
            value = form.value_range(value, white, [])
    except (TypeError, ValueError) as error:
        return NamedInput(name, None, f"unreadable: {error}")
    return form.checked(name, value)
