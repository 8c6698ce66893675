"""One class of several for each example."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from recipe.metrics import classification
from recipe.metrics.calibration import fit_temperature, tempered
from recipe.metrics.metric import Metric
from recipe.metrics.repeated_inputs import error_floor
from recipe.metrics.scores import TINY, intervals, nlls, quality
from recipe.metrics.thresholds import HALF, helpful_threshold
from recipe.tasks.class_answers import ClassAnswers
from recipe.tasks.labels import ClassNumbers

T = TypeVar("T")

MEASURES = ("NLL", "Brier", "ECE")

IMBALANCE = 5.0  # the largest class's examples over the smallest one's, above which classes count as imbalanced


@dataclass(frozen=True)
class Classification:
    """names: of the classes, in the order of their numbers. y: (N,) int64, or (N, K) probabilities as soft targets."""

    names: tuple[str, ...]
    name = "classification"
    kind = "classification"
    loss_name = "NLL"
    squares = False
    discrete = True
    fit_title = "probability of the right class"
    enough = 0.05  # nats
    calibration_names = ("temperature",)

    def choose(self, *, classes: T, labels: T, quantities: T) -> T:
        return classes

    @property
    def classes(self) -> Sequence[str]:
        return self.names

    @property
    def stratum_names(self) -> Sequence[str]:
        return self.names

    @property
    def description(self) -> str:
        return f"in {len(self.names)} classes"

    @property
    def width(self) -> int:
        return len(self.names)

    @property
    def labels(self) -> ClassNumbers:
        return ClassNumbers(self.names)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return classification.METRICS

    def lowest_loss(self, same: np.ndarray, y: Tensor) -> float:
        return error_floor(same, y.numpy()).loss

    def usual_metric(self, y: Tensor) -> str:
        """accuracy; where the largest class has over IMBALANCE times the examples of the smallest, balanced accuracy,
        and of two classes average precision: the accuracy of a constant answer is high there and means nothing."""
        if self.imbalance(y) <= IMBALANCE:
            return "accuracy"
        return "average_precision" if self.width == 2 else "balanced_accuracy"

    def imbalance(self, y: Tensor) -> float:
        counts = torch.bincount(self.actual(y).cpu(), minlength=self.width)
        return (counts.max() / counts.min()).item() if counts.min() else math.inf

    def usual_loss(self) -> torch.nn.Module:
        return torch.nn.CrossEntropyLoss()

    def with_names(self, names: Sequence[str]) -> "Classification":
        return replace(self, names=tuple(names))

    def scaled(self, actual: Tensor) -> "Classification":
        return self

    def targets(self, actual: Tensor) -> Tensor:
        return actual

    def constant(self, y: Tensor) -> Tensor:
        """The logarithms of the class shares, each class with half an example more: no logarithm of zero."""
        shares = torch.bincount(y.cpu(), minlength=self.width).float() + 0.5
        return (shares / shares.sum()).log()

    def errors(self, outputs: Tensor, y: Tensor) -> Tensor:
        return (outputs.argmax(-1) != self.actual(y)).double()

    def fit(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The probability of the class."""
        return self.predict(outputs)[torch.arange(len(y)), self.actual(y)]

    def predict(self, outputs: Tensor) -> Tensor:
        return outputs.double().softmax(-1)

    def outputs_of(self, p: Tensor) -> Tensor:
        return p.clamp_min(TINY).log()

    def columns(self, y: Tensor) -> list[Tensor]:
        return [self.actual(y)]

    def of_columns(self, predicted: list[Tensor]) -> Tensor:
        (p,) = predicted
        return pad(p.double(), (0, self.width - p.shape[1]))

    def actual(self, y: Tensor) -> Tensor:
        """(N,): of soft targets the likeliest class."""
        return y if y.ndim == 1 else y.argmax(1)

    def output_losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(outputs.double(), self.actual(y), reduction="none")

    def losses(self, p: Tensor, actual: Tensor) -> Tensor:
        return nlls(p, actual)

    @property
    def scale(self) -> Tensor:
        return torch.ones(self.width, dtype=torch.float64)

    def calibrate(self, p: Tensor, actual: Tensor) -> tuple[float, ...]:
        return (fit_temperature(p, actual),)

    def calibrated(self, p: Tensor, parameters: Sequence[float]) -> Tensor:
        return tempered(p, parameters[0])

    def calibration_measures(self, p: Tensor, actual: Tensor) -> dict[str, tuple[float, float, float]]:
        values, ends = quality(p, actual), intervals(p, actual)
        return {measure: (getattr(values, measure.lower()), *ends[measure.lower()]) for measure in MEASURES}

    def half_widths(self, p: Tensor, actual: Tensor) -> tuple[float, ...]:
        return ()

    def thresholds(self, p: Tensor, actual: Tensor) -> tuple[float, ...]:
        """Of two classes with over IMBALANCE times the examples of the other: the highest F1 of the rarer one."""
        if self.width != 2 or not IMBALANCE < self.imbalance(actual) < math.inf:
            return ()
        rare = int(torch.bincount(actual, minlength=2).argmin())
        least = helpful_threshold(p[:, rare].numpy(), actual.numpy() == rare)
        return () if least == HALF else (least if rare else 1 - least,)

    def answers(self, half_widths: Sequence[float] = (), thresholds: Sequence[float] = ()) -> ClassAnswers:
        return ClassAnswers(self.names, *thresholds)

    def soft_targets(self, p: Tensor, temperature: float) -> Tensor:
        return tempered(p, temperature).float()

    def distillation_loss(self, temperature: float) -> Callable[[Tensor, Tensor], Tensor]:
        return partial(softened_cross_entropy, temperature)

    def strata(self, labels: Sequence[Any]) -> list[tuple[int, ...]]:
        return [(int(label),) for label in labels]

    def shown(self, actual: Tensor) -> list[str]:
        return self.answers().shown(actual)

    def facts(self) -> dict[str, Any]:
        return {"name": self.name, "classes": list(self.names)}


def softened_cross_entropy(temperature: float, outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of softened outputs (B, K) against the teacher's softened probabilities (B, K).

    Times the temperature squared, since the gradients shrink by it. Against labels (B,), as in evaluation, it is the
    plain cross-entropy.
    """
    if targets.ndim < outputs.ndim:
        return cross_entropy(outputs, targets)
    return temperature**2 * cross_entropy(outputs / temperature, targets)
