"""The audit's figures of labels and quantities: what occurs together, and values against their predictions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recipe.plots.style import ACCENT, BAD, FAINT, INK, drawing
from recipe.stages.audit.label_sets import Cooccurrence
from recipe.stages.audit.quantities import Residuals

MOST_LABELS = 30  # of a table
WRITTEN = 16  # labels up to which each cell has its number
MOST_POINTS = 3000
COLUMNS = 3  # quantities
WILD = 10.0  # times the range of the predictions: measured values of a wider range are drawn on a logarithmic axis


def together(path: Path, names: Sequence[str], c: Cooccurrence) -> str:
    """P(column | row) of the commonest labels; a note for the caption where some are left out."""
    shown = np.sort(np.argsort(-c.each, kind="stable")[:MOST_LABELS])
    share, lift = (table[np.ix_(shown, shown)] for table in (c.conditional, c.lift))
    colour = np.clip(np.log2(np.maximum(np.nan_to_num(lift, nan=1.0), 1e-3)), -3, 3)
    np.fill_diagonal(colour, np.nan)
    size = min(11.0, 2.4 + 0.42 * len(shown))
    with drawing(path, width=size + 1.2, height=size) as (figure, axis):
        picture = axis.imshow(colour, cmap="RdBu", vmin=-3, vmax=3)
        labels = [names[i] for i in shown]
        axis.set_xticks(range(len(shown)), labels, rotation=90)
        axis.set_yticks(range(len(shown)), [f"{name} ({c.each[i]:,})" for name, i in zip(labels, shown, strict=True)])
        axis.tick_params(length=0)
        if len(shown) <= WRITTEN:
            for (row, column), value in np.ndenumerate(share):
                if row != column and np.isfinite(value):
                    dark = abs(colour[row, column]) > 2
                    axis.text(
                        column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=7.5,
                        color="white" if dark else INK,
                    )  # fmt: skip
        bar = figure.colorbar(picture, ax=axis, shrink=0.7, ticks=(-3, -2, -1, 0, 1, 2, 3))
        bar.ax.set_yticklabels(("1/8", "1/4", "1/2", "1", "2", "4", "8"))
        bar.set_label("times as often as independent labels would")
        axis.set_title("labels that occur together (per cent of the row)")
    left = len(names) - len(shown)
    return f" The {left} rarest labels are left out." if left else ""


def predicted(path: Path, names: Sequence[str], actual: np.ndarray, judged: Sequence[Residuals]) -> None:
    """A panel for each of the first quantities."""
    count = min(COLUMNS, len(names))
    with drawing(path, width=3.8 * count + 0.6, height=3.7, ncols=count, squeeze=False) as (_, axes):
        for axis, name, values, r in zip(axes[0], names, actual.T, judged, strict=False):
            usual, flagged = np.flatnonzero(~r.flagged), np.flatnonzero(r.flagged)
            usual = usual[np.linspace(0, len(usual) - 1, min(MOST_POINTS, len(usual))).astype(int)]
            wild = np.ptp(values) > WILD * max(float(np.ptp(r.predicted)), 1e-12)
            both = r.predicted if wild else np.concatenate([values, r.predicted])
            ends = np.array([both.min(), both.max()])
            axis.plot(ends, ends, color=FAINT, lw=1)
            for rows, colour, size in ((usual, ACCENT, 6), (flagged, BAD, 14)):
                axis.scatter(r.predicted[rows], values[rows], s=size, color=colour, alpha=0.5, lw=0)
            if wild:
                axis.set_yscale("symlog", linthresh=float(np.abs(r.predicted).max()))
            axis.set(title=f"{name}: {len(flagged):,} suspect", xlabel="predicted", ylabel="measured")
