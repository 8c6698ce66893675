"""The examples of a data set: what they look like, how many there are, how their statistics are distributed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from recipe.plots.style import ACCENT, BAD, COLOURS, DPI, INK, drawing

TILE, GAP, LINE = 76, 13, 12  # pixels
HEAD = 30  # pixels, height of a block's title
MOST_BARS = 60  # of a histogram, one for each whole number
BAR = 0.8  # width of all bars of a class, of the distance between two classes

Block = tuple[str, list[np.ndarray], list[str]]  # title, tiles, text of one or more lines below each tile


def tile(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """An input (C, H, W) as (TILE, TILE, 3) bytes on white, complete and with its own proportions."""
    shown = np.nan_to_num((image - low) / max(high - low, 1e-9)).clip(0, 1)
    shown = shown[:3] if len(shown) >= 3 else shown[:1].repeat(3, 0)
    picture = Image.fromarray((shown.transpose(1, 2, 0) * 255).round().astype(np.uint8))
    scale = TILE / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    small = picture.resize((width, height), Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX)
    square = Image.new("RGB", (TILE, TILE), "white")
    square.paste(small, ((TILE - width) // 2, (TILE - height) // 2))
    return np.asarray(square)


def contact_sheet(path: Path, blocks: Sequence[Block], across: int) -> None:
    """Blocks of pictures, `across` tiles of one width in a row."""
    first = next((tiles[0] for _, tiles, _ in blocks if tiles), np.zeros((TILE, TILE, 3)))
    wide, lines = first.shape[1], max((t.count("\n") + 1 for _, _, texts in blocks for t in texts), default=1)
    step = TILE + LINE * lines + 8
    rows = [-(-len(tiles) // across) for _, tiles, _ in blocks]
    width, height = GAP + across * (wide + GAP), sum(HEAD + n * step for n in rows) + GAP
    canvas, labels, top = np.full((height, width, 3), 255, np.uint8), [], 0
    for (title, tiles, texts), n in zip(blocks, rows, strict=True):
        labels.append((GAP, top + HEAD - 9, title, {"size": 9.5, "va": "baseline", "weight": "bold"}))
        for i, (picture, text) in enumerate(zip(tiles, texts, strict=True)):
            x, y = GAP + i % across * (wide + GAP), top + HEAD + i // across * step
            canvas[y : y + TILE, x : x + wide] = picture
            labels.append((x + wide / 2, y + TILE + 3, text, {"size": 6, "ha": "center", "va": "top"}))
        top += HEAD + n * step
    _paint(path, canvas, labels)


def _paint(path: Path, canvas: np.ndarray, labels: Sequence[tuple[float, float, str, dict[str, Any]]]) -> None:
    """A pixel of the canvas is a pixel of the file; labels: (x, y, text, style)."""
    height, width = canvas.shape[:2]
    with drawing(path, width=width / DPI, height=height / DPI) as (figure, axis):
        figure.set_layout_engine("none")
        axis.set_position((0, 0, 1, 1))
        axis.set_axis_off()
        axis.imshow(canvas, interpolation="nearest", aspect="auto", extent=(0, width, height, 0))
        for x, y, text, style in labels:
            axis.text(x, y, text, family="monospace" if style["size"] < 7 else None, linespacing=1.15, **style)


def class_counts(
    path: Path, classes: Sequence[str], series: Mapping[str, Sequence[int]], title: str, what: str = "class"
) -> None:
    """Examples per class, or per label, as bars side by side, one for each series."""
    upright = len(classes) > 12 or max(map(len, classes)) > 9
    bar = BAR / len(series)
    with drawing(path, width=min(16, max(6.4, 0.3 * len(classes) + 2))) as (_, axis):
        for i, (colour, (name, counts)) in enumerate(zip(COLOURS, series.items(), strict=False)):
            at = [c + (i - (len(series) - 1) / 2) * bar for c in range(len(classes))]
            drawn = axis.bar(at, counts, bar * 0.94, color=colour, label=name)
            if bar * len(classes) <= 12:
                axis.bar_label(drawn, fontsize=7 if len(series) > 1 else 8.5, color=INK, padding=1)
        axis.set_xticks(range(len(classes)), classes, rotation=90 if upright else 0)
        axis.tick_params(axis="x", length=0)
        axis.set(title=title, xlabel=what, ylabel="number of examples")
        if len(series) > 1:
            axis.legend(ncols=len(series), loc="upper right", bbox_to_anchor=(1, 1.12))


def quantities(path: Path, names: Sequence[str], series: Mapping[str, np.ndarray]) -> None:
    """The distribution of each quantity, as lines over shares of the examples; series: {name: values (N, K)}."""
    across = min(3, len(names))
    down = -(-len(names) // across)
    grid = {"nrows": down, "ncols": across, "squeeze": False}
    with drawing(path, width=max(6.4, 3.2 * across), height=3.2 * down, **grid) as (_, axes):
        for axis in axes.flat[len(names) :]:
            axis.set_axis_off()
        for i, (axis, name) in enumerate(zip(axes.flat, names, strict=False)):
            edges = _edges(np.concatenate([values[:, i] for values in series.values()]))
            for colour, (part, values) in zip(COLOURS, series.items(), strict=False):
                shares = np.histogram(values[:, i], edges)[0] / max(1, len(values))
                axis.stairs(shares, edges, color=colour, label=part, lw=1.2)
            axis.set(title=name, ylabel="share of the examples")
        if len(series) > 1:
            axes.flat[0].legend()


def _edges(values: np.ndarray) -> np.ndarray:
    """Of the bins of a histogram: one for each of few whole numbers, else 40."""
    low, high = values.min(), values.max()
    if (values == np.rint(values)).all() and high - low <= MOST_BARS:
        return np.arange(low - 0.5, high + 1)
    return np.histogram_bin_edges(values, bins=40)


def intensities(path: Path, edges: np.ndarray, whole: np.ndarray, classes: Mapping[str, np.ndarray]) -> None:
    """Share of the values in each bin, a panel per class, with that of the whole data set as a line."""
    across = min(5, max(1, len(classes)))
    down = max(1, -(-len(classes) // across))
    grid = {"nrows": down, "ncols": across, "squeeze": False, "sharex": True, "sharey": True}
    with drawing(path, width=2.1 * across + 0.6, height=1.45 * down + 0.7, **grid) as (figure, axes):
        for axis in axes.flat[len(classes) :]:
            axis.set_axis_off()
        for axis, (name, shares) in zip(axes.flat, classes.items(), strict=False):
            axis.stairs(shares, edges, fill=True, color=ACCENT, alpha=0.55)
            axis.stairs(whole, edges, color=INK, lw=0.9, baseline=None)
            axis.set_yscale("log")
            axis.minorticks_off()
            axis.set_title(name, fontsize=9)
        figure.supxlabel("value (line: all classes)", fontsize=9.5)
        figure.supylabel("share of values", fontsize=9.5)


def distributions(path: Path, columns: Mapping[str, np.ndarray], limits: Mapping[str, float]) -> None:
    """A histogram per column; a red dashed line at the limit from which an example is flagged."""
    across = 4
    down = -(-len(columns) // across)
    with drawing(path, width=9.6, height=2.1 * down, nrows=down, ncols=across, squeeze=False) as (_, axes):
        for axis in axes.flat[len(columns) :]:
            axis.set_axis_off()
        for axis, (name, values) in zip(axes.flat, columns.items(), strict=False):
            axis.hist(values, bins=40, color=ACCENT, alpha=0.75)
            if name in limits:
                axis.axvline(limits[name], color=BAD, lw=1.2, ls="--")
            axis.set(title=name, yscale="log")
            axis.minorticks_off()
            axis.set_ylim(bottom=0.7)
        for axis in axes[:, 0]:
            axis.set_ylabel("number of examples")
