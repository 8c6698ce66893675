"""Sums and rankings of examples that count several times, for all draws of a bootstrap at once.

`w` (D, N) says how often each of N examples counts in each of D draws. scikit-learn's metrics take such weights too,
but one draw a call: 1000 draws of 2000 examples take it 1 to 2 seconds for two classes.
"""

from typing import Any

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


class Ranking:
    """Scores (N,), the highest first, with what is positive (N,) of 0 and 1. Equal scores are one step of the ranking,
    as in scikit-learn.

    examples: (N,) whose score each is, where examples have several; else each is of one.
    """

    def __init__(self, scores: Array, positive: Array, examples: Array | None = None):
        order = np.argsort(-scores, kind="stable")
        scores, is_positive = scores[order], positive[order].astype(bool)
        self.examples = order if examples is None else examples[order]
        self.positives = self.examples[is_positive]
        changes = np.flatnonzero(np.diff(scores)) + 1
        step = np.searchsorted(changes, np.flatnonzero(is_positive), side="right")  # of each positive
        self.starts = np.concatenate([[0], changes])[step]
        self.ends = np.concatenate([changes, [len(scores)]])[step]
        self._before = np.concatenate([[0], is_positive.cumsum()])  # positives before each place

    def weights(self, w: Array) -> Array:
        """(P, D) how often each of P positives counts."""
        counts: Array = w.T[self.positives]
        return counts

    def counts(self, places: Array, w: Array) -> tuple[Array, Array]:
        """((P, D) positives, (P, D) all) that count before each place, the ends or the starts of the positives' steps:
        with a score that is at least as high, or with a higher one."""
        return _counted(self.positives, self._before[places], w), _counted(self.examples, places, w)


def _counted(examples: Array, places: Array, w: Array) -> Array:
    """(P, D): how often the examples before each of P places count.

    A sparse matrix that selects the examples between two places takes a tenth of the time of running sums over all, and
    counts are whole numbers, so that the order of the sums does not matter.
    """
    from scipy.sparse import csr_array  # takes a while to import

    ends, at = np.unique(places, return_inverse=True)
    if not len(ends):
        return np.zeros((0, len(w)))
    last = ends[-1]
    selected = csr_array((np.ones(last), examples[:last], np.concatenate([[0], ends])), shape=(len(ends), w.shape[1]))
    sums: Array = np.cumsum(selected @ w.T, axis=0)
    return sums[at]


def average_precision(scores: Array, positive: Array, w: Array, examples: Array | None = None) -> Array:
    """(D,): the mean over positives of the precision at their score, as scikit-learn's average_precision_score.

    NaN where no positive counts. examples: see Ranking.
    """
    ranking = Ranking(scores, positive, examples)
    weights, (positives, every) = ranking.weights(w).T, ranking.counts(ranking.ends, w)
    return divided((weights * divided(positives.T, every.T)).sum(1, where=weights > 0), weights.sum(1))


def roc_auc(scores: Array, positive: Array, w: Array) -> Array:
    """(D,): how often a positive has a higher score than a negative, ties counted as half (Mann and Whitney 1947).

    NaN where no positive or no negative counts.
    """
    ranking = Ranking(scores, positive)
    weights = ranking.weights(w).T
    negatives = (w.sum(1) - weights.sum(1))[:, None]
    at_least, above = (  # negatives with such a score
        every.T - positives.T for positives, every in (ranking.counts(at, w) for at in (ranking.ends, ranking.starts))
    )
    return divided((weights * (negatives - (at_least + above) / 2)).sum(1), weights.sum(1) * negatives[:, 0])
