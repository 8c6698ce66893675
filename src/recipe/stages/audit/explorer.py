"""The explorer's page of an audit: which of the columns play which part."""

import numpy as np

from recipe.data.source import IMAGE, TEXT
from recipe.data.store import Store
from recipe.explorer import Column, Roles, explorer
from recipe.stages.audit import targets
from recipe.stages.audit.audit import Audit
from recipe.stages.audit.captions import counts, metrics

SEPARATED = {"flags": "; ", "notes": "; ", "outlier_reason": "; "}
HIDDEN = {"row", "label", "near_label", "hash", "file_sha256"}  # numbers for which the page has a readable name
ROLES = Roles(id="id", label="class", suggested="suggested", suspect="label_suspicion", group="dup_group")


def explorer_page(audit: Audit, store: Store, name: str, seed: int) -> str:
    """The page of a store of images, texts or feature rows; `name` is that of the data set."""
    columns = [
        Column(column, audit.meanings[column], values, SEPARATED.get(column, ""))
        for column, values in audit.columns.items()
        if column not in HIDDEN and _is_informative(column, values)
    ]
    if not store.task.classes:
        actual = targets.values(store.task, audit.columns["label"])
        columns += [
            Column(f"y_{name}", f"`{name}` of the source", actual[:, i]) for i, name in enumerate(store.task.names)
        ]
    if audit.table is not None:
        values = np.asarray(store.inputs)
        columns += [
            Column(f"x_{column}", f"the feature column `{column}`", values[:, i])
            for i, column in enumerate(store.columns)
        ]
    return explorer(
        columns,
        ROLES,
        title=f"{name}: the audit",
        summary=counts(metrics(audit, store.task), store.task),
        picture=store.picture if audit.kind == IMAGE else None,
        text=store.texts() if audit.kind == TEXT else None,
        classes=store.task.classes,
        neighbours=audit.neighbours,
        flagged=audit.columns["flags"] != "",
        seed=seed,
    )


def _is_informative(column: str, values: np.ndarray) -> bool:
    """A column with one value throughout, such as the width of images of one size, only fills the page."""
    return column in vars(ROLES).values() or column == "flags" or bool((values[1:] != values[:1]).any())
