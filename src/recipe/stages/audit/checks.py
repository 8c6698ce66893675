"""Claims about the data themselves, and their subject."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recipe.checks.repeated_rows import rows_repeat
from recipe.data.decisions import decide, read_decisions
from recipe.data.source import IMAGE
from recipe.data.store import Store
from recipe.metrics import power
from recipe.metrics.intervals import wilson_half_width
from recipe.metrics.repeated_inputs import error_floor
from recipe.stages.audit import findings, targets
from recipe.stages.audit.audit import Audit
from recipe.stages.audit.bias import ENOUGH, MARGIN, ORDER, Bias, ColumnGain
from recipe.stages.audit.shortcuts import Shortcut
from recipe.stages.audit.tables import ColumnProblems
from recipe.verdict import FAIL, PASS, Verdict, above, below, bounded, check, exactly, skip, undecided

NO_CLASSES = "labels or quantities are predicted, not classes"


@dataclass(frozen=True)
class Audited:
    """What the checks examine of an audit; a column has a value per example."""

    columns: Mapping[str, np.ndarray]
    labels: Sequence[int | str | None]  # after decisions.csv: None where an example is dropped
    classes: Sequence[str]  # none where labels or quantities are predicted
    floats: bool  # the source gives floating-point images, on any scale
    order_gap: float = 1.0  # mean distance in the file of nearest neighbours of one class, over that in shuffled files
    order_spread: float = 0.0  # standard deviation of that ratio over shuffled files
    order_gain: float = 0.0  # accuracy by which shuffled folds score better than blocks of the file
    noise: tuple[float, float] | None = None  # bounds of the share of wrong labels; None where it is unknown
    metadata: ColumnGain | None = None  # the metadata column that predicts the label best
    split: ColumnGain | None = None  # the column that predicts the split that the source gives best
    shortcut: Shortcut | None = None  # the single number of the input that identifies a class best
    table: ColumnProblems | None = None  # of feature columns
    unvaried: Sequence[str] = ()  # labels and quantities that are the same for all examples

    def flagged(self, flag: str) -> int:
        return sum(flag in flags.split("; ") for flags in self.columns["flags"])

    def counts(self) -> np.ndarray:
        """(K,) examples per class after decisions.csv."""
        return np.bincount([int(label) for label in self.labels if label is not None], minlength=len(self.classes))


def audited(audit: Audit, store: Store, decisions: str) -> Audited:
    """The subject of the checks: what decisions.csv drops or relabels closes no gate."""
    table = audit.columns
    form = store.task.labels
    examples = [{"id": str(i), "label": label} for i, label in zip(table["id"], table["label"].tolist(), strict=True)]
    decided = read_decisions(decisions, {str(i) for i in table["id"]}, form)
    kept = {e["id"]: e["label"] for e in decide(examples, decided, form)}
    return Audited(
        columns=table,
        labels=[kept.get(str(i)) for i in table["id"]],
        classes=store.task.classes,
        floats=store.kind == IMAGE and store.inputs.dtype != np.uint8,
        order_gap=audit.order.gap,
        order_spread=audit.order.spread,
        order_gain=audit.order.gain,
        noise=audit.suspects.rate if audit.suspects and not audit.suspects.weak else None,
        metadata=_best_column(audit.metadata_bias),
        split=_best_column(audit.split_bias),
        shortcut=audit.shortcut,
        table=audit.table,
        unvaried=targets.unvaried(store.task, targets.values(store.task, np.array([*kept.values()]))),
    )


def _best_column(bias: Bias | None) -> ColumnGain | None:
    """The first column that predicts, else the first; not the position in the file: class folders are sorted anyway."""
    columns = [g for g in bias.columns if g.column != ORDER] if bias else []
    return next((g for g in columns if g.verdict == "yes"), next(iter(columns), None))


@check(source="Recipe 1, corrupted inputs")
def every_input_is_finite(a: Audited) -> Verdict:
    """No input contains NaN or infinity.

    Common causes: a division by zero in a transform, a missing value in a table, a float16 that overflowed. These
    examples have the flag `not finite` in examples.parquet.
    """
    if "finite" not in a.columns:
        return skip("the inputs are texts")
    count = int((~a.columns["finite"]).sum())
    finding = f"{count:,} of {len(a.labels):,} inputs contain NaN or infinity. Find out where these values come from."
    return exactly(count, 0, finding=finding)


@check(source="Recipe 1, corrupted inputs")
def one_range(a: Audited, times: float = 30.0) -> Verdict:
    """The largest values of all float inputs are of one order of magnitude.

    Some files hold 0..255 and others 0..1: one reader scales and the other does not.
    """
    if not a.floats:
        return skip("the inputs are not floating-point images")
    usable = a.columns["finite"] & (a.columns["std"] > 0)
    peak = np.maximum(np.abs(a.columns["min"]), np.abs(a.columns["max"]))[usable]
    middle = np.median(peak) if len(peak) else 1.0
    count = int(((peak > times * middle) | (peak < middle / times)).sum())
    return exactly(
        count, 0,
        finding=f"The largest value of {count:,} of {len(peak):,} images is more than {times:g} times above or below "
        f"the median, {middle:.3g}. Read all files on one scale.",
    )  # fmt: skip


@check(source="Recipe 1, corrupted labels")
def every_class_has_an_example(a: Audited) -> Verdict:
    """Every class of the data set has an example.

    Either `classes` of the data set names a class too many, or the folder of a class is empty. A class whose examples
    decisions.csv all drops or relabels passes here: the split stage reports it, and renumbers the other classes.
    """
    if not a.classes:
        return skip(NO_CLASSES)
    present = set(a.columns["label"].tolist())
    missing = [name for label, name in enumerate(a.classes) if label not in present]
    names = ", ".join(missing)
    verdict = exactly(len(missing), 0, finding=f"{len(missing)} of {len(a.classes)} classes have no example: {names}.")
    return verdict if verdict.ok else replace(verdict, value=names)


@check(source="Recipe 1, corrupted labels")
def targets_vary(a: Audited) -> Verdict:
    """No quantity is the same for all examples, and no label is on all of them or on none.

    There is nothing to learn about it: remove its column from `target` or `labels` of the data, or find out why the
    source has one value alone. Decisions in decisions.csv count.
    """
    if a.classes:
        return skip("classes are predicted: see every_class_has_an_example")
    names = ", ".join(a.unvaried)
    verdict = exactly(len(a.unvaried), 0, finding=f"The same for all examples: {names}. Leave them out of the targets.")
    return verdict if verdict.ok else replace(verdict, value=names)


@check(source="Recipe 1, duplicate examples, corrupted labels")
def equal_inputs_have_one_label(a: Audited) -> Verdict:
    """Equal inputs have equal labels, after decisions.csv.

    At least one label of each such set is wrong. The flag `other label` in examples.parquet marks them, and the sheet
    of copies shows them. Drop or relabel the wrong ones in decisions.csv, with a reason; both settle this check. Rows
    of a table may be equal because the columns say too little, so equal rows close no gate.
    """
    kept = [(content, label) for content, label in zip(a.columns["hash"], a.labels, strict=True) if label is not None]
    if not kept:
        return exactly(0, 0)
    contents, labels = (np.array(part) for part in zip(*kept, strict=True))
    bounds = error_floor(*(np.unique(part, return_inverse=True)[1] for part in (contents, labels)))
    if a.table is None or not bounds.sets:
        finding = (
            f"{bounds.sets:,} inputs occur with different labels ({bounds.examples:,} examples). Drop or relabel the "
            "wrong ones in decisions.csv."
        )
        return exactly(bounds.sets, 0, finding=finding)
    needed = (
        "Columns that distinguish equal rows would decide, or a check of their labels (flag `other label` in "
        "examples.parquet)."
    )
    return undecided(bounds.sets, "= 0", needed, finding=findings.of_equal_rows(bounds, bool(a.classes)))


@check(source="Recipe 1, duplicate examples; Barz and Denzler 2020, near-duplicates in CIFAR", gate=False)
def no_copies_across_given_splits(a: Audited) -> Verdict:
    """No copy, exact or near, of an example is in another of the splits that the source gives.

    A published score on such a split is too good. The explorer shows the copies: drop one of each in decisions.csv. As
    long as it obeys the given splits, the split stage closes its gate on them and proposes the lines; with
    `split: {given: ignore}` it makes new splits and keeps copies together. The value counts groups of copies.
    """
    if len(set(a.columns["given_split"])) < 2:
        return skip("the source gives no splits")
    splits_of: defaultdict[str, set[str]] = defaultdict(set)
    for group, split, label in zip(a.columns["dup_group"], a.columns["given_split"], a.labels, strict=True):
        splits_of[group] |= {split} if split and label is not None else set()
    count = sum(len(splits) > 1 for splits in splits_of.values())
    finding = (
        f"{count:,} groups of copies are in more than one of the given splits, so a score on these is too good. Drop "
        "the copies in decisions.csv, or divide all examples anew: `split: {given: ignore}` in params.yaml."
    )
    return exactly(count, 0, finding=finding)


@check(source="Northcutt et al. 2021, pervasive label errors", gate=False)
def labels_agree(a: Audited, limit: float = 0.02) -> Verdict:
    """Hardly any label contradicts the other examples.

    The value is an estimate of the share of wrong labels, from the least to the most, by a cross-validated model. Check
    the suspect labels in the explorer, the most suspect first, and correct the wrong ones in decisions.csv.
    """
    bound = f"from < {limit:g}"
    if not a.classes:
        return skip(NO_CLASSES)
    if a.noise is None:
        return skip("the inputs separate the classes too badly to judge labels by")
    low, high = a.noise
    value = f"{low:.2f} to {high:.2f}"
    finding = (
        f"An estimated {100 * low:.0f} to {100 * high:.0f} % of {len(a.labels):,} labels are wrong, where "
        f"{100 * limit:g} % would be acceptable. Check the suspect labels in the explorer."
    )
    if low < limit < high:
        needed = "Features that separate the classes better would decide."
        return undecided(value, bound, needed, finding=finding)
    return bounded(PASS if low < limit else FAIL, value, bound, finding=finding)


@check(source="Recipe 1, biases; Geirhos et al. 2020, shortcut learning", gate=False)
def metadata_says_nothing(a: Audited) -> Verdict:
    """No metadata (size, file name, position in the file, columns of the source) predict the label.

    A net may learn them in place of the subject, and fail where they differ. The value is the gain in accuracy over
    always answering the majority class. Balance the data over this column, split by it, or remove it.
    """
    if a.metadata is None:
        return skip("there are no metadata that could predict the label" if a.classes else NO_CLASSES)
    advice = "Balance the data over it, split by it, or remove it."
    return _column_verdict(a.metadata, findings.of_column(a.metadata, "label", advice))


@check(source="Recipe 1, biases; Geirhos et al. 2020, shortcut learning", gate=False)
def no_single_number_tells_a_class(a: Audited, limit: float = 0.97) -> Verdict:
    """No threshold on a single pixel or column identifies a class almost without error.

    Common causes: a mark, a watermark, a border, a column that was filled in after the label was known. The value is
    the Youden index (sensitivity + specificity - 1) of the best threshold; it is 0.91 in handwritten digits, 0.81 in
    pictures of clothes, 0.41 in photographs.
    """
    if a.shortcut is None:
        return skip("the inputs are texts" if a.classes else NO_CLASSES)
    verdict = below(a.shortcut.youden, limit, finding=findings.of_shortcut(a.shortcut, a.classes))
    return replace(verdict, value=f"{a.shortcut.youden:.4g} ({a.shortcut.name})") if a.shortcut.name else verdict


@check(source="Recipe 1, biases; Torralba and Efros 2011, unbiased look at dataset bias", gate=False)
def given_splits_look_alike(a: Audited) -> Verdict:
    """No metadata and no statistic of an example predict in which split the source puts it.

    Otherwise the splits were collected or prepared differently, and a score on one says little about the other. The
    value is the gain in accuracy over always answering the largest split.
    """
    if a.split is None:
        return skip("the source gives no splits that could be predicted")
    advice = "Find out how the splits were collected; a score on one may not hold on the other."
    return _column_verdict(a.split, findings.of_column(a.split, "split", advice))


def _column_verdict(gain: ColumnGain, finding: str) -> Verdict:
    value, bound = f"{gain.gain:+.3f} ({gain.column})", f"within chance, or below {MARGIN:g}"
    if gain.verdict == "undecided":
        return undecided(value, bound, _what_would_decide(gain), finding=finding)
    return bounded(FAIL if gain.verdict == "yes" else PASS, value, bound, finding=finding)


def _what_would_decide(gain: ColumnGain) -> str:
    """Which of the two gains is undecided, with its 95 % CI, and how many examples would decide."""
    plain = gain.high >= MARGIN or gain.balanced_high < MARGIN
    name = "gain in accuracy" if plain else "gain in balanced accuracy"
    value, low, high = (
        (gain.gain, gain.low, gain.high) if plain else (gain.balanced, gain.balanced_low, gain.balanced_high)
    )
    if high < MARGIN:
        return f"With fewer than {ENOUGH} independent examples a gain of {MARGIN:g} is not ruled out."
    more = power.about(power.of_interval(value, low, high, gain.n), MARGIN, power.Z95, "examples")
    return f"The {name} has a 95 % CI of {low:+.2f} to {high:+.2f}. {more}"


@check(source="Recipe 1, corrupted inputs", gate=False)
def columns_say_something(a: Audited) -> Verdict:
    """No feature column is constant, repeats another one or numbers the rows.

    The value counts these columns and names the first. A key or a row number is unrelated to new examples, but may
    reveal the label of old ones.
    """
    if a.table is None:
        return skip("the inputs are not feature columns")
    names = [*a.table.constant, *(b for _, b in a.table.equal), *a.table.identifiers]
    verdict = exactly(len(names), 0, finding=findings.of_columns(a.table))
    return replace(verdict, value=f"{len(names)} ({', '.join(names[:3])})" if names else 0)


@check(source="Recipe 1, imbalance", gate=False)
def classes_are_balanced(a: Audited, limit: float = 5.0) -> Verdict:
    """The largest class is less than a few times the size of the smallest.

    Otherwise the accuracy mostly reflects the large classes: report the balanced accuracy or that of each class, or
    weight the loss.
    """
    if not a.classes:
        return skip(NO_CLASSES)
    counts = a.counts()
    finding = (
        f"The largest class has {counts.max():,} examples, the smallest {counts.min():,}. Report the balanced "
        "accuracy, or weight the loss."
    )
    return below(float(counts.max() / counts.min()) if counts.min() else float("inf"), limit, finding=finding)


@check(source="Wilson 1927, probable inference; Recipe 1, imbalance", gate=False)
def classes_have_enough_examples(a: Audited, width: float = 0.5, val: float = 0.15) -> Verdict:
    """Every class has enough examples for its accuracy to be meaningful.

    The value is the number of classes whose validation examples are so few that the 95 % CI of the accuracy on them is
    wider than half of the range from 0 to 1. Report such classes together, merge them, or collect more examples.
    """
    if not a.classes:
        return skip(NO_CLASSES)
    counts = a.counts()
    few = counts[counts > 0][_ci_width(counts[counts > 0] * val) > width]
    if not len(few):
        return exactly(0, 0)
    middle, enough = int(np.median(few)), int(np.argmax(_ci_width(np.arange(1, 10_000) * val) <= width)) + 1
    held_out = max(1, round(middle * val))
    points = 100 * float(_ci_width(np.array([held_out]))[0])
    finding = findings.of_small_classes(len(few), len(a.classes), middle, held_out, points, enough)
    return bounded(FAIL, f"{len(few)} of {len(a.classes)} classes", "= 0", finding=finding)


def _ci_width(n: np.ndarray) -> np.ndarray:
    """Of Wilson's 95 % CI of a share of n, where it is widest: at one half."""
    return 2 * wilson_half_width(0.5, n, power.Z95)


@check(source="Recipe 1, duplicate examples", gate=False)
def no_exact_copies(a: Audited) -> Verdict:
    """No input occurs twice; in a table, not more equal rows than the values of its columns explain.

    Copies count double in the loss. The split keeps them together; drop the surplus ones in decisions.csv.
    """
    if a.table is not None:
        return rows_repeat(a.table.repeats, gate=False)
    return _none_flagged(a, "exact copy", "are exact copies. Drop the surplus ones in decisions.csv.")


@check(source="Recipe 1, duplicate examples", gate=False)
def no_near_copies(a: Audited) -> Verdict:
    """No input is a near copy of another, much nearer to it than to anything else.

    Common causes: films cut into frames, augmented files, one picture saved twice. The split keeps near copies
    together.
    """
    return _none_flagged(a, "near copy", "have a near copy. Look at them in the explorer.")


@check(source="Recipe 1, corrupted inputs", gate=False)
def no_input_is_blank(a: Audited) -> Verdict:
    """No input is blank, with hardly any contrast for this data set.

    Common causes: a failed scan or download, a closed shutter, a crop that misses the object. There is nothing in such
    an input to classify.
    """
    return _none_flagged(a, "blank", "are blank. Drop them in decisions.csv, or repair how they are read.")


@check(source="Recipe 1, outliers almost always uncover some bugs", gate=False)
def no_outliers(a: Audited) -> Verdict:
    """No input is far from all the others.

    Look at the sheet of outliers: they are often rotated, inverted or broken images, images of none of the classes, or
    placeholders among photographs. The column `outlier_reason` in examples.parquet gives the reason.
    """
    return _none_flagged(a, "outlier", "are outliers. Look at the sheet of outliers.")


@check(source="Recipe 1, biases", gate=False)
def rows_are_exchangeable(a: Audited, deviations: float = 5.0, effect: float = 0.03) -> Verdict:
    """Nearest neighbours of one class are as far apart in the file as in a shuffled file.

    The value is the ratio of the two distances. Below 1, the rows are in blocks of one writer, patient, film or day. A
    shuffled split puts parts of one block into both train and validation, so its score is too good for new writers.
    Give the source `groups`.
    """
    finding = findings.of_order(a.order_gap, a.order_spread, a.order_gain, len(a.labels))
    return above(a.order_gap, 1 - max(effect, deviations * a.order_spread), finding=finding)


def _none_flagged(a: Audited, flag: str, predicate: str) -> Verdict:
    count = a.flagged(flag)
    return exactly(count, 0, finding=f"{count:,} of {len(a.labels):,} inputs {predicate}")
