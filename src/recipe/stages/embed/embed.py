"""Computes the features of every image or text of the store with a frozen network, a chunk at a time."""

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
    from recipe.models.encoder import Encoder

CHUNK = 2**26  # bytes of stored images in memory
TEXTS = 2**12  # texts at a time
SAMPLE = 8  # inputs whose features are computed once more
EVERY = 10.0  # seconds between two lines of progress
NOTHING = "The model has no pretrained network: no features were computed."


@dataclass(frozen=True)
class Embedded:
    """What the stage computed; without a backbone nothing.

    values: (N, D) features, a row for each of the store. inputs, outputs: a hash of the bytes of each row of the store
    and of its features. sample: rows whose features were computed once more, in another order; again: these. cut: the
    texts that are longer than what is read of them. damaged: inputs with a feature that is NaN or infinite, while they
    are finite. trained_with: the side of images in pixels, or the length of texts in tokens, for which the network was
    made.
    """

    backbone: "Backbone | Encoder | None" = None
    values: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    inputs: list[bytes] = field(default_factory=list)
    outputs: list[bytes] = field(default_factory=list)
    sample: list[int] = field(default_factory=list)
    again: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    shape: tuple[int, ...] = ()  # of an image as it is stored
    window: tuple[int, int] | None = None
    cut: int = 0
    damaged: int = 0
    trained_with: int = 0

    @property
    def entering(self) -> tuple[int, int] | None:
        """Height and width of an image as it is stored, or of the part of it that enters; None of texts."""
        if len(self.shape) < 3:
            return None
        height, width = self.window or self.shape[-2:]
        return height, width

    @property
    def finite(self) -> np.ndarray:
        """(N,) whether all features of an input are finite."""
        return np.isfinite(self.values).all(1)


def embed(store: Store, model: dict[str, Any], run: Run) -> Embedded:
    """model: what the config says about the backbone (config.instantiate.backbone_of); empty where there is none.

    Writes recipe.data.stored_features. Raises RecipeError where the inputs are neither images nor texts.
    """
    to = run.out / "features"
    shutil.rmtree(to, ignore_errors=True)
    if not model:
        write_json(to / FACTS, {})
        return Embedded()
    if store.kind.has_columns:
        raise RecipeError(
            f"`model.backbone: {model['backbone']}` is of images or texts, and the inputs are {store.kind.plural}."
        )
    from recipe.models import backbone as images  # imports torch, as above
    from recipe.models import encoder as texts
    from recipe.train.checkpoint import save_weights

    which = model["backbone"], model["weights"], run.device
    inputs: _Images | _Texts
    if store.kind.has_pixels:
        inputs = _Images(images.load_backbone(*which), store, run.device)
    else:
        inputs = _Texts(texts.load_encoder(*which), store)
    backbone = inputs.network
    for note in backbone.notes:
        run.say(note)
    _write_values(to / VALUES, inputs, run)
    save_weights(images.state_of(backbone.net), to / WEIGHTS)
    write_json(to / FACTS, {"backbone": backbone.facts, "store": store.fingerprint})
    values = np.load(to / VALUES, mmap_mode="r", allow_pickle=False)
    damaged = inputs.finite(np.flatnonzero(~np.isfinite(values).all(1)).tolist())
    sample = list(range(0, len(values), max(1, len(values) // SAMPLE)))[:SAMPLE][::-1]
    return Embedded(
        backbone, values, inputs.hashes(), _hashes(values), sample, inputs.features(sample), store.inputs.shape[1:],
        store.window, inputs.cut(), damaged, inputs.trained_with,
    )  # fmt: skip


class _Images:
    """The images of a store. size: how many are read at a time."""

    plural = "images"

    def __init__(self, backbone: "Backbone", store: Store, device: str):
        from recipe.data.streaming import InputsFile  # imports torch, as above

        self.network, self.store, self.device, self.read = backbone, store, device, InputsFile(store.inputs)
        self.trained_with = min(backbone.size)
        self.count, self.size = len(store.inputs), max(SAMPLE, CHUNK // max(1, store.inputs[:1].nbytes))

    def features(self, rows: range | list[int]) -> np.ndarray:
        """(len(rows), D)"""
        images = self.read(np.array(rows)).to(self.device)
        return self.network.features(images, self.store.window).cpu().numpy()

    def hashes(self) -> list[bytes]:
        return _hashes(self.store.inputs)

    def cut(self) -> int:
        return 0

    def finite(self, rows: list[int]) -> int:
        """How many of these inputs are finite."""
        return sum(bool(np.isfinite(self.store.inputs[row]).all()) for row in rows)


class _Texts:
    """The texts of a store, as `_Images`."""

    plural = "texts"

    def __init__(self, encoder: "Encoder", store: Store):
        self.network, self.texts = encoder, store.texts()
        self.trained_with = encoder.length
        self.count, self.size = len(self.texts), TEXTS

    def features(self, rows: range | list[int]) -> np.ndarray:
        return self.network.features([self.texts[row] for row in rows]).cpu().numpy()

    def hashes(self) -> list[bytes]:
        return [hashlib.sha256(text.encode()).digest() for text in self.texts]

    def cut(self) -> int:
        return self.network.cut(self.texts)

    def finite(self, rows: list[int]) -> int:
        return len(rows)


def _write_values(path: Path, inputs: _Images | _Texts, run: Run) -> None:
    """From the file of an earlier run that had the same inputs and the same network, or computed."""
    kept = _kept(run)
    if kept and kept.is_file():
        run.say(f"the {inputs.plural} and the network are those of an earlier run: its features are used")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kept, path)
        return
    count = inputs.count
    some = list(range(0, count, max(1, count // SAMPLE)))[:SAMPLE]
    first = inputs.features(some)  # the first call prepares kernels
    started = time.perf_counter()
    inputs.features(some)
    each = (time.perf_counter() - started) / max(1, len(some))
    run.say(f"{count:,} {inputs.plural} x {1000 * each:.3g} ms = {count * each:,.0f} s")
    with replacing(path) as temporary:
        values = np.lib.format.open_memmap(temporary, "w+", np.float32, (count, first.shape[1]))
        for rows in _progress(inputs, run):
            values[rows.start : rows.stop] = inputs.features(rows)
        values.flush()
        del values
    if kept:
        shutil.rmtree(kept.parent, ignore_errors=True)  # of other inputs, or of another network
        with replacing(kept) as temporary:
            shutil.copyfile(path, temporary)


def _kept(run: Run) -> Path | None:
    """The file that holds the features beyond this run, called after all that they depend on: no report makes an input
    another one. None where DVC does not run the stage."""
    if not run.in_dvc:
        return None
    contents = {file: content for file, content in run.inputs.items() if not file.endswith("/report.json")}
    return run.home / ".recipe" / "features" / f"{fingerprint([contents, run.device])}.npy"


def _progress(inputs: _Images | _Texts, run: Run) -> Iterator[range]:
    """The rows in chunks, with a line of progress now and then."""
    count, size = inputs.count, inputs.size
    started = last = time.perf_counter()
    for at in range(0, count, size):
        yield range(at, min(at + size, count))
        now, done = time.perf_counter(), min(at + size, count)
        if now - last > EVERY and done < count:
            last = now
            run.say(
                f"{done:,} of {count:,} {inputs.plural}, about {(now - started) / done * (count - done):,.0f} s left"
            )


def _hashes(rows: np.ndarray) -> list[bytes]:
    return [hashlib.sha256(np.ascontiguousarray(row).tobytes()).digest() for row in rows]
