"""The user's learning-rate scheduler: one step of it, and the rates that it gives over a whole training."""

import warnings
from typing import Any

import torch


def step_scheduler(scheduler: Any, metric: float = 0.0) -> None:
    """One step; a scheduler that follows a metric gets it."""
    if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        scheduler.step(metric)
    else:
        scheduler.step()


def scheduled_rates(
    optimizer: torch.optim.Optimizer, scheduler: Any, *, steps_per_epoch: int, epochs: int, per_step: bool
) -> list[list[float]]:  # fmt: skip
    """The learning rate of each parameter group at each step, without training."""
    rates = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the optimizer takes no steps here
        for step in range(1, steps_per_epoch * epochs + 1):
            rates.append([float(group["lr"]) for group in optimizer.param_groups])
            if per_step or step % steps_per_epoch == 0:
                step_scheduler(scheduler)
    return rates
