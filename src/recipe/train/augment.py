"""Augmentation: the built-in ones work on whole batches, user-defined ones on one image at a time.

The built-in ones are transforms of torchvision.transforms.v2, with separate random amounts for each image, in a few
calls for the batch; tests/train/test_augment.py compares them with v2. Augmentations get images in 0..1
(`on_pictures`).

A built-in augmentation is a frozen dataclass of strengths with `draws`, the random numbers per image, and
`on_batch(x (N, C, H, W), u (draws, N) in [0, 1)) -> (N, C, H, W)`. A strength is a number, or a tensor (N,) where the
images of one call have different ones (`stack`). No strength is read back from the device: a call never waits for it.
"""

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, ClassVar, Protocol, TypeGuard, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from recipe.errors import RecipeError
from recipe.rng import uniform
from recipe.train.extra import Extra
from recipe.train.image_ops import (
    Strength,
    between,
    blend,
    channel_values,
    mean_grey,
    per_channel,
    per_image,
    pixel_centres,
    random_factor,
    windows,
)


class BatchAugmentation(Protocol):
    """What every built-in augmentation has."""

    @property
    def draws(self) -> int: ...

    def on_batch(self, x: Tensor, u: Tensor) -> Tensor: ...


Augmentation = BatchAugmentation | Callable[[Tensor], Tensor]  # the latter: user-defined, `image -> image`


@dataclass(frozen=True)
class Affine:
    """Rotates, scales and shifts each image a little, each amount drawn uniformly from -limit..limit.

    degrees: of rotation; zoom: share of the size; pixels: of either shift, fractions too. As v2.RandomAffine, bilinear,
    except that v2 rounds shifts to whole pixels and fills with black. Here the edge is repeated outwards.
    """

    degrees: Strength = 5.0
    zoom: Strength = 0.05
    pixels: Strength = 0.25
    draws: ClassVar[int] = 4

    def __post_init__(self) -> None:
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
        # From output to input coordinates, in -1..1 over the image. The shift is applied last, so it is inverted first.
        columns = pixel_centres(width, x.device) - (right * (2 / width)).view(-1, 1, 1, 1)
        rows = pixel_centres(height, x.device).view(-1, 1) - (down * (2 / height)).view(-1, 1, 1, 1)
        along_x = torch.stack([cos, sin * (-width / height)], 1).view(-1, 2, 1, 1)
        along_y = torch.stack([sin * (height / width), cos], 1).view(-1, 2, 1, 1)
        grid = along_x * columns + along_y * rows
        return F.grid_sample(x, grid.permute(0, 2, 3, 1).to(x.dtype), padding_mode="border", align_corners=False)


@dataclass(frozen=True)
class Flip:
    """Mirrors a share of the images left to right, as v2.RandomHorizontalFlip."""

    share: Strength = 0.5
    draws: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _within(self, 0, 1, "share")

    def on_batch(self, x: Tensor, u: Tensor) -> Tensor:
        if _none(self.share):
            return x
        mirrored = (u < self.share).to(x.dtype).view(-1, 1, 1, 1)
        return torch.lerp(x, x.flip(3), mirrored)  # exact at 0 and 1; torch.where takes three times as long


@dataclass(frozen=True)
class Crop:
    """Pads each image with `pixels` of black and crops it to its size at a uniformly random place.

    As v2.RandomCrop(size, padding=pixels), whose default border is black (0) too. `pixels` is a whole number.
    """

    pixels: Strength = 4
    black: float | tuple[float, ...] = 0.0  # its value in these images, or in each channel
    margin: int = field(init=False, repr=False, compare=False)
    draws: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _within(self, 0, 1000, "pixels")
        if not isinstance(self.pixels, Tensor) and self.pixels != int(self.pixels):
            raise RecipeError(f"conf/augment: Crop has `pixels: {self.pixels}`, which must be whole.")
        widest = self.pixels.max() if isinstance(self.pixels, Tensor) else self.pixels
        object.__setattr__(self, "margin", int(widest))  # reads from the device once, when it is made

    def on_batch(self, x: Tensor, u: Tensor) -> Tensor:
        if not self.margin:
            return x
        top, left = (u * (2 * self.pixels + 1)).long().unbind()
        if isinstance(self.pixels, Tensor):  # the border is as wide as the widest
            inwards = (self.margin - self.pixels).long()
            top, left = top + inwards, left + inwards
        return windows(self._bordered(x), top, left, *x.shape[2:])

    def _bordered(self, x: Tensor) -> Tensor:
        if not isinstance(self.black, tuple):
            return F.pad(x, [self.margin] * 4, value=self.black)
        n, channels, height, width = x.shape
        rows, columns = height + 2 * self.margin, width + 2 * self.margin
        black = per_channel(self.black, x.device, x.dtype)
        padded = black.expand(channels, rows, columns).repeat(n, 1, 1, 1)
        padded[:, :, self.margin : -self.margin, self.margin : -self.margin] = x
        return padded


@dataclass(frozen=True)
class Cutout:
    """Blanks a square in a share `chance` of the images; its side is `share` of the image's shorter one, rounded.

    DeVries and Taylor 2017: the centre of the square is uniform in the image, so a part of it may lie outside.
    v2.RandomErasing draws squares that lie inside; on an image with a border that is then cut off it does the same.
    """

    share: Strength = 0.25
    chance: Strength = 1.0
    grey: Strength = 0.0  # 0 black, 1 white
    draws: ClassVar[int] = 3

    def __post_init__(self) -> None:
        _within(self, 0, 1, "share", "chance", "grey")

    def on_batch(self, x: Tensor, u: Tensor) -> Tensor:
        if _none(self.share) or _none(self.chance):
            return x
        height, width = x.shape[2:]
        side = (torch.as_tensor(self.share, dtype=u.dtype) * min(height, width)).round()
        side = side * (u[0] < self.chance)
        within = [
            between(torch.arange(n, device=x.device), (at * n).floor() - (side / 2).floor(), side)
            for n, at in ((height, u[1]), (width, u[2]))
        ]
        hole = (within[0][:, None, :, None] & within[1][:, None, None, :]).to(x.dtype)
        kept = x * (1 - hole)  # torch.where takes four times as long
        return kept if _none(self.grey) else kept.add_(hole * per_image(self.grey, x))


@dataclass(frozen=True)
class Jitter:
    """Multiplies each image (brightness), and its distances to its mean grey (contrast), in random order.

    Each factor is uniform in 1 - strength (at least 0) to 1 + strength, and the result is clamped to 0..1: as
    v2.ColorJitter. Where there are neither one nor three channels, grey is their mean.
    """

    brightness: Strength = 0.2
    contrast: Strength = 0.2
    draws: ClassVar[int] = 3

    def __post_init__(self) -> None:
        _within(self, 0, math.inf, "brightness", "contrast")

    def on_batch(self, x: Tensor, u: Tensor) -> Tensor:
        brightness, contrast = (random_factor(s, v) for s, v in ((self.brightness, u[0]), (self.contrast, u[1])))
        if _none(self.contrast):
            return x if _none(self.brightness) else (x * per_image(brightness, x)).clamp_(0, 1)
        if _none(self.brightness):
            return blend(x, contrast, mean_grey(x))
        # Brightness is contrast around black. Half of the images start with brightness, the rest with contrast.
        first = u[2] < 0.5
        x = blend(x, torch.where(first, brightness, contrast), mean_grey(x) * ~first)
        return blend(x, torch.where(first, contrast, brightness), mean_grey(x) * first)


@dataclass(frozen=True)
class Compose:
    """Built-in augmentations, one after the other."""

    augments: Iterable[BatchAugmentation] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "augments", tuple(self.augments))  # Hydra gives its own kind of list
        if others := [a for a in self.augments if not is_builtin(a)]:
            raise RecipeError(
                f"conf/augment: Compose takes {', '.join(c.__name__ for c in BUILTIN)}, not {others[0]!r}. "
                "Combine user-defined augmentations in one `image -> image`."
            )

    @property
    def draws(self) -> int:
        return sum(a.draws for a in self.augments)

    def on_batch(self, x: Tensor, u: Tensor) -> Tensor:
        for augment, draws in zip(self.augments, torch.split(u, [a.draws for a in self.augments]), strict=True):
            x = augment.on_batch(x, draws)
        return x


Several = Compose  # its former name, for configurations that have it


@dataclass(frozen=True)
class OnPictures:
    """A built-in augmentation for standardised images: back to 0..1, through it, and standardised again."""

    inner: BatchAugmentation
    mean: tuple[float, ...]  # of each channel
    std: tuple[float, ...]

    @property
    def draws(self) -> int:
        return self.inner.draws

    def on_batch(self, x: Tensor, u: Tensor) -> Tensor:
        mean, std = (per_channel(values, x.device, x.dtype) for values in (self.mean, self.std))
        picture = x.mul(std).add_(mean)
        changed = self.inner.on_batch(picture, u)
        return x if changed is picture else changed.sub_(mean).div_(std)


@dataclass(frozen=True)
class Window:
    """Cuts height x width pixels out of each image, at a uniformly random place, as v2.RandomCrop(size)."""

    height: int
    width: int
    draws: ClassVar[int] = 2

    def on_batch(self, x: Tensor, u: Tensor) -> Tensor:
        top, left = (
            (at * (side - inner + 1)).long()
            for at, side, inner in zip(u, x.shape[2:], (self.height, self.width), strict=True)
        )
        return windows(x, top, left, self.height, self.width)


BUILTIN = (Affine, Flip, Crop, Cutout, Jitter)


def is_builtin(augment: object) -> TypeGuard[BatchAugmentation]:
    """Whether it works on batches from given random numbers; else it is a user-defined `image -> image`."""
    return hasattr(augment, "on_batch")


def takes_tokens(augment: object) -> bool:
    """Whether a built-in augmentation is of texts; the others are of images."""
    return getattr(augment, "of_tokens", False)


def structure(augment: object) -> object:
    """Equal for augmentations that `stack` can combine; a user-defined one equals only itself."""
    if isinstance(augment, Compose):
        return Compose, tuple(map(structure, augment.augments))
    if isinstance(augment, OnPictures):
        return OnPictures, structure(augment.inner), augment.mean, augment.std
    return type(augment) if augment is None or is_builtin(augment) else ("user-defined", id(augment))


def without_extra(augment: Augmentation) -> Augmentation | None:
    """What changes single images; None where it only names a second source of examples."""
    if isinstance(augment, Compose):
        kept = [part for part in augment.augments if not isinstance(part, Extra)]
        return Compose(kept) if kept else None
    return None if isinstance(augment, Extra) else augment


def on_pictures(augment: Augmentation, mean: Tensor, std: Tensor) -> Augmentation:
    """`augment` for images that were standardised by mean and std (C, 1, 1); built-in or user-defined, as it was.

    An augmentation that only moves pixels needs no conversion: a mean of neighbours is the same mean on any scale, and
    the border of a crop is drawn in the value that black has on that scale.
    """
    return (
        _builtin_on_pictures(augment, mean, std)
        if is_builtin(augment)
        else functools.partial(_image_on_pictures, cast(Callable, augment), mean, std)
    )


def _builtin_on_pictures(augment: BatchAugmentation, mean: Tensor, std: Tensor) -> BatchAugmentation:
    if isinstance(augment, Compose):
        return Compose(_builtin_on_pictures(a, mean, std) for a in augment.augments)
    if isinstance(augment, Affine | Flip):
        return augment
    if isinstance(augment, Crop):
        black = cast(float, augment.black)  # of images in 0..1: one number for all channels
        return replace(augment, black=channel_values((black - mean) / std))
    return OnPictures(augment, channel_values(mean), channel_values(std))


def _image_on_pictures(augment: Callable[[Tensor], Tensor], mean: Tensor, std: Tensor, image: Tensor) -> Tensor:
    mean, std = mean.to(image), std.to(image)
    return (augment(image * std + mean) - mean) / std


def with_window(augment: Augmentation | None, height: int, width: int) -> Augmentation:
    """`augment`, and then a window of its result; the window of a user-defined one draws from the global generator."""
    if augment is None:
        return Window(height, width)
    if not is_builtin(augment):
        return functools.partial(_image_in_window, cast(Callable, augment), height, width)
    parts = augment.augments if isinstance(augment, Compose) else (augment,)
    return Compose((*parts, Window(height, width)))


def _image_in_window(augment: Callable[[Tensor], Tensor], height: int, width: int, image: Tensor) -> Tensor:
    return Window(height, width).on_batch(augment(image)[None], torch.rand(2, 1))[0]


def apply(augment: Augmentation, x: Tensor, key: Tensor) -> Tensor:
    """x (B, C, H, W), or tokens (B, L), augmented by the random numbers of `key` (2,), on the device of x.

    A user-defined `image -> image` is called once per image and draws from the global generators: seed them before.
    """
    if is_builtin(augment):
        _require_its_inputs(augment, x)
        return augment.on_batch(x, uniform(key, augment.draws, len(x)))
    on_image = cast(Callable[[Tensor], Tensor], augment)
    return torch.stack([on_image(image) for image in x])


def stack(
    augments: Sequence[Augmentation | None], batch_size: int, device: torch.device | str | None = None
) -> BatchAugmentation | None:
    """One augmentation for M lanes of B images each: a strength is (M * B,) where lanes differ, else still a number.

    None where they cannot be combined: their structures differ, or one is user-defined. Stack again after a lane ended.
    """
    if not all(map(is_builtin, augments)):
        return None
    return cast(BatchAugmentation | None, _stacked(augments, batch_size, device))


def apply_lanes(stacked: BatchAugmentation, x: Tensor, keys: Tensor) -> Tensor:
    """x (M, B, C, H, W) by the keys (M, 2): for each lane what `apply` gives with its augmentation and key."""
    _require_its_inputs(stacked, x[0])
    u = uniform(keys, stacked.draws, x.shape[1]).transpose(0, 1).flatten(1)
    return torch.unflatten(stacked.on_batch(x.flatten(0, 1), u), 0, x.shape[:2])


def _stacked(values: Sequence[Any], batch_size: int, device: torch.device | str | None) -> Any:
    first = values[0]
    if any(type(v) is not type(first) for v in values) and not all(isinstance(v, int | float) for v in values):
        return None
    if all(v == first for v in values):
        return first
    if isinstance(first, int | float):
        return torch.tensor(values, dtype=torch.float32, device=device).repeat_interleave(batch_size)
    if isinstance(first, tuple) and all(map(is_builtin, first)) and len({len(v) for v in values}) == 1:  # of Compose
        parts = [_stacked(v, batch_size, device) for v in zip(*values, strict=True)]
        return None if any(p is None for p in parts) else tuple(parts)
    if not is_dataclass(first) or isinstance(first, type):
        return None
    strengths = {
        f.name: _stacked([getattr(v, f.name) for v in values], batch_size, device) for f in fields(first) if f.init
    }
    return None if any(s is None for s in strengths.values()) else replace(first, **strengths)


def _require_its_inputs(augment: BatchAugmentation, x: Tensor) -> None:
    axes, takes = (1, "tokens (L,)") if takes_tokens(augment) else (3, "images (C, H, W)")
    if x.ndim != 1 + axes:
        shape = tuple(x.shape[1:])
        raise RecipeError(f"conf/augment: {type(augment).__name__} takes {takes}, not inputs of {shape}.")


def _within(augment: object, least: float, most: float, *names: str) -> None:
    for name in names:
        value = getattr(augment, name)
        if not isinstance(value, Tensor) and not least <= value <= most:
            name_of_class = type(augment).__name__
            raise RecipeError(
                f"conf/augment: {name_of_class} has `{name}: {value}`, which must be from {least} to {most}."
            )


def _none(*strengths: Strength) -> bool:
    """Known to be zero for every image, without asking the device."""
    return all(not isinstance(s, Tensor) and s == 0 for s in strengths)
