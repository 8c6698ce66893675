"""The parts of a Setup, of transformers' Trainer: `Setup.from_trainer(trainer)`."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from recipe.checks.output_form import OutputForm, likely
from recipe.checks.paired_optimizer import optimizer_like
from recipe.errors import RecipeError


def parts_of(trainer: Any) -> dict[str, Any]:
    """As this Trainer trains: its data sets, collator, optimizer, schedule, clipping and `compute_loss`.

    The model starts as the Trainer holds it, or as `model_init` makes it. Raises RecipeError where it has no data to
    train on or to evaluate.
    """
    for name in ("train_dataset", "eval_dataset"):
        if getattr(trainer, name) is None:
            raise RecipeError(f"Setup.from_trainer: the trainer has no {name}.")
    if len(trainer.label_names) != 1:
        raise RecipeError(
            f"Setup.from_trainer: the targets are {', '.join(trainer.label_names) or 'none'}, and must be one. Watch "
            "the training with WatchCallback of recipe.watching.for_transformers."
        )
    arguments, key = trainer.args, trainer.label_names[0]
    val = next(iter(trainer.eval_dataset)) if isinstance(trainer.eval_dataset, Mapping) else None
    train_loader, val_loader = trainer.get_train_dataloader(), trainer.get_eval_dataloader(val)

    def step(model: nn.Module, optimizer: Any, inputs: Any, targets: Tensor, loss: Callable) -> Tensor:
        model.train()  # as `Trainer.training_step` does, after an evaluation too
        optimizer.zero_grad()
        value = with_model(trainer, model).compute_loss(model, {**inputs, key: targets})
        value.backward()
        if arguments.max_grad_norm:
            nn.utils.clip_grad_norm_(model.parameters(), arguments.max_grad_norm)
        optimizer.step()
        detached: Tensor = value.detach()
        return detached

    def optimizer(model: nn.Module) -> torch.optim.Optimizer:
        if trainer.optimizer is not None:
            return optimizer_like(trainer.optimizer, trainer.model, model)
        made: torch.optim.Optimizer = with_model(trainer, model).create_optimizer()
        return made

    def schedule(optimizer: torch.optim.Optimizer, steps_per_epoch: int, epochs: int) -> Any:
        return copy.copy(trainer).create_scheduler(steps_per_epoch * epochs, optimizer)

    best = (arguments.metric_for_best_model or "").removeprefix("eval_")
    return {
        "model": trainer.call_model_init if trainer.model_init else lambda: copy.deepcopy(trainer.model),
        "loss": trainer.compute_loss_func,
        "train": train_loader.dataset,
        "val": val_loader.dataset,
        "optimizer": optimizer,
        "schedule": schedule if trainer.lr_scheduler is None else None,
        "train_step": step,
        "evaluate": _evaluation(trainer, key) if trainer.compute_metrics else None,
        "metric": best if best and best != "loss" and trainer.compute_metrics else None,
        "collate": train_loader.collate_fn,
        "unpack": key,
        "batch_size": arguments.train_batch_size,
        "epochs": max(1, round(arguments.num_train_epochs)),
        "seed": arguments.seed,
        "tokenizer": trainer.processing_class if hasattr(trainer.processing_class, "decode") else None,
    }


def loss_of(trainer: Any, model: nn.Module, batch: dict[str, Any]) -> tuple[float, Any]:
    """(the Trainer's loss, the model's outputs) in eval mode."""
    with torch.no_grad():
        value, raw = with_model(trainer, model.eval()).compute_loss(model, dict(batch), return_outputs=True)
    return float(value), OutputForm(likely(raw)).part(raw)


def with_model(trainer: Any, model: nn.Module) -> Any:
    """A copy of the Trainer with another model, and without an optimizer."""
    other = copy.copy(trainer)
    other.model = other.model_wrapped = model
    other.optimizer = None
    return other


def _evaluation(trainer: Any, key: str) -> Callable:
    """Of `compute_metrics`, over all batches of a loader."""
    from transformers import EvalPrediction  # an extra: imported where a Trainer is given

    def evaluate(model: nn.Module, loader: Any) -> Any:
        model.eval()
        outputs, targets = [], []
        with torch.no_grad():
            for batch in loader:
                raw = model(**{k: v for k, v in batch.items() if k != key})
                logits = OutputForm(likely(raw)).part(raw)
                if trainer.preprocess_logits_for_metrics is not None:
                    logits = trainer.preprocess_logits_for_metrics(logits, batch[key])
                outputs.append(logits)
                targets.append(batch[key])
        both = (torch.cat(part).cpu().numpy() for part in (outputs, targets))
        return trainer.compute_metrics(EvalPrediction(*both))

    return evaluate
