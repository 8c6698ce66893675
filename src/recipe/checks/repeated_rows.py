"""Repeated rows of a table as a verdict, shared by the audit and the examination of a training."""

from recipe.data.expected_repeats import Repeats
from recipe.verdict import FAIL, PASS, Verdict, undecided


def rows_repeat(repeats: Repeats, *, gate: bool) -> Verdict:
    """Rows that equal an earlier one, against the number that the values of the columns explain.

    gate: a failure stops the pipeline, so an excess that real cases may have is undecided.
    """
    bound = f"about {repeats.expected:.3g} of {repeats.count:,}, by the values of the columns"
    if not repeats.excess:
        return Verdict(PASS, repeats.rows, bound)
    if repeats.doubled or not gate:
        return Verdict(FAIL, repeats.rows, bound)
    often = repeats.most > 0.5 * repeats.rows
    one = f" One row alone occurs {repeats.most:,} times: it may mark missing measurements." if often else ""
    return undecided(
        repeats.rows, bound,
        f"{repeats.rows:,} of {repeats.count:,} rows repeat an earlier one: copies, or cases that are equal in these "
        f"columns.{one} An identifier or a date of each row would decide (`metadata` of the data's conf); drop copies "
        "in decisions.csv.",
    )  # fmt: skip
