"""The user's evaluation, run on validation examples with models whose outputs are known."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from recipe.checks.copies import copied
from recipe.checks.measurements.best_loss import predicts_targets_themselves
from recipe.checks.measurements.measured_once import measured_once
from recipe.checks.parts import Rows, main
from recipe.checks.setup import Setup
from recipe.rng import generator


def evaluate_on_val(s: Setup, model: nn.Module, batch_size: int = 64, reverse: bool = False) -> float:
    """The metric of the user's evaluation."""
    x, y = (t.flip(0) if reverse else t for t in s.val_tensors)
    return evaluate_on(s, model, x, y, batch_size)


def evaluate_on(s: Setup, model: nn.Module, x: Rows, y: Rows, batch_size: int) -> float:
    return float(s.evaluate(model, s.loader_of(x, y, batch_size)))


def slightly_trained(s: Setup) -> nn.Module:
    """A copy of the model after 30 steps, in eval mode."""
    return copied(s.early_training[0].eval())


def relative_difference(a: float, b: float) -> float:
    """Of two scores; near zero, where R2 may lie, the absolute difference in units of 0.05."""
    return abs(a - b) / max(abs(a), 0.05)


class FixedOutputs(nn.Module):
    """A model that returns the next rows of a table, whatever the input, in the form of the user's model."""

    def __init__(self, s: Setup, rows: Tensor):
        super().__init__()
        self.form, self.rows, self.position = s.output_form, rows, 0
        self.weight = nn.Parameter(torch.zeros(1, device=rows.device))  # some evaluations read the device from it

    def forward(self, *args: Any, **named: Any) -> Any:
        count = len(next(t for t in tree_leaves((args, named)) if isinstance(t, Tensor) and t.ndim))
        index = (torch.arange(count) + self.position) % len(self.rows)
        self.position += count
        return self.form.as_given(self.rows[index.to(self.rows.device)])


def outputs_of_known_accuracy(s: Setup, accuracy: float) -> Tensor:
    """Outputs for val of which the share `accuracy` is correct and the rest as wrong as possible."""
    y = main(s.val_tensors[1])
    y = y.roll(-1, 1) if s.shifts_targets else y
    wrong = torch.arange(len(y)) >= accuracy * len(y)
    wrong = wrong[torch.randperm(len(y), generator=generator(s.seed, "wrong"))].to(y.device)

    def per_row(values: Tensor) -> Tensor:
        """`wrong` in a shape that broadcasts over the values of each row."""
        return wrong.reshape(-1, *[1] * (values.ndim - 1))

    if s.kind == "regression":
        answer = torch.where(per_row(y), 2 * y.double().mean(0) - y, y.double()).to(y.dtype)
        return answer.reshape(len(y), *s.output_shape)
    noise = 0.1 * torch.randn((len(y), *s.output_shape), generator=generator(s.seed, "answers")).to(y.device)
    if s.kind == "binary":
        sign = torch.where(per_row(y), 1 - 2 * y, 2 * y - 1)
        z = noise + 8 * sign.reshape(len(y), *s.output_shape)
    else:
        correct = torch.nn.functional.one_hot(y.clamp(0, s.output_shape[-1] - 1).long(), s.output_shape[-1])
        z = noise + 8 * torch.where(per_row(correct), -correct, correct)
    return s.last_operation.valid(z)


@measured_once
def passes_of_evaluation(s: Setup) -> int:
    """How often the user's evaluation shows an example to the model."""
    rows = outputs_of_known_accuracy(s, 1.0)
    model = FixedOutputs(s, rows)
    evaluate_on_val(s, model, len(rows))
    return round(model.position / len(rows))


@measured_once
def scores_of_known_outputs(s: Setup) -> list[tuple[float, float, float]]:
    """(accuracy, the user's metric in one batch, the score computed here) for four known accuracies, from 1 to 0.

    Raises what the user's evaluation raises on a model that can only be called.
    """
    if s.kind == "regression" and not predicts_targets_themselves(s):
        raise ValueError("the loss is defined on a function of the target")
    scores = []
    for accuracy in (1.0, 0.85, 0.6, 0.0):
        rows = outputs_of_known_accuracy(s, accuracy)
        metric = evaluate_on_val(s, FixedOutputs(s, rows), len(rows))
        scores.append((accuracy, metric, s.score(rows, s.val_tensors[1])))
    return scores
