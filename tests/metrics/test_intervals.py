"""Wilson's interval: its coverage, that of scipy, and the same bits for numbers and arrays."""

import math

import numpy as np
from scipy import stats

from recipe.metrics.intervals import Z95, wilson, wilson_half_width


def test_wilsons_interval_covers_the_true_share():
    rng = np.random.default_rng(0)
    low, high = wilson(rng.binomial(60, 0.05, 4000) / 60, 60)
    assert 0.93 < ((low <= 0.05) & (high >= 0.05)).mean() < 0.98


def test_numbers_and_arrays_have_the_interval_of_the_textbook_bit_for_bit():
    for n in (1, 2, 7, 60, 357, 10_000):
        shares = np.arange(0, n + 1, max(1, n // 50)) / n
        lows, highs = wilson(shares, n)
        for p, low, high in zip(shares.tolist(), lows, highs, strict=True):
            centre = (p + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
            half = Z95 / (1 + Z95**2 / n) * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n**2))
            assert (low, high) == (max(0.0, centre - half), min(1.0, centre + half))
            assert wilson(p, n) == (low, high)
            assert wilson_half_width(p, n) == half


def test_it_is_that_of_scipy():
    for right, n in ((0, 5), (3, 5), (300, 357), (357, 357)):
        low, high = wilson(right / n, n)
        known = stats.binomtest(right, n).proportion_ci(method="wilson")
        np.testing.assert_allclose((low, high), (known.low, known.high), atol=1e-12)
