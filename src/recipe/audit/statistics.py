"""Intensity statistics of every example, in blocks, so that memory does not grow with the data set."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BLOCK = 1 << 24  # values read at a time: 64 MB as float32
BINS = 17  # digits have 17 grey levels, and each gets its own


@dataclass(frozen=True)
class Statistics:
    """A value per example in each column, on the scale of `scaled`."""

    columns: dict[str, np.ndarray]
    histograms: np.ndarray  # (N, BINS) shares of an example's values, between `low` and `high`
    low: float
    high: float


def blocks(inputs: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, float32 rows (n, C, H, W)) of the whole array, on one scale."""
    step = max(1, BLOCK // max(1, int(np.prod(inputs.shape[1:]))))
    for start in range(0, len(inputs), step):
        yield start, scaled(inputs[start : start + step])


def scaled(block: np.ndarray) -> np.ndarray:
    """Bytes become 0..1; floats stay what they are."""
    return block.astype(np.float32) / 255 if block.dtype == np.uint8 else np.asarray(block, np.float32)


def statistics(inputs: np.ndarray) -> Statistics:
    moments = [_moments(block) for _, block in blocks(inputs)]
    columns = {name: np.concatenate([m[name] for m in moments]) for name in moments[0]}
    whole = columns["finite"]
    low, high = (0.0, 1.0) if inputs.dtype == np.uint8 else _limits(columns["min"][whole], columns["max"][whole])
    shares = np.concatenate([_histograms(block, low, high) for _, block in blocks(inputs)])
    with np.errstate(divide="ignore", invalid="ignore"):
        columns["entropy"] = -np.where(shares > 0, shares * np.log2(shares), 0).sum(1).astype(np.float32)
    return Statistics(columns, shares, low, high)


def _moments(block: np.ndarray) -> dict[str, np.ndarray]:
    flat = block.reshape(len(block), -1)
    finite = np.isfinite(flat).all(1)
    flat = np.where(finite[:, None], flat, np.nan)
    spread = np.percentile(flat, [5, 95], axis=1)
    columns = {
        "mean": flat.mean(1, dtype=np.float64),
        "std": flat.std(1, dtype=np.float64),
        "min": flat.min(1),
        "max": flat.max(1),
        "contrast": spread[1] - spread[0],
    }
    return {"finite": finite} | {name: values.astype(np.float32) for name, values in columns.items()}


def _limits(lows: np.ndarray, highs: np.ndarray) -> tuple[float, float]:
    """Of the data set, without the farthest 1 % of examples: one wild value must not squeeze all others in one bin."""
    if not len(lows):
        return 0.0, 1.0
    low, high = float(np.quantile(lows, 0.01)), float(np.quantile(highs, 0.99))
    return (low, high) if high > low else (low, low + 1.0)


def _histograms(block: np.ndarray, low: float, high: float) -> np.ndarray:
    flat = np.nan_to_num(block.reshape(len(block), -1), nan=low, posinf=high, neginf=low)
    bins = np.clip((flat - low) * (BINS / (high - low)), 0, BINS - 1).astype(np.int64)
    bins += np.arange(len(flat))[:, None] * BINS
    return np.bincount(bins.ravel(), minlength=len(flat) * BINS).reshape(len(flat), BINS) / flat.shape[1]
