"""Losses in which the examples of rare classes, or of the rarer value of a label, or those that are hard, count more.

Each is a mean over the batch, of labels also over these, as the cross-entropy is. What such a loss trains is judged by
the plain cross-entropy (`judged`), so that trainings with several of them can be compared.
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
        return (_targets(outputs, y) * _hard(log_p, self.gamma) * -log_p).sum(-1).mean()


class WeightedLabels(nn.Module):
    """The mean over examples and labels of the binary cross-entropy times the weight of what the label is.

    weights: (2, L), of labels that are absent and of those that are present. Targets (N, L) from 0 to 1.
    """

    judged = staticmethod(F.binary_cross_entropy_with_logits)
    weights: Tensor

    def __init__(self, weights: Tensor):
        super().__init__()
        self.register_buffer("weights", weights)

    def forward(self, outputs: Tensor, y: Tensor) -> Tensor:
        absent, present = self.weights
        likelihood: Tensor = y * present * F.logsigmoid(outputs) + (1 - y) * absent * F.logsigmoid(-outputs)
        return -likelihood.mean()


class FocalLabels(nn.Module):
    """`Focal` for each label, as in Lin et al. 2017: the mean over examples and labels. Targets (N, L) from 0 to 1."""

    judged = staticmethod(F.binary_cross_entropy_with_logits)

    def __init__(self, gamma: float):
        super().__init__()
        self.gamma = gamma

    def forward(self, outputs: Tensor, y: Tensor) -> Tensor:
        log_p, log_q = F.logsigmoid(outputs), F.logsigmoid(-outputs)
        return -(y * _hard(log_p, self.gamma) * log_p + (1 - y) * _hard(log_q, self.gamma) * log_q).mean()


def _hard(log_p: Tensor, gamma: float) -> Tensor:
    """(1 - p) ** gamma."""
    # -expm1 and not 1 - exp: where p is nearly 1, the power's gradient would be that of a rounding error
    hard: Tensor = (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).tiny) ** gamma
    return hard


def _targets(outputs: Tensor, y: Tensor) -> Tensor:
    """(N, K): how much of each class a target is."""
    return y if y.is_floating_point() else F.one_hot(y, outputs.shape[-1]).to(outputs.dtype)


# ---- as conf/loss names them -------------------------------------------------------------------------------------


def weighted_cross_entropy(task: Task, y: Tensor, weights: str | Sequence[float] | Mapping[Any, float]) -> nn.Module:
    """weights: `balanced`, by which all classes, or both values of each label, count alike in train (King and Zeng
    2001, Logistic regression in rare events data); one per class, or per label where it is present, in their order; or
    {name: weight}, 1 for the others. They are scaled so that the mean over the training examples is 1, and the learning
    rate keeps its meaning.

    y: training targets. Raises RecipeError where the weights do not fit the names, or quantities are predicted.
    """
    _refuse_quantities("weighted_cross_entropy", task)
    make = task.choose(classes=_weighted_classes, labels=_weighted_labels, quantities=_weighted_labels)
    return make(task, y, weights)


def focal(task: Task, y: Tensor, gamma: float) -> nn.Module:
    """gamma: 0 is the cross-entropy; Lin et al. recommend 2. Raises RecipeError where quantities are predicted."""
    _refuse_quantities("focal", task)
    return task.choose(classes=Focal, labels=FocalLabels, quantities=FocalLabels)(gamma)


def _refuse_quantities(loss: str, task: Task) -> None:
    if task.choose(classes=False, labels=False, quantities=True):
        raise RecipeError(f"`loss: {loss}` is of classes and of labels, and the task is {task.name}.")


Weights = str | Sequence[float] | Mapping[Any, float]


def _weighted_classes(task: Task, y: Tensor, weights: Weights) -> nn.Module:
    counts = torch.bincount(task.actual(y), minlength=task.width).double()
    each = _inverse(counts) if weights == BALANCED else _given(task.names, "class", weights).to(counts)
    return WeightedCrossEntropy((each * counts.sum() / (each * counts).sum()).float())


def _weighted_labels(task: Task, y: Tensor, weights: Weights) -> nn.Module:
    present = task.actual(y).double().sum(0)
    counts = torch.stack([len(y) - present, present])
    if weights == BALANCED:
        each = _inverse(counts)
    else:
        given = _given(task.names, "label", weights).to(counts)
        each = torch.stack([torch.ones_like(given), given])
    return WeightedLabels((each * counts.sum(0) / (each * counts).sum(0)).float())


def _inverse(counts: Tensor) -> Tensor:
    return torch.where(counts > 0, 1 / counts, 0.0)


def _given(names: Sequence[str], kind: str, weights: Weights) -> Tensor:
    kinds = {"class": "classes", "label": "labels"}[kind]
    if isinstance(weights, Mapping):
        given = {str(name): weight for name, weight in weights.items()}
        if unknown := sorted(set(given) - set(names)):
            raise RecipeError(f"`loss.weights` has no {kind} `{unknown[0]}`; the {kinds} are {', '.join(names)}.")
        each = [given.get(name, 1.0) for name in names]
    else:
        each = [] if isinstance(weights, str) else list(weights)
    if len(each) != len(names) or any(isinstance(w, bool) or not isinstance(w, int | float) or w <= 0 for w in each):
        raise RecipeError(
            f"`loss.weights: {weights}` must be `{BALANCED}`, a positive number for each of the {len(names)} {kinds}, "
            f"or a mapping from names of {kinds} to such numbers."
        )
    return torch.tensor(each)
