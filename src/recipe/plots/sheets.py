"""Sheets of pictures with texts: a pixel of the canvas is a pixel of the file.

Pillow draws them: an axis of matplotlib for each picture, or text for each id, takes ten times as long.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from recipe.plots.style import BAD, INK, font, save

TILE, GAP, LINE = 76, 13, 12  # pixels
HEAD = 30  # pixels, height of a block's title

Block = tuple[str, list[np.ndarray], list[str]]  # title, tiles, text of one or more lines below each tile


class Label(NamedTuple):
    """A line of text at pixel (x, y): `anchor` as in Pillow, `size` in points."""

    x: float
    y: float
    text: str
    size: float
    anchor: str = "ma"
    face: str = "Sans"
    colour: str = INK


def tile(image: np.ndarray, low: float, high: float, side: int = TILE) -> np.ndarray:
    """An input (C, H, W) as (side, side, 3) bytes on white, complete and with its own proportions."""
    shown = np.nan_to_num((image - low) / max(high - low, 1e-9)).clip(0, 1)
    shown = shown[:3] if len(shown) >= 3 else shown[:1].repeat(3, 0)
    picture = Image.fromarray((shown.transpose(1, 2, 0) * 255).round().astype(np.uint8))
    scale = side / max(picture.size)
    width, height = (max(1, round(length * scale)) for length in picture.size)
    small = picture.resize((width, height), Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX)
    square = Image.new("RGB", (side, side), "white")
    square.paste(small, ((side - width) // 2, (side - height) // 2))
    return np.asarray(square)


def contact_sheet(path: Path, blocks: Sequence[Block], across: int) -> None:
    """Blocks of pictures, `across` tiles of one width in a row."""
    first = next((tiles[0] for _, tiles, _ in blocks if tiles), np.zeros((TILE, TILE, 3)))
    wide, lines = first.shape[1], max((t.count("\n") + 1 for _, _, texts in blocks for t in texts), default=1)
    step = TILE + LINE * lines + 8
    rows = [-(-len(tiles) // across) for _, tiles, _ in blocks]
    width, height = GAP + across * (wide + GAP), sum(HEAD + n * step for n in rows) + GAP
    canvas, labels, top = _white(width, height), [], 0
    for (title, tiles, texts), n in zip(blocks, rows, strict=True):
        labels.append(Label(GAP, top + HEAD - 9, title, 9.5, "ls", "Sans-Bold"))
        for i, (picture, text) in enumerate(zip(tiles, texts, strict=True)):
            x, y = GAP + i % across * (wide + GAP), top + HEAD + i // across * step
            canvas[y : y + TILE, x : x + wide] = picture
            for line, words in enumerate(text.split("\n")):
                labels.append(Label(x + wide / 2, y + TILE + 3 + LINE * line, words, 6, face="SansMono"))
        top += HEAD + n * step
    _paint(path, canvas, labels)


def pictures(path: Path, images: Any, titles: list[str], columns: int = 12, bad: tuple[int, ...] = ()) -> None:
    """A sheet of images (N, C, H, W) in 0..1 with a title each; those in `bad` are titled in red."""
    side, gap, above, step = 84, 10, 17, 118  # pixels
    canvas = _white(columns * (side + gap), max(1, -(-len(titles) // columns)) * step)
    labels = []
    for i, (image, title) in enumerate(zip(images, titles, strict=False)):
        x, y = gap // 2 + i % columns * (side + gap), above + i // columns * step
        canvas[y : y + side, x : x + side] = tile(np.asarray(image), 0, 1, side)
        labels.append(Label(x + side / 2, y - 3, title, 7.5, "ms", colour=BAD if i in bad else INK))
    _paint(path, canvas, labels)


def rows(path: Path, named: Sequence[tuple[str, Any]]) -> None:
    """A row of images (N, C, H, W) in 0..1 per name, the same examples below each other."""
    side, gap, size = 79, 3, 8.5  # pixels, pixels, points
    names = 2 * LINE + max(int(font("Sans", size).getlength(name)) for name, _ in named)
    across = max(len(images) for _, images in named)
    canvas, labels = _white(names + across * (side + gap), len(named) * (side + gap)), []
    for line, (name, images) in enumerate(named):
        y = line * (side + gap)
        labels.append(Label(names - LINE, y + side / 2, name, size, "rm"))
        for i, image in enumerate(images):
            x = names + i * (side + gap)
            canvas[y : y + side, x : x + side] = tile(np.asarray(image), 0, 1, side)
    _paint(path, canvas, labels)


def _white(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), 255, np.uint8)


def _paint(path: Path, canvas: np.ndarray, labels: Iterable[Label]) -> None:
    sheet = Image.fromarray(canvas)
    draw = ImageDraw.Draw(sheet)
    for x, y, text, size, anchor, face, colour in labels:
        draw.text((x, y), text.replace("\n", " "), colour, font(face, size), anchor)
    save(path, sheet)
