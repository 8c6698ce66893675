"""What a user's functions return, as the number that the checks need: code answers in many forms."""

import functools
import numbers
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from recipe.checks.parts import given
from recipe.errors import RecipeError

SCORES = ("acc", "f1", "auc", "r2", "score", "metric", "map", "iou", "dice")  # parts of the names of scores


def number_of(value: Any) -> Any:
    """A number, or a tensor or an array of one; None for anything else."""
    if isinstance(value, numbers.Number) or (isinstance(value, Tensor) and value.numel() == 1):
        return value
    return value.item() if hasattr(value, "item") and getattr(value, "size", 0) == 1 else None


class LossOfStep:
    """A training step whose answer is its loss: what it returns; of a mapping its `loss`, of a tuple the first number.

    Where it returns nothing, the loss is the last one that it computed with the loss that it was given. as_loaded: from
    inputs as the checks have them to those that the step gets. Raises RecipeError where it computed no loss.
    """

    def __init__(self, step: Callable[..., Any], as_loaded: Callable[[Any], Any] = given):
        self.step, self.as_loaded, self.silent = step, as_loaded, True  # silent: until it returns a loss
        functools.update_wrapper(self, step, updated=())

    def __call__(self, model: nn.Module, optimizer: Any, inputs: Any, targets: Any, loss: Callable) -> Any:
        inputs, targets = self.as_loaded(inputs), given(targets)
        if not self.silent:
            return self._of(self.step(model, optimizer, inputs, targets, loss), [])
        with Computed(loss) as computed:
            answer = self.step(model, optimizer, inputs, targets, computed.loss)
        self.silent = answer is None
        return self._of(answer, computed.values)

    def _of(self, answer: Any, computed: list[Any]) -> Any:
        if isinstance(answer, Mapping):
            answer = answer.get("loss")
        if isinstance(answer, tuple | list):
            answer = next((v for v in answer if number_of(v) is not None), None)
        value = number_of(answer)
        if value is None and computed:
            return computed[-1]
        if value is None:
            raise RecipeError(
                f"Setup: train_step returned {_shown(answer)}, and did not call the loss that it was given. It must "
                "return its loss before the step of the optimizer."
            )
        return value


class Computed:
    """Inside the block, the values of `loss` are recorded, as detached tensors of one number.

    loss: what is to be called; a module itself, since code may read its attributes.
    """

    def __init__(self, loss: Callable):
        self.values: list[Tensor] = []
        self.given, self.loss = loss, loss

    def __enter__(self) -> "Computed":
        if isinstance(self.given, nn.Module):
            self.hook = self.given.register_forward_hook(lambda module, args, value: self._note(value))
        else:
            given = self.given

            @functools.wraps(given)
            def recorded(*args: Any, **more: Any) -> Any:
                value = given(*args, **more)
                self._note(value)
                return value

            self.loss = recorded
        return self

    def __exit__(self, *error: object) -> None:
        if isinstance(self.given, nn.Module):
            self.hook.remove()

    def _note(self, value: Any) -> None:
        if isinstance(value, Tensor) and value.numel() == 1 and torch.is_grad_enabled():
            self.values.append(value.detach())


class ScoreOfEvaluation:
    """An evaluation whose answer is one number: what it returns; of a mapping the entry `metric`, or the first with the
    name of a score, or the first number; of a tuple the place `metric`, or the last number, as in (loss, accuracy).

    Raises RecipeError where there is no number.
    """

    def __init__(self, evaluate: Callable[..., Any], metric: str | int | None):
        self.evaluate, self.metric = evaluate, metric
        functools.update_wrapper(self, evaluate, updated=())

    def __call__(self, model: nn.Module, loader: Any) -> Any:
        answer = self.evaluate(model, loader)
        value = number_of(answer)
        if value is None and isinstance(answer, Mapping):
            value = self._of_mapping(answer)
        elif value is None and isinstance(answer, tuple | list):
            value = self._of_places(list(answer))
        if value is None:
            raise RecipeError(
                f"Setup: evaluate returned {_shown(answer)}; it must return a score, or a mapping or a tuple that "
                "holds one (`metric` names its key or place)."
            )
        return value

    def _of_mapping(self, answer: Mapping) -> Any:
        found = {str(name): v for name, v in answer.items() if number_of(v) is not None}
        if self.metric is not None:
            if self.metric not in found:
                raise RecipeError(f"Setup: metric is {self.metric!r}, and evaluate returned {', '.join(found)}.")
            return number_of(found[str(self.metric)])
        scores = (v for name, v in found.items() if any(part in name.lower() for part in SCORES))
        return number_of(next(scores, next(iter(found.values()), None)))

    def _of_places(self, answer: list) -> Any:
        if isinstance(self.metric, int):
            return number_of(answer[self.metric]) if self.metric < len(answer) else None
        return next((number_of(v) for v in reversed(answer) if number_of(v) is not None), None)


def _shown(answer: Any) -> str:
    return "nothing" if answer is None else f"a {type(answer).__name__}"
