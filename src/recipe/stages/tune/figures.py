"""The figures of a search: the best so far, values tried, and which keys matter."""

import math
from pathlib import Path

import numpy as np

from recipe.metrics.objective import Objective
from recipe.plots.style import ACCENT, COLOURS, FAINT, INK, drawing
from recipe.stages.tune.results import SearchResults

GRID, DULL = "#e8ebee", "#c5ccd3"
COLUMNS = 4  # panels in a row


def draw(out: Path, results: SearchResults) -> None:
    rows, axes = results.rows(), results.axes()
    best, half = results.progress()
    objective = results.objective
    progress(out / "best_so_far.png", best, half, results.tuned.accepted_cost, results.confidence, objective)
    slices(out / "slices.png", rows, axes, objective)
    parallel(out / "parallel.png", rows, axes, objective)
    importance(out / "importances.png", results.importances())


def progress(
    path: Path, best: dict[str, list[list[float]]], half: dict[str, list[float]], reference: float, confidence: float,
    objective: Objective,
) -> None:  # fmt: skip
    """The best value so far against trials: the mean over repeats, its interval at the end, each repeat thin.

    best: {sampler: a curve of costs per repeat}, infinite before the first complete trial. half: {sampler: half width
    of the interval at each trial}, NaN where there is none. reference: the accepted recipe's cost, a dashed line.
    """
    reference, sign = objective.turned(reference), objective.turned(1)
    with drawing(path, width=6.8, height=3.8) as (_, axis):
        for n, (colour, (sampler, curves)) in enumerate(zip(COLOURS, best.items(), strict=False)):
            values = sign * np.where(np.isfinite(curves), curves, np.nan)
            x, mean = np.arange(1, values.shape[1] + 1), values.mean(0)
            for curve in values:
                axis.plot(x, curve, drawstyle="steps-post", lw=0.7, alpha=0.45, color=colour)
            axis.plot(x, mean, drawstyle="steps-post", lw=2.2, color=colour, label=f"{sampler}, mean of {len(curves)}")
            width = np.asarray(half[sampler])
            at = x[-1] + 0.3 * (n + 1)  # the interval of the last value, to the right of the curves
            axis.errorbar(at, mean[-1], width[-1], color=colour, lw=1.6, capsize=3, marker="o", ms=4)
        axis.axhline(reference, color=INK, ls=(0, (4, 3)), lw=1, label="accepted recipe, same seeds")
        known = [v for curves in best.values() for curve in curves for v in curve if math.isfinite(v)]
        if known:  # a poor first trial, or a wide interval, must not flatten everything else
            good, poor = min(*known, sign * reference), max(np.quantile(known, 0.95), sign * reference)
            ends = good - 0.12 * (poor - good), poor + 0.1 * (poor - good)
            axis.set_ylim(sorted(sign * end for end in ends))
        title = f"best {objective.title} so far, with {100 * confidence:.4g} % CI of the last mean"
        axis.set(xlabel="trials", ylabel=f"best {objective.title} so far", title=title)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(color=GRID, lw=0.6)
        axis.legend(fontsize=8)


def slices(path: Path, rows: list[dict], axes_of: dict[str, dict], objective: Objective) -> None:
    """The objective against each searched key, a colour per sampler; trials that were stopped early are grey.

    rows: of trials.csv. axes_of: {key: {"choices": [...]} or {"log": bool}}.
    """
    columns = min(COLUMNS, len(axes_of))
    lines = -(-len(axes_of) // columns)
    size = {"width": 2.6 * columns + 0.5, "height": 2.5 * lines + 0.2, "nrows": lines, "ncols": columns}
    with drawing(path, **size, sharey=True, squeeze=False) as (figure, axes):
        for axis in axes.flat[len(axes_of) :]:
            axis.set_visible(False)
        samplers = list(dict.fromkeys(row["sampler"] for row in rows))
        for axis, (key, scale) in zip(axes.flat, axes_of.items(), strict=False):
            known = [r for r in rows if r[objective.column] is not None and r[key] is not None]
            _slice(axis, known, key, scale, samplers, objective)
        for line in axes:
            line[0].set_ylabel(objective.title)
        named = axes[0][0].get_legend_handles_labels()
        figure.legend(*named, loc="outside upper left", ncols=len(samplers) + 1, fontsize=8)


def _slice(axis, rows: list[dict], key: str, scale: dict, samplers: list[str], objective: Objective) -> None:
    pruned = [r for r in rows if r["state"] != "complete"]
    _dots(axis, pruned, key, scale, 0.0, DULL, "stopped early", objective.column)
    for n, (colour, sampler) in enumerate(zip(COLOURS, samplers, strict=False)):
        shift = (n - (len(samplers) - 1) / 2) * 0.22  # choices are columns: the samplers lie side by side
        complete = [r for r in rows if r["state"] == "complete" and r["sampler"] == sampler]
        _dots(axis, complete, key, scale, shift, colour, sampler, objective.column)
    if "choices" in scale:
        axis.set_xticks(range(len(scale["choices"])), [_label(c) for c in scale["choices"]])
        axis.set_xlim(-0.6, len(scale["choices"]) - 0.4)
    elif scale["log"]:
        axis.set_xscale("log")
    axis.set(xlabel=key, yscale="linear" if objective.metric else "log")
    axis.grid(color=GRID, lw=0.6)
    axis.set_axisbelow(True)


def _dots(axis, rows: list[dict], key: str, scale: dict, shift: float, colour: str, label: str, column: str) -> None:
    x = [scale["choices"].index(r[key]) + shift for r in rows] if "choices" in scale else [r[key] for r in rows]
    grey = colour == DULL
    style = {
        "s": 12 if grey else 20,
        "color": colour,
        "alpha": 0.9 if grey else 0.8,
        "zorder": 1 if grey else 2,
        "lw": 0,
    }
    axis.scatter(x, [r[column] for r in rows], label=label, **style)


def _label(value) -> str:
    return str(value).lower() if isinstance(value, (bool, type(None))) else str(value)


def parallel(path: Path, rows: list[dict], axes_of: dict[str, dict], objective: Objective) -> None:
    """A line per trial through its value of each key: dark is a good result, grey was stopped early.

    A key that the trial does not have leaves a gap.
    """
    column, linear = objective.column, objective.metric
    complete = sorted((r for r in rows if r["state"] == "complete"), key=lambda r: -objective.turned(r[column]))
    pruned = [r for r in rows if r["state"] == "pruned"]
    ends = {key: _ends(scale) for key, scale in axes_of.items()}
    with drawing(path, width=max(6.8, 1.35 * len(axes_of) + 2.2), height=4.2) as (figure, axis):
        import matplotlib  # here, as in recipe.plots.style
        from matplotlib.colors import LogNorm, Normalize

        values = [r[column] for r in complete] or [1.0]
        lowest, highest = min(values), max(max(values), min(values) + 0.001 * abs(min(values)))
        norm = (Normalize if linear else LogNorm)(lowest, highest)
        colours = matplotlib.colormaps["viridis_r" if objective.higher_is_better else "viridis"]
        for row in [*pruned, *complete]:
            y = [_height(row[key], scale, ends[key]) for key, scale in axes_of.items()]
            whole = row["state"] == "complete"
            shade = colours(norm(row[column])) if whole else DULL
            style = {"lw": 1.4 if whole else 0.7, "alpha": 0.85 if whole else 0.7, "zorder": 2 if whole else 1}
            axis.plot(range(len(y)), y, color=shade, marker="o", ms=2.6 if whole else 0, **style)
        _key_axes(axis, axes_of, ends)
        dark = "high" if objective.higher_is_better else "low"
        axis.set_title(f"all trials: dark is a {dark} {objective.title}, grey was stopped early")
        if complete:
            shades = matplotlib.cm.ScalarMappable(norm, colours)
            bar = figure.colorbar(shades, ax=axis, pad=0.01, label=objective.title)
            marks = (np.linspace if linear else np.geomspace)(lowest, highest, 4)
            bar.set_ticks(marks, labels=[f"{m:.3g}" for m in marks])
            bar.ax.minorticks_off()


def _key_axes(axis, axes_of: dict[str, dict], ends: dict[str, tuple[float, float]]) -> None:
    """One vertical axis per key, with its own scale."""
    for x, (key, scale) in enumerate(axes_of.items()):
        axis.axvline(x, color=INK, lw=0.8, zorder=3)
        for height, text in _ticks(scale, ends[key]):
            axis.annotate(
                text, (x, height), (4, 0), textcoords="offset points", fontsize=7.5, va="center", zorder=4,
                bbox={"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.8},
            )  # fmt: skip
    axis.set_xticks(range(len(axes_of)), [key.replace(".", ".\n", 1) for key in axes_of], fontsize=8.5)
    axis.set(xlim=(-0.15, len(axes_of) - 0.55), ylim=(-0.05, 1.05), yticks=[])
    axis.spines[["left", "bottom"]].set_visible(False)
    axis.tick_params(length=0)


def _ends(scale: dict) -> tuple[float, float]:
    if "choices" in scale:
        return -0.5, len(scale["choices"]) - 0.5
    return (math.log(scale["low"]), math.log(scale["high"])) if scale["log"] else (scale["low"], scale["high"])


def _height(value, scale: dict, ends: tuple[float, float]) -> float:
    if value is None and None not in scale.get("choices", ()):
        return math.nan
    place = scale["choices"].index(value) if "choices" in scale else math.log(value) if scale["log"] else value
    return (place - ends[0]) / (ends[1] - ends[0])


def _ticks(scale: dict, ends: tuple[float, float]) -> list[tuple[float, str]]:
    if "choices" in scale:
        return [(_height(choice, scale, ends), _label(choice)) for choice in scale["choices"]]
    inner = [math.exp(ends[0] + s * (ends[1] - ends[0])) if scale["log"] else ends[0] + s * (ends[1] - ends[0])
             for s in (0, 0.25, 0.5, 0.75, 1)]  # fmt: skip
    return [(share, f"{value:.3g}") for share, value in zip((0, 0.25, 0.5, 0.75, 1), inner, strict=True)]


def importance(path: Path, shares: dict[str, float]) -> None:
    """Bars of {key: PED-ANOVA importance}."""
    with drawing(path, height=0.42 * len(shares) + 1.1) as (_, axis):
        axis.barh(list(shares)[::-1], list(shares.values())[::-1], color=ACCENT, height=0.62)
        axis.set(title="which keys distinguish the better trials", xlabel="PED-ANOVA importance")
        if not shares:
            axis.text(0.5, 0.5, "too few trials", transform=axis.transAxes, ha="center", color=FAINT)
            axis.set(yticks=[], xticks=[])
