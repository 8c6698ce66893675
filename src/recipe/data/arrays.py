"""Arrays in a NumPy archive, and encoded images in parquet files, as sources."""

import bisect
import json
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recipe.data.contract import FEATURES, IMAGE, TEXT
from recipe.data.images import Fit
from recipe.data.labels import coded
from recipe.data.problems import shown
from recipe.errors import RecipeError


class Arrays:
    """Two arrays of an .npz file: inputs, and labels as numbers or names. Held in memory.

    (N, H, W) and (N, H, W, C) or (N, C, H, W) are images, (N, F) rows of features, (N,) of dtype str texts. No pickle
    is loaded. group: the name of a third array, of groups.
    """

    def __init__(
        self, file: str, inputs: str = "x", labels: str = "y", group: str | None = None,
        classes: Sequence[str] | None = None,
    ):  # fmt: skip
        archive = open_archive(Path(file).expanduser())
        self.inputs, values = array_of(archive, inputs, file), array_of(archive, labels, file)
        if self.inputs.ndim not in (1, 2, 3, 4) or (self.inputs.ndim == 1) != (self.inputs.dtype.kind == "U"):
            raise RecipeError(
                f"{file}: `{inputs}` is {self.inputs.dtype} {self.inputs.shape}: no images, rows or texts."
            )
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]  # as in the archives of Keras
        if values.ndim != 1 or len(values) != len(self.inputs):
            raise RecipeError(
                f"{file}: `{labels}` is {values.shape} and `{inputs}` {self.inputs.shape}; it must be one label per "
                "example. One-hot labels: store their argmax."
            )
        self.kind = {1: TEXT, 2: FEATURES}.get(self.inputs.ndim, IMAGE)
        self.columns = [f"column {i}" for i in range(self.inputs.shape[1])] if self.kind == FEATURES else []
        self.names = [f"{Path(file).name}, row {i}" for i in range(len(values))]
        where = f"{file}, `{labels}`"
        self.targets, self.classes, self.problems = coded(values.tolist(), self.names, where, classes)
        self.groups = array_of(archive, group, file).tolist() if group else None

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int):
        value = self.inputs[index]
        return (str(value) if self.kind == TEXT else value), self.targets[index]


def open_archive(path: Path):
    if not path.is_file():
        raise RecipeError(f"{path} is missing. Write it with numpy.savez({path.name!r}, x=images, y=labels).")
    try:
        archive = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise RecipeError(f"{path} cannot be read as a NumPy archive: {error}") from None
    if isinstance(archive, np.ndarray):
        raise RecipeError(
            f"{path} holds one array; inputs and labels stand in one .npz: numpy.savez(file, x=.., y=..)."
        )
    return archive


def array_of(archive, name: str, file: str) -> np.ndarray:
    if name not in archive.files:
        raise RecipeError(f"{file}: no array `{name}`; there are {', '.join(archive.files) or 'none'}.")
    try:
        return archive[name]
    except ValueError as error:
        reason = "it holds Python objects, which only a pickle could" if "allow_pickle" in str(error) else error
        raise RecipeError(f"{file}: `{name}` cannot be read: {reason}. Store numbers, or texts of dtype str.") from None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise RecipeError(f"{file}: `{name}` is damaged: {error}") from None


class Parquet:
    """Encoded images in parquet: one file, or a folder of them in the order of their names; a row per example.

    image: the column of bytes, or of {bytes, path} as in Hugging Face's data sets, whose class names are found too.
    group, metadata: columns. size, fit, channels: see recipe.data.images.Fit; without `size` the images enter the net
    as they are. One row group of a file is in memory at a time.
    """

    def __init__(
        self, file: str, image: str = "image", label: str = "label", group: str | None = None,
        metadata: Sequence[str] = (), classes: Sequence[str] | None = None,
        size: int | Sequence[int] | None = None, fit: str = "crop", channels: int = 3,
    ):  # fmt: skip
        self.image, self.fit = image, None if size is None else Fit(size, fit, channels)
        # (file, row group), and the first example of each
        self.files, self.starts = _parts(Path(file).expanduser()), [0]
        self.cache: tuple = (None, None)
        wanted = [label, *([group] if group else []), *metadata]
        columns = {name: [] for name in wanted}
        self.names = []
        for part, number in self.files:
            reader = _open(part, (image, *wanted))
            table = reader.read_row_group(number, columns=wanted)
            self.names += [f"{part.name}, row {self._row(part) + i}" for i in range(table.num_rows)]
            for name in wanted:
                columns[name] += table[name].to_pylist()
            self.starts.append(self.starts[-1] + table.num_rows)
        classes = classes or _class_names(self.files[0][0], label)
        where = f"{file}, column `{shown(label)}`"
        if classes and all(isinstance(v, int) for v in columns[label]):
            self.targets, self.classes, self.problems = columns[label], list(classes), []
        else:
            self.targets, self.classes, self.problems = coded(columns[label], self.names, where, classes)
        self.groups = columns[group] if group else None
        self.metadata = {name: columns[name] for name in metadata}

    def _row(self, part: Path) -> int:
        """The first row, in its file, of the row group that comes next."""
        before = [start for (other, _), start in zip(self.files, self.starts, strict=False) if other == part]
        return self.starts[-1] - before[0]

    def __len__(self) -> int:
        return self.starts[-1]

    def encoded(self, index: int) -> tuple[str, bytes] | bytes:
        at = bisect.bisect_right(self.starts, index) - 1
        if self.cache[0] != at:
            part, number = self.files[at]
            self.cache = at, _open(part, (self.image,)).read_row_group(number, columns=[self.image])[self.image]
        value = self.cache[1][index - self.starts[at]].as_py()
        name, content = (value.get("path"), value.get("bytes")) if isinstance(value, dict) else (None, value)
        content = content if isinstance(content, bytes) else b""  # none: an empty file, to the decoder
        return (name, content) if name else content


def _parts(path: Path) -> list[tuple[Path, int]]:
    """(file, row group) of every part that has rows."""
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise RecipeError(f"{path} is missing, or a folder without a .parquet file.")
    found = [(f, g) for f in files for g in range(_open(f, ()).num_row_groups)]
    if not found:
        raise RecipeError(f"{path} has no row.")
    return found


def _open(path: Path, columns: Sequence[str]):
    from pyarrow import ArrowException, parquet

    try:
        file = parquet.ParquetFile(path)
    except (ArrowException, OSError) as error:
        raise RecipeError(f"{path} cannot be read as parquet: {error}") from None
    if absent := [name for name in columns if name not in file.schema_arrow.names]:
        raise RecipeError(f"{path}: no column `{absent[0]}`; there are {', '.join(file.schema_arrow.names)}.")
    return file


def _class_names(path: Path, label: str) -> list[str] | None:
    """The names that Hugging Face's `datasets` writes beside a column of class numbers."""
    written = (_open(path, ()).schema_arrow.metadata or {}).get(b"huggingface")
    if not written:
        return None
    features = json.loads(written).get("info", {}).get("features", {})
    return features.get(label, {}).get("names")
