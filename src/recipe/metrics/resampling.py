"""The bootstrap over examples (Efron 1979): how often each example is in a draw, and percentiles over draws."""

from collections.abc import Iterator

import numpy as np

DRAWS = 2000  # the 2.5th percentile is the 50th smallest value
AT_ONCE = 2**22  # numbers of the draws that are held together


def draws(count: int, seed: int) -> Iterator[np.ndarray]:
    """How often each of `count` examples is in a draw with replacement: (some of the DRAWS, N).

    The draws of one seed are the same for every system and metric, so their values are paired.
    """
    generator, even = np.random.default_rng(seed), np.full(count, 1 / count)
    together = max(1, AT_ONCE // count)
    for at in range(0, DRAWS, together):
        yield generator.multinomial(count, even, size=min(together, DRAWS - at)).astype(float)


def percentiles(values: np.ndarray) -> tuple[float, float]:
    """The 2.5th and the 97.5th, of the draws that have a value; NaN where none has."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)
