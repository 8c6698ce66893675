"""Converts Pillow's image modes to one kind of array, with a note for each conversion."""

import hashlib
import io
import math
import re
import sys
from typing import Any, NamedTuple

import numpy as np

from recipe.decode.value_range import BYTE, DEEP, white_of

WHITE = 255
ROWS = 256  # composited at a time: a whole large picture as floats would take four times its memory
LONG = 10  # an aspect of this or more gets a note
TINY = 4  # pixels; a shorter side gets a note
FILLER = range(126, 131)  # the grey that decoders put where a file ended too early
FILLED = 0.1  # share of the rows
DEEP_COLOUR = re.compile("RGBA?;16[LBN]")  # how Pillow names 16 bit colour, with the order of the bytes
FLAT = 8  # grey levels of 255 between the darkest and the brightest value of each channel


class NoRange(ValueError):
    """The values of black and white are not known."""


class Pixels(NamedTuple):
    """pixels: (H, W, C) uint8, or float32: in 0..1 where the image has 16 bits or floats in 0..1, else as stored.

    alpha: share of pixels with alpha < 1. white: as in recipe.decode.value_range.
    """

    pixels: np.ndarray
    alpha: float = 0.0
    white: float = BYTE


def as_pixels(image: Any, notes: list[str], range_given: bool) -> Pixels:
    """The pixels of a loaded Pillow image: 1 bit, palettes, CMYK and the like become grey or RGB, transparency is
    composited on white.

    Raises NoRange for floats that are not finite and, unless the user gave a range (`range_given`), for 32 bit integers
    and for floats outside 0..1.
    """
    # Pillow has scaled 16 bit PPM to 0..65535
    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N") or (image.mode, image.format) == ("I", "PPM"):
        notes.append("16 bit grey to 0..1")
        return Pixels(np.asarray(image).astype(np.float32)[..., None] / 65535, white=DEEP)
    if image.mode == "I" and not range_given:
        raise NoRange("32 bit integers")
    if image.mode in ("I", "F"):
        return _floats(np.asarray(image, np.float32)[..., None], range_given)
    if image.has_transparency_data:
        return _composited(image, notes)
    if image.mode == "1":
        notes.append("1 bit to grey")
        return Pixels(np.asarray(image.convert("L"))[..., None])
    if image.mode not in ("L", "RGB"):
        notes.append(f"{'palette' if image.mode == 'P' else image.mode} to RGB")
        image = image.convert("RGB")
    pixels = np.asarray(image)
    return Pixels(pixels.reshape(*pixels.shape[:2], -1))


def sixteen_bits(low: Any, high: Any, notes: list[str]) -> Pixels:
    """The pixels of 16 bit colour, from two Pillow images: the low and the high byte of every value."""
    pixels = (np.asarray(high).astype(np.float32) * 256 + np.asarray(low)) / 65535
    notes.append("16 bit colour to 0..1")
    if pixels.shape[2] == 3:
        return Pixels(pixels, white=DEEP)
    return Pixels(*_on_white(pixels[..., :3], pixels[..., 3:], notes, 1.0), DEEP)


def low_bytes(content: bytes, kind: str, image: Any) -> Any:
    """A second Pillow image of 16 bit colour, which will hold the low bytes: Pillow keeps only one byte per value.

    Given the other byte order, Pillow keeps the low byte. None where the format does not tell the byte order.
    """
    from PIL import Image

    other = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}

    def swap_mode(part: Any) -> Any:
        return part[:-1] + other[part[-1]] if isinstance(part, str) and DEEP_COLOUR.fullmatch(part) else part

    def swapped(args: Any) -> Any:
        return tuple(map(swap_mode, args)) if isinstance(args, tuple) else swap_mode(args)

    if kind not in ("PNG", "TIFF") or any(swapped(tile.args) == tile.args for tile in image.tile):
        return None
    low: Any = Image.open(io.BytesIO(content), formats=(kind,))
    low.tile = [tile._replace(args=swapped(tile.args)) for tile in low.tile]
    return low


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """(H, W, C) rotated and mirrored by the EXIF orientation 1..8 (Exif 2.32, tag 0x0112), in C order."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def oddities(pixels: np.ndarray) -> list[str]:
    """Notes on the picture itself: a shape that no filter fits, no contrast, a lower part that was never decoded."""
    height, width = pixels.shape[:2]
    notes = []
    if min(height, width) < TINY or max(height, width) > LONG * min(height, width):
        notes.append(f"odd shape: {width} x {height}")
    flat = FLAT / (255 if pixels.dtype.kind == "f" else 1)
    # a few rows show of nearly every picture that it is not flat, at a tenth of the cost of all rows
    if all(_value_range(part) <= flat for part in (pixels[:: max(1, height // 8)], pixels)):
        return [*notes, "flat: no contrast"]
    if pixels.dtype == np.uint8 and pixels[-1].min() in FILLER:
        share = same_rows(pixels) / height
        if share > FILLED:
            notes.append(f"one grey below: {share:.0%} of the rows")
    return notes


def _value_range(pixels: np.ndarray) -> float:
    """The largest difference within a channel."""
    values = pixels.reshape(-1, pixels.shape[2])
    return (values.max(0) - values.min(0)).max()


def same_rows(pixels: np.ndarray) -> int:
    """How many rows at the bottom have one and the same colour, which is what a decoder leaves where a file was cut."""
    differs = (pixels != pixels[-1:, -1:]).reshape(len(pixels), -1).any(1)
    return int(np.argmax(differs[::-1])) if differs.any() else len(pixels)


def _floats(pixels: np.ndarray, range_given: bool) -> Pixels:
    if not np.isfinite(pixels).all():
        raise NoRange("floats with NaN or infinity among them")
    white = white_of(pixels)
    if math.isnan(white) and not range_given:
        raise NoRange(f"floats from {pixels.min():.4g} to {pixels.max():.4g}")
    return Pixels(pixels, white=white)


def _composited(image: Any, notes: list[str]) -> Pixels:
    if image.mode in ("P", "PA"):
        notes.append("palette to RGB")
    grey = image.mode in ("1", "L", "LA", "La")
    pixels = np.asarray(image.convert("RGBA"))
    return Pixels(*_on_white(pixels[..., : 1 if grey else 3], pixels[..., 3:], notes, WHITE))


def _on_white(colour: np.ndarray, alpha: np.ndarray, notes: list[str], white: float) -> tuple[np.ndarray, float]:
    """(pixels, share with alpha < 1), of (H, W, 1 or 3) colour and (H, W, 1) alpha with values up to `white`."""
    share = float((alpha < white).mean())
    if not share:
        notes.append("opaque alpha dropped")
        return np.ascontiguousarray(colour), 0.0
    notes.append("alpha composited on white")
    mixed = np.empty(colour.shape, colour.dtype)
    for start in range(0, len(colour), ROWS):
        rows = slice(start, start + ROWS)
        opaque = alpha[rows].astype(np.float32) / white
        blend = colour[rows] * opaque + white * (1 - opaque)
        mixed[rows] = np.rint(blend) if colour.dtype == np.uint8 else blend
    return mixed, share


def content_hash(pixels: np.ndarray) -> str:
    """SHA-256 of (C, H, W): equal for equal pixels of equal shape and type, whatever file they came from."""
    return hashlib.sha256(f"{pixels.dtype}{pixels.shape}".encode() + pixels.tobytes()).hexdigest()
