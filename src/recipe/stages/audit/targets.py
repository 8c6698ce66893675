"""What is to be predicted: how often each class or label occurs, how each quantity is distributed."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from recipe.plots import examples
from recipe.stages.audit import class_balance
from recipe.tasks.task import Task


def values(task: Task, labels: np.ndarray) -> np.ndarray:
    """(N,) class numbers, or (N, K) of the column `label` of examples.parquet."""
    form = task.labels
    return form.tensor([form.parsed(label) for label in labels.tolist()]).numpy()


def unvaried(task: Task, actual: np.ndarray) -> list[str]:
    """The labels and quantities that are the same for all examples; `every_class_has_an_example` judges classes."""
    if task.classes:
        return []
    return [name for name, column in zip(task.names, actual.T, strict=True) if len(np.unique(column)) < 2]


def metrics(task: Task, actual: np.ndarray) -> dict[str, float]:
    """Of (N,) or (N, K) targets; of quantities those of the first one."""
    if task.classes:
        balance = class_balance.balance(actual, len(task.classes))
        return {
            "classes": len(task.classes),
            "effective_classes": round(balance.effective, 3),
            "smallest_class": min(balance.counts),
            "largest_class": max(balance.counts),
        }
    if task.stratum_names:
        count = actual.sum(0).astype(int).tolist()
        mean, none = round(float(actual.sum(1).mean()), 3), int((actual.sum(1) == 0).sum())
        return {"labels": len(count), "rarest_label": min(count), "labels_per_example": mean, "without_label": none}
    first = actual[:, 0]
    numbers = {"mean": first.mean(), "sd": first.std(), "min": first.min(), "max": first.max()}
    return {"quantities": actual.shape[1]} | {f"target_{name}": float(f"{v:.6g}") for name, v in numbers.items()}


def described(task: Task, m: Mapping[str, float]) -> str:
    """The targets in words, for the summary of the audit."""
    if task.classes:
        return f"{m['classes']} classes of {m['smallest_class']:,} to {m['largest_class']:,}"
    if task.stratum_names:
        return (
            f"{m['labels']} labels, {m['labels_per_example']:g} of them per example on average, the rarest on "
            f"{m['rarest_label']:,}, none on {m['without_label']:,}"
        )
    unit = task.labels.shown((m["target_sd"],) * len(task.names)).split(";")[0].partition(" ")[2]
    in_unit = f" {unit}" if unit else ""
    more = f" and {len(task.names) - 1} more" if len(task.names) > 1 else ""
    return (
        f"`{task.names[0]}` from {m['target_min']:g} to {m['target_max']:g}{in_unit}, with a mean of "
        f"{m['target_mean']:.4g} and a standard deviation of {m['target_sd']:.4g}{more}"
    )


def draw(task: Task, actual: np.ndarray, path: Path) -> None:
    """Counts of the classes or labels, or the distribution of each quantity."""
    if task.stratum_names:
        what = "class" if task.classes else "label"
        count = np.bincount(actual, minlength=len(task.names)) if task.classes else actual.sum(0).astype(int)
        examples.class_counts(path, task.names, {"examples": count.tolist()}, f"examples per {what}", what)
    else:
        examples.quantities(path, task.names, {"examples": actual})
