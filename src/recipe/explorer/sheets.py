"""Thumbnails as sheets: many pictures in one WebP, each in its own cell."""

import base64
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from recipe.explorer.columns import pack

if TYPE_CHECKING:
    from PIL import Image

SIDE = 64  # pixels; a larger picture is shrunk by area
ACROSS = 32  # cells of a sheet in each direction
BLOCK = 16  # lossy WebP codes blocks of this side: in cells of whole blocks no picture changes its neighbour
CRISP = 32  # pixels; up to here pixels are drawn as squares


def sheets(picture: Callable[[int], np.ndarray | None], rows: list[int]) -> dict[str, Any]:
    """The pictures of `rows` as JSON.

    cell: width and height of a cell, across: cells in a row of a sheet, each: cells of a sheet, crisp: whether to draw
    pixels as squares, sizes: width and height of every thumbnail, two uint8 each, 0 where there is no picture, sheets:
    data URIs.
    """
    thumbnails = [_thumbnail(picture(row)) for row in rows]
    sizes = np.array([(0, 0) if s is None else s.size for s in thumbnails], np.uint8).reshape(-1, 2)
    largest = [int(n) for n in sizes.max(axis=0, initial=1)]
    lossless = max(largest) <= BLOCK
    cell = largest if lossless else [-(-n // BLOCK) * BLOCK for n in largest]
    quality = {"lossless": True} if lossless else {"quality": 90 if max(largest) <= CRISP else 80}
    each = ACROSS * ACROSS
    parts = [thumbnails[start : start + each] for start in range(0, len(thumbnails), each)]
    return {
        "cell": cell,
        "across": ACROSS,
        "each": each,
        "crisp": max(largest) <= CRISP,
        "sizes": pack(sizes.ravel()),
        "sheets": [_sheet(part, cell, quality) for part in parts],
    }


def _thumbnail(pixels: np.ndarray | None) -> "Image.Image | None":
    from PIL import Image  # here: a page without pictures does not load it

    if pixels is None:
        return None
    pixels = np.asarray(pixels)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    image = Image.fromarray(pixels).convert("RGB")
    scale = SIDE / max(image.size)
    if scale >= 1:
        return image
    width, height = (max(1, round(n * scale)) for n in image.size)
    return image.resize((width, height), Image.Resampling.BOX)


def _sheet(part: "list[Image.Image | None]", cell: list[int], quality: dict[str, Any]) -> str:
    """The thumbnails row by row, each at the top left of its cell; its last pixels fill the rest of the cell."""
    from PIL import Image  # here: a page without pictures does not load it

    width, height = cell
    down = -(-len(part) // ACROSS)
    pixels = np.zeros((down, ACROSS, height, width, 3), np.uint8)
    for i, image in enumerate(part):
        if image is not None:
            missing = ((0, height - image.height), (0, width - image.width), (0, 0))
            pixels[i // ACROSS, i % ACROSS] = np.pad(np.asarray(image), missing, mode="edge")
    whole = Image.fromarray(pixels.transpose(0, 2, 1, 3, 4).reshape(down * height, ACROSS * width, 3))
    buffer = io.BytesIO()
    whole.save(buffer, "WEBP", method=4, **quality)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
