"""The explorer's page of an audit: which of the columns play which part."""

import numpy as np

from recipe.data.store import Store
from recipe.explorer import Column, Roles, explorer
from recipe.stages.audit.audit import Audit
from recipe.stages.audit.captions import counts, metrics

SEPARATED = {"flags": "; ", "notes": "; ", "outlier_reason": "; ", "target_doubt": "; "}
LABELS_SEPARATED = {name: "; " for name in ("class", "suggested", "missing_labels", "surplus_labels")}
HIDDEN = {"row", "label", "near_label", "hash", "file_sha256"}  # numbers for which the page has a readable name
ROLES = {
    "id": "id", "label": "class", "suggested": "suggested", "suspect": "label_suspicion", "group": "dup_group",
    "residual": "residual", "doubt": "target_doubt",
}  # fmt: skip


def explorer_page(audit: Audit, store: Store, name: str, seed: int) -> str:
    """The page of a store of images, texts or feature rows; `name` is that of the data set."""
    separated = SEPARATED | store.task.choose(classes={}, labels=LABELS_SEPARATED, quantities={})
    columns = [
        Column(column, audit.meanings[column], values, separated.get(column, ""))
        for column, values in audit.columns.items()
        if column not in HIDDEN and _is_informative(column, values)
    ]
    if not store.task.classes:
        columns += [
            Column(f"y_{name}", f"`{name}` of the source", audit.actual[:, i])
            for i, name in enumerate(store.task.names)
        ]
    if audit.table is not None:
        values = np.asarray(store.inputs)
        columns += [
            Column(f"x_{column}", f"the feature column `{column}`", values[:, i])
            for i, column in enumerate(store.columns)
        ]
    present, measured = {column.name for column in columns}, [f"y_{name}" for name in store.task.names]
    return explorer(
        columns,
        Roles(**{role: column for role, column in ROLES.items() if column in present}),
        title=f"{name}: the audit",
        summary=counts(metrics(audit, store.task), store.task),
        picture=store.picture if audit.kind.has_pixels else None,
        text=None if audit.kind.axes else store.texts(),
        classes=store.task.names,
        entry=store.task.labels.entry,
        measured=store.task.choose(classes=[], labels=[], quantities=measured),
        neighbours=audit.neighbours,
        flagged=audit.columns["flags"] != "",
        seed=seed,
    )


def _is_informative(column: str, values: np.ndarray) -> bool:
    """A column with one value throughout, such as the width of images of one size, only fills the page."""
    return column in ROLES.values() or column == "flags" or bool((values[1:] != values[:1]).any())
