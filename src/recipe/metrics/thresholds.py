"""The probability from which a label is predicted: the one with the highest F1 on examples that were not trained on.

Where positives are rare, the likeliest answer is nearly always `no`, and a threshold of 0.5 misses most of them. F1 is
highest at half of the F1 that is reached (Lipton, Elkan and Naryanaswamy 2014, Optimal thresholding of classifiers).
"""

import numpy as np

from recipe.metrics.fifths import fifths
from recipe.metrics.weighted import Array

HALF = 0.5


def f1(predicted: Array, positive: Array) -> float:
    """Of bool (N,); 0 where nothing is predicted and nothing positive."""
    return float(2 * (predicted & positive).sum() / max(1, predicted.sum() + positive.sum()))


def best_threshold(p: Array, positive: Array) -> float:
    """Of probabilities (N,) and bool (N,): in the middle between two of them; of equals that nearest to 0.5."""
    if not positive.any():
        return HALF
    values = np.unique(p)
    cuts = np.concatenate([[values[0] / 2], (values[1:] + values[:-1]) / 2, [HALF]])
    order = np.argsort(-p, kind="stable")
    hits = np.concatenate([[0], np.cumsum(positive[order])])
    taken = np.searchsorted(-p[order], -cuts, side="right")  # how many are at least the cut
    scores = 2 * hits[taken] / (taken + positive.sum())
    best = np.flatnonzero(scores >= scores.max() - 1e-12)
    return float(cuts[best[np.argmin(np.abs(cuts[best] - HALF))]])


def helpful_threshold(p: Array, positive: Array) -> float:
    """The best threshold, where such a one has a higher F1 than 0.5 on examples that did not choose it; else 0.5.

    Each fifth of the examples is judged with the threshold of the others: chosen on few, it can do harm.
    """
    predicted = np.zeros(len(p), bool)
    for judged in fifths(len(p)):
        predicted[judged] = p[judged] >= best_threshold(p[~judged], positive[~judged])
    return best_threshold(p, positive) if f1(predicted, positive) > f1(p >= HALF, positive) else HALF
