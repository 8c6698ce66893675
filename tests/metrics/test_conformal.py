"""Split-conformal intervals hold what they promise, and temperatures of labels are found again."""

import math

import pytest
import torch

from recipe.metrics.calibration import fit_label_temperature, tempered_label
from recipe.metrics.conformal import SHARE, covered, half_widths


def residuals(n: int, seed: int) -> torch.Tensor:
    """Of two columns, with tails of different weight."""
    rng = torch.Generator().manual_seed(seed)
    normal = torch.randn(n, 2, dtype=torch.float64, generator=rng)
    return torch.stack([normal[:, 0], 20 * normal[:, 1] ** 3], 1)


@pytest.mark.parametrize("n", [9, 50, 199])
def test_intervals_cover_at_least_their_share_on_average(n):
    """Over many draws of examples that set the width, whatever the distribution; and hardly more."""
    shares = []
    for seed in range(300):
        widths = half_widths(torch.zeros(n, 2), residuals(n, seed))
        shares.append(covered(torch.zeros(400, 2), residuals(400, 1000 + seed), widths).mean(0))
    rank = math.ceil((n + 1) * SHARE)
    assert torch.stack(shares).mean(0).tolist() == pytest.approx([rank / (n + 1)] * 2, abs=0.012)
    assert rank / (n + 1) >= SHARE


def test_the_width_is_an_absolute_residual_of_that_rank():
    actual = torch.arange(1.0, 21.0, dtype=torch.float64)[:, None] * torch.tensor([1.0, -10.0])
    assert half_widths(torch.zeros(20, 2), actual) == (19.0, 190.0)  # ceil(21 * 0.9)
    assert half_widths(torch.zeros(3, 2), actual[:3]) == (3.0, 30.0)  # fewer than the rank: the largest


def test_a_labels_temperature_is_found_again():
    rng = torch.Generator().manual_seed(0)
    p = (2 * torch.randn(20_000, dtype=torch.float64, generator=rng)).sigmoid()
    present = torch.bernoulli(p, generator=rng)
    for t in (0.5, 1.0, 3.0):
        assert fit_label_temperature(tempered_label(p, 1 / t), present) == pytest.approx(t, rel=0.05)
    assert tempered_label(p, 1.0).allclose(p)
