"""A split in memory, as it enters the net."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recipe.data.store import Store
from recipe.errors import RecipeError
from recipe.files import read_csv
from recipe.train.chance import generator


@dataclass(frozen=True)
class Part:
    """One split. x: (N, C, H, W) float32, standardised; y: (N,) int64."""

    x: Tensor
    y: Tensor
    ids: list[str]

    def __len__(self) -> int:
        return len(self.y)

    def to(self, device: str) -> "Part":
        return Part(self.x.to(device), self.y.to(device), self.ids)


@dataclass(frozen=True)
class Data:
    """Splits, and what leads from the net's input back to a picture: x * std + mean, in 0..1."""

    train: Part
    val: Part
    test: Part | None
    classes: list[str]
    mean: Tensor  # (C, 1, 1), over the training pixels
    std: Tensor
    fingerprint: str

    def pictures(self, x: Tensor) -> Tensor:
        return (x.cpu() * self.std + self.mean).clamp(0, 1)


def load(config: dict, device: str, *, test: bool = False, lists: Path = Path("runs/split")) -> Data:
    """Train and val, and test only where it is asked for, standardised by the training pixels of each channel."""
    store = Store.open(config)
    raw = {name: _rows(store, lists / f"{name}.csv") for name in ("train", "val", *(("test",) if test else ()))}
    x = raw["train"].x
    mean, std = x.mean((0, 2, 3))[:, None, None], x.std((0, 2, 3))[:, None, None].clamp_min(1e-6)
    parts = {n: Part((p.x - mean) / std, p.y, p.ids).to(device) for n, p in raw.items()}
    return Data(parts["train"], parts["val"], parts.get("test"), store.classes, mean, std, store.fingerprint)


def _rows(store: Store, path: Path) -> Part:
    rows = read_csv(path)
    if not rows:
        raise RecipeError(f"{path} lists no example")
    x = torch.from_numpy(np.ascontiguousarray(store.inputs[[int(r["row"]) for r in rows]]))
    x = x.float() / 255 if x.dtype == torch.uint8 else x
    return Part(x, torch.tensor([int(r["label"]) for r in rows]), [r["id"] for r in rows])


def shuffled(part: Part, batch_size: int, seed: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch in an order that depends on seed and epoch alone; the last batch may be short."""
    order = torch.randperm(len(part), generator=generator(seed, "order", epoch)).to(part.y.device)
    for index in order.split(batch_size):
        yield part.x[index], part.y[index]
