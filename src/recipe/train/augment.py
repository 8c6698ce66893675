"""Augmentation, on whole batches where it is ours, image by image where it is a person's own.

Ours are the transforms of torchvision.transforms.v2, each image with amounts of its own, in a few calls for the batch;
tests/train/test_augment.py holds them against v2. Images are in 0..1 when an augmentation sees them (`on_pictures`).

An augmentation of ours is a frozen dataclass of strengths with `draws`, how many random numbers an image takes, and
`on_batch(x (N, C, H, W), u (draws, N) in [0, 1)) -> (N, C, H, W)`. A strength is a number, or a tensor (N,) where the
images of one call have different ones (`stack`). No strength is read back from the device: a call never waits for it.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from recipe.errors import RecipeError
from recipe.rng import uniform

Strength = float | Tensor
GREY = (0.2989, 0.587, 0.114)  # of red, green and blue, as in v2


@dataclass(frozen=True)
class Affine:
    """Turns, scales and moves each image a little, each amount drawn evenly from -limit..limit.

    degrees: of rotation; zoom: share of the size; pixels: of either shift, fractions too. As v2.RandomAffine, bilinear,
    but for two things: it rounds shifts to whole pixels, and it fills with black. Here the edge is repeated outwards.
    """

    degrees: Strength = 5.0
    zoom: Strength = 0.05
    pixels: Strength = 0.25
    draws: ClassVar[int] = 4

    def __post_init__(self):
        _within(self, 0, math.inf, "degrees", "pixels")
        _within(self, 0, 0.99, "zoom")  # at 1 an image may shrink to nothing

    def on_batch(self, x: Tensor, u: Tensor) -> Tensor:
        if _none(self.degrees, self.zoom, self.pixels):
            return x
        turn, zoom, right, down = u * 2 - 1
        right, down = right * self.pixels, down * self.pixels
        height, width = x.shape[2:]
        angle, scale = turn * self.degrees * (math.pi / 180), 1 + zoom * self.zoom
        cos, sin = angle.cos() / scale, angle.sin() / scale
        # From output places to input places, in -1..1 over the image. It is moved last: the way back begins there.
        columns = _places(width, x.device) - (right * (2 / width)).view(-1, 1, 1, 1)
        rows = _places(height, x.device).view(-1, 1) - (down * (2 / height)).view(-1, 1, 1, 1)
        along_x = torch.stack([cos, sin * (-width / height)], 1).view(-1, 2, 1, 1)
        along_y = torch.stack([sin * (height / width), cos], 1).view(-1, 2, 1, 1)
        grid = along_x * columns + along_y * rows
        return F.grid_sample(x, grid.permute(0, 2, 3, 1).to(x.dtype), padding_mode="border", align_corners=False)


@dataclass(frozen=True)
class Flip:
    """Mirrors a share of the images left to right, as v2.RandomHorizontalFlip."""

    share: Strength = 0.5
    draws: ClassVar[int] = 1

    def __post_init__(self):
        _within(self, 0, 1, "share")

    def on_batch(self, x: Tensor, u: Tensor) -> Tensor:
        if _none(self.share):
            return x
        mirrored = (u < self.share).to(x.dtype).view(-1, 1, 1, 1)
        return torch.lerp(x, x.flip(3), mirrored)  # exact at 0 and 1; torch.where takes three times as long


@dataclass(frozen=True)
class Crop:
    """Lays `pixels` of black around each image and cuts a piece of its size out at an even place.

    As v2.RandomCrop(size, padding=pixels), whose default border is black (0) too. `pixels` is whole.
    """

    pixels: Strength = 4
    black: float | tuple[float, ...] = 0.0  # what it is in these images, or in each channel
    margin: int = field(init=False, repr=False, compare=False)
    draws: ClassVar[int] = 2

    def __post_init__(self):
        _within(self, 0, 1000, "pixels")
        if not isinstance(self.pixels, Tensor) and self.pixels != int(self.pixels):
            raise RecipeError(f"conf/augment: Crop has `pixels: {self.pixels}`, which must be whole.")
        widest = self.pixels.max() if isinstance(self.pixels, Tensor) else self.pixels
        object.__setattr__(self, "margin", int(widest))  # asks the device once, when it is made

    def on_batch(self, x: Tensor, u: Tensor) -> Tensor:
        if not self.margin:
            return x
        top, left = (u * (2 * self.pixels + 1)).long().unbind()
        if isinstance(self.pixels, Tensor):  # the border is that of the widest
            inwards = (self.margin - self.pixels).long()
            top, left = top + inwards, left + inwards
        return _windows(self._bordered(x), top, left, *x.shape[2:])

    def _bordered(self, x: Tensor) -> Tensor:
        if not isinstance(self.black, tuple):
            return F.pad(x, [self.margin] * 4, value=self.black)
        n, channels, height, width = x.shape
        rows, columns = height + 2 * self.margin, width + 2 * self.margin
        black = _columns(self.black, x.device, x.dtype)
        padded = black.expand(channels, rows, columns).repeat(n, 1, 1, 1)
        padded[:, :, self.margin : -self.margin, self.margin : -self.margin] = x
        return padded


@dataclass(frozen=True)
class Cutout:
    """Blanks a square in a share `chance` of the images; its side is `share` of the image's shorter one, rounded.

    DeVries and Taylor 2017: the middle of the square is at an even place in the image, so a part of it may lie outside.
    v2.RandomErasing draws squares that lie inside; it is the same on an image with a border, which is cut off again.
    """

    share: Strength = 0.25
    chance: Strength = 1.0
    grey: Strength = 0.0  # 0 black, 1 white
    draws: ClassVar[int] = 3

    def __post_init__(self):
        _within(self, 0, 1, "share", "chance", "grey")

    def on_batch(self, x: Tensor, u: Tensor) -> Tensor:
        if _none(self.share) or _none(self.chance):
            return x
        height, width = x.shape[2:]
        side = (torch.as_tensor(self.share, dtype=u.dtype) * min(height, width)).round()
        side = side * (u[0] < self.chance)
        inside = [
            _between(torch.arange(n, device=x.device), (at * n).floor() - (side / 2).floor(), side)
            for n, at in ((height, u[1]), (width, u[2]))
        ]
        hole = (inside[0][:, None, :, None] & inside[1][:, None, None, :]).to(x.dtype)
        kept = x * (1 - hole)  # torch.where takes four times as long
        return kept if _none(self.grey) else kept.add_(hole * _each(self.grey, x))


@dataclass(frozen=True)
class Jitter:
    """Multiplies each image (brightness), and its distances to its own mean grey (contrast), in either order.

    Each factor is even in 1 - strength (at least 0) to 1 + strength, and the result is cut off at 0 and 1: as
    v2.ColorJitter. Where there are neither one nor three channels, grey is their mean.
    """

    brightness: Strength = 0.2
    contrast: Strength = 0.2
    draws: ClassVar[int] = 3

    def __post_init__(self):
        _within(self, 0, math.inf, "brightness", "contrast")

    def on_batch(self, x: Tensor, u: Tensor) -> Tensor:
        brightness, contrast = (_factor(s, v) for s, v in ((self.brightness, u[0]), (self.contrast, u[1])))
        if _none(self.contrast):
            return x if _none(self.brightness) else (x * _each(brightness, x)).clamp_(0, 1)
        if _none(self.brightness):
            return _blend(x, contrast, _grey(x))
        # Brightness is contrast around black. A step is one for half of the images and the other for the rest.
        first = u[2] < 0.5
        x = _blend(x, torch.where(first, brightness, contrast), _grey(x) * ~first)
        return _blend(x, torch.where(first, contrast, brightness), _grey(x) * first)


@dataclass(frozen=True)
class Several:
    """Augmentations of ours, one after the other."""

    augments: tuple = ()

    def __post_init__(self):
        object.__setattr__(self, "augments", tuple(self.augments))  # Hydra gives a list of its own
        if strange := [a for a in self.augments if not ours(a)]:
            raise RecipeError(
                f"conf/augment: Several takes {', '.join(c.__name__ for c in OURS)}, not {strange[0]!r}. "
                "Of your own ones, make one `image -> image` of all."
            )

    @property
    def draws(self) -> int:
        return sum(a.draws for a in self.augments)

    def on_batch(self, x: Tensor, u: Tensor) -> Tensor:
        for augment, mine in zip(self.augments, u.split([a.draws for a in self.augments]), strict=True):
            x = augment.on_batch(x, mine)
        return x


@dataclass(frozen=True)
class OnPictures:
    """An augmentation of ours for standardised images: back to 0..1, through it, and standardised again."""

    inner: object
    mean: tuple[float, ...]  # of each channel
    std: tuple[float, ...]

    @property
    def draws(self) -> int:
        return self.inner.draws

    def on_batch(self, x: Tensor, u: Tensor) -> Tensor:
        mean, std = (_columns(numbers, x.device, x.dtype) for numbers in (self.mean, self.std))
        seen = x.mul(std).add_(mean)
        changed = self.inner.on_batch(seen, u)
        return x if changed is seen else changed.sub_(mean).div_(std)


OURS = (Affine, Flip, Crop, Cutout, Jitter)


def ours(augment) -> bool:
    """Whether it works on batches from given random numbers; else it is an `image -> image` of a person's own."""
    return hasattr(augment, "on_batch")


def kind(augment):
    """Equal for augmentations that `stack` can put together; a person's own is of a kind with itself alone."""
    if isinstance(augment, Several):
        return Several, tuple(map(kind, augment.augments))
    if isinstance(augment, OnPictures):
        return OnPictures, kind(augment.inner), augment.mean, augment.std
    return type(augment) if augment is None or ours(augment) else ("own", id(augment))


def on_pictures(augment, mean: Tensor, std: Tensor):
    """`augment` for images that were standardised by mean and std (C, 1, 1). Of the same kind, ours or a person's own.

    What only moves pixels needs no way back and forth: a mean of neighbours is the same mean on any scale, and the
    border of a crop is drawn in black of that scale.
    """
    if not ours(augment):
        return functools.partial(_own_on_pictures, augment, mean, std)
    if isinstance(augment, Several):
        return Several(on_pictures(a, mean, std) for a in augment.augments)
    if isinstance(augment, Affine | Flip):
        return augment
    if isinstance(augment, Crop):
        return replace(augment, black=_numbers((augment.black - mean) / std))
    return OnPictures(augment, _numbers(mean), _numbers(std))


def apply(augment, x: Tensor, key: Tensor) -> Tensor:
    """x (B, C, H, W) augmented by the random numbers of `key` (2,), on the device of x.

    A person's own `image -> image` is called once an image and draws from the global generators: seed them before.
    """
    if not ours(augment):
        return torch.stack([augment(image) for image in x])
    _images(augment, x)
    return augment.on_batch(x, uniform(key, augment.draws, len(x)))


def stack(augments: list, batch_size: int, device=None):
    """One augmentation for M lanes of B images each: a strength is (M * B,) where lanes differ, else a number still.

    None where it cannot be: kinds differ, or one is a person's own. Stack again when a lane has left.
    """
    if not all(map(ours, augments)):
        return None
    return _stacked(augments, batch_size, device)


def apply_lanes(stacked, x: Tensor, keys: Tensor) -> Tensor:
    """x (M, B, C, H, W) by the keys (M, 2): for each lane what `apply` gives with its own augmentation and key."""
    _images(stacked, x[0])
    u = uniform(keys, stacked.draws, x.shape[1]).transpose(0, 1).flatten(1)
    return stacked.on_batch(x.flatten(0, 1), u).unflatten(0, x.shape[:2])


def _stacked(values, batch_size: int, device):
    first = values[0]
    if any(type(v) is not type(first) for v in values) and not all(isinstance(v, int | float) for v in values):
        return None
    if all(v == first for v in values):
        return first
    if isinstance(first, int | float):
        return torch.tensor(values, dtype=torch.float32, device=device).repeat_interleave(batch_size)
    if isinstance(first, tuple) and all(map(ours, first)) and len({len(v) for v in values}) == 1:  # of Several
        parts = [_stacked(v, batch_size, device) for v in zip(*values, strict=True)]
        return None if any(p is None for p in parts) else tuple(parts)
    if not is_dataclass(first):
        return None
    parts = {
        f.name: _stacked([getattr(v, f.name) for v in values], batch_size, device) for f in fields(first) if f.init
    }
    return None if any(p is None for p in parts.values()) else replace(first, **parts)


def _own_on_pictures(augment: Callable, mean: Tensor, std: Tensor, image: Tensor) -> Tensor:
    mean, std = mean.to(image), std.to(image)
    return (augment(image * std + mean) - mean) / std


def _images(augment, x: Tensor) -> None:
    if x.ndim != 4:
        shape = tuple(x.shape[1:])
        raise RecipeError(f"conf/augment: {type(augment).__name__} takes images (C, H, W), not inputs of {shape}.")


def _within(augment, least: float, most: float, *names: str) -> None:
    for name in names:
        value = getattr(augment, name)
        if not isinstance(value, Tensor) and not least <= value <= most:
            kind = type(augment).__name__
            raise RecipeError(f"conf/augment: {kind} has `{name}: {value}`, which must be from {least} to {most}.")


def _none(*strengths: Strength) -> bool:
    """Known to be zero for every image, without asking the device."""
    return all(not isinstance(s, Tensor) and s == 0 for s in strengths)


def _windows(padded: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
    """Of each image (N, C, H', W') the piece (C, height, width) at top, left (N,).

    The pieces of all places are one overlapping view of the batch, of which N rows are copied: on one thread six times
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
def _starts(n: int, size: int, device) -> Tensor:
    """Where n images of `size` numbers each begin."""
    return torch.arange(0, n * size, size, device=device)


@functools.lru_cache(maxsize=32)
def _places(n: int, device) -> Tensor:
    """The middles of n pixels in -1..1."""
    return torch.arange(1 - n, n, 2, device=device) / n


def _between(places: Tensor, start: Tensor, length: Tensor) -> Tensor:
    """(N, n): which of the places lie in start..start + length, both (N,)."""
    from_start = places - start[:, None]
    return (from_start >= 0) & (from_start < length[:, None])


def _numbers(columns: Tensor) -> tuple[float, ...]:
    return tuple(columns.flatten().tolist())


def _each(strength: Strength, x: Tensor):
    """A number per image as (N, 1, 1, 1), to go with a batch; a plain number as it is."""
    return strength.to(x.dtype).view(-1, 1, 1, 1) if isinstance(strength, Tensor) else strength


def _factor(strength: Strength, u: Tensor) -> Tensor:
    strength = torch.as_tensor(strength, dtype=u.dtype)
    least = (1 - strength).clamp_min(0)
    return least + u * (1 + strength - least)


def _grey(x: Tensor) -> Tensor:
    """The mean grey of each image, (N,)."""
    channels = x.mean((2, 3))
    if channels.shape[1] != 3:
        return channels.mean(1)
    red, green, blue = channels.unbind(1)
    return red * GREY[0] + green * GREY[1] + blue * GREY[2]


def _blend(x: Tensor, factor: Tensor, grey: Tensor) -> Tensor:
    """x with its distances to `grey` multiplied; factor and grey are (N,)."""
    factor = factor.to(x.dtype)
    return (x * _each(factor, x)).add_(_each((1 - factor) * grey, x)).clamp_(0, 1)


@functools.lru_cache(maxsize=32)
def _columns(numbers: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """(C, 1, 1), copied to the device once: each copy would wait for it."""
    return torch.tensor(numbers, dtype=dtype, device=device)[:, None, None]
