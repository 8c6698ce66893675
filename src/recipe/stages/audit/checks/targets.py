"""Claims about what is to be predicted."""

from dataclasses import replace

import numpy as np

from recipe.metrics import power
from recipe.metrics.intervals import wilson_half_width
from recipe.stages.audit import findings
from recipe.stages.audit.checks.subject import NO_CLASSES, Audited
from recipe.verdict import FAIL, PASS, Verdict, below, bounded, check, exactly, skip, undecided

NO_QUANTITIES = "no quantities are predicted, or there are too few examples to judge them by"
NAMED = 3


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


@check(source="Northcutt et al. 2021, pervasive label errors", gate=False)
def labels_agree(a: Audited, limit: float = 0.02) -> Verdict:
    """Hardly any label contradicts the other examples.

    The value is an estimate of the share of wrong labels, from the least to the most, by a cross-validated model. Check
    the suspect labels in the explorer, the most suspect first, and correct the wrong ones in decisions.csv.
    """
    bound = f"from < {limit:g}"
    judges = a.task.choose(classes="", labels="", quantities="quantities are predicted: see quantities_agree")
    if judges:
        return skip(judges)
    if a.noise is None:
        kind = a.task.choose(classes="classes", labels="labels", quantities="")
        return skip(f"the inputs separate the {kind} too badly to judge labels by")
    low, high = a.noise
    value = f"{low:.2f} to {high:.2f}"
    finding = (
        f"An estimated {100 * low:.0f} to {100 * high:.0f} % of {a.entries:,} labels are wrong, where "
        f"{100 * limit:g} % would be acceptable. Check the suspect labels in the explorer."
    )
    if low < limit < high:
        needed = "Features that separate the classes better would decide."
        return undecided(value, bound, needed, finding=finding)
    return bounded(PASS if low < limit else FAIL, value, bound, finding=finding)


@check(source="Recipe 1, corrupted labels; Brodley and Friedl 1999, identifying mislabeled training data", gate=False)
def quantities_agree(a: Audited, limit: float = 0.005) -> Verdict:
    """Hardly any quantity is far from what similar examples have.

    The value is the share of examples whose quantity is more than 4 robust standard deviations of the residuals away
    from what a cross-validated model predicts; of healthy data sets it is below 0.4 %. Check these in the explorer, the
    most suspect first, and correct the wrong ones in decisions.csv: examples with a line there do not count.
    """
    if a.suspects is None:
        return skip(NO_QUANTITIES)
    finding = (
        f"{a.suspects:,} of {len(a.labels):,} quantities are far from what similar examples have. Check them in the "
        "explorer: look for a shifted decimal point, another unit, a swapped row."
    )
    return below(a.suspects / len(a.labels), limit, finding=finding)


@check(source="Recipe 1, outliers almost always uncover some bugs", gate=False)
def quantities_have_no_outliers(a: Audited) -> Verdict:
    """No quantity is far from all the others.

    Common causes: a code for a missing value (-999), a shifted decimal point, another unit. The distance is in robust
    standard deviations, on each side of the median and on a logarithmic scale where the residuals are skewed. Drop or
    relabel the wrong ones in decisions.csv, or confirm them there with `keep`.
    """
    if a.target_outliers is None:
        return skip(NO_QUANTITIES)
    finding = f"{a.target_outliers:,} of {len(a.labels):,} quantities are far from all others (flag `target outlier`)."
    return exactly(a.target_outliers, 0, finding=finding)


@check(source="Recipe 1, corrupted labels", gate=False)
def labels_are_distinct(a: Audited) -> Verdict:
    """No label, and no quantity, repeats another one.

    Two labels that are on the same examples, one that is the opposite of another, or two quantities that differ by
    their unit alone: they count twice in the loss. Remove one of each pair from `labels` or `target` of the data.
    """
    if a.classes:
        return skip("classes are predicted, of which each example has one")
    names = ", ".join(a.alike[:NAMED]) + ", ..." * (len(a.alike) > NAMED)
    verdict = exactly(len(a.alike), 0, finding=f"One says nothing that the other does not: {names}. Remove one.")
    return verdict if verdict.ok else replace(verdict, value=f"{len(a.alike)} ({names})")


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
