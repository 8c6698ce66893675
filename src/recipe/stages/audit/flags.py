"""How the examples stand to each other: copies, groups of them, the nearest other one, and what is conspicuous."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recipe.data import splits
from recipe.data.groups import linked_groups
from recipe.stages.audit.duplicates.search import Pair
from recipe.stages.audit.labels import Suspects
from recipe.stages.audit.neighbours import Neighbours

MEANINGS = {
    "dup_group": "smallest id among the copies, exact or near, that it is linked to; its own where there are none",
    "dup_kind": "how it differs from the copy it is most like: exact (not at all), or what was done to it; none",
    "dup_similarity": "to that copy, 0 to 1; 0 where there is none",
    "near_id": "the most similar other example",
    "near_label": "its class number",
    "near_distance": "0 the same but for brightness and contrast, 1.41 unrelated; of feature columns in their spreads",
    "near_ratio": "near_distance over the distance to the 10th nearest: small for a copy",
    "outlier": "robust z of the log mean distance to the nearest, by its values or by how it is made: high for what "
    "looks like nothing else",
    "outlier_reason": "what is unlike the rest, where `outlier` is above its limit",
    "label_suspicion": "rank of how much the other examples contradict the label: 0 least to 1 most; no probability",
    "label_probability": "of the given label, by a model that has seen neither the example nor its copies",
    "suggested": "the class that this model would give, the given one where nothing contradicts it",
    "flags": "of: not finite; blank; exact copy; near copy; other label (on an equal input); across splits (a copy); "
    "outlier; suspect label",
}


@dataclass(frozen=True)
class Limits:
    """From conf/audit.yaml."""

    near: float  # of near_ratio, for a near copy among feature rows
    outlier: float  # of outlier
    blank: float  # of std over the data set's median std


def relations(table: dict, near: Neighbours, first: np.ndarray, which: np.ndarray, pairs: Sequence[Pair]) -> dict:
    """The columns about copies and neighbours. `first`: row of each different input; `which`: the input of each row."""
    ids = table["id"]
    links = [(str(ids[p.a]), str(ids[p.b])) for p in pairs]
    group = linked_groups(ids.tolist(), links)
    kind, similarity = np.full(len(ids), "none", dtype=object), np.zeros(len(ids), np.float32)
    partner = first[near.index[:, 0]][which] if len(first) > 1 else np.arange(len(ids))
    for p in sorted(pairs, key=lambda p: (p.kind == "exact", p.similarity)):  # the best is written last
        for row, other in ((p.a, p.b), (p.b, p.a)):
            kind[row], similarity[row], partner[row] = p.kind, p.similarity, other
    exact = kind == "exact"
    return {
        "dup_group": np.array([group[name] for name in ids.tolist()]),
        "dup_kind": kind.astype(str),
        "dup_similarity": similarity,
        "near_id": ids[partner],
        "near_label": table["label"][partner],
        "near_distance": np.where(exact, 0.0, near.distance[:, 0][which]).astype(np.float32),
        "near_ratio": np.where(exact, 0.0, near.ratio[which]).astype(np.float32),
    }


def together(table: dict) -> list[str]:
    """A name per example, the same for two that must not stand on both sides of a comparison."""
    return splits.group_ids(
        [
            {"group": g, "dup_group": d}
            for g, d in zip(table["group"].tolist(), table["dup_group"].tolist(), strict=True)
        ]
    )


def crossing(table: dict) -> np.ndarray:
    """(N,) bool: the example has a copy in another split of those the source gives."""
    splits = defaultdict(set)
    for group, name in zip(table["dup_group"].tolist(), table["given_split"].tolist(), strict=True):
        splits[group].add(name)
    return np.array([len(splits[group] - {""}) > 1 for group in table["dup_group"].tolist()], bool)


def flags(table: dict, judged: Suspects | None, limits: Limits) -> np.ndarray:
    """(N,) what is conspicuous of each example, separated by semicolons."""
    count = len(table["id"])
    labels = defaultdict(set)
    for content, label in zip(table["hash"], table["label"], strict=True):
        labels[content].add(label)
    finite = table.get("finite", np.ones(count, bool))
    std = table.get("std", np.ones(count))
    marks = {
        "not finite": ~finite,
        "blank": std <= limits.blank * (np.median(std[finite]) if finite.any() else 0.0),
        "exact copy": table["dup_kind"] == "exact",
        "near copy": ~np.isin(table["dup_kind"], ("exact", "none")),
        "other label": np.array([len(labels[content]) > 1 for content in table["hash"]]),
        "across splits": crossing(table),
        "outlier": table["outlier"] > limits.outlier,
        "suspect label": np.zeros(count, bool) if judged is None else judged.flagged,
    }
    return np.array(["; ".join(name for name, mark in marks.items() if mark[i]) for i in range(count)])
