"""What a training costs, counted: the same on every machine and in every run, unlike a time."""

from typing import Any

import torch
from torch import Tensor, nn

from recipe.data.streaming import StreamedInputs
from recipe.train.evaluations import BACKWARD
from recipe.train.lane import Lane
from recipe.train.loop import outputs


def multiplications(model: nn.Module, x: Tensor | StreamedInputs) -> int:
    """Of one example's forward pass, in convolutions and linear layers. x: inputs (N, ...), of which one is used."""
    count = 0

    def measure(module: nn.Module, inputs: Any, out: Any) -> None:
        nonlocal count
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)) and isinstance(out, torch.Tensor):
            count += out.numel() * module.weight[0].numel()

    hooks = [m.register_forward_hook(measure) for m in model.modules()]
    try:
        outputs(model, x[:1])
    finally:
        for hook in hooks:
            hook.remove()
    return count


def of_training(lane: Lane, x: Tensor | StreamedInputs) -> float:
    """Multiplications of all steps of a lane, forward and backward; evaluations aside. x: its training inputs."""
    return float(BACKWARD * multiplications(lane.model, x) * lane.steps * lane.batch_size)
