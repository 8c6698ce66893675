"""Arrays to PNG, in one style and to the same bytes each time. The only importer of matplotlib."""

from contextlib import contextmanager
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from recipe.files import replacing

INK, FAINT, ACCENT, BAD = "#1f2933", "#9aa5b1", "#2563a6", "#b4232a"
COLOURS = ("#2563a6", "#c2571a", "#2e7d4f", "#7b4ea3", "#8a6d1d", "#0e7c86", "#b4232a", "#5a6672")
STYLE = {
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.prop_cycle": matplotlib.cycler(color=COLOURS),
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
def drawing(path: Path | str, width: float = 6.4, height: float = 3.6, **grid):
    """(figure, axes) as plt.subplots gives them; saved to `path` when the block ends."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(width, height), **grid)
        try:
            yield figure, axes
            with replacing(path) as temporary:
                # no software version and no date in the file: the same picture is the same bytes
                figure.savefig(temporary, dpi=120, metadata={"Software": None})
        finally:
            plt.close(figure)


# ---- training ------------------------------------------------------------------------------------------------


def curves(path, lanes: dict[str, list[list[dict]]], metrics=("train_loss", "val_loss")) -> None:
    """One panel per metric, one colour per system, a thin line per seed. lanes: {system: [curve, ...]}."""
    with drawing(path, width=3.9 * len(metrics), ncols=len(metrics), squeeze=False) as (_, axes):
        for axis, metric in zip(axes[0], metrics, strict=True):
            for colour, (system, seeds) in zip(COLOURS * 9, lanes.items(), strict=False):
                for i, curve in enumerate(seeds):
                    xy = ([r["step"] for r in curve], [r[metric] for r in curve])
                    axis.plot(*xy, color=colour, lw=1.3, alpha=0.85, label=system if i == 0 else None)
            axis.set(title=metric.replace("_", " "), xlabel="step", yscale="log" if "loss" in metric else "linear")
            axis.grid(color="#e8ebee", lw=0.6)
        axes[0][-1].legend(fontsize=8)


def pictures(path, images, titles: list[str], columns: int = 12, bad: tuple[int, ...] = ()) -> None:
    """A sheet of images (N, C, H, W) in 0..1 with a title each; those in `bad` are titled in red."""
    rows = max(1, -(-len(titles) // columns))
    with drawing(path, width=0.78 * columns, height=0.98 * rows, nrows=rows, ncols=columns, squeeze=False) as (_, axes):
        for axis in axes.flat:
            axis.axis("off")
        for i, (axis, image, title) in enumerate(zip(axes.flat, images, titles, strict=False)):
            grey = image.shape[0] == 1
            axis.imshow(
                image[0] if grey else image.permute(1, 2, 0),
                cmap="gray",
                vmin=0,
                vmax=1,
                interpolation="nearest",
            )
            axis.set_title(title, fontsize=7.5, loc="center", color=BAD if i in bad else INK, pad=2)


def dynamics(path, steps: list[int], chances, labels: list[str]) -> None:
    """Recipe 2, prediction dynamics: probability of the right class for a fixed batch. chances: (steps, B)."""
    with drawing(path, width=7.8, height=4.2) as (figure, axis):
        picture = axis.imshow(chances.T, aspect="auto", cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        at = sorted({round(i * (len(steps) - 1) / 8) for i in range(9)})
        axis.set_xticks(at, [steps[i] for i in at])
        axis.set_yticks(range(len(labels)), labels, fontsize=7)
        axis.set(
            xlabel="step",
            ylabel="label of a fixed validation example",
            title="probability of the right class",
        )
        figure.colorbar(picture, ax=axis, pad=0.01)


def gains(path, names: list[str], means: list[float], lows: list[float], highs: list[float], kept: list[bool]) -> None:
    """A forest plot: how much each change lowers the validation loss, with its interval."""
    with drawing(path, width=7.2, height=0.55 * len(names) + 1.2) as (_, axis):
        axis.axvline(0, color=FAINT, lw=1)
        for i, (mean, low, high, good) in enumerate(zip(means, lows, highs, kept, strict=True)):
            colour = ACCENT if good else FAINT
            axis.plot([low, high], [i, i], color=colour, lw=2.5, solid_capstyle="round")
            axis.plot(mean, i, "o", color=colour, ms=7)
            axis.annotate("kept" if good else "refused", (high, i), (6, -3), textcoords="offset points", color=colour)
        axis.set_yticks(range(len(names)), names)
        axis.invert_yaxis()
        axis.margins(x=0.18, y=0.15)
        axis.set(xlabel="validation loss lowered by (nats)", title="gain of each change, paired over seeds")


def searches(path, best: dict[str, list[float]], reference: float) -> None:
    """Best validation loss so far against trials, a line per sampler; the accepted recipe as a dashed line."""
    with drawing(path) as (_, axis):
        for sampler, curve in best.items():
            axis.plot(range(1, len(curve) + 1), curve, drawstyle="steps-post", lw=1.8, label=sampler)
        axis.axhline(reference, color=FAINT, ls="--", lw=1, label="accepted recipe, same seed")
        axis.set(xlabel="trials", ylabel="best val loss so far", title="random and Bayesian search, same budget")
        axis.legend()


def slices(path, trials: list[dict], keys: list[str], logs: list[bool]) -> None:
    """Validation loss against each searched key, a colour per sampler."""
    with drawing(path, width=2.9 * max(len(keys), 2), height=2.9, ncols=len(keys), sharey=True, squeeze=False) as (
        _,
        axes,
    ):
        for axis, key, log in zip(axes[0], keys, logs, strict=True):
            for colour, sampler in zip(COLOURS, sorted({t["sampler"] for t in trials}), strict=False):
                mine = [t for t in trials if t["sampler"] == sampler and t["val_loss"] is not None]
                values = [t[key] if isinstance(t[key], (int, float)) else str(t[key]) for t in mine]
                axis.scatter(values, [t["val_loss"] for t in mine], s=20, color=colour, alpha=0.8, label=sampler)
            axis.set(xlabel=key, yscale="log", xscale="log" if log else "linear")
        axes[0][0].set_ylabel("val loss")
        axes[0][0].legend(fontsize=8)


def bars(path, values: dict[str, float], title: str, xlabel: str) -> None:
    with drawing(path, height=0.42 * len(values) + 1.1) as (_, axis):
        axis.barh(list(values)[::-1], list(values.values())[::-1], color=ACCENT, height=0.62)
        axis.set(title=title, xlabel=xlabel)


def ensemble_sizes(path, rows: list[dict]) -> None:
    """Accuracy, log-likelihood and calibration against the number of members, val and test."""
    panels = {"accuracy": "accuracy", "nll": "negative log-likelihood", "ece": "calibration error"}
    with drawing(path, width=9.6, height=3.0, ncols=3) as (_, axes):
        for axis, (metric, title) in zip(axes, panels.items(), strict=True):
            for colour, split in zip(COLOURS, ("val", "test"), strict=False):
                sizes = [r["members"] for r in rows]
                axis.plot(sizes, [r[f"{split}_{metric}"] for r in rows], "o-", ms=4, color=colour, label=split)
            axis.set(title=title, xlabel="members", xticks=[r["members"] for r in rows])
        axes[0].legend()


def reliability(path, rows: list[tuple[int, float, float, float]]) -> None:
    """Accuracy against confidence; on the diagonal the probabilities mean what they say."""
    with drawing(path, width=4.0, height=3.8) as (_, axis):
        axis.plot([0, 1], [0, 1], color=FAINT, ls="--", lw=1)
        axis.scatter(
            [r[1] for r in rows],
            [r[2] for r in rows],
            s=[20 + 400 * r[3] for r in rows],
            color=ACCENT,
            alpha=0.8,
        )
        axis.set(
            xlabel="confidence",
            ylabel="accuracy",
            title="reliability on test",
            xlim=(0, 1.03),
            ylim=(-0.02, 1.05),
        )


# ---- data ----------------------------------------------------------------------------------------------------

TILE, GAP, LINE, DPI = 76, 13, 12, 120  # pixels


def tile(image, low: float, high: float):
    """An input (C, H, W) as (TILE, TILE, 3) bytes on white, whole and with its own proportions."""
    import numpy as np
    from PIL import Image

    shown = np.nan_to_num((image - low) / max(high - low, 1e-9)).clip(0, 1)
    shown = shown[:3] if len(shown) >= 3 else shown[:1].repeat(3, 0)
    picture = Image.fromarray((shown.transpose(1, 2, 0) * 255).round().astype(np.uint8))
    scale = TILE / max(picture.size)
    size = [max(1, round(side * scale)) for side in picture.size]
    small = picture.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX)
    square = Image.new("RGB", (TILE, TILE), "white")
    square.paste(small, ((TILE - size[0]) // 2, (TILE - size[1]) // 2))
    return np.asarray(square)


def contact_sheet(path, blocks: list[tuple[str, list, list[str]]], across: int) -> None:
    """Blocks of pictures, (title, tiles, captions of one or more lines); `across` tiles of one width in a row."""
    import numpy as np

    first = next((tiles[0] for _, tiles, _ in blocks if tiles), np.zeros((TILE, TILE, 3)))
    wide, lines = first.shape[1], max((c.count("\n") + 1 for _, _, cs in blocks for c in cs), default=1)
    step, head = TILE + LINE * lines + 8, 30
    rows = [-(-len(tiles) // across) for _, tiles, _ in blocks]
    width, height = GAP + across * (wide + GAP), sum(head + n * step for n in rows) + GAP
    canvas, texts, top = np.full((height, width, 3), 255, np.uint8), [], 0
    for (title, tiles, captions), n in zip(blocks, rows, strict=True):
        texts.append((GAP, top + head - 9, title, {"size": 9.5, "va": "baseline", "weight": "bold"}))
        for i, (picture, caption) in enumerate(zip(tiles, captions, strict=True)):
            x, y = GAP + i % across * (wide + GAP), top + head + i // across * step
            canvas[y : y + TILE, x : x + wide] = picture
            texts.append((x + wide / 2, y + TILE + 3, caption, {"size": 6, "ha": "center", "va": "top"}))
        top += head + n * step
    _paint(path, canvas, texts)


def _paint(path, canvas, texts: list) -> None:
    """A pixel of the canvas is a pixel of the file."""
    height, width = canvas.shape[:2]
    with drawing(path, width=width / DPI, height=height / DPI) as (figure, axis):
        figure.set_layout_engine("none")
        axis.set_position((0, 0, 1, 1))
        axis.set_axis_off()
        axis.imshow(canvas, interpolation="nearest", aspect="auto", extent=(0, width, height, 0))
        for x, y, text, style in texts:
            axis.text(x, y, text, family="monospace" if style["size"] < 7 else None, linespacing=1.15, **style)


def class_counts(path, classes: list[str], series: dict[str, list[int]], title: str) -> None:
    """Examples per class, a bar beside the other for each series."""
    upright = len(classes) > 12 or max(map(len, classes)) > 9
    bar = 0.8 / len(series)
    with drawing(path, width=min(16, max(6.4, 0.3 * len(classes) + 2))) as (_, axis):
        for i, (colour, (name, counts)) in enumerate(zip(COLOURS, series.items(), strict=False)):
            at = [c + (i - (len(series) - 1) / 2) * bar for c in range(len(classes))]
            drawn = axis.bar(at, counts, bar * 0.94, color=colour, label=name)
            if bar * len(classes) <= 12:
                axis.bar_label(drawn, fontsize=7 if len(series) > 1 else 8.5, color=INK, padding=1)
        axis.set_xticks(range(len(classes)), classes, rotation=90 if upright else 0)
        axis.tick_params(axis="x", length=0)
        axis.set(title=title, xlabel="class", ylabel="examples")
        if len(series) > 1:
            axis.legend(ncols=len(series), loc="upper right", bbox_to_anchor=(1, 1.12))


def intensities(path, edges, whole, classes: dict[str, list[float]]) -> None:
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
            axis.yaxis.set_minor_formatter("")
            axis.set_title(name, fontsize=9)
        figure.supxlabel("value (line: all classes)", fontsize=9.5)
        figure.supylabel("share of values", fontsize=9.5)


def distributions(path, columns: dict[str, list[float]], limits: dict[str, float]) -> None:
    """A histogram per column; a red line where a limit makes an example conspicuous."""
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
            axis.set_ylim(bottom=0.7)
        for axis in axes[:, 0]:
            axis.set_ylabel("examples")


# ---- probes --------------------------------------------------------------------------------------------------


def resolution_curve(path, curve: list[tuple[float, float, float, float]], margin: float) -> None:
    """Accuracy of the linear probe against size, from (size, accuracy, low, high) of each, the largest first.

    The bars are intervals of the difference to full size, blue where all of it is above the dashed line: the size costs
    less than `margin` points.
    """
    with drawing(path, width=5.6, height=3.6) as (_, axis):
        full = curve[0][1]
        at = range(len(curve))
        axis.axhline(full - margin, color=BAD, lw=1, ls="--")
        note = {"textcoords": "offset points", "color": BAD, "fontsize": 8}
        axis.annotate(f"{margin:g} points below full size", (0, full - margin), (-4, -11), **note)
        for i, (_, _, low, high) in enumerate(curve):
            enough = i == 0 or low > full - margin
            axis.plot([i, i], [low, high], color=ACCENT if enough else FAINT, lw=5, solid_capstyle="butt")
        axis.plot(at, [point[1] for point in curve], "o-", color=INK, lw=0.8, ms=3.5)
        axis.set_xticks(at, [f"{point[0]:g}" for point in curve])
        axis.margins(y=0.15)
        axis.set(xlabel="longer side (pixels)", ylabel="accuracy (%)", title="what a linear probe sees at each size")


def variations(path, rows: list[tuple[str, float, float, float | None]]) -> None:
    """Each way in which images vary, from (name, share of variance %, label gain, what its removal adds or None).

    At the right and low: much variation that tells nothing of the class, worth taking out where it costs nothing.
    """
    with drawing(path, width=6.8, height=4.4) as (figure, axis):
        axis.axhline(0, color=FAINT, lw=0.8)
        known = [row[3] for row in rows if row[3] is not None]
        reach = max([abs(cost) for cost in known] + [2.0])
        for name, share, gain, cost in rows:
            if cost is None:
                axis.plot(share, gain, "o", ms=7, mfc="none", mec=FAINT)
            else:
                dot = axis.scatter(share, gain, s=85, c=[cost], cmap="RdBu", vmin=-reach, vmax=reach, ec=INK, lw=0.6)
            axis.annotate(name, (share, gain), (7, 4), textcoords="offset points", fontsize=8)
        if known:
            figure.colorbar(dot, ax=axis, pad=0.01, label="points that its removal adds")
        axis.margins(x=0.2, y=0.15)
        axis.set_xlim(left=min(-1.0, *(row[1] - 1 for row in rows)))
        axis.set(xlabel="share of the variance of the pixels (%)", ylabel="label gain (points over chance)")
        axis.set_title("how images vary, and what it tells of the class (rings: not taken out)")
