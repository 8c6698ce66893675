"""Can one number of the input, a single pixel or column, identify a class?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVELS = 32
MOST = 4000  # examples in the sample, evenly over the data set
STEP = 256  # positions at a time


@dataclass(frozen=True)
class Shortcut:
    """The position whose value separates one class from the others best."""

    position: tuple[int, ...]  # (channel, row, column) of an image, (column,) of a table
    label: int
    youden: float  # sensitivity + specificity - 1 of one threshold: 0 by chance, 1 without any error
    n: int
    name: str = ""  # of the column of a table

    @property
    def place(self) -> str:
        """In words."""
        if len(self.position) == 3:
            channel, row, column = self.position
            return f"the pixel in row {row}, column {column} (channel {channel})"
        return f"the column `{self.name or self.position[0]}`"


def shortcut(inputs: np.ndarray, labels: np.ndarray, names: Sequence[str] = ()) -> Shortcut:
    """The best single threshold on a single number of inputs (N, ...) for class numbers (N,) (Youden 1950).

    names: of the columns of a table (N, F), whose values count by their rank, for one extreme value would hide the
    others. Pixels are divided into LEVELS equal steps between the extremes of their position. A class needs ten
    examples in the sample. Values that are not finite count as the smallest.
    """
    rows = np.unique(np.linspace(0, len(inputs) - 1, min(MOST, len(inputs))).astype(int))
    x, y = inputs[rows].reshape(len(rows), -1).astype(np.float32), labels[rows]
    x = np.nan_to_num(x, nan=-np.inf, posinf=np.inf)
    classes = [c for c in np.unique(y) if (y == c).sum() >= 10]
    best = Shortcut((0,) * (inputs.ndim - 1), int(y[0]), 0.0, len(rows))
    if len(classes) < 2:
        return best
    table = inputs.ndim == 2
    levels = max(len(rows), 2) if table else LEVELS
    step = max(1, STEP * LEVELS // levels)  # as much memory for a table as for images
    for at in range(0, x.shape[1], step):
        level = (_ranks if table else _levels)(x[:, at : at + step])
        counts = np.stack([_counts(level[y == c], levels) for c in classes])  # (K, positions, levels)
        below = counts.cumsum(2)[:, :, :-1]
        own = below / counts.sum(2, keepdims=True)
        others = (below.sum(0) - below) / (counts.sum((0, 2))[None, :, None] - counts.sum(2, keepdims=True))
        youden = np.abs(own - others).max(2)
        c, position = np.unravel_index(youden.argmax(), youden.shape)
        if youden[c, position] > best.youden:
            where = np.unravel_index(at + position, inputs.shape[1:])
            name = names[where[0]] if table and len(names) else ""
            best = Shortcut(tuple(map(int, where)), int(classes[c]), float(youden[c, position]), len(rows), name)
    return best


def _levels(x: np.ndarray) -> np.ndarray:
    """(N, M) in LEVELS steps between the smallest and the largest finite value of each column."""
    finite = np.isfinite(x)
    low, high = np.where(finite, x, np.inf).min(0), np.where(finite, x, -np.inf).max(0)
    with np.errstate(invalid="ignore", over="ignore"):
        share = (np.clip(x, low, high) - low) / np.where(high > low, high - low, 1)
    return np.rint(np.nan_to_num(share).clip(0, 1) * (LEVELS - 1)).astype(np.int64)


def _ranks(x: np.ndarray) -> np.ndarray:
    """(N, M) the rank of each value among the distinct ones of its column."""
    return np.stack([np.unique(column, return_inverse=True)[1] for column in x.T], axis=1)


def _counts(level: np.ndarray, levels: int) -> np.ndarray:
    """(M, levels) how often each level occurs in each column."""
    width = level.shape[1]
    flat = (level + np.arange(width) * levels).ravel()
    return np.bincount(flat, minlength=width * levels).reshape(width, levels)


def sentence(best: Shortcut, classes: Sequence[str]) -> str:
    return (
        f"The most predictive single number is {best.place}: one threshold on it identifies class "
        f"`{classes[best.label]}` with a Youden index of {best.youden:.2f} (sensitivity + specificity - 1, "
        f"n = {best.n:,})."
    )
