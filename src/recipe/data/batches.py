"""A split in memory, as it enters the net."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from recipe.data.contract import FEATURES, TEXT
from recipe.data.store import Store
from recipe.errors import RecipeError
from recipe.files import read_csv


@dataclass(frozen=True)
class Part:
    """One split. x: (N, C, H, W) or (N, F) float32, standardised; y: (N,) int64."""

    x: Tensor
    y: Tensor
    ids: list[str]

    def __len__(self) -> int:
        return len(self.y)

    def to(self, device: str) -> "Part":
        return Part(self.x.to(device), self.y.to(device), self.ids)


@dataclass(frozen=True)
class Data:
    """Splits, and what leads from the net's input back to what it was: x * std + mean; of images, in 0..1."""

    train: Part
    val: Part
    test: Part | None
    classes: list[str]
    mean: Tensor  # (C, 1, 1), over the training pixels; (F,) over the training rows
    std: Tensor
    fingerprint: str

    def pictures(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in 0..1; features as a square of grey, in reading order, from -3 to 3 standard deviations."""
        if x.ndim == 4:
            return (x.cpu() * self.std + self.mean).clamp(0, 1)
        side = math.ceil(math.sqrt(x.shape[1]))
        squares = nn.functional.pad(x.cpu().clamp(-3, 3), (0, side * side - x.shape[1])).reshape(-1, 1, side, side)
        return squares / 6 + 0.5


def load(
    config: dict, device: str, *, test: bool = False,
    lists: Path = Path("runs/split"), folder: Path = Path("runs/prepare"),
) -> Data:  # fmt: skip
    """Train and val, and test only where it is asked for, standardised by the training part of each channel or column.

    A feature that is missing is the mean of its column, 0 after that. Raises RecipeError for texts.
    """
    store = Store.open(config, folder)
    if store.kind == TEXT:
        raise RecipeError(
            f"{config['_target_']} gives texts, and no model here reads them yet: prepare stores them, and training "
            "needs numbers. Until then give rows of features of them (data: table), such as word counts."
        )
    raw = {name: _rows(store, lists / f"{name}.csv") for name in ("train", "val", *(("test",) if test else ()))}
    mean, std = _columns(raw["train"].x) if store.kind == FEATURES else _channels(raw["train"].x)
    parts = {n: replace(p, x=(p.x - mean) / std) for n, p in raw.items()}
    if store.kind == FEATURES:
        parts = {n: replace(p, x=p.x.nan_to_num(nan=0.0)) for n, p in parts.items()}
    parts = {n: p.to(device) for n, p in parts.items()}
    return Data(parts["train"], parts["val"], parts.get("test"), store.classes, mean, std, store.fingerprint)


def _channels(x: Tensor) -> tuple[Tensor, Tensor]:
    """(mean, standard deviation) of the pixels of each channel, (C, 1, 1)."""
    return x.mean((0, 2, 3))[:, None, None], x.std((0, 2, 3))[:, None, None].clamp_min(1e-6)


def _columns(x: Tensor) -> tuple[Tensor, Tensor]:
    """(mean, standard deviation) of the known values of each column, (F,).

    The deviation of a column without spread, or without two values, is 1: it becomes 0 and not a rounding error
    divided by next to nothing.
    """
    x = x.double()
    known = ~x.isnan()
    count = known.sum(0)
    mean = x.nan_to_num(nan=0.0).sum(0) / count.clamp_min(1)
    std = (((x - mean).square() * known).nan_to_num(nan=0.0).sum(0) / (count - 1).clamp_min(1)).sqrt()
    flat = std <= 1e-6 * mean.abs()
    return mean.float(), torch.where(flat, 1.0, std).float()


def _rows(store: Store, path: Path) -> Part:
    rows = read_csv(path)
    if not rows:
        raise RecipeError(f"{path} lists no example")
    x = torch.from_numpy(np.ascontiguousarray(store.inputs[[int(r["row"]) for r in rows]]))
    x = x.float() / 255 if x.dtype == torch.uint8 else x
    return Part(x, torch.tensor([int(r["label"]) for r in rows]), [r["id"] for r in rows])
