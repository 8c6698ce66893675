"""A small table with a quantity, gaps and folds, as the split stage lists it."""

from pathlib import Path

import numpy as np
from systems import CONFIG

from recipe.data.batches import Data, Split, load, read_test
from recipe.data.splits import write_folds, write_split
from recipe.data.store import Store
from recipe.sources.tables import Table
from recipe.stages.prepare.write_store import prepare
from recipe.stages.split.divide import Plan, divide

FOLDS = 4


def listed(root: Path, folds: int | None = FOLDS, rows: int = 120) -> Path:
    """The folder of a project whose table is prepared and split; b is missing in places."""
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=(2, rows))
    y = 40 + 9 * a - 5 * np.abs(b) + draw.normal(size=rows)
    lines = [f"{a[i]:.4f},{'' if i % 9 == 0 else f'{b[i]:.4f}'},{y[i]:.4f}" for i in range(rows)]
    (root / "rows.csv").write_text("\n".join(["a,b,age", *lines]) + "\n")
    prepare(Table(str(root / "rows.csv"), target="age", unit="years"), CONFIG, root / "runs/prepare")
    store = Store.open(CONFIG, root / "runs/prepare")
    examples = [e | {"dup_group": e["id"]} for e in store.examples()]
    made = divide(examples, store.task, Plan(0.2, 0.2, folds=folds))
    write_split(made.parts, made.task.names, root / "runs/split")
    write_folds(made.folds, root / "runs/split")
    return root


def loaded(root: Path, folds: bool = True, **more) -> tuple[Data, Split]:
    """(train and val, test) of such a project."""
    places = {"lists": root / "runs/split", "folder": root / "runs/prepare", **more}
    data = load(CONFIG, "cpu", folds=folds, **places)
    return data, read_test(data, CONFIG, "cpu", **places)
