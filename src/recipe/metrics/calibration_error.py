"""The expected calibration error (Guo et al. 2017) in equally wide bins of confidence, and how far noise moves it."""

import numpy as np

from recipe.metrics.resampling import DRAWS
from recipe.metrics.scores import BINS
from recipe.metrics.weighted import Array, sums_by


def calibration_error(confidence: Array, right: Array, w: Array) -> Array:
    """(D,): the mean of |confidence - share of right ones| over bins of confidence (N,), each by its examples."""
    gaps = sums_by(_bins(confidence), BINS, w, confidence - right)
    result: Array = np.abs(gaps).sum(1) / w.sum(1)
    return result


def noise(confidence: Array, right: Array) -> float:
    """How far the measured error is from the true one in at most 5 % of samples; conservative.

    The error sums up absolute values, which noise makes larger: it is too high, and in each draw of a bootstrap once
    more, so that percentiles would often leave out the value itself. By the triangle inequality it is off by at most
    the sum over bins of |measured - true share|, here with binomial noise. Half an example more on both sides of each
    bin keeps a bin of one example from looking certain.
    """
    once = np.ones((1, len(right)))
    hits, examples = (sums_by(_bins(confidence), BINS, once, column)[0] for column in (right, 1.0))
    share = (hits + 0.5) / (examples + 1)
    drawn = np.random.default_rng(0).binomial(examples.astype(int), share, (DRAWS, BINS))
    return float(np.percentile(np.abs(drawn - examples * share).sum(1), 95)) / len(right)


def _bins(confidence: Array) -> Array:
    result: Array = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return result
