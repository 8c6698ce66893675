"""Reads the arrays of a NumPy archive by name, whole or in splits as in Keras' archives (x_train, x_val, x_test)."""

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipe.data.images import CHANNELS
from recipe.data.split_names import NAMES, split_of
from recipe.errors import RecipeError
from recipe.problems import NOT_FINITE, Problem


@dataclass(frozen=True)
class Archive:
    """An open archive.

    parts: {train, val or test: (form of its names, such as "{}_train", number of examples)}; one part "" holds all
    examples where the archive has no splits.
    """

    file: str
    content: np.lib.npyio.NpzFile
    parts: dict[str, tuple[str, int]]
    held: dict[str, np.ndarray]  # arrays that were read and not used yet

    @classmethod
    def open(cls, file: str, inputs: str) -> "Archive":
        """inputs: the name of the array that says how many examples there are.

        Raises RecipeError where the file is not an archive, or has no such array.
        """
        content = open_archive(Path(file).expanduser())
        forms = _split_forms(content, inputs, file) or {"": "{}"}
        held = {split: read_array(content, form.format(inputs), file) for split, form in forms.items()}
        parts = {split: (form, len(held[split])) for split, form in forms.items()}
        return cls(file, content, parts, {forms[split].format(inputs): array for split, array in held.items()})

    def array(self, name: str) -> np.ndarray:
        """The array of this name; arrays of splits are concatenated, in the order of `rows`."""
        counts = {form.format(name): count for form, count in self.parts.values()}
        arrays: dict[str, np.ndarray] = {}
        for key in counts:
            array = self.held.pop(key, None)
            arrays[key] = read_array(self.content, key, self.file) if array is None else array
        if len(arrays) == 1:
            return next(iter(arrays.values()))
        for key, count in counts.items():
            if len(arrays[key]) != count:
                raise RecipeError(f"{self.file}: `{key}` has {len(arrays[key])} entries for {count} examples.")
        (first, one), *others = arrays.items()
        for key, other in others:
            if other.shape[1:] != one.shape[1:] or _type(other) != _type(one):
                raise RecipeError(
                    f"{self.file}: `{first}` is {one.dtype} {one.shape}, `{key}` {other.dtype} {other.shape}: all "
                    "splits must have the same type, and the same shape after the number of examples."
                )
        return np.concatenate(list(arrays.values()))

    @property
    def rows(self) -> list[str]:
        """The place of each example, for messages."""
        name = Path(self.file).name
        places = [(f"{name}, {split}, row" if split else f"{name}, row", n) for split, (_, n) in self.parts.items()]
        return [f"{place} {i}" for place, n in places for i in range(n)]

    @property
    def splits(self) -> list[str] | None:
        """train, val or test per example; None where one array holds all examples."""
        return None if "" in self.parts else [split for split, (_, count) in self.parts.items() for _ in range(count)]

    @property
    def split_arrays(self) -> str:
        """The names of the splits' arrays, for messages."""
        return ", ".join(f"`{form.format('x')}`" for form, _ in self.parts.values())


def _split_forms(content, name: str, file: str) -> dict[str, str]:
    """{split: form of the names} for arrays such as `x_train` or `train_x`, in the order train, val, test."""
    forms: dict[str, str] = {}
    for key in content.files:
        if key.startswith(f"{name}_"):
            rest, form = key[len(name) + 1 :], f"{{}}{key[len(name) :]}"
        elif key.endswith(f"_{name}"):
            rest, form = key[: -len(name) - 1], f"{key[: -len(name)]}{{}}"
        else:
            continue
        if split := split_of(rest):
            if split in forms:
                raise RecipeError(f"{file}: `{forms[split].format(name)}` and `{key}` are both {split}: remove one.")
            forms[split] = form
    if forms and name in content.files:
        other = next(iter(forms.values())).format(name)
        raise RecipeError(
            f"{file}: it has both `{name}`, with all examples, and `{other}`, with a split of them: keep one of the "
            "two forms."
        )
    return {split: forms[split] for split in NAMES if split in forms}


def _type(array: np.ndarray) -> str:
    return "text" if array.dtype.kind == "U" else str(array.dtype)


def open_archive(path: Path):
    """Opens an archive; raises RecipeError where the file is missing or not an archive."""
    if not path.is_file():
        raise RecipeError(f"{path} is missing. Write it with numpy.savez({path.name!r}, x=images, y=labels).")
    try:
        archive = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise RecipeError(f"{path} cannot be read as a NumPy archive: {error}") from None
    if isinstance(archive, np.ndarray):
        raise RecipeError(
            f"{path} holds one array; inputs and labels belong in one .npz: numpy.savez(file, x=.., y=..)."
        )
    return archive


def read_array(archive, name: str, file: str) -> np.ndarray:
    """Reads an array; raises RecipeError where it is missing, damaged or pickled."""
    if name not in archive.files:
        raise RecipeError(
            f"{file}: no array `{name}`; there are {', '.join(archive.files) or 'none'}. conf/data/arrays.yaml names "
            "them: `inputs: x` and `label: y` are x and y, or x_train, y_train, x_test, ..."
        )
    try:
        array = archive[name]
    except ValueError as error:
        reason = "it holds Python objects, which only a pickle could" if "allow_pickle" in str(error) else error
        raise RecipeError(
            f"{file}: `{name}` cannot be read: {reason}. Store numbers, or texts of dtype str: `{name}.astype(str)`."
        ) from None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise RecipeError(f"{file}: `{name}` is damaged: {error}") from None
    if not array.ndim:
        raise RecipeError(f"{file}: `{name}` is one value; it must have an entry per example.")
    return array


# ---- interpretation of arrays ---------------------------------------------------------------------------------------


def channels_last(images: np.ndarray, where: str) -> np.ndarray:
    """(N, H, W) and (N, H, W, C) as they are, (N, C, H, W) as (N, H, W, C).

    The channels are the axis of 1 to 4 entries, else the shortest one. Raises RecipeError where that is neither the
    first nor the last.
    """
    if images.ndim == 3:
        return images
    first, height, last = images.shape[1:]
    if (first in CHANNELS) != (last in CHANNELS):
        channels_first = first in CHANNELS
    elif min(first, last) < height and first != last:
        channels_first = first < last
    else:
        raise RecipeError(
            f"{where} is {images.shape}: which axis holds the channels cannot be seen. Store images as (N, H, W, C)."
        )
    return images.transpose(0, 2, 3, 1) if channels_first else images


def as_bytes(images: np.ndarray) -> np.ndarray:
    """Whole numbers from 0 to 255 as uint8, all others unchanged, and so are mere zeros and ones, which are a mask."""
    if images.dtype.kind not in "iu" or images.dtype == np.uint8 or not images.size:
        return images
    return images.astype(np.uint8) if images.min() >= 0 and 1 < images.max() <= 255 else images


def labels_of(
    values: np.ndarray, rows: Sequence[str], where: str, classes: Sequence[str] | None
) -> tuple[list, Sequence[str] | None]:
    """(labels, class names): a column (N, 1) flattened, one-hot rows (N, K) as their classes, other rows as lists.

    Raises RecipeError for rows that are neither numbers nor of one example each, and for shares of classes.
    """
    if values.ndim == 1:
        return values.tolist(), classes
    if values.shape[1] == 1:
        return values[:, 0].tolist(), classes  # as in Keras' archives
    count = values.shape[1]
    if values.dtype.kind not in "buif":
        raise RecipeError(f"{where} is {values.dtype} {values.shape}; it must be one label per example.")
    indicators = bool(((values == 0) | (values == 1)).all())
    if not indicators and bool(((values >= 0) & (values <= 1)).all()) and np.allclose(values.sum(1), 1, atol=1e-3):
        at = int(np.argmax((values != 0).sum(1) > 1))
        row = ", ".join(f"{value:.4g}" for value in values[at][:8].astype(float)) + (", ..." if count > 8 else "")
        raise RecipeError(
            f"{where} is {values.shape}, and {rows[at]} is [{row}]: shares of classes, which are not supported. Store "
            "one class number per example, as `y.argmax(1)`; if they are quantities, say so by `target`."
        )
    if not (indicators and bool((values.sum(1) == 1).all())):
        return values.tolist(), classes
    if classes is not None and len(classes) != count:
        raise RecipeError(f"{where} has {count} one-hot columns, and `classes` names {len(classes)}.")
    classes = [str(i) for i in range(count)] if classes is None else list(classes)
    return np.array(classes)[values.argmax(1)].tolist(), classes


def not_finite(inputs: np.ndarray, rows: Sequence[str]) -> list[Problem]:
    """A problem for each image with a NaN or an infinity, with their number and the first place."""
    if inputs.dtype.kind != "f":
        return []
    problems = []
    for index, image in enumerate(inputs):
        if not np.isfinite(image).all():
            places = np.argwhere(~np.isfinite(image))
            value = image[tuple(places[0])]
            where = ", ".join(map(str, places[0].tolist()))
            detail = f"{len(places):,} of its {image.size:,} values are not finite, the first {value} at [{where}]"
            problems.append(Problem(NOT_FINITE, rows[index], detail, index))
    return problems
