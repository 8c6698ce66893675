"""Claims about the inputs: values that are not finite, blank and unlike ones, feature columns."""

from dataclasses import replace

import numpy as np

from recipe.stages.audit import findings
from recipe.stages.audit.checks.subject import Audited
from recipe.verdict import Verdict, check, exactly, skip


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


@check(source="Recipe 1, corrupted inputs", gate=False)
def no_input_is_blank(a: Audited) -> Verdict:
    """No input is blank, with hardly any contrast for this data set.

    Common causes: a failed scan or download, a closed shutter, a crop that misses the object. There is nothing in such
    an input to classify.
    """
    return none_flagged(a, "blank", "are blank. Drop them in decisions.csv, or repair how they are read.")


@check(source="Recipe 1, outliers almost always uncover some bugs", gate=False)
def no_outliers(a: Audited) -> Verdict:
    """No input is far from all the others.

    Look at the sheet of outliers: they are often rotated, inverted or broken images, images of none of the classes, or
    placeholders among photographs. The column `outlier_reason` in examples.parquet gives the reason.
    """
    return none_flagged(a, "outlier", "are outliers. Look at the sheet of outliers.")


def none_flagged(a: Audited, flag: str, predicate: str) -> Verdict:
    count = a.flagged(flag)
    return exactly(count, 0, finding=f"{count:,} of {len(a.labels):,} inputs {predicate}")
