"""The style of all figures, and how they are saved. The only importer of matplotlib."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFont

from recipe.files import replacing

INK, FAINT, ACCENT, BAD = "#1f2933", "#9aa5b1", "#2563a6", "#b4232a"
COLOURS = ("#2563a6", "#c2571a", "#2e7d4f", "#7b4ea3", "#8a6d1d", "#0e7c86", "#b4232a", "#5a6672")
DPI = 120
STYLE: dict[Any, Any] = {
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.prop_cycle": f"cycler(color={COLOURS})",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "figure.constrained_layout.use": True,
    "font.size": 9.5,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


@contextmanager
def drawing(path: Path | str, width: float = 6.4, height: float = 3.6, **grid: Any) -> Iterator[Any]:
    """(figure, axes) as plt.subplots gives them; saved to `path` when the block ends."""
    import matplotlib  # here: it takes longer to import than a stage takes to find that its config is wrong

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(width, height), dpi=DPI, **grid)
        try:
            yield figure, axes
            figure.canvas.draw()  # and not `savefig`, which draws everything twice: first to lay it out
            save(path, Image.fromarray(np.asarray(figure.canvas.buffer_rgba())))
        finally:
            plt.close(figure)


def few_ticks(axis: Any) -> None:
    """Ticks of a logarithmic axis at 1, 2 and 5 times the powers of ten, as plain numbers: its usual labels overlap
    where it is narrow."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def save(path: Path | str, picture: Image.Image) -> None:
    """As PNG, with no software version and no date: the same picture is the same bytes."""
    with replacing(path) as temporary:
        picture.convert("RGB").save(temporary, format="png", dpi=(DPI, DPI))


@functools.cache
def font(face: str, points: float) -> ImageFont.FreeTypeFont:
    """matplotlib's own DejaVu, laid out as on every machine: Pillow's other layout needs a library of the system."""
    import matplotlib  # here, as above

    file = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVu{face}.ttf"
    return ImageFont.truetype(file, points * DPI / 72, layout_engine=ImageFont.Layout.BASIC)
