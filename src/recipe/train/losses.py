"""Losses that depend on the task: conf/loss names one with `_partial_: true`, and training completes it.

Each is a function (task, y) -> loss, where y are the training targets; the loss is (outputs, y) -> mean loss, 0-d.
"""

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from recipe.errors import RecipeError
from recipe.tasks.task import Task


def completed(loss: Any, task: Task, y: Tensor) -> Callable:
    """The loss of a training: what conf names, completed where it takes the task; y: training targets.

    Raises RecipeError where it is of another task.
    """
    if not isinstance(loss, nn.Module) and "task" in _parameters(loss):
        loss = loss(task=task, y=y)
    if isinstance(loss, nn.CrossEntropyLoss) and not isinstance(task.usual_loss(), nn.CrossEntropyLoss):
        raise RecipeError(
            f"conf/loss: cross-entropy is the loss of one class of several, and the task is {task.name}. Set "
            "`loss: auto` in params.yaml, which takes the usual loss of the task."
        )
    made: Callable = loss
    return made


def _parameters(function: Callable) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # a builtin
        return ()


def usual(task: Task, y: Tensor, label_smoothing: float = 0.0) -> nn.Module:
    """The usual loss of the task. label_smoothing: of classes alone (Szegedy et al. 2016)."""
    if not label_smoothing:
        return task.usual_loss()
    if not isinstance(task.usual_loss(), nn.CrossEntropyLoss):
        raise RecipeError(f"label smoothing is of one class of several, and the task is {task.name}.")
    return nn.CrossEntropyLoss(label_smoothing=label_smoothing)
