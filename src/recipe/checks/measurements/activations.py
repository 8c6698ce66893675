"""The activations of a forward pass, functional ones included: which units are dead or saturated."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from recipe.checks.measurements.measured_once import measured_once
from recipe.checks.setup import Setup
from recipe.rng import seeded

RECTIFIERS = ("relu", "threshold", "hardtanh", "clamp_min", "gelu", "silu", "hardswish")
LEAKY = ("leaky_relu", "elu", "celu")
BOUNDED = ("sigmoid", "tanh")
_ACTIVATION = re.compile(rf"aten\.({'|'.join(RECTIFIERS + LEAKY + BOUNDED)})_?\.")
_PRODUCT = re.compile(r"aten\.(addmm|mm|bmm|baddbmm|convolution|_convolution|linear)\.")
SATURATED_AT_START = 0.99  # of |tanh|
SILENT = 1e-4  # the output of a unit that is off: GELU and SiLU have a tail


class WatchOperations(TorchDispatchMode):
    """Calls note(operation, result) for each operation of PyTorch that runs inside the context."""

    def __init__(self, note: Callable[[str, Any], None]):
        super().__init__()
        self.note = note

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        self.note(str(function), out)
        return out


def is_signal(out: Any) -> bool:
    """Whether the result of an operation is a batch of features: floating-point, with two dimensions or more."""
    return isinstance(out, Tensor) and out.is_floating_point() and out.ndim > 1


def activation_kind(operation: str) -> str | None:
    """The name of an activation function, as "relu"; None for any other operation."""
    match = _ACTIVATION.match(operation)
    return match[1] if match else None


def active(kind: str, values: Tensor, *, saturation: float) -> Tensor:
    """Which values carry a signal: those of a sigmoid or tanh that are not saturated, those of others that are not off.

    saturation: of |tanh|; for a sigmoid the same place on its slope.
    """
    if kind in BOUNDED:
        return (values if kind == "tanh" else 2 * values - 1).abs() <= saturation
    return (values.abs() if kind in LEAKY else values) > SILENT


def by_unit(values: Tensor, axis: int) -> Tensor:
    """(units, values of each): `axis` is the dimension of the units."""
    return values.movedim(axis, 0).flatten(1)


@dataclass
class Signals:
    """What the activations and the products of a forward pass gave."""

    dead: list[float] = field(default_factory=list)  # share of units, per activation
    saturated: list[float] = field(default_factory=list)  # share of units, per sigmoid or tanh
    scales: list[float] = field(default_factory=list)  # root mean square, per matrix product or convolution
    operations: set[str] = field(default_factory=set)

    def note(self, operation: str, out: Any) -> None:
        self.operations.add(operation)
        if not is_signal(out):
            return
        kind = activation_kind(operation)
        if kind in RECTIFIERS:
            self.dead.append(_inactive_share(active(kind, out, saturation=SATURATED_AT_START)))
        elif kind in BOUNDED:
            self.saturated.append(_inactive_share(active(kind, out, saturation=SATURATED_AT_START)))
        elif _PRODUCT.match(operation):
            self.scales.append(out.float().square().mean().sqrt().item())


def _inactive_share(is_active: Tensor) -> float:
    """The share of units that never are active.

    A unit is a channel of an image; elsewhere a place of the second or of the last dimension, whichever gives less.
    """
    axes = (1,) if is_active.ndim > 3 else (1, is_active.ndim - 1)
    return min((~by_unit(is_active, axis).any(1)).double().mean().item() for axis in axes)


@measured_once
def signals(s: Setup) -> Signals:
    """Of one forward pass of a new model in train mode, over up to 512 examples."""
    noted = Signals()
    with seeded(s.seed, "signals"), torch.no_grad():
        model = s.new_model()
        with WatchOperations(noted.note):
            s.forward(model, s.sample[0])
    return noted


def mixes_by_batch_norm(s: Setup) -> bool:
    """The model takes statistics of its batch while training, which mixes the batch's examples on purpose."""
    return any("batch_norm" in operation for operation in signals(s).operations)
