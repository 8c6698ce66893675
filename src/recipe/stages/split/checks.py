"""Claims about the written split."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipe.data import expected_repeats
from recipe.data.expected_repeats import Repeats
from recipe.data.source import FEATURES
from recipe.data.split_names import NAMES
from recipe.data.splits import read_split
from recipe.data.store import Store
from recipe.stages.split.captions import crossing
from recipe.stages.split.divide import Division
from recipe.verdict import FAIL, Verdict, below, check, exactly, skip, undecided

TOLD = 4  # classes and copies that a value names


@dataclass(frozen=True)
class Written:
    """The lists as they were read back, and the division that they were made from."""

    parts: Mapping[str, Sequence[dict]]  # {train, val, test: rows with id, row, label}
    division: Division
    date_features: Sequence[str] = ()  # columns of a table that are features of a date, and no metadata
    repeats: Repeats | None = None  # of the rows of a table

    @property
    def classes(self) -> Sequence[str]:
        return self.division.classes

    def crossing(self, column: str) -> dict[str, dict[str, list[str]]]:
        return crossing(self.parts, self.division.kept, column)

    def groups_of_equal_rows(self) -> set:
        """The groups of copies whose members are equal to the last bit."""
        contents = defaultdict(set)
        for example in self.division.kept:
            contents[example["dup_group"]].add(example["hash"])
        return {group for group, found in contents.items() if len(found) == 1}

    def counts(self, name: str, divided: bool = False) -> np.ndarray:
        """(K,) examples per class in a split; with `divided`, of those alone that were not given."""
        rows = [row for row in self.parts[name] if not divided or row["id"] in self.division.divided]
        return np.bincount([row["label"] for row in rows], minlength=len(self.classes))

    def all_counts(self) -> dict[str, list[int]]:
        """{split: examples per class}."""
        return {name: self.counts(name).tolist() for name in self.parts}


def written(out: Path, division: Division, store: Store) -> Written:
    """The lists that were written to `out`, read back."""
    rows = expected_repeats.count_repeats(store.inputs) if store.kind == FEATURES and division.given else None
    return Written(read_split(out), division, store.dates(), rows)


def _counted(names: Sequence[str]) -> Verdict:
    """None of these: their number, and the first of them by name."""
    more = f"; and {len(names) - TOLD} more" if len(names) > TOLD else ""
    verdict = exactly(len(names), 0)
    value = f"{len(names)}: {'; '.join(names[:TOLD])}{more}" if names else 0
    return Verdict(verdict.verdict, value, verdict.bound)


@check(source="Recipe 2, a full evaluation that can be trusted")
def nothing_is_lost(w: Written) -> Verdict:
    """Every example that decisions.csv leaves is in exactly one of train, val and test, under its label.

    A list was edited by hand, or comes from another run of the audit: type `dvc repro split`.
    """
    asked = sorted((example["id"], example["label"]) for example in w.division.kept)
    found = sorted((row["id"], row["label"]) for rows in w.parts.values() for row in rows)
    wrong = len(set(asked) ^ set(found)) + abs(len(asked) - len(found))
    return exactly(0 if asked == found else max(1, wrong), 0)


@check(source="Recipe 1, duplicate examples; Barz and Denzler 2020, near-duplicates in CIFAR")
def no_copies_across_splits(w: Written) -> Verdict:
    """No copy, exact or near, of an example is in another split.

    A net that has seen the copy knows the answer: the score on val and test is too good. Splits that the source gives
    are obeyed, so the copies are for you to decide: the explorer of the audit shows them, copies.csv drops those that
    leave test whole, and `recipe decide runs/split/copies.csv` adds its lines to decisions.csv. Or divide all examples
    anew, which keeps copies together: `split: {given: ignore}` in params.yaml.
    """
    found = w.crossing("dup_group")
    verdict = _counted([", ".join(f"{ids[0]} in {name}" for name, ids in splits.items()) for splits in found.values()])
    if found and w.repeats and not w.repeats.excess and not found.keys() - w.groups_of_equal_rows():
        expected = f"{w.repeats.rows:,} rows of this table equal an earlier one, and about {w.repeats.expected:,.0f}"
        needed = f"{expected} are expected from the values of its columns. An identifier of each row would decide."
        return undecided(verdict.value, verdict.bound, needed)
    return verdict


@check(source="Recipe 1, biases")
def no_group_across_splits(w: Written) -> Verdict:
    """No group (writer, patient, film) is in two splits.

    The score would be that on known writers, not on new ones. A group is only divided by splits that the source gives:
    move its examples there, drop some in decisions.csv, or divide all anew: `split: {given: ignore}` in params.yaml.
    """
    if not any(example["group"] for example in w.division.kept):
        return skip("the source names no groups")
    return _counted([f"{group} in {', '.join(splits)}" for group, splits in w.crossing("group").items()])


@check(source="Kaufman et al. 2012, leakage in data mining")
def no_example_is_later_than_the_next_split(w: Written) -> Verdict:
    """In a split by time every example of train is earlier than val, and every one of val earlier than test.

    Splits that the source gives are not in the order of time: divide all examples anew with `split: {given: ignore}`
    in params.yaml, or do not ask for `by: time`. The value counts examples of a later split that are not later than
    the latest one of an earlier split; what stays together counts as late as the latest of it.
    """
    moments = w.division.moments
    if not moments:
        return skip("the split is not by time")
    latest, wrong = None, 0
    for name in NAMES:
        times = [moments[row["id"]] for row in w.parts[name]]
        wrong += sum(latest is not None and time <= latest for time in times)
        latest = max([*times, *([] if latest is None else [latest])], default=None)
    return exactly(wrong, 0)


@check(source="Kaufman et al. 2012, leakage in data mining", gate=False)
def no_dates_in_a_random_split(w: Written) -> Verdict:
    """Where examples have a date, the split is by time.

    A random split puts later examples into train and earlier ones into val and test. Where the system will be asked
    about what comes after its training data (forecasts, fraud, demand), its score is too good. Write the line that the
    bound gives into params.yaml, or leave it if the order of time plays no part.
    """
    division = w.division
    if not division.shares:
        return skip("the source gives all splits")
    if division.plan.by == "time":
        return skip("the split is by time")
    if division.dated:
        column, (first, last) = next(iter(division.dated.items()))
        name = column.removeprefix("meta_")
        return Verdict(FAIL, f"`{name}`, {first} to {last}", f"split: {{by: time, column: {name}}}")
    if w.date_features:
        name = w.date_features[0]
        line = f"metadata: [{name}] for the data, and split: {{by: time, column: {name}}}"
        return Verdict(FAIL, f"`{name}`, among the features", line)
    return skip("no column holds dates or times")


@check(source="Recipe 2, a full evaluation that can be trusted", gate=False)
def given_splits_are_obeyed(w: Written) -> Verdict:
    """Every example is in the split that the source gives it, as far as it gives one.

    conf asks for `given: ignore`: the score cannot be compared with others on the source's own splits. The value counts
    the examples that are elsewhere; what is carved out of a given train for a split that is missing counts as obeyed.
    """
    if not w.division.given:
        return skip("the source gives no splits")
    return exactly(w.division.moved, 0)


@check(source="Recipe 1, imbalance")
def every_class_is_in_every_split(w: Written) -> Verdict:
    """Every class has an example in train, val and test.

    The value names each class with what it lacks. Fewer than three examples (copies and groups count once): collect
    more; merge the class into another by `relabel` in decisions.csv; or choose in params.yaml `split: {rare: drop}`,
    which leaves it out, or `split: {rare: train}`, which keeps it in train alone. A split that the source gives lacks
    it: add examples there, or divide all anew by `split: {given: ignore}`. A split by time: the class is of one period;
    merge it, or waive this with that reason.
    """
    alone = w.division.rare if w.division.plan.rare == "train" else {}
    count = {name: w.counts(name) for name in NAMES}
    lacking = []
    for label, name in enumerate(w.classes):
        lacks = [split for split in NAMES if not count[split][label]]
        if lacks and name not in alone:
            total = sum(int(n[label]) for n in count.values())
            lacking.append(f"{name} ({total} example{'s' * (total != 1)}) is not in {', '.join(lacks)}")
    return _counted(lacking)


@check(source="Recipe 1, imbalance", gate=False)
def class_shares_agree(w: Written, limit: float = 0.02) -> Verdict:
    """Train, val and test, as far as they were made here, have the same class shares.

    The value is the largest share of a split that would have to change its class. Large groups of one class, or very
    few examples, leave no better choice: judge val and test by class.
    """
    if not w.division.shares:
        return skip("the source gives all splits")
    if w.division.plan.by == "time":
        return skip("a split by time follows the shares of each period")
    counts = [w.counts(name, divided=True) for name in w.division.shares]
    whole = np.sum(counts, axis=0) / max(1, np.sum(counts))
    drift = [np.abs(count / max(1, count.sum()) - whole).sum() / 2 for count in counts]
    return below(float(max(drift)), limit)


@check(source="Recipe 2, a full evaluation that can be trusted", gate=False)
def sizes_are_as_asked(w: Written, limit: float = 0.02) -> Verdict:
    """Each split that was made here has the share of the examples that conf/split.yaml asks for.

    The value is the largest difference. One group is larger than a split, or the data set is very small.
    """
    asked = w.division.shares
    if not asked:
        return skip("the source gives all splits")
    size = {name: int(w.counts(name, divided=True).sum()) for name in asked}
    total = max(1, sum(size.values()))
    return below(max(abs(size[name] / total - asked[name]) for name in asked), limit)
