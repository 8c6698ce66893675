"""Diagnostics of a trained net: the weights of its first layer, and how its activations behave on a whole split."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from recipe.checks.measurements.activations import BOUNDED, WatchOperations, activation_kind, active, by_unit, is_signal
from recipe.checks.measurements.adjacent_pixels import morans_i
from recipe.config.changes import change
from recipe.data.batches import Data
from recipe.data.streaming import StreamedInputs
from recipe.experiment import build
from recipe.experiment.arms import Arm
from recipe.models.fine_tuned import FineTuned
from recipe.models.plain import Centre, Resize
from recipe.train.loop import outputs, rows_together

SHUFFLES = 400
SATURATED = 0.97  # of |tanh|; of a sigmoid, the same place on its slope (Glorot and Bengio 2010; Karpathy, makemore 3)
BINS = 60
COLUMNS = ["name", "units", "dead", "saturated", "mean", "sd"]  # of a table of activations


@dataclass(frozen=True)
class Diagnostics:
    """filters: the first layer's weights, first seed (F, C, H, W). structure: see below, over all seeds. Both are None
    where the first layer does not see an image. activations: of the first seed, over all of val. error: the standard
    error of its mean negative log-likelihood over the examples of val."""

    filters: Tensor | None
    structure: float | None
    activations: list["Activation"]
    error: float


def diagnose(cfg: DictConfig, data: Data, arm: Arm) -> Diagnostics:
    """The nets of an arm, with the weights that later stages get."""
    model = build.model(change(cfg, arm.changes), data, cfg.seed)
    states = [lane.weights(arm.early_stopping) for lane in arm.lanes]
    model.load_state_dict(states[0])
    val, net = build.entering(data, model, data.val), model
    layer, x = first_layer(model, val.x[:1]), val.x
    if isinstance(model, FineTuned):  # of the pretrained body nothing is diagnosed but its filters
        with torch.no_grad():
            net, x = model.head, torch.cat([model.features(part) for part in val.x.split(rows_together(val.x))])
    on_val = activations(net, x)
    losses = data.task.output_losses(outputs(net, x), val.y)
    error = losses.std().item() / math.sqrt(len(losses))
    if not layer:
        return Diagnostics(None, None, on_val, error)
    name, shape = layer
    filters = [state[name].cpu().view(shape) for state in states]
    over_seeds = structure(torch.cat(filters), cfg.seed) if max(shape[2:]) > 1 else None
    return Diagnostics(filters[0], over_seeds, on_val, error)


# ---- the first layer -----------------------------------------------------------------------------------------


def first_layer(model: nn.Module, images: Tensor) -> tuple[str, tuple[int, ...]] | None:
    """(name of the first layer's weight, (filters, C, H, W)); None where it does not see an image.

    images: an input (B, C, H, W) or (B, F). Each row of a matrix on all pixels is one filter.
    """
    for name, module in model.named_modules():
        if isinstance(module, Centre | Resize):
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
    """Moran's I of weights (F, C, H, W), in standard errors from that of the same weights shuffled in each filter."""
    generator = torch.Generator().manual_seed(seed)
    flat = weights.cpu().flatten(2)
    shuffled = []
    for _ in range(SHUFFLES):
        order = torch.rand(flat.shape, generator=generator).argsort(-1)
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


def activations(model: nn.Module, x: Tensor | StreamedInputs, chunk: int = 500) -> list[Activation]:
    """Of every activation of `model` in eval mode, over all of x."""
    model.eval()
    ranges: list[tuple[float, float]] = []
    totals: list[_Totals] = []

    def widen(number: int, kind: str, values: Tensor) -> None:
        if number == len(ranges):
            ranges.append((math.inf, -math.inf))
        low, high = ranges[number]
        ranges[number] = min(low, values.min().item()), max(high, values.max().item())

    def add(number: int, kind: str, values: Tensor) -> None:
        if number == len(totals):
            totals.append(_Totals(kind, len(values), *_non_empty(ranges[number])))
        totals[number].add(values)

    for use in (widen, add):  # a histogram needs the whole range first
        _watch(model, x.split(chunk), use)
    return [total.activation(number) for number, total in enumerate(totals, 1)]


def _watch(model: nn.Module, parts: Iterable[Tensor], use: Callable[[int, str, Tensor], None]) -> None:
    """Calls use(number of the activation, kind, values (units, of each)) for each activation, part by part."""
    for part in parts:
        number = 0

        def note(operation: str, out: Any) -> None:
            nonlocal number
            kind = activation_kind(operation)
            if kind is None or not is_signal(out):
                return
            use(number, kind, by_unit(out, 1 if out.ndim > 3 else -1).double())
            number += 1

        with torch.no_grad(), WatchOperations(note):
            model(part)


def _non_empty(ends: tuple[float, float]) -> tuple[float, float]:
    return ends if ends[1] > ends[0] else (ends[0] - 0.5, ends[0] + 0.5)


class _Totals:
    """Sums over the parts of a split, for one activation with a known range of values."""

    def __init__(self, kind: str, units: int, low: float, high: float):
        self.kind, self.low, self.high = kind, low, high
        self.active = torch.zeros(units, dtype=torch.bool)  # at least once
        self.saturated, self.count, self.sum, self.squares = 0, 0, 0.0, 0.0
        self.histogram = torch.zeros(BINS, dtype=torch.float64)

    def add(self, values: Tensor) -> None:
        """values: (units, of each)."""
        on = active(self.kind, values, saturation=SATURATED)
        self.active |= on.any(1).cpu()
        self.saturated += int((~on).sum())
        self.sum += values.sum().item()
        self.squares += values.square().sum().item()
        self.count += values.numel()
        self.histogram += torch.histc(values.cpu(), BINS, self.low, self.high)

    def activation(self, number: int) -> Activation:
        mean = self.sum / self.count
        return Activation(
            name=f"{number}. {self.kind}",
            units=len(self.active),
            dead=1 - self.active.double().mean().item(),
            saturated=self.saturated / self.count if self.kind in BOUNDED else None,
            mean=mean,
            sd=max(0.0, self.squares / self.count - mean**2) ** 0.5,
            edges=tuple(torch.linspace(self.low, self.high, BINS + 1).tolist()),
            counts=tuple(int(c) for c in self.histogram),
        )
