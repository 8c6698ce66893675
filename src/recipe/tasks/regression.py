"""One quantity or several for each example."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from recipe.metrics import conformal, regression
from recipe.metrics.metric import Metric
from recipe.tasks.labels import Quantities
from recipe.tasks.quantity_answers import QuantityAnswers

T = TypeVar("T")

STRATA = 10  # quantiles of a quantity that every split should hold alike


@dataclass(frozen=True)
class Regression:
    """names: of the T quantities. y: (N, T) float32, standardised by mean and std, which are in their unit.

    Networks put out standardised means: an output of 0 is the mean of the training targets, so that a final bias of 0
    is the best constant answer.
    """

    names: tuple[str, ...]
    unit: str = ""
    mean: tuple[float, ...] = ()  # of the training targets; empty before they are known
    std: tuple[float, ...] = ()
    name = "regression"
    kind = "regression"
    loss_name = "squared error"
    squares = True
    discrete = False
    fit_title = "closeness to the target: 1 / (1 + squared error in variances)"
    enough = 0.01  # of the variance: R2 above 0.99
    calibration_names = ()

    def choose(self, *, classes: T, labels: T, quantities: T) -> T:
        return quantities

    @property
    def classes(self) -> Sequence[str]:
        return ()

    @property
    def stratum_names(self) -> Sequence[str]:
        return ()

    @property
    def description(self) -> str:
        return f"with {len(self.names)} {'quantity' if len(self.names) == 1 else 'quantities'}"

    @property
    def width(self) -> int:
        return len(self.names)

    @property
    def labels(self) -> Quantities:
        return Quantities(self.names, self.unit)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return regression.metrics_of(self.std, self.unit)

    def lowest_loss(self, same: np.ndarray, y: Tensor) -> float:
        """The mean variance of the targets among equal inputs."""
        _, which, times = np.unique(same, return_inverse=True, return_counts=True)
        values = y.double().numpy()
        sums, squares = (np.zeros((len(times), values.shape[1])) for _ in range(2))
        np.add.at(sums, which, values)
        np.add.at(squares, which, values**2)
        return float(((squares - sums**2 / times[:, None]).sum(0) / len(values)).clip(min=0).mean())

    def usual_metric(self, y: Tensor) -> str:
        return "rmse"

    def imbalance(self, y: Tensor) -> None:
        return None

    def usual_loss(self) -> torch.nn.Module:
        return torch.nn.MSELoss()

    def with_names(self, names: Sequence[str]) -> "Regression":
        return replace(self, names=tuple(names))

    def scaled(self, actual: Tensor) -> "Regression":
        """The task with mean and standard deviation of the training targets (N, T); 1 for one without spread."""
        mean, std = actual.double().mean(0), actual.double().std(0, unbiased=False)
        std = torch.where(std > 1e-12 * mean.abs().clamp_min(1e-300), std, 1.0)
        return replace(self, mean=tuple(mean.tolist()), std=tuple(std.tolist()))

    def targets(self, actual: Tensor) -> Tensor:
        """(N, T) float32, standardised."""
        return ((actual.double() - self._row(self.mean)) / self._row(self.std)).float()

    def constant(self, y: Tensor) -> Tensor:
        """The mean, which has the lowest squared error."""
        return y.double().mean(0).float()

    def errors(self, outputs: Tensor, y: Tensor) -> None:
        return None

    def fit(self, outputs: Tensor, y: Tensor) -> Tensor:
        """1 where the prediction is exact, one half where it is a standard deviation of the targets off."""
        return 1 / (1 + self.output_losses(outputs, y))

    def predict(self, outputs: Tensor) -> Tensor:
        return outputs.double() * self._row(self.std, outputs) + self._row(self.mean, outputs)

    def outputs_of(self, p: Tensor) -> Tensor:
        return (p.double() - self._row(self.mean, p)) / self._row(self.std, p)

    def columns(self, y: Tensor) -> list[Tensor]:
        return list(self.actual(y).T)

    def of_columns(self, predicted: list[Tensor]) -> Tensor:
        return torch.cat(predicted, 1).double()

    def actual(self, y: Tensor) -> Tensor:
        return self.predict(y)

    def output_losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        return (outputs.double() - y.double()).square().mean(1)

    def losses(self, p: Tensor, actual: Tensor) -> Tensor:
        """Squared errors in units of the training targets' variance, mean over the quantities."""
        return ((p.double() - actual.double()) / self._row(self.std, p)).square().mean(1)

    @property
    def scale(self) -> Tensor:
        return self._row(self.std)

    def calibrate(self, p: Tensor, actual: Tensor) -> tuple[float, ...]:
        return ()

    def calibrated(self, p: Tensor, parameters: Sequence[float]) -> Tensor:
        return p

    def calibration_measures(self, p: Tensor, actual: Tensor) -> dict[str, tuple[float, float, float]]:
        return {}

    def half_widths(self, p: Tensor, actual: Tensor) -> tuple[float, ...]:
        return conformal.half_widths(p, actual)

    def thresholds(self, p: Tensor, actual: Tensor) -> tuple[float, ...]:
        return ()

    def answers(self, half_widths: Sequence[float] = (), thresholds: Sequence[float] = ()) -> QuantityAnswers:
        return QuantityAnswers(self.names, self.unit, self.std, tuple(half_widths))

    def soft_targets(self, p: Tensor, temperature: float) -> Tensor:
        """The quantities have no temperature."""
        return self.targets(p)

    def distillation_loss(self, temperature: float) -> Callable[[Tensor, Tensor], Tensor]:
        return self.usual_loss()

    def strata(self, labels: Sequence[Any]) -> list[tuple[int, ...]]:
        """The decile of each quantity."""
        values = np.array([list(row) for row in labels], float).reshape(len(labels), -1)
        inner = np.linspace(0, 1, STRATA + 1)[1:-1]
        bins = [np.searchsorted(np.unique(np.quantile(column, inner)), column, side="right") for column in values.T]
        return [tuple(STRATA * i + int(b) for i, b in enumerate(row)) for row in zip(*bins, strict=True)]

    def shown(self, actual: Tensor) -> list[str]:
        return [self.labels.shown(row) for row in actual.tolist()]

    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"name": self.name, "targets": list(self.names), "unit": self.unit}
        return facts | ({"mean": list(self.mean), "std": list(self.std)} if self.mean else {})

    def _row(self, values: Sequence[float], like: Tensor | None = None) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=like.device if like is not None else None)
