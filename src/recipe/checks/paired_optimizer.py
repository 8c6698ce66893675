"""An optimizer and its schedule that one function makes, and an optimizer for a copy of its model."""

import inspect
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import nn


class PairedOptimizer:
    """The two functions of a Setup, of one that gives (optimizer, scheduler) for a model."""

    def __init__(self, both: Callable[[nn.Module], tuple[torch.optim.Optimizer, Any]]):
        self.both = both
        self.schedulers: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        optimizer, scheduler = self.both(model)
        self.schedulers[optimizer] = scheduler
        return optimizer

    def schedule(self, optimizer: torch.optim.Optimizer, steps_per_epoch: int, epochs: int) -> Any:
        return self.schedulers[optimizer]


def optimizer_like(optimizer: torch.optim.Optimizer, of: nn.Module, model: nn.Module) -> torch.optim.Optimizer:
    """An optimizer like one that was made for another model, with the parameters of the same names.

    A tensor that was not that model's stays as it is, so that a check can notice it.
    """
    names, now = {id(p): n for n, p in of.named_parameters()}, dict(model.named_parameters())
    groups = [
        {**group, "params": [now.get(names.get(id(p), ""), p) for p in group["params"]]}
        for group in optimizer.param_groups
    ]
    known = inspect.signature(type(optimizer)).parameters
    return type(optimizer)(groups, **{k: v for k, v in optimizer.defaults.items() if k in known})
