"""Texts as a picture: a line each, with a label before it; and a sentence in place of a picture."""

from collections.abc import Sequence
from pathlib import Path

from recipe.formatting import line
from recipe.plots.style import ACCENT, drawing

LABEL, TEXT = 24, 130  # characters


def text_lines(path: Path, texts: Sequence[str], labels: Sequence[str]) -> None:
    """Both are cut where they are longer than the picture is wide."""
    with drawing(path, width=11.0, height=0.4 + 0.2 * max(1, len(texts))) as (_, axis):
        for n, (text, label) in enumerate(zip(texts, labels, strict=True)):
            plain = {"fontsize": 7, "parse_math": False}  # a text may hold two dollar signs
            axis.text(0.0, n, line(label, LABEL), color=ACCENT, **plain)
            axis.text(0.17, n, line(text, TEXT), family="monospace", **plain)
        axis.set(xlim=(0, 1), ylim=(len(texts) - 0.3, -0.8))
        axis.axis("off")


def sentence(path: Path, text: str) -> None:
    """Why there is no picture: DVC requires every output."""
    with drawing(path, width=5, height=0.6) as (_, axis):
        axis.set_axis_off()
        axis.text(0, 0.4, text)
