"""Can one number of the input, a single pixel or column, identify a class or a label, or give a quantity?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from recipe.tasks.task import Task

LEVELS = 32
MOST = 4000  # examples in the sample, evenly over the data set
STEP = 256  # positions at a time
FEW = 10  # examples that have a class or a label, or have not: of fewer, a threshold says nothing
FEW_VALUES = 30  # examples below which a rank correlation says nothing


@dataclass(frozen=True)
class Shortcut:
    """The position, or the word, that alone says most about a class, a label or a quantity."""

    position: tuple[int, ...]  # (channel, row, column) of an image, (column,) of a table, (number,) of a word
    target: int  # place of the class, label or quantity among the names of the task
    value: float  # of a threshold sensitivity + specificity - 1; of a quantity the rank correlation; 1 without error
    n: int
    name: str = ""  # of the column of a table, or the word
    unit: str = "number"  # or word

    @property
    def place(self) -> str:
        """In words."""
        if len(self.position) == 3:
            channel, row, column = self.position
            return f"the pixel in row {row}, column {column} (channel {channel})"
        return f"the {'word' if self.unit == 'word' else 'column'} `{self.name or self.position[0]}`"

    def effect(self, task: Task) -> str:
        """A clause, with what was measured."""
        name, n = f"`{task.names[self.target]}`", f"n = {self.n:,}"
        index = f"with a Youden index of {self.value:.2f} (sensitivity + specificity - 1, {n})"
        rule = "its presence" if self.unit == "word" else "one threshold on it"
        return task.choose(
            classes=f"{rule} identifies class {name} {index}",
            labels=f"{rule} identifies label {name} {index}",
            quantities=f"its rank correlation with {name} is {self.value:.2f} without its sign ({n})",
        )  # fmt: skip


def shortcut(inputs: np.ndarray, actual: np.ndarray, task: Task, names: Sequence[str] = ()) -> Shortcut:
    """Of inputs (N, ...) and class numbers (N,) or labels (N, L) the best single threshold on a single number (Youden
    1950); of quantities (N, T) the number with the largest rank correlation (Spearman 1904).

    names: of the columns of a table (N, F), whose values count by their rank, for one extreme value would hide the
    others. Pixels are divided into LEVELS equal steps between the extremes of their position. Values that are not
    finite count as the smallest. 0 where there are too few examples.
    """
    rows = np.unique(np.linspace(0, len(inputs) - 1, min(MOST, len(inputs))).astype(int))
    x, y = inputs[rows].reshape(len(rows), -1).astype(np.float32), actual[rows]
    x, table = np.nan_to_num(x, nan=-np.inf, posinf=np.inf), inputs.ndim == 2
    members = y[:, None] == np.arange(len(task.names)) if y.ndim == 1 else y > 0.5
    targets, by_rank = task.choose(classes=(members, False), labels=(members, False), quantities=(y, True))
    best = Shortcut((0,) * (inputs.ndim - 1), 0, 0.0, len(rows))
    for at, values in (_correlations if by_rank else _youden)(x, targets, table):
        target, place = np.unravel_index(values.argmax(), values.shape)
        if values[target, place] > best.value:
            where = tuple(map(int, np.unravel_index(at + place, inputs.shape[1:])))
            name = names[where[0]] if table and len(names) else ""
            best = Shortcut(where, int(target), float(values[target, place]), len(rows), name)
    return best


def _youden(x: np.ndarray, members: np.ndarray, table: bool) -> Iterator[tuple[int, np.ndarray]]:
    """(first position, (K, positions) the index of the best threshold for each of K sets of examples) step by step.

    members: (N, K) bool. A set, and what is in none of it, needs FEW examples; 0 where it has fewer.
    """
    sizes = members.sum(0)
    judged = np.flatnonzero(np.minimum(sizes, len(x) - sizes) >= FEW)
    if not len(judged):
        return
    for at, level, levels in _steps(x, table):
        below = _counts(level, levels).cumsum(1)[:, :-1]
        youden = np.zeros((len(sizes), level.shape[1]))
        for k in judged:
            own = _counts(level[members[:, k]], levels).cumsum(1)[:, :-1]
            youden[k] = np.abs(own / sizes[k] - (below - own) / (len(x) - sizes[k])).max(1, initial=0)
        yield at, youden


def _correlations(x: np.ndarray, values: np.ndarray, table: bool) -> Iterator[tuple[int, np.ndarray]]:
    """(first position, (T, positions) rank correlations without their signs with T quantities) step by step."""
    if len(x) < FEW_VALUES:
        return
    centred = np.stack([middle_ranks(column) for column in values.T])
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
    for at, level, levels in _steps(x, table):
        counts = _counts(level, levels)
        ranks = counts.cumsum(1) - counts / 2 - len(x) / 2
        length = np.sqrt((counts * ranks**2).sum(1))
        sums = np.stack([(_counts(level, levels, column) * ranks).sum(1) for column in centred])
        yield at, np.abs(sums) / np.maximum(length, 1e-9)


def middle_ranks(values: np.ndarray) -> np.ndarray:
    """(N,) ranks with a mean of 0, equal values at the middle of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: np.ndarray = (counts.cumsum() - counts / 2 - len(values) / 2)[which]
    return ranks


def _steps(x: np.ndarray, table: bool) -> Iterator[tuple[int, np.ndarray, int]]:
    """(first position, (N, positions) levels of the values, number of levels) with the same memory for each."""
    levels = max(len(x), 2) if table else LEVELS
    step = max(1, STEP * LEVELS // levels)
    for at in range(0, x.shape[1], step):
        yield at, (_ranks if table else _levels)(x[:, at : at + step]), levels


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


def _counts(level: np.ndarray, levels: int, weights: np.ndarray | None = None) -> np.ndarray:
    """(M, levels) how often each level occurs in each column; weights: (N,) of the rows, in place of 1."""
    width = level.shape[1]
    flat = (level + np.arange(width) * levels).ravel()
    each = None if weights is None else np.repeat(weights, width)
    return np.bincount(flat, each, minlength=width * levels).reshape(width, levels)


def sentence(best: Shortcut, task: Task) -> str:
    return f"The most predictive single {best.unit} is {best.place}: {best.effect(task)}." if best.value else ""
