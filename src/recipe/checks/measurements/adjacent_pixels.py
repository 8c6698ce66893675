"""Correlation of adjacent pixels of images or filters (N, C, H, W)."""

from torch import Tensor


def adjacent_pixels(x: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Every pixel with its left neighbour, and every pixel with its upper neighbour."""
    return (x[..., 1:], x[..., :-1]), (x[..., 1:, :], x[..., :-1, :])


def weaker_correlation(x: Tensor) -> float:
    """The smaller of the horizontal and the vertical correlation, each channel around its mean over all images."""
    x = x - x.mean((0, 2, 3), keepdim=True)
    return min(
        ((a * b).mean() / (a.square().mean() * b.square().mean()).sqrt().clamp_min(1e-12)).item()
        for a, b in adjacent_pixels(x)
    )


def morans_i(x: Tensor) -> float:
    """Moran's I (1950) over both directions, each channel around its own mean: 0 of noise, near 1 if smooth."""
    x = x.double()
    x = x - x.mean((2, 3), keepdim=True)
    across, down = (a * b for a, b in adjacent_pixels(x))
    pairs = across.numel() + down.numel()
    return ((across.sum() + down.sum()) / pairs / x.square().mean().clamp_min(1e-300)).item()
