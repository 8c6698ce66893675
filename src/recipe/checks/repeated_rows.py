"""Rows of a table that repeat, in the words of a verdict: the audit and the examination of a training say the same."""

from recipe.data.expected_repeats import Repeats
from recipe.verdict import FAIL, PASS, Verdict, undecided


def rows_repeat(found: Repeats, *, gate: bool) -> Verdict:
    """Rows that an earlier one equals, against what the values of the columns explain.

    gate: a failure stops the pipeline, so that an excess which real cases may have is undecided.
    """
    bound = f"about {found.expected:.3g} of {found.count:,}, by the values of the columns"
    if not found.excess:
        return Verdict(PASS, found.rows, bound)
    if found.doubled or not gate:
        return Verdict(FAIL, found.rows, bound)
    often = found.most > 0.5 * found.rows
    one = f" One row alone occurs {found.most:,} times: it may stand for what was not measured." if often else ""
    return undecided(
        found.rows, bound,
        f"{found.rows:,} of {found.count:,} rows repeat an earlier one: copies, or cases that look alike in these "
        f"columns.{one} An identifier or a date of each row would decide (`metadata` of the data's conf); drop copies "
        "in decisions.csv.",
    )  # fmt: skip
