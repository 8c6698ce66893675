"""The examples of a source, one after the other: each as it enters the store, or what is wrong with it."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from recipe.addresses import masked
from recipe.data.images import as_array, preview
from recipe.data.source import FEATURES, IMAGE, TEXT, Description
from recipe.decode import pool
from recipe.decode.pixels import content_hash
from recipe.decode.value_range import PictureValues, picture_values
from recipe.problems import UNKNOWN_LABEL, UNKNOWN_SPLIT, UNREADABLE, BadExample, Problem


@dataclass(frozen=True)
class Example:
    index: int  # in the source
    label: int
    value: np.ndarray | str  # (C, H, W) or (F,), uint8 or float32; a text
    content: str  # SHA-256: of the picture as it was decoded, so that another size for the net leaves it as it is
    facts: dict = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    preview: bytes | None = None
    picture_values: PictureValues | None = None  # of images: their stored values


def read_examples(
    source, said: Description, indices: Sequence[int], limits, workers: int
) -> Iterator[Example | Problem]:
    """An Item or a Problem per index, in that order."""
    if said.encoded:
        decoded = pool.decode((source.encoded(i) for i in indices), limits, workers, said.value_range)
        for index, found in zip(indices, decoded, strict=True):
            yield _guarded(said, index, _from_file, found, said)
    else:
        for index in indices:
            yield _guarded(said, index, _from_source, source, said)


def _guarded(said: Description, index: int, read, *args) -> Example | Problem:
    try:
        if index in said.no_split:
            raise BadExample(UNKNOWN_SPLIT, said.no_split[index])
        return read(index, *args)
    except BadExample as bad:
        return Problem(bad.args[0], said.names[index], bad.args[1], index)


def _from_file(index: int, found, said: Description) -> Example:
    if found.problem:
        raise BadExample(found.problem, found.detail)
    array, notes = apply_fit(found.image, said.fit)
    larger = math.prod(found.image.shape[:2]) > array[0].size
    label = class_number(said.targets[index], said.classes)
    shown = preview(found.image) if larger else None
    facts = {name: None if value != value else value for name, value in found.facts.items()}  # nan: not known
    return Example(index, label, array, found.content, facts, (*found.notes, *notes), shown, found.picture_values)


def apply_fit(image: np.ndarray, fit) -> tuple[np.ndarray, tuple[str, ...]]:
    """A decoded (H, W, C) as it enters the store, (C, H, W), and what was done to it."""
    image, notes = fit(image) if fit else (image, ())
    return np.ascontiguousarray(image.transpose(2, 0, 1)), notes


def _from_source(index: int, source, said: Description) -> Example:
    try:
        item = source[index]
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise TypeError(f"d[{index}] is a {type(item).__name__}, not a pair of {said.kind} and label")
        notes: list[str] = []
        # here, too: PIL decodes a file only when its pixels are asked for
        value, white = CONVERSIONS[said.kind](item[0], notes)
    except BadExample:
        raise
    except Exception as error:  # a decoder may raise anything; a bad file is a finding
        raise BadExample(UNREADABLE, masked(f"{type(error).__name__}: {error}")) from None
    content = hashlib.sha256(value.encode()).hexdigest() if said.kind == TEXT else content_hash(value)
    values = None
    if said.kind == IMAGE:
        values = picture_values(value, white)
        value = said.value_range(value, white, notes) if said.value_range else value
    return Example(
        index, class_number(item[1], said.classes), value, content, notes=tuple(notes), picture_values=values
    )


def _row(value, notes: list[str]) -> tuple[np.ndarray, float]:
    value = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    if value.ndim != 1 or value.dtype.kind not in "buif":
        raise ValueError(f"{value.dtype} {value.shape} is no row of numbers")
    with np.errstate(over="ignore"):  # too large for float32 becomes inf, which the audit reports
        return value.astype(np.float32), math.nan


def _text(value, notes: list[str]) -> tuple[str, float]:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is no text")
    text = value.encode(errors="backslashreplace").decode()  # a lone surrogate cannot be written
    if text != value:
        notes.append("letters that are no text")
    return text, math.nan


# what a source gives -> (as it is stored, `white` of images); what was converted is added to the notes
CONVERSIONS = {IMAGE: as_array, FEATURES: _row, TEXT: _text}


def class_number(label, classes: Sequence[str]) -> int:
    """The class number; raises Bad for what is none."""
    value = label.item() if math.prod(getattr(label, "shape", (0,))) == 1 else label  # of NumPy or torch
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(classes):
        known = ", ".join(classes[:8]) if isinstance(value, str) else f"the whole numbers 0 to {len(classes) - 1}"
        raise BadExample(UNKNOWN_LABEL, "no label" if value is None else f"label {value!r}; known are {known}")
    return value
