"""Losses in which the examples of rare classes, or those that are hard, count more.

Each is a mean over the batch, as the cross-entropy is. What such a loss trains is judged by the plain cross-entropy
(`judged`), so that trainings with several of them can be compared.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipe.errors import RecipeError
from recipe.tasks.task import Task

BALANCED = "balanced"


class WeightedCrossEntropy(nn.Module):
    """The mean over the batch of the cross-entropy times the weight of the class.

    Not torch's, which divides by the sum of the weights in the batch: there an example counts less where its batch has
    others of a rare class. weights: (K,). Targets (N,), or (N, K) probabilities.
    """

    judged = staticmethod(F.cross_entropy)
    weights: Tensor

    def __init__(self, weights: Tensor):
        super().__init__()
        self.register_buffer("weights", weights)

    def forward(self, outputs: Tensor, y: Tensor) -> Tensor:
        return (_targets(outputs, y) * self.weights * -outputs.log_softmax(-1)).sum(-1).mean()


class Focal(nn.Module):
    """The cross-entropy times (1 - p) ** gamma, where p is the probability of the class (Lin et al. 2017, Focal loss
    for dense object detection): what is right already counts less. Targets (N,), or (N, K) probabilities."""

    judged = staticmethod(F.cross_entropy)

    def __init__(self, gamma: float):
        super().__init__()
        self.gamma = gamma

    def forward(self, outputs: Tensor, y: Tensor) -> Tensor:
        log_p = outputs.log_softmax(-1)
        # -expm1 and not 1 - exp: where p is nearly 1, the power's gradient would be that of a rounding error
        hard = (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).tiny) ** self.gamma
        return (_targets(outputs, y) * hard * -log_p).sum(-1).mean()


def _targets(outputs: Tensor, y: Tensor) -> Tensor:
    """(N, K): how much of each class a target is."""
    return y if y.is_floating_point() else F.one_hot(y, outputs.shape[-1]).to(outputs.dtype)


# ---- as conf/loss names them -------------------------------------------------------------------------------------


def weighted_cross_entropy(task: Task, y: Tensor, weights: str | Sequence[float] | Mapping[Any, float]) -> nn.Module:
    """weights: `balanced`, by which all classes count alike in train (King and Zeng 2001, Logistic regression in rare
    events data); one per class, in the order of the classes; or {class: weight}, 1 for the others. They are scaled so
    that the mean over the training examples is 1, and the learning rate keeps its meaning.

    y: training targets. Raises RecipeError where the weights do not fit the classes, or the task has none.
    """
    _require_classes("weighted_cross_entropy", task)
    counts = torch.bincount(task.actual(y), minlength=task.width).double()
    each = _weights(task.names, counts, weights).to(counts)
    return WeightedCrossEntropy((each * counts.sum() / (each * counts).sum()).float())


def focal(task: Task, y: Tensor, gamma: float) -> nn.Module:
    """gamma: 0 is the cross-entropy; Lin et al. recommend 2. Raises RecipeError where the task has no classes."""
    _require_classes("focal", task)
    return Focal(gamma)


def _require_classes(loss: str, task: Task) -> None:
    if not isinstance(task.usual_loss(), nn.CrossEntropyLoss):
        raise RecipeError(f"`loss: {loss}` is of one class of several, and the task is {task.name}.")


def _weights(names: Sequence[str], counts: Tensor, weights: str | Sequence[float] | Mapping[Any, float]) -> Tensor:
    if weights == BALANCED:
        return torch.where(counts > 0, 1 / counts, 0.0)
    if isinstance(weights, Mapping):
        given = {str(name): weight for name, weight in weights.items()}
        if unknown := sorted(set(given) - set(names)):
            raise RecipeError(f"`loss.weights` has no class `{unknown[0]}`; the classes are {', '.join(names)}.")
        each = [given.get(name, 1.0) for name in names]
    else:
        each = [] if isinstance(weights, str) else list(weights)
    if len(each) != len(names) or any(isinstance(w, bool) or not isinstance(w, int | float) or w <= 0 for w in each):
        raise RecipeError(
            f"`loss.weights: {weights}` must be `{BALANCED}`, a positive number for each of the {len(names)} classes, "
            "or a mapping from names of classes to such numbers."
        )
    return torch.tensor(each)
