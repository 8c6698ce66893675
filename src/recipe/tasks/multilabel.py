"""Several labels for each example: any number of them, each present or not."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from recipe.formatting import count
from recipe.metrics import multilabel
from recipe.metrics.calibration import fit_label_temperature, tempered_label
from recipe.metrics.metric import Metric
from recipe.metrics.repeated_inputs import error_floor
from recipe.metrics.resampling import percentiles
from recipe.metrics.scores import TINY, bootstrap
from recipe.metrics.thresholds import HALF, helpful_threshold
from recipe.tasks.label_answers import LabelAnswers
from recipe.tasks.labels import LabelSets

T = TypeVar("T")


@dataclass(frozen=True)
class Multilabel:
    """names: of the labels. y: (N, L) float32, 1 where a label is present; soft targets are in between."""

    names: tuple[str, ...]
    name = "multilabel"
    kind = "binary"
    loss_name = "NLL"
    squares = False
    discrete = True
    fit_title = "mean probability of what each label is"
    enough = 0.05  # nats a label

    def choose(self, *, classes: T, labels: T, quantities: T) -> T:
        return labels

    @property
    def classes(self) -> Sequence[str]:
        return ()

    @property
    def stratum_names(self) -> Sequence[str]:
        return self.names

    @property
    def description(self) -> str:
        return f"with {count(len(self.names), 'label')}"

    @property
    def width(self) -> int:
        return len(self.names)

    @property
    def labels(self) -> LabelSets:
        return LabelSets(self.names)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return multilabel.METRICS

    def lowest_loss(self, same: np.ndarray, y: Tensor) -> float:
        return float(np.mean([error_floor(same, column).loss for column in self.actual(y).numpy().T]))

    def usual_metric(self, y: Tensor) -> str:
        return "macro_average_precision"

    def imbalance(self, y: Tensor) -> float:
        present = (y > 0.5).double().mean(0)
        rarer = torch.minimum(present, 1 - present).min().item()
        return (1 - rarer) / rarer if rarer else math.inf

    def usual_loss(self) -> torch.nn.Module:
        return torch.nn.BCEWithLogitsLoss()

    def with_names(self, names: Sequence[str]) -> "Multilabel":
        return replace(self, names=tuple(names))

    def scaled(self, actual: Tensor) -> "Multilabel":
        return self

    def targets(self, actual: Tensor) -> Tensor:
        return actual.float()

    def constant(self, y: Tensor) -> Tensor:
        """The log odds of each label's share, with half an example more on both sides: no logarithm of zero."""
        present = y.double().sum(0)
        return ((present + 0.5).log() - (len(y) - present + 0.5).log()).float()

    def errors(self, outputs: Tensor, y: Tensor) -> Tensor:
        return ((outputs > 0) != (y > 0.5)).double().mean(1)

    def fit(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The mean probability of what each label is."""
        return (1 - (self.predict(outputs) - y).abs()).mean(1)

    def predict(self, outputs: Tensor) -> Tensor:
        return outputs.double().sigmoid()

    def outputs_of(self, p: Tensor) -> Tensor:
        return p.clamp_min(TINY).log() - (1 - p).clamp_min(TINY).log()

    def columns(self, y: Tensor) -> list[Tensor]:
        return list(self.actual(y).long().T)

    def of_columns(self, predicted: list[Tensor]) -> Tensor:
        return torch.stack([p[:, 1] if p.shape[1] == 2 else 0.0 * p[:, 0] for p in predicted], 1).double()

    def actual(self, y: Tensor) -> Tensor:
        """(N, L) of 0 and 1: a soft target counts as present from one half on."""
        return (y > 0.5).double()

    def output_losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(outputs.double(), self.actual(y), reduction="none").mean(1)

    def losses(self, p: Tensor, actual: Tensor) -> Tensor:
        return -torch.where(actual > 0.5, p, 1 - p).double().clamp_min(TINY).log().mean(1)

    @property
    def calibration_names(self) -> Sequence[str]:
        return [f"temperature of {name}" for name in self.names]

    @property
    def scale(self) -> Tensor:
        return torch.ones(self.width, dtype=torch.float64)

    def calibrate(self, p: Tensor, actual: Tensor) -> tuple[float, ...]:
        return tuple(fit_label_temperature(a, b) for a, b in zip(p.T, actual.T, strict=True))

    def calibrated(self, p: Tensor, parameters: Sequence[float]) -> Tensor:
        return torch.stack([tempered_label(a, t) for a, t in zip(p.T, parameters, strict=True)], 1)

    def calibration_measures(self, p: Tensor, actual: Tensor) -> dict[str, tuple[float, float, float]]:
        losses = self.losses(p, actual)
        measures = {"NLL": (losses.mean().item(), *percentiles(bootstrap(losses[:, None])[:, 0]))}
        ece = self.metrics.get("ece")
        return measures | ({"ECE": (ece.of(p, actual), *ece.interval(p, actual))} if ece else {})

    def half_widths(self, p: Tensor, actual: Tensor) -> tuple[float, ...]:
        return ()

    def thresholds(self, p: Tensor, actual: Tensor) -> tuple[float, ...]:
        """The highest F1 of each label; empty where 0.5 is as good for all."""
        least = tuple(helpful_threshold(a, b) for a, b in zip(p.T.numpy(), actual.T.numpy() > HALF, strict=True))
        return () if set(least) == {HALF} else least

    def answers(self, half_widths: Sequence[float] = (), thresholds: Sequence[float] = ()) -> LabelAnswers:
        return LabelAnswers(self.names, thresholds or (HALF,) * self.width)

    def soft_targets(self, p: Tensor, temperature: float) -> Tensor:
        """Without a temperature: a single label has no other classes whose order it could bring out."""
        return p.float()

    def distillation_loss(self, temperature: float) -> Callable[[Tensor, Tensor], Tensor]:
        return self.usual_loss()

    def strata(self, labels: Sequence[Any]) -> list[tuple[int, ...]]:
        """The labels of each example; one more stratum holds the examples without any.

        Sechidis, Tsoumakas and Vlahavas 2011, On the stratification of multi-label data: each label is to have its
        share in every split.
        """
        return [tuple(i for i, on in enumerate(row) if on) or (self.width,) for row in labels]

    def shown(self, actual: Tensor) -> list[str]:
        return [self.labels.shown(row) for row in actual.tolist()]

    def facts(self) -> dict[str, Any]:
        return {"name": self.name, "labels": list(self.names)}
