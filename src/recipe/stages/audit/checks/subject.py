"""What the checks of the audit examine: its columns, its results, and the labels after decisions.csv."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recipe.data.decisions import decide, read_decisions
from recipe.data.store import Store
from recipe.stages.audit.audit import Audit
from recipe.stages.audit.bias import ORDER, Bias, ColumnGain
from recipe.stages.audit.explained import Explained, ShareExplained
from recipe.stages.audit.flags import SUSPECT
from recipe.stages.audit.quantity_targets import OUTLIER
from recipe.stages.audit.shortcuts import Shortcut
from recipe.stages.audit.tables import ColumnProblems
from recipe.stages.audit.targets import actual_of, targets_of
from recipe.tasks.task import Task

NO_CLASSES = "labels or quantities are predicted, not classes"


@dataclass(frozen=True)
class Audited:
    """What the checks examine of an audit; a column has a value per example."""

    columns: Mapping[str, np.ndarray]
    labels: Sequence[int | str | None]  # after decisions.csv: None where an example is dropped
    task: Task
    floats: bool  # the source gives floating-point images, on any scale
    order_gap: float = 1.0  # mean distance in the file of nearest neighbours of one class, over that in shuffled files
    order_spread: float = 0.0  # standard deviation of that ratio over shuffled files
    order_gain: float = 0.0  # accuracy by which shuffled folds score better than blocks of the file
    noise: tuple[float, float] | None = None  # bounds of the share of wrong labels; None where it is unknown
    entries: int = 0  # how many labels that is a share of
    metadata: ColumnGain | ShareExplained | None = None  # the metadata column that predicts the label best
    split: ColumnGain | None = None  # the column that predicts the split that the source gives best
    shortcut: Shortcut | None = None  # the single number of the input that says most about the target
    table: ColumnProblems | None = None  # of feature columns
    unvaried: Sequence[str] = ()  # labels and quantities that are the same for all examples
    alike: Sequence[str] = ()  # pairs of labels or quantities of which one says nothing that the other does not
    suspects: int | None = None  # examples whose quantities the others contradict; None where they are not judged
    target_outliers: int | None = None  # examples with a quantity far from all others

    @property
    def classes(self) -> Sequence[str]:
        """None where labels or quantities are predicted."""
        return self.task.classes

    def flagged(self, flag: str) -> int:
        return sum(flag in flags.split("; ") for flags in self.columns["flags"])

    def counts(self) -> np.ndarray:
        """(K,) examples per class after decisions.csv."""
        return np.bincount([int(label) for label in self.labels if label is not None], minlength=len(self.classes))


def audited(audit: Audit, store: Store, decisions: str) -> Audited:
    """The subject of the checks: what decisions.csv drops or relabels closes no gate."""
    table = audit.columns
    form = store.task.labels
    examples = [{"id": str(i), "label": label} for i, label in zip(table["id"], table["label"].tolist(), strict=True)]
    decided = read_decisions(decisions, {str(i) for i in table["id"]}, form)
    kept = {e["id"]: e["label"] for e in decide(examples, decided, form)}
    targets, actual = targets_of(store.task), actual_of(store.task, np.array([*kept.values()]))
    judged, settled = audit.judged, np.isin(table["id"], [*decided])
    counts = {flag: int((mark & ~settled).sum()) for flag, mark in judged.marks.items()} if judged else {}
    return Audited(
        columns=table,
        labels=[kept.get(str(i)) for i in table["id"]],
        task=store.task,
        floats=store.kind.has_pixels and store.inputs.dtype != np.uint8,
        order_gap=audit.order.gap,
        order_spread=audit.order.spread,
        order_gain=audit.order.gain,
        noise=judged.noise if judged else None,
        entries=judged.entries if judged else 0,
        metadata=_best_column(audit.metadata_bias),
        split=_best_column(audit.split_bias),
        shortcut=audit.shortcut,
        table=audit.table,
        unvaried=targets.unvaried(actual),
        alike=targets.alike(actual),
        suspects=store.task.choose(classes=None, labels=None, quantities=counts.get(SUSPECT)),
        target_outliers=counts.get(OUTLIER),
    )


def _best_column(bias: Bias | Explained | None) -> Any:
    """The first column that predicts, else the first; not the position in the file: class folders are sorted anyway."""
    columns = [g for g in bias.columns if g.column != ORDER] if bias else []
    return next((g for g in columns if g.verdict == "yes"), next(iter(columns), None))
