"""The parts of a Setup, of a LightningModule and its data: `Setup.from_lightning(module, datamodule)`."""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from recipe.checks.paired_optimizer import PairedOptimizer
from recipe.checks.parts import call, inputs_of
from recipe.errors import RecipeError
from recipe.rng import seeded

LOSSES = ("loss", "loss_fn", "loss_func", "criterion", "loss_function")  # usual names of a module's loss


def parts_of(module: Any, data: Any, join: Callable[[Any, Any], Any]) -> dict[str, Any]:
    """As Lightning trains it: `configure_optimizers`, `training_step` and the loaders of train and val.

    data: a LightningDataModule, or (train loader, val loader). join: (inputs, targets) -> batch. Each model is a copy
    of the module as it is. Raises RecipeError for several optimizers, or an optimizer that the module steps itself.
    """
    if not module.automatic_optimization:
        raise RecipeError(
            "Setup.from_lightning: the module steps its optimizer itself; watch its fit with WatchCallback of "
            "recipe.watching.for_lightning."
        )
    train, val = _loaders(data)
    _, scheduler, per = _configured(copy.deepcopy(module))
    both = PairedOptimizer(lambda model: _configured(model)[:2])

    calls: list[bool] = []  # whether `training_step` calls its module

    def step(model: Any, optimizer: Any, inputs: Any, targets: Any, loss: Callable) -> Tensor:
        batch = join(inputs, targets)
        if not calls:
            calls.append(_calls_itself(copy.deepcopy(model), batch))
        optimizer.zero_grad()
        value = loss_of(model, batch) if calls[0] else _called_with(model, inputs, lambda: loss_of(model, batch))
        value.backward()
        optimizer.step()
        return value.detach()

    return {
        "model": lambda: copy.deepcopy(module),
        "loss": next((getattr(module, name) for name in LOSSES if callable(getattr(module, name, None))), None),
        "train": train,
        "val": val,
        "optimizer": both.optimizer,
        "schedule": None if scheduler is None else both.schedule,
        "schedule_per": per,
        "train_step": step,
    }


def loss_of(module: Any, batch: Any) -> Tensor:
    """What `training_step` gives for a batch, outside of a Trainer; what it logs is not kept."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = module.training_step(batch, 0)
    value = answer.get("loss") if isinstance(answer, dict) else answer
    if not isinstance(value, Tensor) or value.ndim:
        raise RecipeError(f"Setup.from_lightning: training_step returned a {type(answer).__name__}, and no loss.")
    return value


def _calls_itself(module: Any, batch: Any) -> bool:
    """module: a copy, which this may change."""
    calls: list[nn.Module] = []
    module.register_forward_pre_hook(lambda module, args: calls.append(module))
    with seeded(0, "lightning"):
        loss_of(module, batch)
    return bool(calls)


def _called_with(module: nn.Module, inputs: Any, compute: Callable[[], Tensor]) -> Tensor:
    """What `compute` gives, as a call of the module with these inputs, so that hooks on it see them.

    `training_step` may call a part of its module instead of the module.
    """

    def forward(*args: Any, **named: Any) -> Tensor:
        del module.__dict__["forward"]
        return compute()

    module.__dict__["forward"] = forward
    try:
        value: Tensor = call(module, inputs_of(inputs))
    finally:
        module.__dict__.pop("forward", None)
    return value


def _loaders(data: Any) -> tuple[Any, Any]:
    if isinstance(data, tuple | list):
        train, val = data
    else:
        data.prepare_data()
        data.setup("fit")
        train, val = data.train_dataloader(), data.val_dataloader()
    return train, val[0] if isinstance(val, list | tuple) else val


def _configured(module: nn.Module) -> tuple[torch.optim.Optimizer, Any, str]:
    """(optimizer, scheduler or None, the unit in which it is stepped) of `configure_optimizers`."""
    answer: Any = module.configure_optimizers()  # type: ignore[operator]  # a method of Lightning's
    schedulers: Any = []
    if isinstance(answer, dict):
        answer, schedulers = answer["optimizer"], [answer["lr_scheduler"]] if "lr_scheduler" in answer else []
    elif isinstance(answer, tuple | list) and len(answer) == 2 and isinstance(answer[0], tuple | list):
        answer, schedulers = answer
    optimizers = answer if isinstance(answer, tuple | list) else [answer]
    if len(optimizers) != 1 or not isinstance(optimizers[0], torch.optim.Optimizer):
        raise RecipeError(
            f"Setup.from_lightning: configure_optimizers gave {len(optimizers)} optimizers, and must give one; watch "
            "the fit with WatchCallback of recipe.watching.for_lightning."
        )
    if not schedulers:
        return optimizers[0], None, "step"
    first = schedulers[0]
    settings = first if isinstance(first, dict) else {"scheduler": first}
    return optimizers[0], settings["scheduler"], settings.get("interval", "epoch")
