"""Claims about what else predicts the target, or the split."""

from dataclasses import replace

from recipe.metrics import power
from recipe.stages.audit import findings
from recipe.stages.audit.bias import ENOUGH, MARGIN, ColumnGain
from recipe.stages.audit.checks.subject import Audited
from recipe.stages.audit.explained import ShareExplained
from recipe.verdict import FAIL, PASS, Verdict, above, below, bounded, check, skip, undecided


@check(source="Recipe 1, biases; Geirhos et al. 2020, shortcut learning", gate=False)
def metadata_says_nothing(a: Audited) -> Verdict:
    """No metadata (size, file name, columns of the source) predict the label.

    A net may learn them in place of the subject, and fail where they differ. The value is the gain in accuracy over
    always answering the majority class; of labels and quantities, the share of the variance that the column explains.
    Balance the data over this column, split by it, or remove it.
    """
    if a.metadata is None:
        return skip("there are no metadata that could predict the label")
    advice = "Balance the data over it, split by it, or remove it."
    target = a.task.choose(classes="label", labels="labels", quantities="quantity")
    return _column_verdict(a.metadata, findings.of_column(a.metadata, target, advice))


@check(source="Recipe 1, biases; Geirhos et al. 2020, shortcut learning", gate=False)
def no_single_number_tells_a_class(a: Audited, limit: float = 0.97) -> Verdict:
    """No single pixel, column or word identifies a class or a label, or gives a quantity, almost without error.

    Common causes: a mark, a watermark, a border, a column that was filled in after the answer was known. The value is
    the Youden index (sensitivity + specificity - 1) of the best threshold, 0.91 in handwritten digits, 0.81 in pictures
    of clothes, 0.41 in photographs, 0.39 of the word `call` in spam; of a quantity the rank correlation, 0.69 of the
    weight of the shell with the age of abalones, 0.45 in wines.
    """
    if a.shortcut is None:
        return skip("it was not measured")
    verdict = below(a.shortcut.value, limit, finding=findings.of_shortcut(a.shortcut, a.task))
    return replace(verdict, value=f"{a.shortcut.value:.4g} ({a.shortcut.name})") if a.shortcut.name else verdict


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


def _column_verdict(gain: ColumnGain | ShareExplained, finding: str) -> Verdict:
    bound = f"within chance, or below {MARGIN:g}"
    if gain.verdict == "undecided":
        return undecided(gain.shown, bound, _what_would_decide(gain), finding=finding)
    return bounded(FAIL if gain.verdict == "yes" else PASS, gain.shown, bound, finding=finding)


def _what_would_decide(gain: ColumnGain | ShareExplained) -> str:
    """What is undecided, with its 95 % CI, and how many examples would decide."""
    name, value, low, high = gain.open
    if high < MARGIN:
        return f"With fewer than {ENOUGH} independent examples a gain of {MARGIN:g} is not ruled out."
    more = power.about(power.of_interval(value, low, high, gain.n), MARGIN, power.Z95, "examples")
    return f"The {name} has a 95 % CI of {low:+.2f} to {high:+.2f}. {more}"


@check(source="Recipe 1, biases", gate=False)
def rows_are_exchangeable(a: Audited, deviations: float = 5.0, effect: float = 0.03) -> Verdict:
    """Nearest neighbours of one class are as far apart in the file as in a shuffled file.

    Of labels, neighbours with the same ones are compared; of quantities, neighbours in one twentieth of the values. The
    value is the ratio of the two distances. Below 1, the rows are in blocks of one writer, patient, film or day. A
    shuffled split puts parts of one block into both train and validation, so its score is too good for new writers.
    Give the source `groups`.
    """
    finding = findings.of_order(a.order_gap, a.order_spread, a.order_gain, len(a.labels))
    return above(a.order_gap, 1 - max(effect, deviations * a.order_spread), finding=finding)
