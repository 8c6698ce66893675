"""Sums and rankings of examples that count several times, for all draws of a bootstrap at once.

`w` (D, N) says how often each of N examples counts in each of D draws. scikit-learn's metrics take such weights too,
but one draw a call: 1000 draws of 2000 examples take it 1 to 2 seconds for two classes.
"""

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def means(column: Array, w: Array) -> Array:
    """(D,): the mean of a column (N,)."""
    # einsum and not @: its bits depend neither on threads nor on how many draws are held together
    result: Array = np.einsum("dn,n->d", w, column) / w.sum(1)
    return result


def sums_by(key: Array, count: int, w: Array, column: Array | float = 1.0) -> Array:
    """(D, count): the sums of a column (N,) over the examples of each key (N,), 0 <= key < count."""
    order = np.argsort(key, kind="stable")
    present, starts = np.unique(key[order], return_index=True)
    sums = np.zeros((len(w), count))
    if len(starts):
        sums[:, present] = np.add.reduceat((w * column)[:, order], starts, axis=1)
    return sums


def divided(a: Array, b: Array) -> Array:
    """a / b, NaN where b is 0."""
    result: Array = np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=b != 0)
    return result


def mean_of_known(values: Array) -> Array:
    """The mean (D,) over the columns of (D, C) that have a value; NaN where none has."""
    known = np.isfinite(values)
    return divided(np.where(known, values, 0.0).sum(1), known.sum(1))


class Ranking(NamedTuple):
    """The positives of each draw, the highest score first; numbers of examples with an equal or a higher score.

    w: (D, P) how often each positive counts. positives, all: (D, P) with a score that is at least as high;
    positives_above, all_above: with a higher one.
    """

    w: Array
    positives: Array
    all: Array
    positives_above: Array
    all_above: Array


def ranking(scores: Array, positive: Array, w: Array) -> Ranking:
    """scores (N,), positive (N,) of 0 and 1. Equal scores are one step of the ranking, as in scikit-learn."""
    order = np.argsort(-scores, kind="stable")
    scores, is_positive = scores[order], positive[order].astype(bool)
    changes = np.flatnonzero(np.diff(scores)) + 1
    starts, ends = np.concatenate([[0], changes]), np.concatenate([changes, [len(scores)]])
    step = np.searchsorted(changes, np.flatnonzero(is_positive), side="right")  # of each positive
    sorted_w = w.T[order]  # examples first: the sums run over whole rows of draws, several times faster
    among_all, among_positives = _running(sorted_w), _running(sorted_w[is_positive])
    before = np.concatenate([[0], is_positive.cumsum()])  # positives before each place
    rows = (
        sorted_w[is_positive], among_positives[before[ends[step]]], among_all[ends[step]],
        among_positives[before[starts[step]]], among_all[starts[step]],
    )  # fmt: skip
    return Ranking(*(row.T for row in rows))


def _running(rows: Array) -> Array:
    """(N + 1, D): the sums of the first 0, 1, ... N rows."""
    sums = np.zeros((len(rows) + 1, rows.shape[1]))
    np.cumsum(rows, 0, out=sums[1:])
    return sums


def average_precision(scores: Array, positive: Array, w: Array) -> Array:
    """(D,): the mean over positives of the precision at their score, as scikit-learn's average_precision_score.

    NaN where no positive counts.
    """
    r = ranking(scores, positive, w)
    return divided((r.w * divided(r.positives, r.all)).sum(1, where=r.w > 0), r.w.sum(1))


def roc_auc(scores: Array, positive: Array, w: Array) -> Array:
    """(D,): how often a positive has a higher score than a negative, ties counted as half (Mann and Whitney 1947).

    NaN where no positive or no negative counts.
    """
    r = ranking(scores, positive, w)
    negatives = (w.sum(1) - r.w.sum(1))[:, None]
    at_least, above = r.all - r.positives, r.all_above - r.positives_above  # negatives with such a score
    return divided((r.w * (negatives - (at_least + above) / 2)).sum(1), r.w.sum(1) * negatives[:, 0])
