"""What is conspicuous about each example: copies, its nearest other example, and flags for a person to look at."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recipe.data import splits
from recipe.data.groups import linked_groups
from recipe.stages.audit.duplicates.search import Pair
from recipe.stages.audit.neighbours import Neighbours

SUSPECT = "suspect label"  # the flag of a label, or of a quantity, that the other examples contradict
MEANINGS = {
    "dup_group": "smallest id among its copies, exact or near; its own id where it has no copy",
    "dup_kind": "how its most similar copy differs: exact (not at all), the change that was made, or none (no copy)",
    "dup_similarity": "similarity to that copy, 0 to 1; 0 where it has no copy",
    "near_id": "id of the most similar other example",
    "near_label": "`label` of the most similar other example",
    "near_distance": "distance to it: 0 equal (of images, up to brightness and contrast), 1.41 unrelated; of feature "
    "columns in robust standard deviations",
    "near_ratio": "near_distance over the distance to the 10th nearest: small for a copy",
    "outlier": "robust z of the log mean distance to the nearest neighbours, by its values, by its style or by a "
    "pretrained network's features, the highest: high for what is unlike everything else",
    "feature_outlier": "the same by the features of a pretrained network: high for what shows something else",
    "outlier_reason": "how it is unlike the rest, where `outlier` is above its limit",
    "flags": "any of: not finite; blank; exact copy; near copy; other label (than an equal input); across splits (it "
    "has a copy in another split); outlier; suspect label",
}


@dataclass(frozen=True)
class FlagLimits:
    """From conf/audit.yaml."""

    near: float  # of near_ratio, for a near copy among feature rows
    outlier: float  # of outlier
    blank: float  # of std over the data set's median std


def neighbour_columns(
    table: Mapping[str, np.ndarray], near: Neighbours, first: np.ndarray, which: np.ndarray, pairs: Sequence[Pair]
) -> dict[str, np.ndarray]:
    """The columns about copies and the nearest other example.

    first: row of each distinct input; which: the distinct input of each row.
    """
    ids = table["id"]
    links = [(str(ids[p.a]), str(ids[p.b])) for p in pairs]
    group = linked_groups(ids.tolist(), links)
    kind, similarity = np.full(len(ids), "none", dtype=object), np.zeros(len(ids), np.float32)
    partner = first[near.index[:, 0]][which] if len(first) > 1 else np.arange(len(ids))
    for p in sorted(pairs, key=lambda p: (p.kind == "exact", p.similarity)):  # the best copy is written last
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


def fold_groups(table: Mapping[str, np.ndarray]) -> list[str]:
    """A name per example, the same for examples that must be in one fold: copies, and groups of the source."""
    return splits.group_ids(
        [
            {"group": g, "dup_group": d}
            for g, d in zip(table["group"].tolist(), table["dup_group"].tolist(), strict=True)
        ]
    )


def copy_in_another_split(table: Mapping[str, np.ndarray]) -> np.ndarray:
    """(N,) bool: the example has a copy in another split of those the source gives."""
    splits_of = defaultdict(set)
    for group, name in zip(table["dup_group"].tolist(), table["given_split"].tolist(), strict=True):
        splits_of[group].add(name)
    return np.array([len(splits_of[group] - {""}) > 1 for group in table["dup_group"].tolist()], bool)


def flags(table: Mapping[str, np.ndarray], of_targets: Mapping[str, np.ndarray], limits: FlagLimits) -> np.ndarray:
    """(N,) the flags of each example, separated by semicolons. of_targets: {flag: (N,) bool}."""
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
        "across splits": copy_in_another_split(table),
        "outlier": table["outlier"] > limits.outlier,
        **of_targets,
    }
    return np.array(["; ".join(name for name, mark in marks.items() if mark[i]) for i in range(count)])
