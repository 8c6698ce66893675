"""A lane is one training: its parts, and its result."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from torch import Tensor, nn
from torch.optim import Optimizer

from recipe.data.batches import Data
from recipe.train.augment import Augmentation
from recipe.train.extra import ExtraExamples
from recipe.train.sampler import Sampler
from recipe.train.schedules import CONSTANT, Schedule

Row = dict[str, float]  # an evaluation: step, epoch (passes so far), train_loss, val_loss, val_<metric>, ...


def metric_of(row: Row) -> str:
    """The name of the metric that the rows of a curve have beside the loss."""
    return next(key.removeprefix("val_") for key in row if key.startswith("val_") and not key.startswith("val_loss"))


@dataclass(eq=False)
class Lane:
    """One training in torch's own objects; the engine reads from them what differs from the other lanes of a batch.

    model: trained in place, and left with its last weights. loss: (outputs, targets) -> mean loss, 0-d. seed: of the
    data order, the augmentation, mixup and dropout; the initial weights are the model's own.
    """

    model: nn.Module
    optimizer: Optimizer
    loss: Callable
    steps: int
    batch_size: int
    seed: int
    share: float = 1.0  # of the training set: nested subsets, drawn by the seed
    augment: Augmentation | None = None
    extra: ExtraExamples | None = None  # a second source, mixed into the batches
    sampler: Sampler | None = None  # of each pass; None: every example once
    mixup: float = 0.0  # alpha of Beta(alpha, alpha), Zhang et al. 2018; 0: off
    patience: int | None = None  # evaluations without a new best one, after which the lane ends
    enough: float = -math.inf  # nats of training loss below which the lane ends
    schedule: Schedule = CONSTANT  # factor of the learning rate
    eval_every: float | None = None  # steps between evaluations, also fractions; None: as the call of `train` has it
    precision: str = "float32"  # or "bfloat16": the forward pass by autocast; weights and updates stay float32
    whole: bool = True  # whether the last evaluation is on the whole of train, or on the sample as those before it
    fold: Data | None = None  # of a cross-validation: its own train, val and metric in place of the call's
    probe: "Lane | None" = None  # of the head, a part of `model`: trained before it (Kumar et al. 2022)
    step: Callable | None = None  # user-defined: (model, optimizer, inputs, targets, loss) -> loss before the step

    @property
    def identity(self) -> list[float | str | None]:
        """The numbers by which a checkpoint tells lanes apart."""
        return [
            self.seed,
            self.steps,
            self.batch_size,
            self.share,
            self.mixup,
            self.patience,
            self.enough,
            repr(self.schedule),
            self.eval_every,
            self.precision,
            self.probe.steps if self.probe else None,
        ]

    @property
    def scheduled(self) -> tuple[Schedule, int] | None:
        """Equal for lanes whose learning rate changes in the same way; None where it is constant."""
        return None if self.schedule == CONSTANT else (self.schedule, self.steps)

    @property
    def judged(self) -> Callable:
        """The loss of curves, by which lanes can be compared: what the loss itself names as its `judged`, or it without
        label smoothing."""
        return judged(self.loss)


def judged(loss: Callable) -> Callable:
    """See `Lane.judged`."""
    if hasattr(loss, "judged"):
        return cast(Callable, loss.judged)
    if not getattr(loss, "label_smoothing", 0.0):
        return loss
    plain: Any = copy.copy(loss)
    plain.label_smoothing = 0.0
    return cast(Callable, plain)


@dataclass
class Trained:
    """The result of a lane: its curve, and its weights at the last and at the best evaluation on val."""

    curve: list[Row] = field(default_factory=list)
    last: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_row: int | None = None  # of the curve; None before the first evaluation of a trained model
    ended: str = "all steps done"
    watched: list[Tensor] = field(default_factory=list)  # outputs for the first examples of val, per row
    seconds: float = 0.0  # for MLflow and the terminal alone: no time goes into a file that DVC hashes

    @property
    def lost(self) -> bool:
        """The loss was not finite."""
        return self.ended.startswith("the training loss is")

    @property
    def best_evaluation(self) -> Row:
        """The row that is best by the objective; the first row where nothing was trained."""
        return self.curve[0 if self.best_row is None else self.best_row]

    def weights(self, early_stopping: bool) -> dict[str, Tensor]:
        return self.best if early_stopping else self.last

    def row(self, early_stopping: bool) -> Row:
        return self.best_evaluation if early_stopping else self.curve[-1]
