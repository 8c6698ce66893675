"""Figures of trainings: the inputs of the network, the curves, the prediction dynamics."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from recipe.plots import sheets
from recipe.plots.style import COLOURS, drawing
from recipe.plots.text_lines import text_lines

TITLES = {"train_loss": "training loss", "val_loss": "validation loss"}


def curves(path: Path, lanes: dict[str, list[list[dict]]], metrics: Sequence[str] = ("train_loss", "val_loss")) -> None:
    """One panel per metric, one colour per system, a thin line per seed. lanes: {system: [curve, ...]}."""
    with drawing(path, width=3.9 * len(metrics), ncols=len(metrics), squeeze=False) as (_, axes):
        for axis, metric in zip(axes[0], metrics, strict=True):
            for colour, (system, seeds) in zip(COLOURS * 9, lanes.items(), strict=False):
                for i, curve in enumerate(seeds):
                    line(axis, curve, metric, color=colour, lw=1.3, alpha=0.85, label=system if i == 0 else None)
            axis.set(title=TITLES.get(metric, metric), xlabel="passes", yscale="log" if "loss" in metric else "linear")
            axis.grid(color="#e8ebee", lw=0.6)
        axes[0][-1].legend(fontsize=8)


def line(axis: Any, curve: list[dict], metric: str, **style: Any) -> None:
    """A metric against passes. Of training the last value is a dot: it is of all examples, the others of a sample of
    them (recipe.train.evaluations)."""
    end = 1 if metric.startswith("train") and len(curve) > 1 else 0
    rows = curve[: len(curve) - end]
    axis.plot([r["epoch"] for r in rows], [r[metric] for r in rows], **style)
    if end:
        axis.plot(curve[-1]["epoch"], curve[-1][metric], ".", color=style["color"], ms=4)


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
    """What entered the network, with its targets: images in their original values, rows of a table as they are, texts
    as far as their words are in the vocabulary; of embeddings the images or texts that they are of.

    batch: a BatchCapture.
    """
    entered, targets = batch.entered[0], data.task.shown(data.task.actual(batch.loaded[0][1]))
    if data.kind.has_pixels:
        sheets.pictures(path, data.pictures(entered), targets)
    elif data.features:
        nearest = [int(((data.train.x[:] - row) ** 2).sum(1).argmin()) for row in entered]
        if data.train.texts:
            text_lines(path, [data.train.texts[i] for i in nearest], targets)
        else:
            sheets.pictures(path, data.pictures_of(data.train, torch.tensor(nearest)), targets)
    elif data.tokenizer:
        text_lines(path, [data.tokenizer.decode(row) for row in entered.cpu()], targets)
    else:
        rows_of_a_table(path, entered.flatten(1).cpu(), targets, data.columns)


def rows_of_a_table(path: Path, rows: Tensor, targets: list[str], columns: Sequence[str] = ()) -> None:
    """Standardised rows (B, F) as a heat map, white at the mean of each column."""
    with drawing(path, width=min(11.0, 3.2 + 0.28 * rows.shape[1]), height=1.0 + 0.2 * len(rows) + bool(columns)) as (
        figure,
        axis,
    ):
        picture = axis.imshow(rows, aspect="auto", cmap="RdBu_r", vmin=-3, vmax=3, interpolation="nearest")
        axis.set_yticks(range(len(rows)), [_short(text) for text in targets], fontsize=7)
        if len(columns) == rows.shape[1]:
            axis.set_xticks(range(len(columns)), [_short(name) for name in columns], fontsize=7, rotation=90)
        axis.set(xlabel="" if columns else "column", ylabel="target")
        figure.colorbar(picture, ax=axis, pad=0.02, label="standard deviations from the mean")


def _short(text: str) -> str:
    return text if len(text) < 24 else f"{text[:22]} ..."
