"""The examples of a data set: how many there are, how their statistics are distributed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from recipe.plots.style import ACCENT, BAD, COLOURS, INK, drawing

MOST_BARS = 60  # of a histogram, one for each whole number
BAR = 0.8  # width of all bars of a class, of the distance between two classes


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
