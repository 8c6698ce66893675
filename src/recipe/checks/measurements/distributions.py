"""The distance between two distributions."""

import torch
from torch import Tensor


def kolmogorov_smirnov(a: Tensor, b: Tensor) -> float:
    """The two-sample Kolmogorov-Smirnov statistic: the largest gap between two distribution functions, 0 to 1."""
    points = torch.cat([a, b]).sort().values
    shares = [torch.searchsorted(part.sort().values, points, right=True) / len(part) for part in (a, b)]
    return (shares[0] - shares[1]).abs().max().item()
