"""Thumbnails as sheets: many pictures in one WebP, each in a cell of its own."""

import base64
import io
from collections.abc import Callable

import numpy as np

from recipe.explorer.columns import packed

SIDE = 64  # pixels; a larger picture is shrunk by area
ACROSS = 32  # cells of a sheet in each direction
BLOCK = 16  # lossy WebP codes blocks of this side: a cell of whole blocks takes nothing from its neighbour
CRISP = 32  # pixels; up to here pixels are drawn as squares


def sheets(picture: Callable[[int], np.ndarray | None], rows: list[int]) -> dict:
    """cell: width and height of a cell, across: cells in a row of the sheet, crisp: whether to draw pixels as squares,
    sizes: width and height of every thumbnail, two uint8 each, 0 where there is no picture, sheets: data URIs.
    """
    small = [_thumbnail(picture(row)) for row in rows]
    sizes = np.array([(0, 0) if s is None else s.size for s in small], np.uint8).reshape(-1, 2)
    largest = [int(n) for n in sizes.max(axis=0, initial=1)]
    lossless = max(largest) <= BLOCK
    cell = largest if lossless else [-(-n // BLOCK) * BLOCK for n in largest]
    quality = {"lossless": True} if lossless else {"quality": 90 if max(largest) <= CRISP else 80}
    each = ACROSS * ACROSS
    parts = [small[start : start + each] for start in range(0, len(small), each)]
    return {
        "cell": cell,
        "across": ACROSS,
        "each": each,
        "crisp": max(largest) <= CRISP,
        "sizes": packed(sizes.ravel()),
        "sheets": [_sheet(part, cell, quality) for part in parts],
    }


def _thumbnail(pixels: np.ndarray | None):
    from PIL import Image

    if pixels is None:
        return None
    pixels = np.asarray(pixels)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    image = Image.fromarray(pixels).convert("RGB")
    scale = SIDE / max(image.size)
    if scale >= 1:
        return image
    return image.resize([max(1, round(n * scale)) for n in image.size], Image.Resampling.BOX)


def _sheet(part: list, cell: list[int], quality: dict) -> str:
    """The thumbnails row by row, each at the top left of its cell; its last pixels fill the rest of the cell."""
    from PIL import Image

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
