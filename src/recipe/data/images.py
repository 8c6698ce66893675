"""Converts images of any kind to one array, and images of any size to the size that enters the net."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recipe.decode.value_range import white_of
from recipe.errors import RecipeError

PIL_MODES = {"1": "L", "P": "RGB", "PA": "RGBA", "CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB", "LAB": "RGB"}
CHANNELS = (1, 2, 3, 4)


def as_array(image: Any, notes: list[str]) -> tuple[np.ndarray, float]:
    """((C, H, W) uint8 or float32, its `white`, as in recipe.decode.value_range). Conversions are added to `notes`.

    Tensors are channels first, PIL images and arrays channels last, as in torchvision; where only the other order is
    possible, as for an array (3, 32, 32), it is used. Integers of 16 bits become 0..1; other types keep their values.
    Raises TypeError or ValueError for anything that is not an image.
    """
    channels_first = hasattr(image, "detach")
    if hasattr(image, "getbands"):
        image = _plain_mode(image, notes)
    array = image.detach().cpu().numpy() if channels_first else np.asarray(image)
    if array.dtype.kind not in "buif":
        raise TypeError(f"an image of type {type(image).__name__} ({array.dtype})")
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(f"an image of shape {array.shape}; it must have two or three dimensions")
    if array.ndim == 2:
        array = array[None]
    else:
        first, last = array.shape[0] in CHANNELS, array.shape[2] in CHANNELS
        channels_first = first if first != last else channels_first
        array = array if channels_first else array.transpose(2, 0, 1)
    return np.ascontiguousarray(_plain_type(array, notes)), white_of(array)


def _plain_mode(image: Any, notes: list[str]) -> Any:
    """A PIL image in a mode that a net can read: the numbers of a palette are not brightness, so it becomes RGB."""
    mode = PIL_MODES.get(image.mode, image.mode)
    if image.mode == "P" and "transparency" in image.info:
        mode = "RGBA"
    if mode == image.mode:
        return image
    notes.append({"1": "1 bit to grey", "P": "palette to RGB"}.get(image.mode, f"{image.mode} to RGB"))
    return image.convert(mode)


def _plain_type(array: np.ndarray, notes: list[str]) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        notes.append("true and false to grey")
        return array.astype(np.uint8) * 255
    if array.dtype == np.uint16:
        notes.append(f"16 bit {'grey' if len(array) == 1 else 'colour'} to 0..1")
        return array.astype(np.float32) / 65535
    with np.errstate(over="ignore"):  # too large for float32 becomes inf, which the audit reports
        return array.astype(np.float32)


def fit_and_window(
    size: int | Sequence[int], store_size: int | Sequence[int] | None, how: str, channels: int
) -> tuple["Fit", tuple[int, int] | None]:
    """(what images are stored as, height and width of the window of them that enters the net; None: all of it).

    Raises RecipeError where a side of `store_size` is smaller than that of `size`.
    """
    entering = Fit(size, how, channels)
    if store_size is None:
        return entering, None
    try:
        stored = Fit(store_size, how, channels)
    except RecipeError as error:
        raise RecipeError(str(error).replace("`size:", "`store_size:", 1)) from None
    if any(a < b for a, b in zip(stored.height_and_width, entering.height_and_width, strict=True)):
        raise RecipeError(
            f"`store_size: {store_size}` is smaller than `size: {size}`: windows of `size` are cut out of the stored "
            "images, so these must be as large or larger."
        )
    return stored, entering.height_and_width


@dataclass(frozen=True)
class Fit:
    """Brings decoded images (H, W, C) of any size to the one size and number of channels that enter the net.

    size: side in pixels, or (height, width). how: `crop` fills the size and keeps the centre, `pad` keeps the whole
    picture and adds black bars; both keep the aspect ratio. Pixels are averaged by area where the picture gets smaller
    and interpolated linearly where it gets larger. channels: 3 colour, 1 grey (ITU-R 601 luma).
    """

    size: int | Sequence[int]
    how: str = "crop"
    channels: int = 3

    def __post_init__(self) -> None:
        sides = [self.size, self.size] if isinstance(self.size, int) else list(self.size)
        if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
            raise RecipeError(f"`size: {self.size}` must be a side in pixels, or [height, width].")
        if self.how not in ("crop", "pad"):
            raise RecipeError(f"`fit: {self.how}` must be crop or pad.")
        if self.channels not in (1, 3):
            raise RecipeError(f"`channels: {self.channels}` must be 1 (grey) or 3 (colour).")
        object.__setattr__(self, "size", tuple(sides))

    @property
    def height_and_width(self) -> tuple[int, int]:
        height, width = [self.size, self.size] if isinstance(self.size, int) else self.size
        return height, width

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
        """((height, width, channels), notes on what added or removed information)."""
        image, notes = with_channels(image, self.channels)
        (h, w), (height, width) = image.shape[:2], self.height_and_width
        scale = (max if self.how == "crop" else min)(height / h, width / w)
        if scale > 1:
            notes = (*notes, "enlarged")
        if self.how == "crop":
            top, left = max(0.0, (h - height / scale) / 2), max(0.0, (w - width / scale) / 2)
            return _resized(image, (height, width), (left, top, w - left, h - top)), notes
        inner = (min(height, max(1, round(h * scale))), min(width, max(1, round(w * scale))))
        framed = np.zeros((height, width, image.shape[2]), image.dtype)
        top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
        framed[top : top + inner[0], left : left + inner[1]] = _resized(image, inner, (0, 0, w, h))
        return framed, notes


def with_channels(image: np.ndarray, channels: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """(H, W, 1 to 4) as (H, W, channels), and notes on what changed; an alpha channel is removed."""
    notes: tuple[str, ...] = ()
    if image.shape[2] in (2, 4):
        image, notes = image[..., :-1], ("alpha left out",)
    if image.shape[2] == channels:
        return image, notes
    if channels == 3:
        return np.repeat(image, 3, axis=2), (*notes, "grey as three equal channels")
    luma = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    luma = luma if image.dtype == np.float32 else np.rint(luma)
    return luma.astype(image.dtype)[..., None], (*notes, "colour to grey")


def _resized(image: np.ndarray, size: tuple[int, int], box: tuple[float, float, float, float]) -> np.ndarray:
    """The part of (H, W, C) in `box` (left, top, right, bottom) at `size` (height, width)."""
    from PIL import Image

    if tuple(size) == image.shape[:2] and box == (0, 0, size[1], size[0]):
        return image
    larger = size[0] > box[3] - box[1]
    how = Image.Resampling.BILINEAR if larger else Image.Resampling.BOX
    planes = [np.ascontiguousarray(image[..., c]) for c in range(image.shape[2])]  # PIL has no colour images of floats
    resized = [Image.fromarray(plane).resize(size[::-1], how, box) for plane in planes]
    return np.stack([np.asarray(plane) for plane in resized], axis=2)


def preview(image: np.ndarray, side: int = 192, quality: int = 90) -> bytes:
    """(H, W, C) as a JPEG of at most `side` pixels, to be shown."""
    import io

    from PIL import Image

    if image.dtype != np.uint8:
        image = np.rint(np.nan_to_num(image).clip(0, 1) * 255).astype(np.uint8)
    image = with_channels(image, 1 if image.shape[2] < 3 else 3)[0]
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    scale = min(1.0, side / max(picture.size))
    width, height = (max(1, round(s * scale)) for s in picture.size)
    file = io.BytesIO()
    picture.resize((width, height), Image.Resampling.BOX).save(file, "JPEG", quality=quality)
    return file.getvalue()


def lossless(image: np.ndarray) -> bytes:
    """(H, W, C) as a file without loss: bytes as a PNG, the first channel of floats as a TIFF."""
    import io

    from PIL import Image

    file = io.BytesIO()
    if image.dtype == np.uint8:
        Image.fromarray(image if image.shape[2] == 3 else image[..., 0]).save(file, "PNG")
    else:
        Image.fromarray(np.ascontiguousarray(image[..., 0], np.float32)).save(file, "TIFF")
    return file.getvalue()
