"""Inside a trained net: the weights of its first layer, and how its activations behave on a whole split."""

from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from recipe.checks.measurements.activations import BOUNDED, WatchOperations, activation_kind, active, by_unit, is_signal
from recipe.checks.measurements.adjacent_pixels import morans_i
from recipe.config.compose import change
from recipe.data.batches import Data
from recipe.experiment import build
from recipe.experiment.arms import Arm
from recipe.models.plain import Resize
from recipe.train.loop import classes_of, outputs

SHUFFLES = 400
SATURATED = 0.97  # of |tanh|; of a sigmoid, the same place on its slope (Glorot and Bengio 2010; Karpathy, makemore 3)
BINS = 60
COLUMNS = ["name", "units", "dead", "saturated", "mean", "sd"]  # of a table of activations


@dataclass(frozen=True)
class Inside:
    """weights: of the first layer of the first seed (F, C, H, W); structure: see below, of all seeds. None where the
    first layer sees no picture. activations: of the first seed, over all of val. error: the standard error of its
    negative log-likelihood over the examples of val."""

    weights: Tensor | None
    structure: float | None
    activations: list["Activation"]
    error: float


def look_inside(cfg: DictConfig, data: Data, arm: Arm) -> Inside:
    """The nets of an arm, as it hands them on."""
    model = build.model(change(cfg, arm.changes), data, cfg.seed)
    states = [lane.weights(arm.early_stopping) for lane in arm.lanes]
    model.load_state_dict(states[0])
    seen = activations(model, data.val.x)
    losses = cross_entropy(outputs(model, data.val.x), classes_of(data.val.y), reduction="none")
    error = losses.std().item() / len(losses) ** 0.5
    layer = first_layer(model, data.val.x[:1])
    if not layer:
        return Inside(None, None, seen, error)
    name, shape = layer
    filters = [state[name].cpu().view(shape) for state in states]
    noise = structure(torch.cat(filters), cfg.seed) if max(shape[2:]) > 1 else None
    return Inside(filters[0], noise, seen, error)


# ---- the first layer -----------------------------------------------------------------------------------------


def first_layer(model: nn.Module, images: Tensor) -> tuple[str, tuple[int, ...]] | None:
    """(name of the first layer's weight, (filters, C, H, W)); None where it looks at no picture.

    images: an input (B, C, H, W) or (B, F). A matrix on all pixels is as many pictures as it has rows.
    """
    for name, module in model.named_modules():
        if isinstance(module, Resize):
            images = module(images)
        weight = getattr(module, "weight", None)
        if not isinstance(weight, Tensor) or weight.ndim < 2:
            continue
        if weight.ndim == 4:
            return f"{name}.weight".lstrip("."), tuple(weight.shape)
        if images.ndim == 4 and weight.shape[1:] == (images[0].numel(),):
            return f"{name}.weight".lstrip("."), (len(weight), *images.shape[1:])
        return None
    return None


def structure(weights: Tensor, seed: int = 0) -> float:
    """How many standard errors the weights (F, C, H, W) are from noise: from themselves, shuffled in each filter."""
    chance = torch.Generator().manual_seed(seed)
    flat = weights.cpu().flatten(2)
    shuffled = []
    for _ in range(SHUFFLES):
        order = torch.rand(flat.shape, generator=chance).argsort(-1)
        shuffled.append(morans_i(flat.gather(-1, order).view(weights.shape)))
    noise = torch.tensor(shuffled, dtype=torch.float64)
    return ((morans_i(weights.cpu()) - noise.mean()) / noise.std().clamp_min(1e-12)).item()


# ---- activations ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Activation:
    """One activation of the net over a whole split, in the order of the forward pass.

    A unit is a channel of images, else a place of the last dimension. dead: share of units that never are active, or
    never unsaturated. saturated: share of all values at the ends of a tanh or sigmoid; None for others.
    """

    name: str
    units: int
    dead: float
    saturated: float | None
    mean: float
    sd: float
    edges: tuple[float, ...]
    counts: tuple[int, ...]

    def row(self) -> dict:
        return {column: getattr(self, column) for column in COLUMNS}


def activations(model: nn.Module, x: Tensor, chunk: int = 500) -> list[Activation]:
    """Of every activation of `model` in eval mode, over all of x."""
    model.eval()
    ends = [(total["low"], total["high"]) for total in _totals(model, x.split(chunk), None)]
    return [_of(i + 1, total, ends[i]) for i, total in enumerate(_totals(model, x.split(chunk), ends))]


def _totals(model: nn.Module, parts, ends: list[tuple[float, float]] | None) -> list[dict]:
    """Of each activation over all parts: lowest and highest value; with these given, everything else."""
    totals: list[dict] = []
    for part in parts:
        seen: list[dict] = []

        def note(operation: str, out: Any, seen=seen) -> None:
            kind = activation_kind(operation)
            if kind is None or not is_signal(out):
                return
            if len(seen) == len(totals):
                totals.append({"kind": kind})
            seen.append(totals[len(seen)])
            units = by_unit(out, 1 if out.ndim > 3 else -1)
            _add(seen[-1], kind, units.double(), ends and ends[len(seen) - 1])

        with torch.no_grad(), WatchOperations(note):
            model(part)
    return totals


def _add(total: dict, kind: str, rows: Tensor, ends: tuple[float, float] | None) -> None:
    """rows: (units, values)."""
    if ends is None:
        total["low"] = min(total.get("low", float("inf")), rows.min().item())
        total["high"] = max(total.get("high", -float("inf")), rows.max().item())
        return
    on = active(kind, rows, saturation=SATURATED)
    if kind in BOUNDED:
        total["saturated"] = total.get("saturated", 0) + int((~on).sum())
    total["alive"] = total.get("alive", False) | on.any(1)
    total["sum"] = total.get("sum", 0.0) + rows.sum().item()
    total["squares"] = total.get("squares", 0.0) + rows.square().sum().item()
    total["count"] = total.get("count", 0) + rows.numel()
    total["histogram"] = total.get("histogram", 0) + torch.histc(rows.cpu(), BINS, *_room(ends))


def _room(ends: tuple[float, float]) -> tuple[float, float]:
    return ends if ends[1] > ends[0] else (ends[0] - 0.5, ends[0] + 0.5)


def _of(number: int, total: dict, ends: tuple[float, float]) -> Activation:
    alive, count = total["alive"], total["count"]
    mean = total["sum"] / count
    saturated = total["saturated"] / count if "saturated" in total else None
    return Activation(
        name=f"{number}. {total['kind']}",
        units=len(alive),
        dead=1 - alive.double().mean().item(),
        saturated=saturated,
        mean=mean,
        sd=max(0.0, total["squares"] / count - mean**2) ** 0.5,
        edges=tuple(torch.linspace(*_room(ends), BINS + 1).tolist()),
        counts=tuple(int(c) for c in total["histogram"]),
    )
