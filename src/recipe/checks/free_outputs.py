"""The minimum of a loss over outputs that are optimised directly, without a model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from recipe.checks.parts import Rows, main
from recipe.rng import generator

STEPS = 400

Operation = Callable[[Tensor], Tensor]
Loss = Callable[[Tensor, Any], Tensor]


def identity(z: Tensor) -> Tensor:
    return z


@dataclass(frozen=True)
class Minimum:
    """Where the optimisation of free outputs ends.

    initial: the loss before the first step. halfway: the lowest loss of the first half of the steps.
    """

    loss: float
    outputs: Tensor
    initial: float
    halfway: float

    @property
    def unbounded(self) -> bool:
        """The loss is below zero and still falling: cross-entropy and squared errors have a minimum."""
        return not self.loss > -1e-3 and not (self.halfway - self.loss) < 0.1 * (self.initial - self.loss)


def minimum(
    loss: Loss,
    y: Rows,
    shape: torch.Size,
    *,
    seed: int,
    through: Operation = identity,
    rows: torch.Size | None = None,
) -> Minimum:
    """Minimises `loss(through(z), y)` with Adam over free outputs z.

    shape: of the outputs for one example. rows: the shape of z where it is smaller than (N, *shape), as for one answer
    that all examples share. Raises what the loss raises on such outputs.
    """
    targets = main(y)
    scale = max(1.0, targets.abs().max().item() / 4) if targets.is_floating_point() else 1.0
    z = 0.01 * torch.randn(rows or torch.Size((len(y),)) + shape, generator=generator(seed, "free outputs"))
    z = z.to(y.device).requires_grad_()
    adam = torch.optim.Adam([z], lr=0.1 * scale)
    losses: list[float] = []
    best, lowest = z.detach(), float("inf")
    for step in range(STEPS):
        adam.param_groups[0]["lr"] = 0.1 * scale * min(1.0, 2 - 2 * step / STEPS)
        adam.zero_grad()
        outputs = through(z.expand(len(y), *shape) if rows else z)
        value = loss(outputs, y)
        losses.append(value.item())
        if losses[-1] < lowest:
            lowest, best = losses[-1], outputs.detach().clone()
        value.backward()
        adam.step()
    return Minimum(lowest, best, losses[0], min(losses[: STEPS // 2]))
