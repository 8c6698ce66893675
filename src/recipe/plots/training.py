"""Figures of trainings: the inputs of the network, the curves, the prediction dynamics."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from recipe.plots.style import BAD, COLOURS, INK, drawing

TITLES = {"train_loss": "training loss", "val_loss": "validation loss"}


def curves(path: Path, lanes: dict[str, list[list[dict]]], metrics: Sequence[str] = ("train_loss", "val_loss")) -> None:
    """One panel per metric, one colour per system, a thin line per seed. lanes: {system: [curve, ...]}."""
    with drawing(path, width=3.9 * len(metrics), ncols=len(metrics), squeeze=False) as (_, axes):
        for axis, metric in zip(axes[0], metrics, strict=True):
            for colour, (system, seeds) in zip(COLOURS * 9, lanes.items(), strict=False):
                for i, curve in enumerate(seeds):
                    xy = ([r["epoch"] for r in curve], [r[metric] for r in curve])
                    axis.plot(*xy, color=colour, lw=1.3, alpha=0.85, label=system if i == 0 else None)
            axis.set(title=TITLES.get(metric, metric), xlabel="passes", yscale="log" if "loss" in metric else "linear")
            axis.grid(color="#e8ebee", lw=0.6)
        axes[0][-1].legend(fontsize=8)


def pictures(path: Path, images: Any, titles: list[str], columns: int = 12, bad: tuple[int, ...] = ()) -> None:
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


def dynamics(path: Path, passes: list[float], fit: Tensor, labels: list[str], title: str) -> None:
    """Recipe 2, prediction dynamics: how well the predictions for a fixed batch fit, 0 to 1. fit: (evaluations, B)."""
    with drawing(path, width=7.8, height=4.2) as (figure, axis):
        picture = axis.imshow(fit.T, aspect="auto", cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        at = sorted({round(i * (len(passes) - 1) / 8) for i in range(9)})
        axis.set_xticks(at, [f"{passes[i]:.3g}" for i in at])
        axis.set_yticks(range(len(labels)), labels, fontsize=7)
        axis.set(
            xlabel="passes",
            ylabel="target of a fixed validation example",
            title=title,
        )
        figure.colorbar(picture, ax=axis, pad=0.01)


def first_batch(path: Path, batch: Any, data: Any) -> None:
    """The images that entered the network, in their original values, with their targets. batch: a BatchCapture."""
    targets = data.task.actual(batch.loaded[0][1])
    pictures(path, data.pictures(batch.entered[0]), data.task.shown(targets))
