"""Tables of a classification by class, and of labels by label: rows for a csv."""

import math
from collections.abc import Sequence

import numpy as np

from recipe.metrics.intervals import wilson
from recipe.metrics.multilabel import THRESHOLD
from recipe.metrics.weighted import Array, average_precision, roc_auc

Row = dict[str, str | float]


def by_class(predicted: Array, y: Array, names: Sequence[str]) -> list[Row]:
    """A row per class of predicted classes (N,) against true ones (N,), also of those without an example.

    recall: the share of the class's examples that are predicted as it; precision: the share of those predicted as it
    that belong to it; each with Wilson's 95 % interval, and empty where it is a share of nothing.
    """
    return [_shares("class", name, predicted == c, y == c) for c, name in enumerate(names)]


def by_label(p: Array, y: Array, names: Sequence[str], thresholds: Sequence[float] | None = None) -> list[Row]:
    """A row per label of probabilities (N, L) against 0 and 1 (N, L): as by_class, with the rankings of the label.

    thresholds: (L,) of the probability, from which a label is predicted; 0.5 by default.
    """
    limits = [THRESHOLD] * len(names) if thresholds is None else thresholds
    once = np.ones((1, len(y)))
    rows = []
    for name, limit, scores, actual in zip(names, limits, p.T, y.T, strict=True):
        row = _shares("label", name, scores >= limit, actual == 1) | {"threshold": limit}
        for ranking, of in (("average_precision", average_precision), ("roc_auc", roc_auc)):
            row[ranking] = _known(of(scores, actual, once)[0])
        rows.append(row)
    return rows


def _shares(kind: str, name: str, predicted: Array, actual: Array) -> Row:
    right, positives, claimed = (int(which.sum()) for which in (predicted & actual, actual, predicted))
    row: Row = {kind: name, "examples": positives, "predicted": claimed, "right": right}
    for share, count in (("precision", claimed), ("recall", positives)):
        value = right / count if count else math.nan
        low, high = wilson(value, count) if count else (math.nan, math.nan)
        row |= {share: _known(value), f"{share}_low": _known(low), f"{share}_high": _known(high)}
    return row | {"f1": 2 * right / (positives + claimed) if positives + claimed else ""}


def _known(value: float) -> str | float:
    return float(value) if math.isfinite(value) else ""
