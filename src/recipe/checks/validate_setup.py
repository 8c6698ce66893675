"""A Setup whose parts cannot be used is refused at once, by the name of the part."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from recipe.checks import target_kinds
from recipe.checks.examples import collated
from recipe.errors import RecipeError
from recipe.verdict import cause

REQUIRED = ("model", "loss", "optimizer")
OPTIONAL = ("augment", "schedule", "train_step", "evaluate", "fit", "collate")


def validate_parts(s: Any) -> None:
    """Raises RecipeError where a part of the Setup `s` is of the wrong kind."""
    _validate_functions(s)
    for name in ("train", "val"):
        data = getattr(s, name)
        if isinstance(data, (IterableDataset, DataLoader)) or not hasattr(data, "__getitem__"):
            raise RecipeError(
                f"Setup: {name} must be a map-style data set, with len(d) and d[i] -> (input, target); "
                f"it is a {type(data).__name__}."
            )
        if len(data) < 2:
            raise RecipeError(f"Setup: {name} has {len(data)} examples, it needs 2 or more.")
    if s.tokenizer is not None and not (hasattr(s.tokenizer, "encode") and hasattr(s.tokenizer, "decode")):
        raise RecipeError(
            f"Setup: tokenizer is a {type(s.tokenizer).__name__}; it must be one of transformers or tokenizers."
        )
    for name, valid in (("schedule_per", ("step", "epoch")), ("task", (None, *target_kinds.KINDS))):
        if getattr(s, name) not in valid:
            raise RecipeError(f"Setup: {name} is {getattr(s, name)!r}, it must be one of {', '.join(map(str, valid))}.")
    for name, least in (("batch_size", 1), ("epochs", 1), ("workers", 0)):
        if not isinstance(getattr(s, name), int) or getattr(s, name) < least:
            raise RecipeError(f"Setup: {name} is {getattr(s, name)!r}, it must be a whole number from {least}.")


def _validate_functions(s: Any) -> None:
    for name in ("model", "optimizer"):
        if isinstance(getattr(s, name), (nn.Module, torch.optim.Optimizer)):
            hint = "lambda: Net()" if name == "model" else "lambda model: Adam(model.parameters())"
            raise RecipeError(f"Setup: {name} must make a new one at each call; write {name}={hint}.")
    for name in (*REQUIRED, *OPTIONAL):
        part = getattr(s, name)
        if not callable(part) and not (part is None and name in OPTIONAL):
            raise RecipeError(f"Setup: {name} must be callable, it is a {type(part).__name__}.")


def try_one_batch(s: Any) -> None:
    """Builds each part once and passes a batch through them, so that what cannot work at all is reported first.

    Raises RecipeError that names the part.
    """
    for name, dataset in (("train", s.train), ("val", s.val)):
        collated([dataset[0], dataset[1]], s.collate, name)
    _ = s.train_tensors, s.val_tensors
    x, y = s.batch(2)
    with torch.no_grad():
        try:
            out = s.new_model().eval()(x)
        except Exception as error:
            raise RecipeError(f"Setup: the model cannot take inputs {tuple(x.shape)}: {cause(error)}") from None
    if not isinstance(out, Tensor) or out.ndim == 0 or len(out) != len(x):
        shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise RecipeError(f"Setup: the model gives {shape} for {len(x)} inputs; it must give one row per input.")
    try:
        value = s.loss(out, y)
    except Exception as error:
        raise RecipeError(
            f"Setup: the loss cannot take outputs {tuple(out.shape)} and targets {tuple(y.shape)} "
            f"of {y.dtype}: {cause(error)}"
        ) from None
    if not isinstance(value, Tensor) or value.ndim:
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise RecipeError(f"Setup: the loss gives {shape}, it must give one number: the mean over the batch.")
