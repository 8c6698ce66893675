"""examples.parquet: a row per example, with everything that was measured of it."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipe.audit.neighbours import Neighbours, features, nearest
from recipe.audit.order import Order, order_of
from recipe.audit.statistics import Statistics, statistics
from recipe.data.groups import joined
from recipe.data.store import Store
from recipe.files import replacing

COLUMNS = {
    "id": "first 12 digits of the hash; -2, -3 for further copies: what decisions.csv names",
    "row": "row in runs/prepare/inputs.npy",
    "source": "index in the data set",
    "group": "the source's own group (writer, patient, film), empty where it names none",
    "hash": "SHA-256 of type, shape and pixels",
    "label": "class number as the source gives it, before decisions.csv",
    "class": "name of the class",
    "height": "pixels",
    "width": "pixels",
    "channels": "1 grey, 3 colour",
    "finite": "no NaN and no infinity among the values",
    "mean": "of all values; bytes count as 0..1, floats as they are, as in the next four columns",
    "std": "standard deviation of all values",
    "min": "smallest value",
    "max": "largest value",
    "contrast": "95th minus 5th percentile of the values",
    "entropy": "bits, of a histogram of the values with 17 bins over the range of the data set; 0 to 4.1",
    "dup_group": "smallest id among the copies, exact or near, that it is linked to; its own where there are none",
    "dup_kind": "exact (equal pixels), near (a near copy), none",
    "near_id": "the most similar other example",
    "near_label": "its class number",
    "near_distance": "0 the same but for brightness and contrast, 1.41 unrelated",
    "near_ratio": "near_distance over the distance to the 10th nearest: small for a copy",
    "outlier": "robust z of the log mean distance to the 10 nearest: high for what looks like nothing else",
    "flags": "of: not finite; blank; exact copy; near copy; other label (on an equal input); outlier",
}


@dataclass(frozen=True)
class Limits:
    """From conf/audit.yaml."""

    near: float  # of near_ratio, for a near copy
    outlier: float  # of outlier
    blank: float  # of std over the data set's median std


@dataclass(frozen=True)
class Audit:
    columns: dict[str, np.ndarray]  # of COLUMNS, in that order
    statistics: Statistics
    order: Order


def audit(store: Store, limits: Limits, seed: int) -> Audit:
    """Measures every example of the store."""
    from threadpoolctl import threadpool_limits

    examples = store.examples()
    table = {name: np.array([e[name] for e in examples]) for name in ("id", "row", "source", "group", "hash")}
    table |= {name: np.array([e[name] for e in examples]) for name in ("label", "class")}
    count = len(examples)
    channels, height, width = store.inputs.shape[1:]
    table |= {
        "height": np.full(count, height),
        "width": np.full(count, width),
        "channels": np.full(count, channels),
    }
    with threadpool_limits(1):  # sums in one order: the same bits whatever the number of threads
        seen = statistics(store.inputs)
        _, first, which = np.unique(table["hash"], return_index=True, return_inverse=True)
        # different inputs in the order of the file: that of the hashes means nothing
        by_row = np.argsort(first)
        first, which = first[by_row], np.argsort(by_row)[which]
        points, rest = features(store.inputs, first)
        near = nearest(points, rest)
        order = order_of(points, near, table["label"][first], seed)
    table |= seen.columns
    table |= _copies(table, near, first, which, limits)
    table["outlier"] = near.isolation[which].astype(np.float32)
    table["flags"] = _flags(table, limits)
    return Audit({name: table[name] for name in COLUMNS}, seen, order)


def _copies(table: dict, near: Neighbours, first: np.ndarray, which: np.ndarray, limits: Limits) -> dict:
    """The columns about copies. `first`: row of each different input; `which`: the input of each row."""
    ids = table["id"]
    sets = defaultdict(list)
    for row, content in enumerate(which):
        sets[content].append(row)
    exact = np.array([len(sets[c]) > 1 for c in which])
    ratio = near.ratio[which]
    close = ratio < limits.near
    partner = first[near.index[:, 0]][which]
    links = [(ids[rows[0]], ids[other]) for rows in sets.values() for other in rows[1:]]
    links += [(ids[row], ids[partner[row]]) for row in np.flatnonzero(close)]
    group = joined(ids.tolist(), [(str(a), str(b)) for a, b in links])
    groups = np.array([group[name] for name in ids.tolist()])
    _, where, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    kind = np.where(exact, "exact", np.where(sizes[where] > 1, "near", "none"))
    distance = np.where(exact, 0.0, near.distance[:, 0][which])
    for rows in sets.values():
        if len(rows) > 1:
            partner[rows] = np.roll(rows, -1)
    return {
        "dup_group": groups,
        "dup_kind": kind,
        "near_id": ids[partner],
        "near_label": table["label"][partner],
        "near_distance": distance.astype(np.float32),
        "near_ratio": np.where(exact, 0.0, ratio).astype(np.float32),
    }


def _flags(table: dict, limits: Limits) -> np.ndarray:
    spread = np.median(table["std"][table["finite"]]) if table["finite"].any() else 0.0
    labels = defaultdict(set)
    for content, label in zip(table["hash"], table["label"], strict=True):
        labels[content].add(label)
    marks = {
        "not finite": ~table["finite"],
        "blank": table["std"] <= limits.blank * spread,
        "exact copy": table["dup_kind"] == "exact",
        "near copy": table["dup_kind"] == "near",
        "other label": np.array([len(labels[content]) > 1 for content in table["hash"]]),
        "outlier": table["outlier"] > limits.outlier,
    }
    return np.array(["; ".join(name for name, mark in marks.items() if mark[i]) for i in range(len(table["id"]))])


def write_table(columns: dict[str, np.ndarray], path: Path) -> None:
    """The same table is the same bytes: no index, no clock; the meaning of each column is in its metadata."""
    import pyarrow
    from pyarrow import parquet

    arrays = [pyarrow.array(values) for values in columns.values()]
    fields = [
        pyarrow.field(name, array.type, metadata={"meaning": COLUMNS[name]})
        for name, array in zip(columns, arrays, strict=True)
    ]
    with replacing(path) as temporary:
        parquet.write_table(pyarrow.table(arrays, pyarrow.schema(fields)), temporary, compression="zstd")


def read_table(path: Path) -> list[dict]:
    """The examples as dicts."""
    from pyarrow import parquet

    from recipe.files import present

    return parquet.read_table(present(path)).to_pylist()
