"""Figures of the regularize stage."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from recipe.experiment.arms import Arm, Gain
from recipe.plots import sheets
from recipe.plots.style import ACCENT, BAD, COLOURS, FAINT, INK, drawing, few_ticks
from recipe.plots.text_lines import sentence
from recipe.plots.training import line
from recipe.stages.regularize.ablation import BASE, Ablation, Candidate, Level
from recipe.stages.regularize.diagnostics import Activation, Diagnostics
from recipe.stages.regularize.learning_curve import Extrapolation, LearningCurve

GRID, MUTED = "#e8ebee", "#5a6672"
LONGEST = 62  # characters of a reason in a figure


def draw(
    out: Path,
    result: Ablation,
    curves: list[LearningCurve],
    diagnostics: Diagnostics,
    examples: list[tuple[str, Tensor]],
) -> None:
    """All figures of the stage. examples: (name, images) rows, the originals first."""
    gains(out / "gains.png", result)
    learning_curves(out / "learning_curve.png", curves)
    if examples:
        sheets.rows(out / "inputs.png", examples)
    else:
        sentence(out / "inputs.png", "the inputs are not images")
    first_layer(out / "first_layer.png", diagnostics.filters)
    activations(out / "activations.png", diagnostics.activations)
    loss_curves(out / "curves.png", {name: [t.curve for t in arm.lanes] for name, arm in result.best_arms().items()})


def gains(path: Path, result: Ablation) -> None:
    """Left the gain of each level with its interval, right the losses on train and val: their distance is the gap.

    In the order of trying, each candidate on top of those that were kept by then.
    """
    pairs = [(candidate, level) for candidate in result.candidates for level in candidate.levels]
    names, kept = [BASE, *(level.name for _, level in pairs)], [False, *(_is_kept(*pair) for pair in pairs)]
    of = result.objective
    reach = _reach([level.gain for _, level in pairs if level.gain])
    size = {"width": 10.2, "height": 0.34 * len(names) + 1.4}
    with drawing(path, **size, ncols=2, sharey=True, width_ratios=[1.25, 1]) as (_, (left, right)):
        left.axvline(0, color=FAINT, lw=1)
        _gap(right, 0, result.base)
        for i, (_, level) in enumerate(pairs, 1):
            if level.gain:
                _interval(left, i, level.gain, ACCENT if kept[i] else FAINT, reach)
            else:
                _reason(left, i, level.skipped)
            if level.arm and not level.arm.lost:
                _gap(right, i, level.arm)
        left.set_yticks(range(len(names)), names)
        for tick, accepted in zip(left.get_yticklabels(), kept, strict=True):
            tick.set(color=ACCENT if accepted else INK, weight="bold" if accepted else "normal")
        left.set(
            xlim=reach,
            ylim=(len(names) - 0.4, -0.6),
            xlabel=f"{of.title} {'raised' if of.higher_is_better else 'lowered'} by",
        )
        left.set_title("gain over the recipe so far (bold: kept)")
        right.set(xscale="log", xlabel="loss", title="gap of train and val loss")
        few_ticks(right.xaxis)
        right.tick_params(axis="y", length=0)
        for axis in (left, right):
            axis.grid(color=GRID, lw=0.6, axis="x" if axis is left else "both")
            axis.set_axisbelow(True)
        right.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize=8, borderaxespad=0.2)


def _is_kept(candidate: Candidate, level: Level) -> bool:
    return candidate.kept and level is candidate.best


def _reason(axis: Any, at: int, skipped: str) -> None:
    text = skipped if len(skipped) < LONGEST else skipped[: LONGEST - 2] + "…"
    place = {"transform": axis.get_yaxis_transform(), "va": "center", "in_layout": False}
    axis.text(0.02, at, text, fontsize=7.5, color=BAD if "lost" in skipped else MUTED, **place)


def _gap(axis: Any, at: int, arm: Arm) -> None:
    row = arm.score()
    axis.plot([row["train_loss"], row["val_loss"]], [at, at], color=FAINT, lw=1.5, zorder=1)
    axis.scatter(row["train_loss"], at, s=26, color=COLOURS[1], label=None if at else "train")
    axis.scatter(row["val_loss"], at, s=26, color=ACCENT, label=None if at else "val")


def _reach(gains: list[Gain]) -> tuple[float, float]:
    """Ends of the axis, not stretched by a single wide interval: that one is drawn with an arrow."""
    if not gains:
        return -1.0, 1.0
    ends = np.array([[g.low, g.high] for g in gains])
    middle = [g.mean for g in gains]
    half = np.median(ends[:, 1] - ends[:, 0])
    low, high = min(0, *middle, *ends[:, 0]), max(0, *middle, *ends[:, 1])
    low, high = max(low, min(0, *middle) - 2 * half), min(high, max(0, *middle) + 2 * half)
    room = 0.06 * (high - low)
    return low - room, high + room


def _interval(axis: Any, at: int, gain: Gain, colour: str, reach: tuple[float, float]) -> None:
    low, high = max(gain.low, reach[0]), min(gain.high, reach[1])
    axis.plot([low, high], [at, at], color=colour, lw=2.5, solid_capstyle="butt")
    for cut, mark, end in ((gain.low < low, "<", low), (gain.high > high, ">", high)):
        if cut:
            axis.plot(end, at, mark, color=colour, ms=7, clip_on=False)
    axis.plot(gain.mean, at, "o", color=colour, ms=6)


def loss_curves(path: Path, lanes: dict[str, list[list[dict[str, float]]]]) -> None:
    """{name: a curve per training}, a panel each: train and val loss against passes, val of the first name in grey."""
    across, base = min(4, len(lanes)), next(iter(lanes.values()))
    down = -(-len(lanes) // across)
    grid = {"nrows": down, "ncols": across, "squeeze": False, "sharex": True, "sharey": True}
    with drawing(path, width=2.6 * across, height=1.9 * down + 0.4, **grid) as (figure, axes):
        for axis in axes.flat[len(lanes) :]:
            axis.set_axis_off()
        for axis, (name, seeds) in zip(axes.flat, lanes.items(), strict=False):
            kinds = ((base, "val_loss", FAINT, "val, no regularisation"), (seeds, "train_loss", COLOURS[1], "train"))
            for shown, metric, colour, label in (*kinds, (seeds, "val_loss", ACCENT, "val")):
                for i, curve in enumerate(shown):
                    line(axis, curve, metric, color=colour, lw=0.9, alpha=0.8, label=None if i else label)
            axis.set_title(name, fontsize=9)
            axis.grid(color=GRID, lw=0.6)
        axes[0][0].set(yscale="log")  # of all, which share it
        figure.supxlabel("passes", fontsize=9.5)
        figure.supylabel("loss", fontsize=9.5)
        axes[0][0].legend(fontsize=7.5)


def learning_curves(path: Path, curves: list[LearningCurve]) -> None:
    """Error and loss against the size of the training set: dots are trainings, the law goes on to twice the data."""
    with drawing(path, width=4.4 * len(curves), height=3.7, ncols=len(curves), squeeze=False) as (_, axes):
        for axis, curve in zip(axes[0], curves, strict=True):
            is_error = curve.metric == "error"
            scale, label = (100, "validation error (%)") if is_error else (1, "validation loss")
            sizes = list(curve.sizes)
            for values in curve.values:
                axis.plot(sizes, scale * values, "o", color=FAINT, ms=3.5, zorder=2)
            if len(curve.values):
                axis.plot(sizes, scale * curve.values.mean(0), "o", color=INK, ms=6, zorder=3, label="mean")
            if curve.extrapolation:
                _law(axis, curve.extrapolation, sizes[-1], scale)
                sizes.append(2 * sizes[-1])
            else:
                axis.set_title(f"not extrapolated: {curve.refused}", fontsize=8.5, wrap=True)
            axis.set(xscale="log", xlabel="training examples", ylabel=label)
            axis.set_xticks(sizes, [f"{n:,}" for n in sizes])
            axis.minorticks_off()
            axis.set_ylim(bottom=0)
            axis.grid(color=GRID, lw=0.6)
            if len(curve.values):
                axis.legend(fontsize=8)


def _law(axis: Any, extrapolation: Extrapolation, largest: int, scale: float) -> None:
    """The law with its interval; dashed beyond the largest size that was measured."""
    law, (at, low, high) = extrapolation.law, extrapolation.band.T
    values = scale * law.at(at)
    axis.fill_between(at, scale * low, scale * high, color=ACCENT, alpha=0.15, lw=0)
    axis.plot(at[at <= largest], values[at <= largest], color=ACCENT, lw=1.6)
    axis.plot(at[at >= largest * 0.99], values[at >= largest * 0.99], color=ACCENT, lw=1.6, ls="--")
    axis.plot(2 * largest, scale * law.at(2 * largest), "D", color=ACCENT, ms=6, label="twice the data")
    axis.set_title(f"{law.a * scale:.3g} + {law.b * scale:.3g} n^-{law.c:.2f}")


def first_layer(path: Path, filters: Tensor | None, most: int = 64) -> None:
    """Filters (F, C, H, W) as images: of one channel red above and blue below 0, of three in colour, around grey."""
    if filters is None:
        sentence(path, "the first layer does not see an image")
        return
    channels, size = filters.shape[1], "x".join(map(str, filters.shape[1:]))
    tiles = filters if channels in (1, 3) else filters.flatten(0, 1)[:, None]
    shown = tiles[:most]
    across = min(16, len(shown))
    down = -(-len(shown) // across)
    limit = float(shown.abs().max()) or 1.0
    grid = {"nrows": down, "ncols": across, "squeeze": False}
    with drawing(path, width=0.5 * across + 0.4, height=0.5 * down + 0.3, **grid) as (figure, axes):
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.03, hspace=0.03)
        for axis in axes.flat:
            axis.set_axis_off()
        for axis, tile in zip(axes.flat, shown, strict=False):
            if len(tile) == 1:
                axis.imshow(tile[0], cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
            else:
                axis.imshow((tile.permute(1, 2, 0) / limit + 1) / 2, interpolation="nearest")
        some = "" if len(shown) == len(tiles) else f", the first {len(shown)} of {len(tiles)}"
        figure.suptitle(f"{len(filters)} filters of {size}{some}", x=0.01, ha="left", fontsize=9.5)


def activations(path: Path, layers: list[Activation]) -> None:
    """A histogram per activation over all of val (counts on a log scale), with its dead units and saturated values."""
    if not layers:
        sentence(path, "the model has no activations")
        return
    across = min(4, max(1, len(layers)))
    down = max(1, -(-len(layers) // across))
    grid = {"nrows": down, "ncols": across, "squeeze": False}
    with drawing(path, width=3.1 * across, height=2.3 * down + 0.3, **grid) as (_, axes):
        for axis in axes.flat[len(layers) :]:
            axis.set_axis_off()
        for axis, layer in zip(axes.flat, layers, strict=False):
            axis.stairs(
                [max(c, 0.5) for c in layer.counts], layer.edges, fill=True, color=ACCENT, alpha=0.6, baseline=0.5
            )
            saturated = "" if layer.saturated is None else f", {layer.saturated:.0%} of values saturated"
            axis.set_title(f"{layer.name}: {layer.units} units\n{layer.dead:.0%} dead{saturated}", fontsize=8.5)
            axis.set(yscale="log", ylim=(0.5, None), xlabel="value")
            axis.tick_params(labelsize=8)
        axes[0][0].set_ylabel("number of values on val")
