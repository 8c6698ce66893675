"""Reads the examples of a source in order: each as it enters the store, or the problem with it."""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recipe.addresses import masked
from recipe.data.images import as_array, preview
from recipe.data.source import Description
from recipe.data.split_names import is_missing
from recipe.decode import pool
from recipe.decode.pixels import content_hash
from recipe.decode.value_range import PictureValues, picture_values
from recipe.inputs.inputs import Inputs
from recipe.problems import UNKNOWN_SPLIT, UNREADABLE, BadExample, Problem


@dataclass(frozen=True)
class Example:
    index: int  # in the source
    label: Any  # see recipe.tasks.labels
    value: np.ndarray | str  # (C, H, W) or (F,), uint8 or float32; a text
    content: str  # SHA-256 of the picture as decoded, so that it does not depend on the size that enters the net
    file_metadata: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    preview: bytes | None = None
    picture_values: PictureValues | None = None  # of images


def read_examples(
    source: Any, description: Description, indices: Sequence[int], limits: pool.DecodingLimits, workers: int
) -> Iterator[Example | Problem]:
    """An Example or a Problem per index, in that order."""
    if description.encoded:
        files = (source.encoded(i) for i in indices)
        decoded = pool.decode(files, limits, workers, description.value_range)
        for index, file in zip(indices, decoded, strict=True):
            yield _example_or_problem(description, index, _from_file, file)
    else:
        for index in indices:
            yield _example_or_problem(description, index, _from_source, source)


def _example_or_problem(
    description: Description, index: int, read: Callable[[Description, int, Any], Example], origin: Any
) -> Example | Problem:
    try:
        if index in description.no_split:
            raise BadExample(UNKNOWN_SPLIT, description.no_split[index])
        return read(description, index, origin)
    except BadExample as error:
        kind, detail = error.args
        return Problem(kind, description.names[index], detail, index)


def _from_file(description: Description, index: int, file: pool.Decoded) -> Example:
    if file.image is None:
        raise BadExample(file.problem, file.detail)
    assert description.targets is not None  # `describe` requires them beside `encoded`
    array, notes = apply_fit(file.image, description.fit)
    reduced = math.prod(file.image.shape[:2]) > array[0].size
    return Example(
        index,
        label=description.task.labels.read(description.targets[index]),
        value=array,
        content=file.content,
        file_metadata={name: None if is_missing(value) else value for name, value in file.file_metadata.items()},
        notes=(*file.notes, *notes),
        preview=preview(file.image) if reduced else None,
        picture_values=file.picture_values,
    )


def apply_fit(
    image: np.ndarray, fit: Callable[[np.ndarray], tuple[np.ndarray, tuple[str, ...]]] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """(a decoded (H, W, C) as it enters the store, (C, H, W); notes on what was done to it)."""
    image, notes = fit(image) if fit else (image, ())
    return np.ascontiguousarray(image.transpose(2, 0, 1)), notes


def _from_source(description: Description, index: int, source: Any) -> Example:
    notes: list[str] = []
    try:
        item = source[index]
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise TypeError(f"d[{index}] is a {type(item).__name__}, not a pair of {description.kind.name} and label")
        # inside `try`: PIL decodes a file only when its pixels are needed
        value, white = converted(description.kind, item[0], notes)
    except BadExample:
        raise
    except Exception as error:  # a decoder may raise anything; a bad file is a finding
        raise BadExample(UNREADABLE, masked(f"{type(error).__name__}: {error}")) from None
    content = hashlib.sha256(value.encode()).hexdigest() if isinstance(value, str) else content_hash(value)
    values = None
    if description.kind.has_pixels:
        values = picture_values(value, white)
        value = description.value_range(value, white, notes) if description.value_range else value
    label = description.task.labels.read(item[1])
    return Example(index, label, value, content, notes=tuple(notes), picture_values=values)


def _row(value: Any, notes: list[str]) -> tuple[np.ndarray, float]:
    value = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    if value.ndim != 1 or value.dtype.kind not in "buif":
        raise ValueError(f"{value.dtype} {value.shape} is not a row of numbers")
    with np.errstate(over="ignore"):  # too large for float32 becomes inf, which the audit reports
        return value.astype(np.float32), math.nan


def _text(value: Any, notes: list[str]) -> tuple[str, float]:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is not a text")
    text = value.encode(errors="backslashreplace").decode()  # a lone surrogate cannot be written
    if text != value:
        notes.append("invalid characters")
    return text, math.nan


def converted(kind: Inputs, value: Any, notes: list[str]) -> tuple[Any, float]:
    """(the stored form of what a source gives, `white` of an image); conversions are added to the notes."""
    convert: Callable[[Any, list[str]], tuple[Any, float]] = kind.choose(images=as_array, features=_row, texts=_text)
    return convert(value, notes)
