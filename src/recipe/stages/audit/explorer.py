"""The explorer of an audit: which of its columns play which part on the page."""

import numpy as np

from recipe.data.source import IMAGE, TEXT
from recipe.data.store import Store
from recipe.explorer import Column, Roles, explorer
from recipe.stages.audit.audit import Audit
from recipe.stages.audit.captions import counts, metrics

SEPARATED = {"flags": "; ", "notes": "; ", "outlier_reason": "; "}
HIDDEN = {"row", "label", "near_label", "hash", "file_sha256"}  # numbers that a name on the page says better
ROLES = Roles(id="id", label="class", suggested="suggested", suspect="label_suspicion", group="dup_group")


def explore(found: Audit, store: Store, name: str, seed: int) -> str:
    """The page of a store of images, texts or feature rows; `name` is that of the data set."""
    columns = [
        Column(column, found.meanings[column], values, SEPARATED.get(column, ""))
        for column, values in found.columns.items()
        if column not in HIDDEN and _says_something(column, values)
    ]
    if found.table is not None:
        values = np.asarray(store.inputs)
        columns += [
            Column(f"x_{column}", f"the feature column `{column}`", values[:, i])
            for i, column in enumerate(store.columns)
        ]
    return explorer(
        columns,
        ROLES,
        title=f"{name}: the audit",
        summary=counts(metrics(found, store.classes)),
        picture=store.picture if found.kind == IMAGE else None,
        text=store.texts() if found.kind == TEXT else None,
        classes=store.classes,
        neighbours=found.neighbours,
        flagged=found.columns["flags"] != "",
        seed=seed,
    )


def _says_something(column: str, values: np.ndarray) -> bool:
    """Columns that are the same everywhere, as the width of images of one size, only fill the page."""
    return column in vars(ROLES).values() or column == "flags" or bool((values[1:] != values[:1]).any())
