"""A column of any kind as JSON that a page turns back into a typed array."""

import base64
from typing import Any

import numpy as np

EXACT = 2**24  # float32 holds every whole number up to here


def encode(name: str, meaning: str, values: np.ndarray, separator: str = "") -> dict[str, Any]:
    """name, meaning, kind (number, flag or text), type, data (base64); text has its distinct `words` in order.

    Floats travel as float32, seven digits, unless one of them is too large for that; integers in the smallest type.
    """
    column: dict[str, Any] = {"name": name, "meaning": meaning}
    if values.dtype == bool:
        return column | {"kind": "flag", **pack(values.astype(np.uint8))}
    if values.dtype.kind in "iuf":
        return column | {"kind": "number", **pack(_numbers(values))}
    texts = np.array(["" if v is None else str(v) for v in values.tolist()], dtype=object)
    words, codes = np.unique(texts, return_inverse=True)
    return column | {"kind": "text", "separator": separator, "words": words.tolist(), **pack(_smallest(codes))}


def pack(values: np.ndarray) -> dict[str, Any]:
    """type: letter and bytes as numpy has them; data: little-endian bytes in base64."""
    data = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
    return {"type": f"{values.dtype.kind}{values.dtype.itemsize}", "data": base64.b64encode(data).decode()}


def _numbers(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "f":
        finite = values[np.isfinite(values)]
        fits = not len(finite) or np.abs(finite).max() < EXACT
        return values.astype(np.float32 if fits else np.float64)
    return _smallest(values)


def _smallest(values: np.ndarray) -> np.ndarray:
    """Integers in the smallest type that JavaScript has an array for; as float64 where none holds them."""
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    for kind in (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return values.astype(kind)
    return values.astype(np.float64)
