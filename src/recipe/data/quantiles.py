"""Columns of a table as normal quantiles of the training set, as a first layer: skewed ones then have no long tail."""

from statistics import NormalDist

import torch
from torch import Tensor, nn

KNOTS = 33  # quantiles of each column
END = 1e-3  # the smallest and the largest training value are the quantiles END and 1 - END
MOST_ROWS = 20_000  # by which quantiles are estimated


class Quantiles(nn.Module):
    """(B, F) to (B, F): each value becomes the standard normal quantile of its rank in the training set.

    A piecewise-linear function of KNOTS points a column, constant beyond the training values; equal points, as of
    counts, have the middle of their ranks (as scikit-learn's QuantileTransformer with a normal output). A column with
    two values or fewer stays as it is. Its numbers are buffers, so that saved weights have them.
    """

    knots: Tensor
    widths: Tensor
    rises: Tensor
    start: Tensor

    def __init__(self, columns: int):
        super().__init__()
        for name, shape in (("knots", KNOTS - 1), ("widths", KNOTS - 1), ("rises", KNOTS - 1)):
            self.register_buffer(name, torch.ones(columns, shape))
        self.register_buffer("start", torch.zeros(columns))

    def fit(self, x: Tensor) -> "Quantiles":
        """Takes the quantiles of training rows x (N, F)."""
        shares = torch.linspace(0, 1, KNOTS, dtype=torch.float64)
        normal = torch.tensor([NormalDist().inv_cdf(min(max(s, END), 1 - END)) for s in shares.tolist()])
        for column, values in enumerate(x.cpu().double().T):
            points = torch.quantile(values, shares)
            heights = points if len(values.unique()) <= 2 else _middle_of_equals(points, normal.double())
            widths = points.diff()
            self.knots[column], self.start[column] = points[:-1], heights[0]
            self.widths[column], self.rises[column] = torch.where(widths > 0, widths, 1.0), heights.diff()
        return self

    def forward(self, x: Tensor) -> Tensor:
        parts = ((x.unsqueeze(-1) - self.knots) / self.widths).clamp(0, 1)
        return self.start + (parts * self.rises).sum(-1)


def _middle_of_equals(points: Tensor, heights: Tensor) -> Tensor:
    """The mean height of equal neighbours."""
    group = torch.cat([torch.zeros(1, dtype=torch.long), (points.diff() > 0).cumsum(0)])
    counts = torch.zeros_like(heights).index_add(0, group, torch.ones_like(heights))
    return (torch.zeros_like(heights).index_add(0, group, heights) / counts)[group]


def few_rows(x: Tensor) -> Tensor:
    """At most MOST_ROWS rows of x (N, F), evenly spread; x may be on disk."""
    return x[torch.linspace(0, len(x) - 1, min(len(x), MOST_ROWS), dtype=torch.float64).long()]
