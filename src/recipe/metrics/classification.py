"""Metrics of predicted probabilities (N, K) against classes (N,), defined as scikit-learn's of the same names.

A mean over classes is over those that occur in the targets (for F1, in targets or predictions): no metric warns, and
one that does not exist, as a ranking of one class alone, is NaN.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from recipe.metrics.calibration_error import calibration_error, noise
from recipe.metrics.intervals import wilson
from recipe.metrics.metric import Metric, of_weighted
from recipe.metrics.scores import TINY
from recipe.metrics.weighted import Array, average_precision, divided, mean_of_known, means, roc_auc, sums_by


def decided(outputs: Tensor) -> Tensor:
    """The class with the highest output (..., K); of outputs without rounding, which may make two of them equal."""
    return outputs.argmax(-1)


def classes(y: Tensor) -> Tensor:
    """Targets (N,), or the likeliest class of soft targets (N, K)."""
    return y if y.ndim == 1 else y.argmax(1)


def _of_networks(outputs: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return outputs.double().softmax(-1), classes(y)


# ---- shares of classes -----------------------------------------------------------------------------------------


def _right(p: Array, y: Array) -> Array:
    result: Array = p.argmax(1) == y
    return result


def _accuracy(p: Array, y: Array, w: Array) -> Array:
    return means(_right(p, y).astype(float), w)


def _accuracy_of_networks(outputs: Tensor, y: Tensor) -> Tensor:
    return (decided(outputs) == classes(y)).float().mean(1)


def recalls(p: Array, y: Array, w: Array) -> tuple[Array, Array]:
    """(right, examples), each (D, K): of the examples of each class."""
    count = p.shape[1]
    return sums_by(y, count, w, _right(p, y)), sums_by(y, count, w)


def _balanced_accuracy(p: Array, y: Array, w: Array) -> Array:
    return mean_of_known(divided(*recalls(p, y, w)))


def _balanced_accuracy_of_networks(outputs: Tensor, y: Tensor) -> Tensor:
    actual = classes(y)
    examples = torch.bincount(actual, minlength=outputs.shape[-1])
    each = (1.0 / examples.double())[actual] / (examples > 0).sum()  # what an example counts
    return ((decided(outputs) == actual) * each).sum(1)


def balanced_accuracy_limits(p: Array, y: Array) -> tuple[float, float]:
    """A mean of independent shares, each with Wilson's interval, combined by MOVER (Zou and Donner 2008, Construction
    of confidence limits about effect measures). A bootstrap of a rare class that is all right has no width."""
    right, examples = (sums[0] for sums in recalls(p, y, np.ones((1, len(y)))))
    right, examples = right[examples > 0], examples[examples > 0]
    share = right / examples
    low, high = wilson(share, examples)
    below, above = (math.sqrt(np.square(side).sum()) / len(share) for side in (share - low, high - share))
    return max(0.0, float(share.mean()) - below), min(1.0, float(share.mean()) + above)


def _macro_f1(p: Array, y: Array, w: Array) -> Array:
    """Of each class 2 TP / (2 TP + FP + FN): twice the right ones, over how often it is predicted and is there."""
    right, examples = recalls(p, y, w)
    return mean_of_known(divided(2 * right, examples + sums_by(p.argmax(1), p.shape[1], w)))


# ---- probabilities -----------------------------------------------------------------------------------------------


def _log_loss(p: Array, y: Array, w: Array) -> Array:
    return means(-np.log(np.maximum(p[np.arange(len(y)), y], TINY)), w)


def _brier(p: Array, y: Array, w: Array) -> Array:
    """Squared distance to the one-hot target, summed over classes (Brier 1950): 0 to 2."""
    return means(np.square(p - np.eye(p.shape[1])[y]).sum(1), w)


def _ece(p: Array, y: Array, w: Array) -> Array:
    return calibration_error(p.max(1), _right(p, y), w)


def _ece_limits(p: Array, y: Array) -> tuple[float, float]:
    value, off = _ece(p, y, np.ones((1, len(y))))[0], noise(p.max(1), _right(p, y))
    return max(0.0, float(value) - off), float(value) + off


# ---- rankings ----------------------------------------------------------------------------------------------------


def ranked_classes(y: Array, count: int) -> list[int]:
    """Which classes are ranked against the rest: of two the one with fewer examples in the targets, number 1 where both
    have as many; of more all that occur. None where one class is alone: a ranking needs two."""
    present = np.unique(y)
    if len(present) < 2:
        return []
    if count > 2:
        return [int(c) for c in present]
    return [0 if (y == 0).sum() < (y == 1).sum() else 1]


def _average_precision(p: Array, y: Array, w: Array) -> Array:
    return _one_against_rest(average_precision, p, y, w)


def _roc_auc(p: Array, y: Array, w: Array) -> Array:
    return _one_against_rest(roc_auc, p, y, w)


def _one_against_rest(of: Callable[[Array, Array, Array], Array], p: Array, y: Array, w: Array) -> Array:
    each = [of(p[:, c], y == c, w) for c in ranked_classes(y, p.shape[1])]
    return mean_of_known(np.stack(each, 1)) if each else np.full(len(w), np.nan)


ACCURACY = Metric(
    "accuracy", "accuracy", lambda p, y: (p.argmax(1) == y).double().mean().item(), _accuracy_of_networks,
    percent=True, counts_examples=True, weighted=_accuracy,
)  # fmt: skip
BALANCED_ACCURACY = of_weighted(
    "balanced_accuracy", "balanced accuracy", _balanced_accuracy, _of_networks,
    percent=True, of_networks=_balanced_accuracy_of_networks, limits=balanced_accuracy_limits,
)  # fmt: skip
AVERAGE_PRECISION = of_weighted("average_precision", "average precision", _average_precision, _of_networks)
METRICS = {
    metric.name: metric
    for metric in (
        ACCURACY,
        BALANCED_ACCURACY,
        of_weighted("macro_f1", "macro F1", _macro_f1, _of_networks),
        AVERAGE_PRECISION,
        of_weighted("roc_auc", "ROC AUC", _roc_auc, _of_networks),
        of_weighted("log_loss", "log loss", _log_loss, _of_networks, higher_is_better=False, unit="nats"),
        of_weighted("brier", "Brier score", _brier, _of_networks, higher_is_better=False),
        of_weighted("ece", "ECE", _ece, _of_networks, higher_is_better=False, limits=_ece_limits),
    )
}
