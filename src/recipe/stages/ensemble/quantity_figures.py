"""The figures of predicted quantities: how often their intervals contain the truth, and predicted against true."""

from pathlib import Path

import numpy as np

from recipe.metrics.conformal import SHARE, covered, half_widths
from recipe.plots.style import ACCENT, BAD, COLOURS, FAINT, drawing
from recipe.stages.ensemble.results import Results

LEVELS = tuple(np.linspace(0.05, 0.95, 19).round(2).tolist())
MOST = 3000  # points of a picture
COLUMNS = 3  # quantities


def draw(out: Path, r: Results) -> None:
    coverage_curve(out / "reliability.png", r)
    predicted_against_true(out / "mispredictions.png", r)


def coverage_curve(path: Path, r: Results) -> None:
    """Split-conformal intervals from validation at every level: the share of test that they contain."""
    p_val, p_test = r.final.p_val, r.final.p_test
    shares = np.array([
        covered(p_test, r.actual_test, half_widths(p_val, r.actual_val, level)).mean(0).tolist() for level in LEVELS
    ])  # fmt: skip
    with drawing(path, width=4.6, height=4.2) as (_, axis):
        axis.plot([0, 1], [0, 1], color=FAINT, ls="--", lw=1)
        for i, name in enumerate(r.task.names):
            axis.plot(LEVELS, shares[:, i], "o-", ms=3, lw=1.2, color=COLOURS[i % len(COLOURS)], label=name)
        axis.axvline(SHARE, color=FAINT, lw=1)
        axis.set(
            xlabel="share that the interval is to contain", ylabel="share of test inside", xlim=(0, 1), ylim=(0, 1)
        )
        axis.set_title("coverage of the intervals on test")
        axis.legend(fontsize=8)


def predicted_against_true(path: Path, r: Results) -> None:
    """A column for each of the first quantities: predicted against true values, and the residuals below."""
    names = r.task.names[:COLUMNS]
    rows = np.linspace(0, len(r.actual_test) - 1, min(MOST, len(r.actual_test))).astype(int)
    true, predicted = r.actual_test.numpy()[rows], r.final.p_test.numpy()[rows]
    width = 3.6 * len(names) + 0.8
    with drawing(path, width=width, height=6.2, nrows=2, ncols=len(names), squeeze=False, sharex="col") as (_, axes):
        for i, name in enumerate(names):
            x, y, half = true[:, i], predicted[:, i], r.weights.half_widths[i]
            outside = np.abs(y - x) > half
            ends = np.array([min(x.min(), y.min()), max(x.max(), y.max())])
            for axis, values, line in ((axes[0, i], y, ends), (axes[1, i], y - x, 0 * ends)):
                axis.plot(ends, line, color=FAINT, lw=1)
                axis.fill_between(ends, line - half, line + half, color=ACCENT, alpha=0.10, lw=0)
                axis.scatter(x[~outside], values[~outside], s=7, color=ACCENT, alpha=0.5, lw=0)
                axis.scatter(x[outside], values[outside], s=9, color=BAD, alpha=0.7, lw=0)
            axes[0, i].set(title=f"{name}, test", ylabel="predicted")
            unit = f" ({r.metric.unit})" if r.metric.unit else ""
            axes[1, i].set(xlabel=f"true{unit}", ylabel="predicted less true")
