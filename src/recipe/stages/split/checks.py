"""Claims about the written split."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from recipe.data import expected_repeats
from recipe.data.expected_repeats import Repeats
from recipe.data.split_names import NAMES
from recipe.data.splits import read_folds, read_split
from recipe.data.store import Store
from recipe.stages.split.divide import Division, Example, in_several_splits
from recipe.stages.split.timeline import Moment
from recipe.verdict import FAIL, Verdict, below, bounded, check, exactly, skip, undecided

NAMED = 4  # classes and copies that a value names
ANEW = "divide all examples anew: `split: {given: ignore}` in params.yaml"


@dataclass(frozen=True)
class Written:
    """The lists as they were read back, and the division from which they were made."""

    parts: Mapping[str, Sequence[Example]]  # {train, val, test: rows with id, row, label}
    division: Division
    date_features: Sequence[str] = ()  # columns of a table that are features made from a date, and not metadata
    repeats: Repeats | None = None  # of the rows of a table
    folds: Sequence[tuple[str, int | None]] = ()  # (id, fold) of each line of folds.csv

    @property
    def names(self) -> Sequence[str]:
        """Of the classes or labels of which every split must hold an example; none where quantities are predicted."""
        return self.division.task.stratum_names

    @property
    def stratum(self) -> str:
        """What the strata are, in one word."""
        return self.division.task.choose(classes="class", labels="label", quantities="decile")

    def in_several_splits(self, column: str) -> dict[str, dict[str, list[str]]]:
        return in_several_splits(self.parts, self.division.kept, column)

    def groups_of_equal_rows(self) -> set[str]:
        """The groups of copies whose members are equal bit for bit."""
        hashes = defaultdict(set)
        for example in self.division.kept:
            hashes[example["dup_group"]].add(example["hash"])
        return {group for group, contents in hashes.items() if len(contents) == 1}

    def rows(self, name: str, divided: bool = False) -> list[Example]:
        """Of a split; with `divided`, only those that were divided here."""
        return [row for row in self.parts[name] if not divided or row["id"] in self.division.divided]

    def counts(self, name: str, divided: bool = False) -> np.ndarray:
        """(S,) examples per stratum in a split, of which the first are those that `names` names."""
        strata = self.division.strata
        count = max((s for inside in strata.values() for s in inside), default=0) + 1
        inside = [s for row in self.rows(name, divided) for s in strata.get(row["id"], ())]
        return np.bincount(inside, minlength=max(count, len(self.names)))

    def all_counts(self) -> dict[str, list[int]]:
        """{split: examples per class or label}."""
        return {name: self.counts(name)[: len(self.names)].tolist() for name in self.parts}

    def values(self, name: str) -> np.ndarray:
        """(N, K) the targets of a split, where there are no classes."""
        form = self.division.task.labels
        return form.tensor([form.parsed(row["label"]) for row in self.parts[name]]).numpy()


def written(out: Path, division: Division, store: Store) -> Written:
    """The lists that were written to `out`, read back."""
    rows = expected_repeats.count_repeats(store.inputs) if store.kind.has_columns and division.given else None
    return Written(read_split(out, division.task.labels), division, store.dates(), rows, read_folds(out))


def none_of(names: Sequence[str], finding: str) -> Verdict:
    """The claim that there are none of these; the value is their number, and the first ones by name."""
    more = f"; and {len(names) - NAMED} more" if len(names) > NAMED else ""
    verdict = exactly(len(names), 0, finding=finding)
    return replace(verdict, value=f"{len(names)}: {'; '.join(names[:NAMED])}{more}" if names else 0)


def none_lacks(w: Written, lacking: Sequence[str], part: str, also: str = "") -> Verdict:
    """The claim that a part holds every class or label. lacking: what is missing where; also: a further remedy."""
    kinds, advice = w.division.task.choose(
        classes=("classes", "merge the class into another, or set `split: {rare: drop}` in params.yaml"),
        labels=("labels", "or take the label out of `labels` of the data in params.yaml"),
        quantities=("", ""),
    )
    finding = (
        f"{len(lacking)} of {len(w.names)} {kinds} are missing from {part}: {'; '.join(lacking[:NAMED])}. Collect more "
        f"examples, {also}{advice}."
    )
    return none_of(lacking, finding)


@check(source="Recipe 2, a full evaluation that can be trusted")
def nothing_is_lost(w: Written) -> Verdict:
    """Every example that remains after decisions.csv is in exactly one of train, val and test, with its label.

    A list was edited by hand, or comes from another run of the audit: type `dvc repro split`.
    """
    expected = sorted((example["id"], example["label"]) for example in w.division.kept)
    actual = sorted((row["id"], row["label"]) for rows in w.parts.values() for row in rows)
    wrong = len(set(expected) ^ set(actual)) + abs(len(expected) - len(actual))
    count = 0 if expected == actual else max(1, wrong)
    finding = (
        f"{count:,} examples are missing from the lists, are in them twice or have another label. Type "
        "`dvc repro split`."
    )
    return exactly(count, 0, finding=finding)


@check(source="Recipe 1, duplicate examples; Barz and Denzler 2020, near-duplicates in CIFAR")
def no_copies_across_splits(w: Written) -> Verdict:
    """No copy, exact or near, of an example is in another split.

    A net that was trained on the copy knows the answer, so the score on val and test is too good. Splits that the
    source gives are obeyed, so you decide about the copies: the explorer of the audit shows them, copies.csv drops
    those whose removal keeps test complete, and `recipe decide runs/split/copies.csv` adds its lines to decisions.csv.
    Or divide all examples anew, which keeps copies together: `split: {given: ignore}` in params.yaml.
    """
    copies = w.in_several_splits("dup_group")
    finding = (
        f"{len(copies):,} groups of copies are in more than one split, so the score on val and test is too good. Drop "
        f"the copies (`recipe decide runs/split/copies.csv`), or {ANEW}."
    )
    names = [", ".join(f"{ids[0]} in {name}" for name, ids in splits.items()) for splits in copies.values()]
    verdict = none_of(names, finding)
    if copies and w.repeats and not w.repeats.excess and not copies.keys() - w.groups_of_equal_rows():
        expected = f"{w.repeats.rows:,} rows of this table equal an earlier one, and about {w.repeats.expected:,.0f}"
        needed = f"{expected} are expected from the values of its columns. An identifier of each row would decide."
        finding = f"{len(copies):,} sets of equal rows are in more than one split: copies, or different cases."
        return undecided(str(verdict.value), verdict.bound, needed, finding=finding)
    return verdict


@check(source="Recipe 1, biases")
def no_group_across_splits(w: Written) -> Verdict:
    """No group (writer, patient, film) is in two splits.

    Otherwise the score is that on known writers, not on new ones. Only splits that the source gives divide a group:
    move its examples to one of them, drop some in decisions.csv, or divide all examples anew: `split: {given: ignore}`
    in params.yaml.
    """
    if not any(example["group"] for example in w.division.kept):
        return skip("the source has no groups")
    groups = w.in_several_splits("group")
    finding = (
        f"{len(groups):,} groups are in more than one of the given splits, so the score is that on known groups. Move "
        f"their examples to one split, or {ANEW}."
    )
    return none_of([f"{group} in {', '.join(splits)}" for group, splits in groups.items()], finding)


@check(source="Kaufman et al. 2012, leakage in data mining")
def no_example_is_later_than_the_next_split(w: Written) -> Verdict:
    """In a split by time every example of train is earlier than val, and every one of val earlier than test.

    The splits that the source gives are not in order of time: divide all examples anew with `split: {given: ignore}`
    in params.yaml, or do not set `by: time`. The value counts examples of a later split that are not later than the
    latest one of an earlier split; examples that stay together count as late as the latest of them.
    """
    moments = w.division.moments
    if not moments:
        return skip("the split is not by time")
    latest: Moment | None = None
    wrong = 0
    for name in NAMES:
        times = [moments[row["id"]] for row in w.parts[name]]
        wrong += sum(latest is not None and time <= latest for time in times)
        latest = max([*times, *([] if latest is None else [latest])], default=None)
    finding = f"{wrong:,} examples are not later than the latest one of the split before theirs. Fix: {ANEW}."
    return exactly(wrong, 0, finding=finding)


@check(source="Kaufman et al. 2012, leakage in data mining", gate=False)
def no_dates_in_a_random_split(w: Written) -> Verdict:
    """Where examples have a date, the split is by time.

    A random split puts later examples into train and earlier ones into val and test. Where the system will be used on
    data that are later than its training data (forecasts, fraud, demand), its score is too good. Add the line in the
    bound to params.yaml, or leave it if the order of time has no effect.
    """
    division = w.division
    if not division.shares:
        return skip("the source gives all splits")
    if division.plan.by == "time":
        return skip("the split is by time")
    if division.dated:
        column, (first, last) = next(iter(division.dated.items()))
        name = column.removeprefix("meta_")
        return _dated(name, f"{first} to {last}", f"split: {{by: time, column: {name}}}")
    if w.date_features:
        name = w.date_features[0]
        line = f"metadata: [{name}] for the data, and split: {{by: time, column: {name}}}"
        return _dated(name, "among the features", line)
    return skip("no column contains dates or times")


def _dated(column: str, where: str, line: str) -> Verdict:
    finding = (
        f"The examples have dates (`{column}`, {where}), and the split is random: on data later than the training data "
        f"its score may be too good. To split by time, set in params.yaml: {line}."
    )
    return bounded(FAIL, f"`{column}`, {where}", line, finding=finding)


@check(source="Recipe 2, a full evaluation that can be trusted", gate=False)
def given_splits_are_obeyed(w: Written) -> Verdict:
    """Every example for which the source gives a split is in that split.

    With `given: ignore` the score cannot be compared with others on the splits of the source. The value counts the
    examples in another split; those taken out of a given train for a missing split count as obeyed.
    """
    if not w.division.given:
        return skip("the source gives no splits")
    moved = w.division.moved
    finding = (
        f"{moved:,} examples are in another split than the source puts them in, so the score cannot be compared with "
        "others on its splits."
    )
    return exactly(moved, 0, finding=finding)


@check(source="Recipe 1, imbalance")
def every_class_is_in_every_split(w: Written) -> Verdict:
    """Every class, or label, has an example in train, val and test.

    The value names each one and the splits that lack it. If it has fewer than three examples (copies and groups
    count once): collect more. Merge a class into another by `relabel` in decisions.csv, or set in params.yaml
    `split: {rare: drop}`, which leaves it out, or `split: {rare: train}`, which keeps it in train only; take a label
    out of `labels` of the data. If a split of the source lacks it: add examples there, or divide all anew by
    `split: {given: ignore}`. If the split is by time, it belongs to one period: merge it, or waive this check with that
    reason.
    """
    if not w.names:
        return skip("quantities are predicted")
    only_train = w.division.rare if w.division.plan.rare == "train" else {}
    count = {name: w.counts(name) for name in NAMES}
    lacking = []
    for label, name in enumerate(w.names):
        lacks = [split for split in NAMES if not count[split][label]]
        if lacks and name not in only_train:
            total = sum(int(n[label]) for n in count.values())
            lacking.append(f"{name} ({total} example{'s' * (total != 1)}) is not in {', '.join(lacks)}")
    return none_lacks(w, lacking, "a split")


@check(source="Recipe 1, imbalance", gate=False)
def class_shares_agree(w: Written, limit: float = 0.02) -> Verdict:
    """The splits that were made here have the same class shares; of labels, and of deciles of quantities, likewise.

    The value is the largest share of a split whose class, label or decile would have to change. With large groups of
    one class, or very few examples, no better division exists: look at the scores of val and test by class or label.
    """
    if not w.division.shares:
        return skip("the source gives all splits")
    if w.division.plan.by == "time":
        return skip(f"a split by time has the {w.stratum} shares of each period")
    counts = [w.counts(name, divided=True) for name in w.division.shares]
    whole = np.sum(counts, axis=0) / max(1, np.sum(counts))
    drift = [float(np.abs(count / max(1, count.sum()) - whole).sum() / 2) for count in counts]
    largest = max(drift)
    entries = w.division.task.choose(classes="examples", labels="labels", quantities="values")
    finding = (
        f"The {w.stratum} shares of the splits differ: in {list(w.division.shares)[drift.index(largest)]}, "
        f"{100 * largest:.1f} % of the {entries} would have to be of another {w.stratum}. Report the "
        f"scores by {w.stratum}."
    )
    return below(largest, limit, finding=finding)


@check(source="Recipe 2, a full evaluation that can be trusted", gate=False)
def sizes_are_as_asked(w: Written, limit: float = 0.02) -> Verdict:
    """Each split that was made here has the share of the examples that conf/split.yaml requests.

    The value is the largest difference. One group is larger than a split, or the data set is very small.
    """
    requested = w.division.shares
    if not requested:
        return skip("the source gives all splits")
    size = {name: len(w.rows(name, divided=True)) for name in requested}
    total = max(1, sum(size.values()))
    differences = {name: abs(size[name] / total - requested[name]) for name in requested}
    worst = max(differences, key=lambda name: differences[name])
    finding = (
        f"{worst} has {size[worst]:,} of {total:,} examples ({size[worst] / total:.1%}), where {requested[worst]:.1%} "
        "were requested: a group is larger than the split, or the data set is very small."
    )
    return below(differences[worst], limit, finding=finding)
