"""What a training costs, counted: the same on every machine and in every run, unlike a time."""

from typing import Any

import torch
from torch import Tensor, nn

from recipe.data.streaming import StreamedInputs
from recipe.train.evaluations import BACKWARD
from recipe.train.lane import Lane
from recipe.train.loop import outputs

SOME = 16  # examples, evenly spaced: texts have different lengths


def multiplications(model: nn.Module, x: Tensor | StreamedInputs, backward: bool = False) -> float:
    """Of one example's forward pass, in convolutions and linear layers; with `backward` of forward and backward, which
    a layer without weights to train does not need below the first one that has some.

    x: inputs (N, ...); the mean over some rows of tokens, which may be of different lengths, else of the first input.
    """
    count = 0
    some = x[:: max(1, len(x) // SOME)][:SOME] if x.ndim == 2 and not x.dtype.is_floating_point else x[:1]

    def learned(module: nn.Module) -> bool:
        return any(weight.requires_grad for weight in module.parameters())

    def measure(module: nn.Module, inputs: Any, out: Any) -> None:
        nonlocal count
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)) and isinstance(out, torch.Tensor):
            count += out.numel() * module.weight[0].numel() * (BACKWARD if backward and learned(module) else 1)

    hooks = [m.register_forward_hook(measure) for m in model.modules()]
    try:
        outputs(model, some)
    finally:
        for hook in hooks:
            hook.remove()
    return count / len(some)


def of_training(lane: Lane, x: Tensor | StreamedInputs) -> float:
    """Multiplications of all steps of a lane, forward and backward, and of its probe; evaluations aside. x: the
    training inputs, where the lane names none."""
    x = lane.fold.train.x if lane.fold else x
    before = of_training(lane.probe, x) if lane.probe else 0.0
    return before + multiplications(lane.model, x, backward=True) * lane.steps * lane.batch_size
