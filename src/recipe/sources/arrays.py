"""Arrays in a NumPy archive, and encoded images in parquet files, as sources."""

import bisect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recipe.data.images import fit_and_window
from recipe.data.split_names import LIKELY, refuse_unnamed, required, split_of
from recipe.decode.value_range import ValueRange
from recipe.errors import RecipeError
from recipe.inputs.inputs import Inputs
from recipe.inputs.read import FEATURES, IMAGES, TEXTS
from recipe.problems import Problem, shown
from recipe.sources.list_files import list_files
from recipe.sources.npz import Archive, as_bytes, channels_last, labels_of, not_finite
from recipe.sources.read_table import TableRows, class_names
from recipe.sources.targets import TaskWord, Words, read_targets, target_columns

OF_AXES: dict[int, Inputs] = {1: TEXTS, 2: FEATURES}  # by the axes of the array of inputs; more are images


class Arrays:
    """Two arrays of an .npz file: inputs, and what is to be predicted, an entry or a row each. Held in memory.

    (N, H, W), (N, H, W, C) and (N, C, H, W) are images, (N, F) rows of features, (N,) of dtype str texts. Whole numbers
    from 0 to 255 become bytes, whatever their type. x_train, y_train, x_val, ... (or train_x, ...) in place of x and y
    are given splits. No pickle is loaded. label, target, labels: the name of the array that holds classes (numbers,
    names or one-hot rows), quantities (N,) or (N, T), or labels as rows (N, L) of 0 and 1; None of the three: `y` holds
    classes or what recipe.sources.targets recognises, as for classes, unit and task. group, split: names of the arrays
    that hold groups and splits. value_range: values of black and white in images, see recipe.decode.value_range.
    """

    targets: list

    def __init__(
        self, file: str, inputs: str = "x", label: str | None = None, group: str | None = None,
        classes: Sequence[str] | None = None, split: str | None = None, value_range: Sequence[float] | None = None,
        target: str | None = None, labels: str | None = None, unit: str | None = None, task: TaskWord = "auto",
    ):  # fmt: skip
        self.value_range = ValueRange.of(value_range)
        archive = Archive.open(file, inputs)
        name = next((name for name in (label, target, labels) if name is not None), "y")
        self.inputs, values = archive.array(inputs), archive.array(name)
        if self.inputs.ndim not in (1, 2, 3, 4) or (self.inputs.ndim == 1) != (self.inputs.dtype.kind == "U"):
            raise RecipeError(
                f"{file}: `{inputs}` is {self.inputs.dtype} {self.inputs.shape}: neither images, rows nor texts."
            )
        kind = OF_AXES.get(self.inputs.ndim, IMAGES)
        self.kind = kind.name
        if self.value_range and not kind.has_pixels:
            raise RecipeError(
                f"{file}: `{inputs}` is {self.inputs.shape}, {self.kind}: `value_range` is for the black and white of "
                "images. Leave it null: training standardises each column."
            )
        if kind.has_pixels:
            self.inputs = as_bytes(channels_last(self.inputs, f"{file}: `{inputs}`"))
        self.columns = [f"column {i}" for i in range(self.inputs.shape[1])] if kind.has_columns else []
        self.names = archive.rows
        if values.ndim > 2 or len(values) != len(self.inputs):
            raise RecipeError(
                f"{file}: `{name}` is {values.shape} for {len(self.inputs):,} examples in `{inputs}`; it must be one "
                "label per example: a number, a name or a row of numbers."
            )
        cells, classes = values.tolist(), classes
        if target is None and labels is None and task in ("auto", "classification"):
            cells, classes = labels_of(values, self.names, f"{file}, `{name}`", classes)
        rows = TableRows(Path(file).name, {name: cells}, self.names)
        predicted = read_targets(Words(label, target, labels, classes, unit, task), rows, usual=name)
        predicted.set_on(self)
        self.problems = predicted.problems
        self.problems += not_finite(self.inputs, self.names) if kind.has_pixels else []
        self.groups = archive.array(group).tolist() if group else None
        self.given_split = archive.splits
        if split is not None:
            if self.given_split is not None:
                raise RecipeError(
                    f"{file}: `split: {split}` gives splits, and so do {archive.split_arrays}: use one of the two."
                )
            self.given_split = required(archive.array(split).tolist(), f"{file}, `{split}`")
        elif self.given_split is None:
            unused = [key for key in archive.content.files if key.casefold() in LIKELY and key != group]
            refuse_unnamed({key: archive.array(key).tolist() for key in unused}, file)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int):
        value = self.inputs[index]
        return (str(value) if self.kind == TEXTS.name else value), self.targets[index]


class Parquet:
    """Encoded images in parquet: one file, or a folder of files in the order of their names; a row per example.

    image: the column of bytes, or of {bytes, path} as in Hugging Face's data sets, whose class names are read, too.
    label, target, labels, classes, unit, task: as in Table. group, split, metadata: columns. Where `split` is not set,
    files that are all named as splits are given splits: train-00000-of-00001.parquet, test/a.parquet. size, fit,
    channels: see recipe.data.images.Fit; without `size` the images enter the net unchanged. store_size, value_range: as
    in Folder.
    One row group of a file is in memory at a time.
    """

    def __init__(
        self, file: str, image: str = "image", label: str | None = None, group: str | None = None,
        metadata: Sequence[str] = (), classes: Sequence[str] | None = None,
        size: int | Sequence[int] | None = None, fit: str = "crop", channels: int = 3, split: str | None = None,
        store_size: int | Sequence[int] | None = None,
        value_range: Sequence[float] | None = None, target: str | Sequence[str] | None = None,
        labels: Sequence[str] | Mapping[str, Any] | None = None, unit: str | None = None, task: TaskWord = "auto",
    ):  # fmt: skip
        self.value_range = ValueRange.of(value_range)
        if size is None and store_size is not None:
            raise RecipeError(
                f"`store_size: {store_size}` needs `size`, the part of a stored image that enters the net."
            )
        self.image, self.fit, self.window = image, None, None
        if size is not None:
            self.fit, self.window = fit_and_window(size, store_size, fit, channels)
        # (file, row group), and the first example of each
        self.files, self.starts = _row_groups(Path(file).expanduser()), [0]
        self.cache: tuple = (None, None)
        words = Words(label, target, labels, classes, unit, task)
        known = _open(self.files[0][0], ()).schema_arrow.names
        predicted = target_columns(words, TableRows(Path(file).name, {key: [] for key in known}, []), "label")
        requested = [*predicted, *(name for name in (group, split) if name), *metadata]
        columns: dict[str, list] = {name: [] for name in requested}
        self.names: list[str] = []
        self.given_split: list | None
        for part, number in self.files:
            reader = _open(part, (image, *requested))
            _require_bytes(part, reader.schema_arrow.field(image))
            table = reader.read_row_group(number, columns=requested)
            first = self._row(part)
            self.names += [f"{part.name}, row {first + i}" for i in range(table.num_rows)]
            for name in requested:
                columns[name] += table[name].to_pylist()
            self.starts.append(self.starts[-1] + table.num_rows)
        names = class_names(_open(self.files[0][0], ()).schema_arrow.metadata)
        if classes:  # whose numbers the cells may hold
            names |= {predicted[0]: [str(name) for name in classes]}
        read = read_targets(words, TableRows(Path(file).name, columns, self.names, class_names=names))
        read.set_on(self)
        self.problems: list[Problem] = read.problems
        self.groups = columns[group] if group else None
        self.metadata = {name: columns[name] for name in metadata}
        if split:
            self.given_split = required(columns[split], f"{file}, column `{shown(split)}`")
        else:
            self.given_split = self._splits_of_files(Path(file).expanduser())
            self._refuse_unnamed(file, [image, *requested])

    def _splits_of_files(self, root: Path) -> list[str] | None:
        """The split of each example by its file's name; None where no file is named as a split."""
        parts = list(dict.fromkeys(part for part, _ in self.files))
        split = {part: _split_of_file(part.relative_to(root)) for part in parts} if root.is_dir() else {}
        if not any(split.values()):
            return None
        if others := [part for part in parts if not split[part]]:
            named = next(part for part in parts if split[part])
            raise RecipeError(
                f"{root}: `{shown(named.name)}` is named as a split and `{shown(others[0].name)}` is not: name all "
                "files as splits, set `split` to a column, or move the others away."
            )
        lengths = [b - a for a, b in zip(self.starts, self.starts[1:], strict=False)]
        return [split[part] for (part, _), count in zip(self.files, lengths, strict=True) for _ in range(count)]

    def _refuse_unnamed(self, file: str, used: list[str]) -> None:
        if self.given_split is None:
            names = [
                n for n in _open(self.files[0][0], ()).schema_arrow.names if n.casefold() in LIKELY and n not in used
            ]
            tables = [_open(part, names).read_row_group(number, columns=names) for part, number in self.files if names]
            refuse_unnamed({n: [v for table in tables for v in table[n].to_pylist()] for n in names}, file)

    def _row(self, part: Path) -> int:
        """The first row, in its file, of the row group that comes next."""
        before = [start for (other, _), start in zip(self.files, self.starts, strict=False) if other == part]
        return self.starts[-1] - before[0]

    def __len__(self) -> int:
        return self.starts[-1]

    def encoded(self, index: int) -> tuple[str, bytes] | bytes | None:
        at = bisect.bisect_right(self.starts, index) - 1
        if self.cache[0] != at:
            part, number = self.files[at]
            self.cache = at, _open(part, (self.image,)).read_row_group(number, columns=[self.image])[self.image]
        value = self.cache[1][index - self.starts[at]].as_py()
        name, content = (value.get("path"), value.get("bytes")) if isinstance(value, dict) else (None, value)
        return (name, content) if name and content is not None else content


def _split_of_file(path: Path) -> str:
    """The split by the first word of a file's name, as Hugging Face names them, or else by a folder that holds it."""
    words = [re.split(r"[-_.]", path.name)[0], *path.parts[:-1]]
    return next((split for word in words if (split := split_of(word))), "")


def _row_groups(path: Path) -> list[tuple[Path, int]]:
    """(file, row group) of every row group."""
    files = (
        [path / name for name, _ in list_files(path).files if name.endswith(".parquet")] if path.is_dir() else [path]
    )
    if not files or not files[0].is_file():
        raise RecipeError(f"{path} is missing, or a folder without a .parquet file.")
    row_groups = [(f, g) for f in files for g in range(_open(f, ()).num_row_groups)]
    if not row_groups:
        raise RecipeError(f"{path} has no row.")
    return row_groups


def _open(path: Path, columns: Sequence[str]):
    from pyarrow import ArrowException, parquet

    try:
        file = parquet.ParquetFile(path)
    except (ArrowException, OSError) as error:
        raise RecipeError(f"{path} cannot be read as parquet: {error}") from None
    if absent := [name for name in columns if name not in file.schema_arrow.names]:
        raise RecipeError(f"{path}: no column `{absent[0]}`; there are {', '.join(file.schema_arrow.names)}.")
    return file


def _require_bytes(path: Path, column) -> None:
    import pyarrow

    of, kind = pyarrow.types, column.type
    if of.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    kind = getattr(kind, "storage_type", kind)
    # large_binary, binary_view, a dictionary of binary and so on all give bytes
    if of.is_nested(kind) or not (of.is_null(kind) or "binary" in str(kind)):
        raise RecipeError(
            f"{path}: the column `{shown(column.name)}` holds {column.type}; it must hold the bytes of image files, or "
            "{bytes, path} as Hugging Face writes them."
        )
