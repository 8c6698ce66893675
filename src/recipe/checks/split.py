"""Claims about the written split."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recipe.checks.verdict import Verdict, below, check, exactly, skip


@dataclass(frozen=True)
class Written:
    """The lists as they were read back, and what they were made from."""

    parts: Mapping[str, Sequence[dict]]  # {train, val, test: rows with id, row, label}
    kept: Sequence[dict]  # the examples that decisions.csv leaves: id, label, dup_group, group
    classes: Sequence[str]
    shares: Mapping[str, float]

    def crossing(self, column: str) -> int:
        """Values of a column of `kept` that are in more than one part."""
        value = {example["id"]: example[column] for example in self.kept}
        found = defaultdict(set)
        for name, rows in self.parts.items():
            for row in rows:
                if value.get(row["id"]):
                    found[value[row["id"]]].add(name)
        return sum(len(names) > 1 for names in found.values())

    def counts(self, name: str) -> np.ndarray:
        return np.bincount([row["label"] for row in self.parts[name]], minlength=len(self.classes))


@check(source="Recipe 2, a full evaluation that can be trusted")
def nothing_is_lost(w: Written) -> Verdict:
    """Every example that decisions.csv leaves is in exactly one of train, val and test, under its label.

    A list was edited by hand, or comes from another run of the audit: type `dvc repro split`.
    """
    asked = sorted((example["id"], example["label"]) for example in w.kept)
    found = sorted((row["id"], row["label"]) for rows in w.parts.values() for row in rows)
    wrong = len(set(asked) ^ set(found)) + abs(len(asked) - len(found))
    return exactly(0 if asked == found else max(1, wrong), 0)


@check(source="Recipe 1, duplicate examples")
def no_copies_across_splits(w: Written) -> Verdict:
    """No duplicate group is in two splits.

    A net that has seen the copy knows the answer: the score on val and test is too good.
    """
    return exactly(w.crossing("dup_group"), 0)


@check(source="Recipe 1, biases")
def no_group_across_splits(w: Written) -> Verdict:
    """No group of the source (writer, patient, film) is in two splits.

    The score would be that on known writers, not on new ones.
    """
    if not any(example["group"] for example in w.kept):
        return skip("the source names no groups")
    return exactly(w.crossing("group"), 0)


@check(source="Recipe 1, imbalance")
def every_class_is_in_every_split(w: Written) -> Verdict:
    """Every class has an example in train, val and test.

    It has fewer than three examples, or all of them are in one group. Collect more, or drop the class.
    """
    return exactly(sum(int((w.counts(name) == 0).sum()) for name in w.parts), 0)


@check(source="Recipe 1, imbalance", gate=False)
def class_shares_agree(w: Written, limit: float = 0.02) -> Verdict:
    """Train, val and test have the same class shares.

    The value is the largest share of a split that would have to change its class. Large groups of one class, or very
    few examples, leave no better choice: judge val and test by class.
    """
    total = np.sum([w.counts(name) for name in w.parts], axis=0)
    whole = total / max(1, total.sum())
    drift = [np.abs(w.counts(name) / max(1, len(rows)) - whole).sum() / 2 for name, rows in w.parts.items()]
    return below(float(max(drift)), limit)


@check(source="Recipe 2, a full evaluation that can be trusted", gate=False)
def sizes_are_as_asked(w: Written, limit: float = 0.02) -> Verdict:
    """Each split has the share of the examples that conf/split.yaml asks for.

    The value is the largest difference. One group is larger than a split, or the data set is very small.
    """
    total = max(1, sum(len(rows) for rows in w.parts.values()))
    return below(float(max(abs(len(rows) / total - w.shares[name]) for name, rows in w.parts.items())), limit)
