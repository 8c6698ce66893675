"""A small table with a quantity or classes, gaps and folds, as the split stage lists it."""

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


def listed(root: Path, folds: int | None = FOLDS, rows: int = 120, classes: bool = False) -> Path:
    """The folder of a project whose table is prepared and split; b is missing in places. classes: young and old."""
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=(2, rows))
    y = 40 + 9 * a - 5 * np.abs(b) + draw.normal(size=rows)
    age = ["young" if value < 37 else "old" for value in y] if classes else [f"{value:.4f}" for value in y]
    lines = [f"{a[i]:.4f},{'' if i % 9 == 0 else f'{b[i]:.4f}'},{age[i]}" for i in range(rows)]
    (root / "rows.csv").write_text("\n".join(["a,b,age", *lines]) + "\n")
    predicted = {"label": "age"} if classes else {"target": "age", "unit": "years"}
    prepare(Table(str(root / "rows.csv"), **predicted), CONFIG, root / "runs/prepare")
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
