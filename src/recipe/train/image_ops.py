"""Operations on batches of images (N, C, H, W) that augmentations are made of."""

import functools

import torch
from torch import Tensor

Strength = float | Tensor  # one number for all images of a batch, or (N,)
GREY = (0.2989, 0.587, 0.114)  # of red, green and blue, as in torchvision.transforms.v2


def windows(padded: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
    """The window (C, height, width) at top, left (N,) of each image (N, C, H', W').

    The windows at all places are one overlapping view of the batch, of which N rows are copied: on one thread six times
    as fast as indexing two unfolded axes.
    """
    padded = padded.contiguous()  # F.pad keeps channels_last
    n, channels, rows, columns = padded.shape
    size = channels * rows * columns
    last = n * size - (channels - 1) * rows * columns - (height - 1) * columns - width
    every = padded.as_strided((last + 1, channels, height, width), (1, rows * columns, columns, 1))
    at = _starts(n, size, padded.device) + top * columns + left
    return every.index_select(0, at)


@functools.lru_cache(maxsize=32)
def _starts(n: int, size: int, device: torch.device) -> Tensor:
    """The offsets of n images of `size` values each."""
    return torch.arange(0, n * size, size, device=device)


@functools.lru_cache(maxsize=32)
def pixel_centres(n: int, device: torch.device) -> Tensor:
    """The centres of n pixels in -1..1."""
    return torch.arange(1 - n, n, 2, device=device) / n


def between(places: Tensor, start: Tensor, length: Tensor) -> Tensor:
    """(N, n): which of the places lie in start..start + length, both (N,)."""
    from_start = places - start[:, None]
    return (from_start >= 0) & (from_start < length[:, None])


def channel_values(x: Tensor) -> tuple[float, ...]:
    """Of (C, 1, 1)."""
    return tuple(x.flatten().tolist())


def per_image(strength: Strength, x: Tensor) -> Strength:
    """A number per image as (N, 1, 1, 1), which broadcasts over a batch; a plain number as it is."""
    return strength.to(x.dtype).view(-1, 1, 1, 1) if isinstance(strength, Tensor) else strength


def random_factor(strength: Strength, u: Tensor) -> Tensor:
    """(N,): by u from 1 - strength, at least 0, to 1 + strength."""
    strength = torch.as_tensor(strength, dtype=u.dtype)
    least: Tensor = (1 - strength).clamp_min(0)
    return least + u * (1 + strength - least)


def mean_grey(x: Tensor) -> Tensor:
    """The mean grey of each image, (N,)."""
    channels = x.mean((2, 3))
    if channels.shape[1] != 3:
        return channels.mean(1)
    red, green, blue = channels.unbind(1)
    return red * GREY[0] + green * GREY[1] + blue * GREY[2]


def blend(x: Tensor, factor: Tensor, grey: Tensor) -> Tensor:
    """x with its distances to `grey` multiplied; factor and grey are (N,)."""
    factor = factor.to(x.dtype)
    return (x * per_image(factor, x)).add_(per_image((1 - factor) * grey, x)).clamp_(0, 1)


@functools.lru_cache(maxsize=32)
def per_channel(values: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """(C, 1, 1), copied to the device once: each copy would wait for it."""
    return torch.tensor(values, dtype=dtype, device=device)[:, None, None]
