"""Many numbers of each example on a plane."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recipe.plots.style import COLOURS, FAINT, drawing

MOST = 5000  # points


def plane(path: Path, values: np.ndarray, names: Sequence[str]) -> float:
    """Rows (N, D) on their first two principal components, a colour for each of at most as many names as there are
    colours; gives the share of the variance that the two hold.

    Of more than `MOST` rows, evenly spread ones.
    """
    rows = np.linspace(0, len(values) - 1, min(len(values), MOST)).astype(int)
    x = np.asarray(values[rows], np.float64)
    x = x - x.mean(0)
    scatter = x @ x.T if len(x) < x.shape[1] else x.T @ x
    powers, axes = np.linalg.eigh(scatter)
    powers, axes = powers[::-1].clip(0), axes[:, ::-1][:, :2]
    points = axes * np.sqrt(powers[:2]) if len(x) < x.shape[1] else x @ axes
    points = points * np.where(points[np.abs(points).argmax(0), range(points.shape[1])] < 0, -1, 1)  # a fixed sign
    of = [names[row] for row in rows]
    classes = list(dict.fromkeys(sorted(of)))
    with drawing(path, width=5.6, height=4.4) as (_, axis):
        if len(classes) > len(COLOURS):
            axis.scatter(points[:, 0], points[:, 1], s=9, color=FAINT, lw=0)
        else:
            for colour, name in zip(COLOURS, classes, strict=False):
                here = [one == name for one in of]
                axis.scatter(points[here, 0], points[here, 1], s=12, color=colour, lw=0, alpha=0.7, label=name)
            axis.legend(fontsize=8, markerscale=1.6)
        axis.set(xlabel="first principal component", ylabel="second principal component")
    return float(powers[:2].sum() / max(powers.sum(), 1e-12))
