"""Metrics of predicted probabilities (N, L) of labels against targets (N, L) of 0 and 1, as scikit-learn's.

A mean over labels leaves out those without a value: no positive example for the average precision, one value alone for
the ROC AUC, neither a target nor a prediction for F1.
"""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from recipe.metrics.calibration_error import calibration_error, noise
from recipe.metrics.metric import of_weighted
from recipe.metrics.scores import TINY
from recipe.metrics.weighted import Array, average_precision, divided, mean_of_known, means, roc_auc

THRESHOLD = 0.5  # of the probability, from which a label is predicted


def _of_networks(outputs: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return outputs.double().sigmoid(), (y > 0.5).double()


def decided(p: Array) -> Array:
    result: Array = p >= THRESHOLD
    return result


# ---- decisions ---------------------------------------------------------------------------------------------------


def _subset_accuracy(p: Array, y: Array, w: Array) -> Array:
    """The share of examples of which every label is right."""
    return means((decided(p) == y).all(1).astype(float), w)


def counts(p: Array, y: Array, w: Array) -> tuple[Array, Array]:
    """(right positives, predicted plus actual positives) of each label, (D, L) each."""
    predicted = decided(p)
    return np.einsum("dn,nl->dl", w, predicted * y), np.einsum("dn,nl->dl", w, predicted + y)


def _micro_f1(p: Array, y: Array, w: Array) -> Array:
    right, either = counts(p, y, w)
    return divided(2 * right.sum(1), either.sum(1))


def _macro_f1(p: Array, y: Array, w: Array) -> Array:
    right, either = counts(p, y, w)
    return mean_of_known(divided(2 * right, either))


# ---- rankings ----------------------------------------------------------------------------------------------------


def _macro(of: Callable[[Array, Array, Array], Array], p: Array, y: Array, w: Array) -> Array:
    return mean_of_known(np.stack([of(p[:, label], y[:, label], w) for label in range(p.shape[1])], 1))


def _average_precision(p: Array, y: Array, w: Array) -> Array:
    return _macro(average_precision, p, y, w)


def _micro_average_precision(p: Array, y: Array, w: Array) -> Array:
    """Of all pairs of an example and a label in one ranking."""
    labels = p.shape[1]
    examples = np.repeat(np.arange(len(p)), labels)
    parts = np.array_split(w, min(labels, len(w)))  # what is counted for each of all pairs is no larger than w in all
    return np.concatenate([average_precision(p.ravel(), y.ravel(), part, examples) for part in parts])


def _roc_auc(p: Array, y: Array, w: Array) -> Array:
    return _macro(roc_auc, p, y, w)


# ---- probabilities -----------------------------------------------------------------------------------------------


def _log_loss(p: Array, y: Array, w: Array) -> Array:
    """Mean over labels, as the loss is."""
    return means(-np.log(np.maximum(np.where(y == 1, p, 1 - p), TINY)).mean(1), w)


def _ece(p: Array, y: Array, w: Array) -> Array:
    """Mean over labels of the calibration error of their probabilities (Kull et al. 2019, classwise ECE)."""
    each = [calibration_error(scores, actual, w) for scores, actual in zip(p.T, y.T, strict=True)]
    result: Array = np.stack(each, 1).mean(1)
    return result


def _ece_limits(p: Array, y: Array) -> tuple[float, float]:
    """As if the noise of all labels had one direction: those of one example depend on each other."""
    value = _ece(p, y, np.ones((1, len(y))))[0]
    off = np.mean([noise(scores, actual) for scores, actual in zip(p.T, y.T, strict=True)])
    return max(0.0, float(value - off)), float(value + off)


METRICS = {
    metric.name: metric
    for metric in (
        of_weighted("macro_average_precision", "macro average precision", _average_precision, _of_networks),
        of_weighted("micro_average_precision", "micro average precision", _micro_average_precision, _of_networks),
        of_weighted("macro_f1", "macro F1", _macro_f1, _of_networks),
        of_weighted("micro_f1", "micro F1", _micro_f1, _of_networks),
        of_weighted(
            "subset_accuracy", "subset accuracy", _subset_accuracy, _of_networks, percent=True, counts_examples=True
        ),
        of_weighted("roc_auc", "macro ROC AUC", _roc_auc, _of_networks),
        of_weighted(
            "log_loss", "log loss, mean over labels", _log_loss, _of_networks, higher_is_better=False, unit="nats"
        ),
        of_weighted("ece", "classwise ECE", _ece, _of_networks, higher_is_better=False, limits=_ece_limits),
    )
}
