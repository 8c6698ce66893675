"""Split-conformal prediction intervals (Lei et al. 2018, Distribution-free predictive inference for regression)."""

import math

import torch
from torch import Tensor

SHARE = 0.9  # of new examples whose value the interval is to contain


def half_widths(p: Tensor, actual: Tensor, share: float = SHARE) -> tuple[float, ...]:
    """For each column of predictions (N, T) the half-width of its interval, in the unit of the targets (N, T).

    It is the ceil((N + 1) * share)-th smallest absolute residual of examples that no network was trained on: where they
    are exchangeable with new ones, the interval contains at least `share` of these, whatever the model and the
    distribution. With fewer examples than that rank it is the largest residual. Members or steps that were chosen on
    the same examples make it slightly too narrow, which the coverage on test shows.
    """
    residuals = (p.double() - actual.double()).abs().sort(0).values
    rank = min(math.ceil((len(residuals) + 1) * share), len(residuals))
    return tuple(residuals[rank - 1].tolist())


def covered(p: Tensor, actual: Tensor, widths: tuple[float, ...]) -> Tensor:
    """(N, T) of 1 where the value is within the half-width of its prediction, else 0."""
    return ((p.double() - actual.double()).abs() <= torch.tensor(widths, dtype=torch.float64)).double()
