"""Claims about the data themselves."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recipe.checks.repeated_rows import rows_repeat
from recipe.data.expected_repeats import error_floor
from recipe.metrics import power
from recipe.metrics.intervals import wilson_half_width
from recipe.stages.audit.bias import ENOUGH, MARGIN, Gain
from recipe.stages.audit.shortcuts import Shortcut
from recipe.stages.audit.tables import Columns
from recipe.verdict import FAIL, PASS, Verdict, above, below, check, exactly, skip, undecided


@dataclass(frozen=True)
class Audited:
    """What the audit measured; a column has a value per example."""

    columns: Mapping[str, np.ndarray]
    labels: Sequence[int | None]  # after decisions.csv: None where an example is dropped
    classes: Sequence[str]
    floats: bool  # the source gave floats, on a scale of its own
    order_gap: float = 1.0  # distance in the file of look-alikes of one class, over chance
    order_spread: float = 0.0  # standard deviation of that by chance
    noise: tuple[float, float] | None = None  # the share of wrong labels lies in between; None where it is not known
    beside: Gain | None = None  # of what stands beside the input, the column that says most about the label
    split: Gain | None = None  # of all columns, the one that says most about the split that the source gives
    shortcut: Shortcut | None = None  # the single number of the input that says most about a class
    table: Columns | None = None  # of feature columns

    def flagged(self, flag: str) -> int:
        return sum(flag in flags.split("; ") for flags in self.columns["flags"])


@check(source="Recipe 1, corrupted inputs")
def every_input_is_finite(a: Audited) -> Verdict:
    """No input holds a NaN or an infinity.

    A division by zero in a transform, a missing value in a table, a float16 that overflowed. The flag `not finite` in
    examples.parquet marks them.
    """
    if "finite" not in a.columns:
        return skip("the inputs are texts")
    return exactly(int((~a.columns["finite"]).sum()), 0)


@check(source="Recipe 1, corrupted inputs")
def one_range(a: Audited, times: float = 30.0) -> Verdict:
    """The largest values of all float inputs are of one magnitude.

    Some files hold 0..255 and others 0..1: one reader scales and the other does not.
    """
    if not a.floats:
        return skip("the inputs are no floating-point images")
    usable = a.columns["finite"] & (a.columns["std"] > 0)
    peak = np.maximum(np.abs(a.columns["min"]), np.abs(a.columns["max"]))[usable]
    middle = np.median(peak) if len(peak) else 1.0
    return exactly(int(((peak > times * middle) | (peak < middle / times)).sum()), 0)


@check(source="Recipe 1, corrupted labels")
def every_class_has_an_example(a: Audited) -> Verdict:
    """Every class that the data set names has an example.

    d.classes names a class too many, or its folder is empty. A class of which decisions.csv leaves nothing counts as
    one that you merged or dropped: the split stage says so, and numbers the others.
    """
    present = set(a.columns["label"].tolist())
    missing = [name for label, name in enumerate(a.classes) if label not in present]
    verdict = exactly(len(missing), 0)
    return verdict if verdict.ok else replace(verdict, value=", ".join(missing))


@check(source="Recipe 1, duplicate examples, corrupted labels")
def equal_inputs_have_one_label(a: Audited) -> Verdict:
    """Equal inputs have equal labels, as decisions.csv leaves them.

    At least one label of each such set is wrong: the flag `other label` in examples.parquet and the sheet of copies
    show them. Write drop or relabel for the wrong ones into decisions.csv, with a reason; both count here. Rows of a
    table may say too little instead, so that equal rows close no gate.
    """
    kept = [(content, label) for content, label in zip(a.columns["hash"], a.labels, strict=True) if label is not None]
    if not kept:
        return exactly(0, 0)
    contents, labels = (np.array(part) for part in zip(*kept, strict=True))
    found = error_floor(np.unique(contents, return_inverse=True)[1], labels)
    if a.table is None or not found.sets:
        return exactly(found.sets, 0)
    return undecided(
        found.sets, "= 0",
        f"{found.examples:,} rows equal one with another label. No function of these columns can be wrong on less than "
        f"{100 * found.error:.2g} % of these rows, nor have a loss below {found.loss:.2g} nats. Columns that tell "
        "equal rows apart would decide, or a look at their labels (flag `other label` in examples.parquet).",
    )  # fmt: skip


@check(source="Recipe 1, duplicate examples; Barz and Denzler 2020, near-duplicates in CIFAR", gate=False)
def no_copies_across_given_splits(a: Audited) -> Verdict:
    """No copy, exact or near, of an example is in another split of those that the source gives.

    A published score on such a split is too good. The explorer shows the copies: drop one of each in decisions.csv. The
    split stage closes its gate on them while it obeys the given splits, and proposes the lines; with
    `split: {given: ignore}` it makes splits of its own and keeps copies together. The value counts groups of copies.
    """
    if len(set(a.columns["given_split"])) < 2:
        return skip("the source gives no splits")
    splits = defaultdict(set)
    for group, split, label in zip(a.columns["dup_group"], a.columns["given_split"], a.labels, strict=True):
        splits[group] |= {split} if split and label is not None else set()
    return exactly(sum(len(found) > 1 for found in splits.values()), 0)


@check(source="Northcutt et al. 2021, pervasive label errors", gate=False)
def labels_agree(a: Audited, limit: float = 0.02) -> Verdict:
    """Hardly any label contradicts what the other examples say of it.

    The value is the range in which the share of wrong labels lies, from the least to the most that a model out of fold
    can tell. Judge the suspects in the explorer, worst first, and write what is wrong into decisions.csv.
    """
    bound = f"from < {limit:g}"
    if a.noise is None:
        return skip("the inputs by themselves separate the classes too badly to judge labels by")
    low, high = a.noise
    value = f"{low:.2f} to {high:.2f}"
    if low < limit < high:
        needed = "The range holds the limit: features that separate the classes better would decide."
        return undecided(value, bound, needed)
    return Verdict(PASS if low < limit else FAIL, value, bound)


@check(source="Recipe 1, biases; Geirhos et al. 2020, shortcut learning", gate=False)
def metadata_says_nothing(a: Audited) -> Verdict:
    """Nothing that stands beside the input (size, file, place in the file, metadata) predicts the label by itself.

    A net may learn that in place of the subject, and fail where it is otherwise. The value is the accuracy that the
    column adds to always giving the commonest answer. Balance the data over it, split by it, or remove it.
    """
    return _gain(a.beside)


@check(source="Recipe 1, biases; Geirhos et al. 2020, shortcut learning", gate=False)
def no_single_number_tells_a_class(a: Audited, limit: float = 0.97) -> Verdict:
    """No single pixel or column tells a class by one threshold, all but without error.

    A mark, a watermark, a border, a column that was written after the label was known. The value is sensitivity plus
    specificity minus 1 of the best one; 0.91 in handwritten digits, 0.81 in pictures of clothes, 0.41 in photographs.
    """
    if a.shortcut is None:
        return skip("the inputs are texts")
    verdict = below(a.shortcut.youden, limit)
    return replace(verdict, value=f"{a.shortcut.youden:.4g} ({a.shortcut.name})") if a.shortcut.name else verdict


@check(source="Recipe 1, biases; Torralba and Efros 2011, unbiased look at dataset bias", gate=False)
def given_splits_look_alike(a: Audited) -> Verdict:
    """Nothing measured of an example predicts in which split the source puts it.

    The splits were collected or prepared otherwise: a score on one says little about the other.
    """
    return _gain(a.split)


def _gain(gain: Gain | None) -> Verdict:
    if gain is None:
        return skip("nothing to ask")
    value, bound = f"{gain.gain:+.3f} ({gain.column})", "within chance, or below 0.05"
    if gain.verdict == "undecided":
        return undecided(value, bound, _open(gain))
    return Verdict(FAIL if gain.verdict == "yes" else PASS, value, bound)


def _open(gain: Gain) -> str:
    """Which of the two gains leaves the question open, with its 95 % interval, and how many examples would decide."""
    plain = gain.high >= MARGIN or gain.balanced_high < MARGIN
    name = "gain in accuracy" if plain else "gain in balanced accuracy"
    low, high = (gain.low, gain.high) if plain else (gain.balanced_low, gain.balanced_high)
    if high < MARGIN:
        return f"With fewer than {ENOUGH} independent examples a gain of {MARGIN:g} is not ruled out."
    found = power.of_interval(gain.gain if plain else gain.balanced, low, high, gain.n)
    more = power.about(found, MARGIN, power.Z95, "examples")
    return f"The 95 % interval of the {name} is {low:+.2f} to {high:+.2f}. {more}"


@check(source="Recipe 1, corrupted inputs", gate=False)
def columns_say_something(a: Audited) -> Verdict:
    """No feature column is constant, repeats another one or numbers the rows.

    The value counts them; the finding names them. A key or a row number tells nothing of a new example, and may tell
    the label of an old one.
    """
    if a.table is None:
        return skip("the inputs are no feature columns")
    found = [*a.table.constant, *(b for _, b in a.table.equal), *a.table.identifiers]
    verdict = exactly(len(found), 0)
    return Verdict(verdict.verdict, f"{len(found)} ({', '.join(found[:3])})" if found else 0, verdict.bound)


@check(source="Recipe 1, imbalance", gate=False)
def classes_are_balanced(a: Audited, limit: float = 5.0) -> Verdict:
    """The largest class is less than a few times the smallest.

    Accuracy then speaks mostly of the large classes: look at the accuracy of each class, or weigh the loss.
    """
    counts = np.bincount([label for label in a.labels if label is not None], minlength=len(a.classes))
    return below(float(counts.max() / counts.min()) if counts.min() else float("inf"), limit)


@check(source="Wilson 1927, probable inference; Recipe 1, imbalance", gate=False)
def classes_have_enough_examples(a: Audited, width: float = 0.5, val: float = 0.15) -> Verdict:
    """Every class has examples enough for a score of its own to mean something.

    The value is how many classes have so few that the 95 % interval of the accuracy on one class's validation examples
    is wider than half of all accuracies. Judge such classes together, merge them, or collect more.
    """
    counts = np.bincount([label for label in a.labels if label is not None], minlength=len(a.classes))
    few = counts[counts > 0][_width(counts[counts > 0] * val) > width]
    if not len(few):
        return exactly(0, 0)
    middle, enough = int(np.median(few)), int(np.argmax(_width(np.arange(1, 10_000) * val) <= width)) + 1
    held = max(1, round(middle * val))
    points = 100 * float(_width(np.array([held]))[0])
    return Verdict(
        FAIL, f"{len(few)} of {len(a.classes)}, of {middle} examples in the median",
        f"0: with about {held} of a class in val the interval of its accuracy is up to {points:.0f} points wide; "
        f"{enough} examples of a class would do",
    )  # fmt: skip


def _width(n: np.ndarray) -> np.ndarray:
    """Of Wilson's 95 % interval of a share of n, where it is widest: at one half."""
    return 2 * wilson_half_width(0.5, n, power.Z95)


@check(source="Recipe 1, duplicate examples", gate=False)
def no_exact_copies(a: Audited) -> Verdict:
    """No input is there twice; of a table, no more rows than the values of its columns explain.

    Copies count double in the loss. The split keeps them together; drop the surplus ones in decisions.csv.
    """
    if a.table is not None:
        return rows_repeat(a.table.repeats, gate=False)
    return exactly(a.flagged("exact copy"), 0)


@check(source="Recipe 1, duplicate examples", gate=False)
def no_near_copies(a: Audited) -> Verdict:
    """No input is nearly a copy of another, much nearer to it than to anything else.

    Films cut into frames, augmented files, one picture saved twice. The split keeps such groups together.
    """
    return exactly(a.flagged("near copy"), 0)


@check(source="Recipe 1, corrupted inputs", gate=False)
def no_input_is_blank(a: Audited) -> Verdict:
    """No input is blank, with next to no contrast for this data set.

    A failed scan or download, a closed shutter, a crop beside the object. There is nothing in it to classify.
    """
    return exactly(a.flagged("blank"), 0)


@check(source="Recipe 1, outliers almost always uncover some bugs", gate=False)
def no_outliers(a: Audited) -> Verdict:
    """No input stands far apart from all the others.

    Look at the sheet of outliers: often a rotated, inverted or broken image, one of no class, or a placeholder among
    photographs. The column `outlier_reason` in examples.parquet says what is unlike the rest.
    """
    return exactly(a.flagged("outlier"), 0)


@check(source="Recipe 1, biases", gate=False)
def rows_are_exchangeable(a: Audited, deviations: float = 5.0, effect: float = 0.03) -> Verdict:
    """Look-alikes of one class stand as far apart in the file as in a shuffled file.

    The value is that distance over the one by chance. Lower: the rows stand in blocks of one writer, patient, film or
    day, and a shuffled split shares them with train, so its score is too good for new ones. Give the source `groups`.
    """
    return above(a.order_gap, 1 - max(effect, deviations * a.order_spread))
