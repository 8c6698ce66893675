"""The contract of a task: all that differs between classes, labels and quantities, in one object.

The source chooses it and store.json holds it. `y` are targets as they enter the loss, `actual` as a person reads them;
`outputs` are a network's, `p` predictions: probabilities, or quantities in their unit. Leading dimensions are examples,
or networks and examples.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from torch import Tensor, nn

from recipe.metrics.metric import Metric
from recipe.tasks.answers import Answers
from recipe.tasks.labels import LabelForm

T = TypeVar("T")


class Task(Protocol):
    """Implemented by the modules beside this one."""

    @property
    def name(self) -> str:
        """classification, multilabel or regression: the word in conf and in store.json."""

    def choose(self, *, classes: T, labels: T, quantities: T) -> T:
        """The one of three that is for this task: where a stage measures, writes or draws something else for each."""

    @property
    def names(self) -> Sequence[str]:
        """Of the classes, of the labels, or of the columns of quantities."""

    @property
    def classes(self) -> Sequence[str]:
        """The names, where each example has exactly one of them; else empty."""

    @property
    def stratum_names(self) -> Sequence[str]:
        """Of the strata 0, 1, ... of which every split must hold an example: classes, labels; of quantities none."""

    @property
    def description(self) -> str:
        """Ends a sentence on examples: `in 10 classes`, `with 3 labels`, `with 1 quantity`."""

    @property
    def width(self) -> int:
        """Outputs of a network for one example."""

    @property
    def kind(self) -> str:
        """Of the targets, as recipe.Setup calls it."""

    @property
    def loss_name(self) -> str:
        """Of the loss per example that systems are compared by, as in a sentence."""

    @property
    def squares(self) -> bool:
        """The loss is a squared error, not a negative log-likelihood: see recipe.metrics.power.share_saved."""

    @property
    def labels(self) -> LabelForm:
        """How the label of an example is read, stored and shown."""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """All that a report shows, by name; `usual_metric` leads it."""

    @property
    def enough(self) -> float:
        """The usual loss, above the lowest possible one, below which the training set counts as learned by heart."""

    def lowest_loss(self, same: np.ndarray, y: Tensor) -> float:
        """The lowest usual loss that any function of the inputs can reach on them.

        same: (N,) a code per input, equal where inputs are; where they differ in their targets, some loss remains.
        """

    def usual_metric(self, y: Tensor) -> str:
        """The metric that gates, ladders, search and report use unless conf names another, for these targets."""

    def imbalance(self, y: Tensor) -> float | None:
        """How many times the examples of the smallest class the largest one has; of labels, the commoner value of the
        most uneven one, of its rarer value; None of quantities."""

    def usual_loss(self) -> nn.Module:
        """The loss of training unless conf names another: (outputs, y) -> mean loss."""

    def with_names(self, names: Sequence[str]) -> "Task":
        """The same task, with other names."""

    def scaled(self, actual: Tensor) -> "Task":
        """The task whose `targets` are standardised by these training targets; itself, where they are not numbers."""

    def targets(self, actual: Tensor) -> Tensor:
        """y, as it enters the loss, of targets as `LabelForm.tensor` gives them."""

    def constant(self, y: Tensor) -> Tensor:
        """(K,): the outputs of the best constant answer to the targets y, under the usual loss."""

    @property
    def fit_title(self) -> str:
        """What `fit` is, as the title of a picture."""

    def fit(self, outputs: Tensor, y: Tensor) -> Tensor:
        """(N,) how well each prediction fits its target, 0 to 1: what pictures of a training show."""

    def errors(self, outputs: Tensor, y: Tensor) -> Tensor | None:
        """(N,) the share of each example's answers that is wrong; None of quantities, which are never quite right."""

    def predict(self, outputs: Tensor) -> Tensor:
        """Predictions p (..., K), float64, of raw outputs (..., K)."""

    def outputs_of(self, p: Tensor) -> Tensor:
        """Outputs (..., K) that `predict` would make p of, so that the loss of training can be computed."""

    @property
    def discrete(self) -> bool:
        """Each column of the targets is a class number."""

    def columns(self, y: Tensor) -> list[Tensor]:
        """The targets as columns (N,), each of which an estimator can be fitted to."""

    def of_columns(self, predicted: list[Tensor]) -> Tensor:
        """p (N, K) of what estimators predict for each column: (N, classes) probabilities, or (N, 1) quantities."""

    def actual(self, y: Tensor) -> Tensor:
        """Targets as metrics and people take them."""

    def output_losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """(N,) losses of outputs (N, K), float64; a proper score."""

    def losses(self, p: Tensor, actual: Tensor) -> Tensor:
        """(N,) losses of predictions p (N, K), float64; equal to `output_losses` of the outputs behind them."""

    @property
    def scale(self) -> Tensor:
        """(K,): what counts as 1 in predictions: 1 of probabilities, the standard deviation of quantities."""

    @property
    def calibration_names(self) -> Sequence[str]:
        """Of the parameters of `calibrated`; empty where predictions are not calibrated."""

    def calibrate(self, p: Tensor, actual: Tensor) -> tuple[float, ...]:
        """The parameters with the lowest mean loss of predictions p (N, K) against targets."""

    def calibrated(self, p: Tensor, parameters: Sequence[float]) -> Tensor:
        """Calibrated predictions (N, K), float64; parameters of 1 change nothing."""

    def calibration_measures(self, p: Tensor, actual: Tensor) -> dict[str, tuple[float, float, float]]:
        """{measure: (value, low, high)} that calibration is judged by, with 95 % intervals; the loss is the first."""

    def half_widths(self, p: Tensor, actual: Tensor) -> tuple[float, ...]:
        """Of the 90 % interval of each quantity, from predictions of examples that were not trained on; else empty."""

    def thresholds(self, p: Tensor, actual: Tensor) -> tuple[float, ...]:
        """The probability from which each label, or the second of two uneven classes, is predicted, from predictions of
        examples that were not trained on; empty where the likeliest answer is predicted, and of quantities."""

    def answers(self, half_widths: Sequence[float] = (), thresholds: Sequence[float] = ()) -> Answers:
        """What predictions say to a person; half_widths: of their intervals, where there are any. thresholds: see
        above."""

    def soft_targets(self, p: Tensor, temperature: float) -> Tensor:
        """y of a student: the predictions p (N, K) of its teacher in place of the targets.

        temperature: by which probabilities of classes are softened (Hinton, Vinyals and Dean 2015).
        """

    def distillation_loss(self, temperature: float) -> Callable[[Tensor, Tensor], Tensor]:
        """(outputs, soft targets) -> mean loss, which is the usual one against targets of the same form as y."""

    def strata(self, labels: Sequence[Any]) -> list[tuple[int, ...]]:
        """Of each label, what every split should hold in the same share: its class, its labels, its quantiles."""

    def shown(self, actual: Tensor) -> list[str]:
        """Each target, or prediction that was decided, as a person reads it."""

    def facts(self) -> dict[str, Any]:
        """What store.json and system.yaml hold; `recipe.tasks.read.task_of` reads it."""
