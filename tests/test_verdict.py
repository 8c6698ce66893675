"""The outcomes of a check: what each closes, and where it is shown."""

import pytest

from recipe import verdict
from recipe.checks.examine import Examination
from recipe.stages.stage_report import Report
from recipe.tracking import tracker
from recipe.verdict import ERROR, FAIL, PASS, SKIP, UNDECIDED, check

NEEDED = "About 340 validation examples would decide (there are 22)."


@check(source="a test")
def answers_are_better(subject) -> verdict.Verdict:
    """The answers are better than chance."""
    return verdict.undecided(0.012, "> 0.03", NEEDED)


@pytest.fixture
def unsure():
    return verdict.run({"answers_are_better": answers_are_better}, None)


@pytest.mark.parametrize(
    ("outcome", "closes"), [(PASS, False), (FAIL, True), (ERROR, True), (SKIP, False), (UNDECIDED, False)]
)
def test_a_gate_is_closed_by_a_failure_or_a_crash_alone(outcome, closes):
    assert verdict.Verdict(outcome).closes == closes
    assert not verdict.Verdict(outcome, gate=False).closes


def test_an_undecided_gate_closes_nothing_and_does_not_count_as_held(unsure):
    assert not Examination(unsure).failed
    assert not unsure[0].ok
    assert unsure[0].mark == UNDECIDED


def test_a_waiver_is_not_spent_on_what_is_undecided():
    (found,) = verdict.run({"answers_are_better": answers_are_better}, None, waive={"answers_are_better": "known"})
    assert (found.verdict, found.waived) == (UNDECIDED, "")


def test_what_would_decide_stands_in_table_report_and_description(unsure):
    content = Report({}, unsure, summary="Measured.").exact("baseline")
    assert NEEDED in str(Examination(unsure))
    assert content["checks"][0]["verdict"] == UNDECIDED
    assert content["checks"][0]["needed"] == NEEDED
    assert "**undecided: answers_are_better**" in tracker.described(content)
    assert NEEDED in tracker.described(content)
    assert "all 1 gates open" in tracker.described(content)


def test_evidence_of_decided_checks_has_no_word_on_what_would_decide():
    content = Report({}, [verdict.above(1.0, 0.0)]).exact("baseline")
    assert "needed" not in content["checks"][0]
