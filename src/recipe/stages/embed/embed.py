"""Computes the features of every image of the store with a frozen network, a chunk at a time."""

import hashlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recipe.data.store import Store
from recipe.data.stored_features import FACTS, VALUES, WEIGHTS
from recipe.errors import RecipeError
from recipe.files import fingerprint, replacing, write_json
from recipe.stages.runner import Run

if TYPE_CHECKING:
    from recipe.models.backbone import Backbone  # imports torch, which a model without a backbone does not need here

CHUNK = 2**26  # bytes of stored images in memory
SAMPLE = 8  # images whose features are computed once more
EVERY = 10.0  # seconds between two lines of progress
NOTHING = "The model has no pretrained network: no features were computed."


@dataclass(frozen=True)
class Embedded:
    """What the stage computed; without a backbone nothing.

    values: (N, D) features, a row for each of the store. inputs, outputs: a hash of the bytes of each row of the store
    and of its features. sample: rows whose features were computed once more, in another order; again: these.
    """

    backbone: "Backbone | None" = None
    values: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    inputs: list[bytes] = field(default_factory=list)
    outputs: list[bytes] = field(default_factory=list)
    sample: list[int] = field(default_factory=list)
    again: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    shape: tuple[int, ...] = ()  # of an image as it is stored
    window: tuple[int, int] | None = None

    @property
    def entering(self) -> tuple[int, int]:
        """Height and width of an image as it is stored, or of the part of it that enters."""
        height, width = self.window or self.shape[-2:]
        return height, width

    @property
    def finite(self) -> np.ndarray:
        """(N,) whether all features of an image are finite."""
        return np.isfinite(self.values).all(1)


def embed(store: Store, model: dict[str, Any], run: Run) -> Embedded:
    """model: what the config says about the backbone (config.instantiate.backbone_of); empty where there is none.

    Writes recipe.data.stored_features. Raises RecipeError where the inputs are no images.
    """
    to = run.out / "features"
    shutil.rmtree(to, ignore_errors=True)
    if not model:
        write_json(to / FACTS, {})
        return Embedded()
    if not store.kind.has_pixels:
        raise RecipeError(
            f"`model.backbone: {model['backbone']}` is of images, and the inputs are {store.kind.plural}."
        )
    from recipe.models.backbone import load_backbone, state_of  # imports torch, as above
    from recipe.train.checkpoint import save_weights

    backbone = load_backbone(model["backbone"], model["weights"], run.device)
    for note in backbone.notes:
        run.say(note)
    _write_values(to / VALUES, backbone, store, run)
    save_weights(state_of(backbone), to / WEIGHTS)
    write_json(to / FACTS, {"backbone": backbone.facts, "store": store.fingerprint})
    values = np.load(to / VALUES, mmap_mode="r", allow_pickle=False)
    sample = list(range(0, len(values), max(1, len(values) // SAMPLE)))[:SAMPLE][::-1]
    return Embedded(
        backbone, values, _hashes(store.inputs), _hashes(values), sample, _features(backbone, store, sample, run),
        store.inputs.shape[1:], store.window,
    )  # fmt: skip


def _write_values(path: Path, backbone: "Backbone", store: Store, run: Run) -> None:
    """From the file of an earlier run that had the same images and the same network, or computed."""
    kept = _kept(run)
    if kept and kept.is_file():
        run.say("the images and the network are those of an earlier run: its features are used")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kept, path)
        return
    count = len(store.inputs)
    first = _features(backbone, store, range(min(count, SAMPLE)), run)  # the first call prepares kernels
    started = time.perf_counter()
    _features(backbone, store, range(min(count, SAMPLE)), run)
    each = (time.perf_counter() - started) / max(1, min(count, SAMPLE))
    run.say(f"{count:,} images x {1000 * each:.3g} ms = {count * each:,.0f} s")
    with replacing(path) as temporary:
        values = np.lib.format.open_memmap(temporary, "w+", np.float32, (count, first.shape[1]))
        for rows in _progress(count, max(SAMPLE, CHUNK // max(1, store.inputs[:1].nbytes)), run):
            values[rows.start : rows.stop] = _features(backbone, store, rows, run)
        values.flush()
        del values
    if kept:
        shutil.rmtree(kept.parent, ignore_errors=True)  # of other images, or of another network
        with replacing(kept) as temporary:
            shutil.copyfile(path, temporary)


def _kept(run: Run) -> Path | None:
    """The file that holds the features beyond this run, called after all that they depend on: an edit of the split or
    of the decisions makes no image another one. None where DVC does not run the stage."""
    if not run.in_dvc:
        return None
    contents = {file: content for file, content in run.inputs.items() if not file.startswith("runs/split/")}
    return run.home / ".recipe" / "features" / f"{fingerprint([contents, run.device])}.npy"


def _progress(count: int, size: int, run: Run) -> Iterator[range]:
    """The rows in chunks, with a line of progress now and then."""
    started = last = time.perf_counter()
    for at in range(0, count, size):
        yield range(at, min(at + size, count))
        now, done = time.perf_counter(), min(at + size, count)
        if now - last > EVERY and done < count:
            last = now
            run.say(f"{done:,} of {count:,} images, about {(now - started) / done * (count - done):,.0f} s left")


def _features(backbone: "Backbone", store: Store, rows: "range | list[int]", run: Run) -> np.ndarray:
    """(len(rows), D)"""
    from recipe.data.streaming import InputsFile  # imports torch, as above

    images = InputsFile(store.inputs)(np.array(rows)).to(run.device)
    return backbone.features(images, store.window).cpu().numpy()


def _hashes(rows: np.ndarray) -> list[bytes]:
    return [hashlib.sha256(np.ascontiguousarray(row).tobytes()).digest() for row in rows]
