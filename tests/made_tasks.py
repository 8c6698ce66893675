"""Small tables of every task: prepared rows of numbers, and targets that follow from them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from systems import Project, project

from recipe.data.batches import Split
from recipe.sources.tables import Table
from recipe.tasks.classification import Classification
from recipe.tasks.multilabel import Multilabel
from recipe.tasks.regression import Regression
from recipe.tasks.task import Task

COLUMNS = ("width", "height", "depth", "weight")
ROWS = 500
TASKS: dict[str, Task] = {
    "classes": Classification(("small", "large", "odd")),
    "labels": Multilabel(("tall", "heavy", "deep")),
    "quantity": Regression(("age",), "years"),
    "quantities": Regression(("age", "price")),
}


def targets(kind: str, x: torch.Tensor) -> torch.Tensor:
    """What is true of standardised rows x (N, 4), with some noise: class numbers, 0 and 1, or quantities."""
    noise = torch.randn(len(x), 3, generator=torch.Generator().manual_seed(1))
    if kind == "classes":
        return (x[:, :3] + 0.3 * noise).argmax(1)
    if kind == "labels":
        return (x[:, :3] + 0.5 * noise > 0.3).float()
    quantities = torch.stack([40 + 9 * x[:, 0] - 5 * x[:, 1].abs(), 3 + x[:, 2] * x[:, 3]], 1) + noise[:, :2]
    return quantities[:, : len(TASKS[kind].names)]


def of_task(root: Path, kind: str) -> Project:
    """Prepared rows, split, with the targets of the task in place of those of the file."""
    rows = np.random.default_rng(0).normal(10, 3, (ROWS, len(COLUMNS)))
    lines = [
        ",".join((*COLUMNS, "label")),
        *(f"{','.join(f'{v:.3f}' for v in r)},{'ab'[i % 2]}" for i, r in enumerate(rows)),
    ]
    (root / "rows.csv").write_text("\n".join(lines) + "\n")
    made = project(root, Table(str(root / "rows.csv"), "label"))
    task, parts = TASKS[kind], {"train": made.data.train, "val": made.data.val, "test": made.unseen}
    true = {name: targets(kind, part.x) for name, part in parts.items()}
    if isinstance(task, Regression):
        task = task.scaled(true["train"])
        true = {name: task.targets(values) for name, values in true.items()}
    splits = {name: Split(part.x, true[name], part.ids) for name, part in parts.items()}
    metric = task.metrics[task.usual_metric(true["train"])]
    data = replace(made.data, train=splits["train"], val=splits["val"], task=task, metric=metric)
    return replace(made, data=data, unseen=splits["test"])
