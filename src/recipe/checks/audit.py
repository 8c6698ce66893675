"""Claims about the data themselves."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recipe.checks.verdict import Verdict, above, below, check, exactly, skip


@dataclass(frozen=True)
class Audited:
    """What the audit measured; a column has a value per example."""

    columns: Mapping[str, np.ndarray]
    labels: Sequence[int | None]  # after decisions.csv: None where an example is dropped
    classes: Sequence[str]
    floats: bool  # the source gave floats, on a scale of its own
    order_gap: float  # distance in the file of look-alikes of one class, over chance
    order_spread: float  # standard deviation of that by chance

    def flagged(self, flag: str) -> int:
        return sum(flag in flags.split("; ") for flags in self.columns["flags"])


@check(source="Recipe 1, corrupted inputs")
def every_input_is_finite(a: Audited) -> Verdict:
    """No input holds a NaN or an infinity.

    A division by zero in a transform, a missing value in a table, a float16 that overflowed. The flag `not finite` in
    examples.parquet marks them.
    """
    return exactly(int((~a.columns["finite"]).sum()), 0)


@check(source="Recipe 1, corrupted inputs")
def one_range(a: Audited, times: float = 30.0) -> Verdict:
    """The largest values of all float inputs are of one magnitude.

    Some files hold 0..255 and others 0..1: one reader scales and the other does not.
    """
    if not a.floats:
        return skip("the inputs are bytes")
    usable = a.columns["finite"] & (a.columns["std"] > 0)
    peak = np.maximum(np.abs(a.columns["min"]), np.abs(a.columns["max"]))[usable]
    middle = np.median(peak) if len(peak) else 1.0
    return exactly(int(((peak > times * middle) | (peak < middle / times)).sum()), 0)


@check(source="Recipe 1, corrupted labels")
def every_class_has_an_example(a: Audited) -> Verdict:
    """Every class that the data set names has an example.

    d.classes names a class too many, its folder is empty, or decisions.csv drops all of it.
    """
    return exactly(len(a.classes) - len({label for label in a.labels if label is not None}), 0)


@check(source="Recipe 1, duplicate examples, corrupted labels")
def equal_inputs_have_one_label(a: Audited) -> Verdict:
    """Equal inputs have equal labels, as decisions.csv leaves them.

    At least one label of each such set is wrong: the flag `other label` in examples.parquet and the sheet of copies
    show them. Write drop or relabel for the wrong ones into decisions.csv, with a reason; both count here.
    """
    labels = defaultdict(set)
    for content, label in zip(a.columns["hash"], a.labels, strict=True):
        labels[content] |= set() if label is None else {label}
    return exactly(sum(len(found) > 1 for found in labels.values()), 0)


@check(source="Recipe 1, imbalance", gate=False)
def classes_are_balanced(a: Audited, limit: float = 5.0) -> Verdict:
    """The largest class is less than a few times the smallest.

    Accuracy then speaks mostly of the large classes: look at the accuracy of each class, or weigh the loss.
    """
    counts = np.bincount([label for label in a.labels if label is not None], minlength=len(a.classes))
    return below(float(counts.max() / counts.min()) if counts.min() else float("inf"), limit)


@check(source="Recipe 1, duplicate examples", gate=False)
def no_exact_copies(a: Audited) -> Verdict:
    """No input is there twice.

    Copies count double in the loss. The split keeps them together; drop the surplus ones in decisions.csv.
    """
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

    Look at the sheet of outliers: often a rotated, inverted or broken image, or one of no class.
    """
    return exactly(a.flagged("outlier"), 0)


@check(source="Recipe 1, biases", gate=False)
def rows_are_exchangeable(a: Audited, deviations: float = 5.0, effect: float = 0.03) -> Verdict:
    """Look-alikes of one class stand as far apart in the file as in a shuffled file.

    The value is that distance over the one by chance. Lower: the rows stand in blocks of one writer, patient, film or
    day, and a shuffled split shares them with train, so its score is too good for new ones. Give the source `groups`.
    """
    return above(a.order_gap, 1 - max(effect, deviations * a.order_spread))
