"""What the audit does differently for classes, for labels and for quantities: `targets_of` gives the one of a task."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from recipe.metrics.repeated_inputs import ErrorFloor
from recipe.stages.audit.bias import Bias
from recipe.stages.audit.class_targets import ClassTargets
from recipe.stages.audit.explained import Explained
from recipe.stages.audit.label_targets import LabelTargets
from recipe.stages.audit.quantity_targets import QuantityTargets
from recipe.tasks.task import Task

FEW = 20  # examples below which targets are not judged


class Judged(Protocol):
    """How far the other examples contradict the targets of N examples."""

    @property
    def flagged(self) -> np.ndarray:
        """(N,) bool: clearly contradicted, to look at first."""

    @property
    def marks(self) -> Mapping[str, np.ndarray]:
        """{flag: (N,) bool}"""

    @property
    def noise(self) -> tuple[float, float] | None:
        """Bounds of the share of wrong labels; None where it is unknown."""

    @property
    def entries(self) -> int:
        """How many labels that is a share of."""

    def columns(self) -> dict[str, np.ndarray]:
        """Of examples.parquet: a value per example each."""

    def meanings(self) -> dict[str, str]:
        """Of these columns, in their order; `flags` is what this adds to the meaning of that column."""

    def metrics(self) -> dict[str, float]: ...

    def sentences(self) -> list[str]: ...

    def draw(self, folder: Path) -> dict[str, str]:
        """Writes pictures: {file: caption}, in the order of the report."""


class Targets(Protocol):
    """`actual`: (N,) class numbers, or (N, K) labels of 0 and 1, or quantities."""

    def kinds(self, actual: np.ndarray) -> np.ndarray:
        """(N,) what an example is only compared within: its class; 0 for all where there are no classes."""

    def sorted_by(self, actual: np.ndarray) -> np.ndarray:
        """(N,) whole numbers by which a file may be sorted, such as the class: its order is tested within each."""

    def unvaried(self, actual: np.ndarray) -> list[str]:
        """The labels and quantities that are the same for all examples; `every_class_has_an_example` judges classes."""

    def metrics(self, actual: np.ndarray) -> dict[str, float]: ...

    def described(self, m: Mapping[str, float]) -> str:
        """In words, by these metrics, for the summary of the audit."""

    def findings(self, actual: np.ndarray) -> list[str]:
        """What is conspicuous about the targets alone, a sentence each."""

    def alike(self, actual: np.ndarray) -> list[str]:
        """Pairs of labels or quantities of which one says nothing that the other does not."""

    def judge(self, features: np.ndarray, actual: np.ndarray, groups: Sequence[str], seed: int) -> Judged | None:
        """By cross-validation on features (N, D); None where there is nothing to compare."""

    def bias(
        self, predictors: Mapping[str, np.ndarray], actual: np.ndarray, groups: Sequence[str], seed: int
    ) -> Bias | Explained | None:
        """Whether columns that should not matter predict the targets; None where nothing varies."""

    def equal_rows(self, bounds: ErrorFloor, lowest: float) -> str:
        """About equal rows with different targets, whose lowest possible loss is `lowest`; a finding."""

    def draw(self, actual: np.ndarray, folder: Path) -> dict[str, str]:
        """Writes the pictures of the targets: {file: caption}, in the order of the report."""


def targets_of(task: Task) -> Targets:
    classes: Targets = ClassTargets(task)
    labels: Targets = LabelTargets(task)
    quantities: Targets = QuantityTargets(task)
    return task.choose(classes=classes, labels=labels, quantities=quantities)


def actual_of(task: Task, labels: np.ndarray) -> np.ndarray:
    """(N,) class numbers, or (N, K), of the column `label` of examples.parquet."""
    form = task.labels
    return form.tensor([form.parsed(label) for label in labels.tolist()]).numpy()


def judged(
    targets: Targets, features: np.ndarray, actual: np.ndarray, groups: Sequence[str], seed: int
) -> Judged | None:
    """None of few examples, and of examples that are all of one group."""
    if len(actual) < FEW or len(set(groups)) < 2:
        return None
    return targets.judge(features, actual, groups, seed)
