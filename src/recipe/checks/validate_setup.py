"""A Setup whose parts cannot be used is refused at once, by the name of the part."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader, IterableDataset

from recipe.checks import target_kinds
from recipe.checks.examples import collated
from recipe.checks.parts import given, tensors
from recipe.errors import RecipeError
from recipe.verdict import cause

REQUIRED = ("model", "optimizer")
OPTIONAL = ("loss", "augment", "schedule", "train_step", "evaluate", "fit", "collate")


def validate_parts(s: Any) -> None:
    """Raises RecipeError where a part of the Setup `s` is of the wrong kind."""
    _validate_functions(s)
    for name in ("train", "val"):
        data = getattr(s, name)
        if isinstance(data, (IterableDataset, DataLoader)) or not hasattr(data, "__getitem__"):
            kind = type(data.dataset if isinstance(data, DataLoader) else data).__name__
            raise RecipeError(
                f"Setup: {name} must be a map-style data set, with len(d) and d[i] -> (input, target); it is a {kind}. "
                "A loop over data that only come one after another can be watched as it is: recipe.watch."
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
    try:
        _ = s.output_form
    except RecipeError:
        raise
    except Exception as error:
        raise RecipeError(
            f"Setup: the model cannot take inputs {_shapes(x)}: {cause(error)} Where a loop prepares them, do it in "
            "the data set or in `collate`, or watch the loop as it is with recipe.watch."
        ) from None
    model = s.new_model()
    s.pair_optimizer(model)
    with torch.no_grad():
        out = s.forward(model.eval(), x)
    if any(t.ndim == 0 or len(t) != len(x) for t in tensors(out)) or not tensors(out):
        raise RecipeError(f"Setup: the model gives {_shapes(out)} for {len(x)} inputs; it must give one row per input.")
    try:
        value = s.loss_of(out, y)
    except Exception as error:
        raise RecipeError(
            f"Setup: the loss cannot take outputs {_shapes(s.output_form.of_user(out))} and targets {_shapes(y)}: "
            f"{cause(error)}"
        ) from None
    if not isinstance(value, Tensor) or value.ndim:
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise RecipeError(f"Setup: the loss gives {shape}, it must give one number: the mean over the batch.")


def _shapes(rows: Any) -> str:
    """`(2, 64) of torch.float32`, or those of all parts."""
    leaves = tree_leaves(given(rows))
    return ", ".join(f"{tuple(t.shape)} of {t.dtype}" if isinstance(t, Tensor) else type(t).__name__ for t in leaves)
