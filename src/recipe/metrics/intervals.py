"""Wilson's score interval of a share (Wilson 1927): valid also near 0 and 1, where the normal interval is not."""

from typing import Any

import numpy as np

Z95 = 1.959963984540054  # 97.5th percentile of the normal distribution


def wilson(share: Any, n: Any, z: float = Z95) -> tuple[Any, Any]:
    """(low, high) of a share of n examples; numbers or arrays. z: standard errors, 1.96 for a 95 % interval."""
    centre, half = (share + z**2 / (2 * n)) / (1 + z**2 / n), wilson_half_width(share, n, z)
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)


def wilson_half_width(share: Any, n: Any, z: float = Z95) -> Any:
    """Half of the interval's width, before it is cut off at 0 and 1; widest at a share of one half."""
    return z / (1 + z**2 / n) * np.sqrt(np.maximum(share * (1 - share), 0) / n + z**2 / (4 * n**2))
