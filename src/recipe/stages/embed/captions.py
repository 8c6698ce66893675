"""The figures and sentences of the embed stage."""

from pathlib import Path

import numpy as np
import torch

from recipe.data.store import Store
from recipe.models.backbone import Backbone
from recipe.plots import embeddings, sheets
from recipe.plots.text_lines import text_lines
from recipe.stages.embed.embed import NOTHING, Embedded

SHOWN = 24
ENTERED, MAP = "features/entered.png", "features/map.png"
EVIDENCE = {
    "every_feature_is_finite": [MAP], "other_inputs_have_other_features": [MAP], "images_are_large_enough": [ENTERED],
}  # fmt: skip


def draw(e: Embedded, store: Store, out: Path) -> dict[str, str]:
    """{file: caption} of the figures."""
    if not e.backbone:
        return {}
    classes = store.table()["class"].to_pylist()
    rows = np.linspace(0, len(store.inputs) - 1, min(SHOWN, len(store.inputs))).astype(int)
    entered = _entered(e, store, rows, [classes[row] for row in rows], out / ENTERED)
    explained = embeddings.plane(out / MAP, np.asarray(e.values)[e.finite], np.array(classes)[e.finite].tolist())
    return {
        ENTERED: entered,
        MAP: f"the features of all inputs on their first two principal components, which hold {explained:.0%} of their "
        "variance; a colour for each class",
    }


def _entered(e: Embedded, store: Store, rows: np.ndarray, titles: list[str], path: Path) -> str:
    """Draws what enters the network; gives the caption."""
    if isinstance(e.backbone, Backbone):
        images = e.backbone.prepared(torch.from_numpy(np.array(store.inputs[rows])), e.window)
        sheets.pictures(path, e.backbone.pictures(images), titles)
        size = f"{images.shape[2]} x {images.shape[3]} pixels, its mean and standard deviation undone"
        return f"images as they enter {e.backbone.name}, {size}"
    assert e.backbone
    texts = store.texts()
    entering = [e.backbone.tokenizer.decode(ids) for ids in e.backbone.tokens([texts[row] for row in rows])]
    text_lines(path, entering, titles)
    return f"texts as they enter {e.backbone.name}, from their tokens"


def metrics(e: Embedded) -> dict[str, float]:
    return {"features": e.values.shape[1]}


def summary(e: Embedded) -> str:
    if not e.backbone:
        return NOTHING
    size = "images of {} x {} pixels".format(*e.entering) if e.entering else "texts"
    return (
        f"{e.backbone.name}, frozen, with {e.backbone.parameters:,} parameters: {e.values.shape[1]:,} features of each "
        f"of {len(e.values):,} {size}, on which all later stages train."
    )


def findings(e: Embedded) -> list[str]:
    if not e.backbone:
        return []
    left_out = len(e.backbone.left_out)
    classifier = [f"The {left_out} weights of its classifier were left out."] if left_out else []
    return [*(f"{note[0].upper()}{note[1:]}." for note in e.backbone.notes), *classifier]
