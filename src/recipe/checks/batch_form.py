"""How a batch, as the user's loader gives it, holds inputs and targets."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from recipe.errors import RecipeError

TARGETS = ("labels", "label", "targets", "target", "y")  # keys of what a mapping's other entries are to predict


@dataclass(frozen=True)
class BatchForm:
    """split: a batch, or one example -> (inputs, targets), each a tensor or a structure of tensors. join: the reverse.

    pair: each example is (input, target). itself: an input is its own target. weighted: the targets are a tuple, whose
    entries are arguments of the loss.
    """

    split: Callable[[Any], tuple[Any, Any]]
    join: Callable[[Any, Any], Any]
    pair: bool = False
    itself: bool = False
    key: str | None = None  # of the targets in a mapping
    weighted: bool = False


PAIR = BatchForm(lambda batch: (batch[0], batch[1]), lambda x, y: (x, y), pair=True)
ITSELF = BatchForm(lambda batch: (batch, batch), lambda x, y: x, itself=True)
ONLY = BatchForm(lambda batch: (batch[0], batch[0]), lambda x, y: (x,), itself=True)
LAST = BatchForm(lambda batch: (tuple(batch[:-1]), batch[-1]), lambda x, y: (*x, y))
WEIGHTED = BatchForm(lambda batch: (batch[0], tuple(batch[1:])), lambda x, y: (x, *y), weighted=True)


def by_key(key: str) -> BatchForm:
    """A mapping of inputs that has the targets, too."""

    def split(batch: Any) -> tuple[Any, Any]:
        return {k: batch[k] for k in batch if k != key}, batch[key]

    return BatchForm(split, lambda x, y: {**x, key: y}, key=key)


def infer(batch: Any, forward: Callable[[], Callable], loss: Callable) -> BatchForm:
    """The form of a batch. forward: gives the model's forward, whose arguments tell (ids, lengths, label) from
    (input, label, index). Raises RecipeError where nothing can be the target.
    """
    if isinstance(batch, Tensor):
        return ITSELF
    if isinstance(batch, Mapping):
        key = next((k for k in TARGETS if k in batch), None)
        if key is None:
            raise RecipeError(
                f"Setup: a batch has {', '.join(map(str, batch))}, and none of them is called {', '.join(TARGETS)}. "
                "Say which are the targets, as in unpack=lambda batch: (batch['image'], batch['mask'])."
            )
        return by_key(key)
    if not isinstance(batch, tuple | list) or not len(batch):
        raise RecipeError(
            f"Setup: a batch is a {type(batch).__name__}. Say how it holds inputs and targets, unpack=lambda batch: "
            "(inputs, targets), or watch the loop as it is with recipe.watch."
        )
    if len(batch) <= 2:
        return PAIR if len(batch) == 2 else ONLY
    if required(loss) == len(batch):  # (outputs, targets, weights)
        return WEIGHTED
    return LAST if required(forward()) >= 2 else PAIR


def unpacking(unpack: Callable[[Any], tuple[Any, Any]]) -> BatchForm:
    """As the user says. A loop of the user's gets (inputs, targets)."""
    return BatchForm(unpack, lambda x, y: (x, y))


def required(function: Callable) -> int:
    """The number of positional arguments without a default."""
    function = getattr(function, "forward", function)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of a builtin
        return 0
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in positional and p.default is p.empty for p in parameters)
