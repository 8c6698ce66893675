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


FINDING = "Four times the steps lower validation loss by 0.012 (95 % CI 0.004 to 0.021, n = 6): train longer."


def test_a_finding_is_kept_where_the_claim_does_not_hold_and_dropped_where_it_does():
    assert verdict.below(1.0, 0.0, finding=FINDING).finding == FINDING
    assert verdict.undecided(0.1, "> 0", NEEDED, finding=FINDING).finding == FINDING
    for held in (verdict.below(-1.0, 0.0, finding=FINDING), verdict.near(0, 0, 1, finding=FINDING)):
        assert held.finding == ""
        assert "finding" not in Report({}, [held]).exact("baseline")["checks"][0]


def test_a_finding_takes_the_place_of_the_claim_in_terminal_report_and_mlflow():
    @check(source="a test", gate=False)
    def training_was_long_enough(subject) -> verdict.Verdict:
        """Longer training does not help."""
        return verdict.below(0.01168, 0.0, finding=FINDING)

    verdicts = verdict.run({"training_was_long_enough": training_was_long_enough}, None)
    content = Report({}, verdicts).exact("baseline")
    assert content["checks"][0]["finding"] == FINDING
    assert f"{FINDING} (measured 0.01168, required < 0)" in tracker.described(content)
    assert FINDING in verdict.table(verdicts)
    assert verdict.explained(verdicts[0]).splitlines()[:3] == [
        f"training_was_long_enough: {FINDING}",
        "  Claim: Longer training does not help.",
        "  measured 0.01168, required < 0  [a test]",
    ]


@pytest.mark.parametrize(
    ("outcome", "sentence", "phrase"),
    [
        (PASS, "It holds.", "measured 0.5, required < 1"),
        (FAIL, "Does not hold: It holds.", "measured 0.5, required < 1"),
        (UNDECIDED, "Undecided: It holds.", "measured 0.5, required < 1"),
        (ERROR, "Could not be checked: It holds.", "the check itself crashed: 0.5"),
        (SKIP, "Skipped: It holds.", "< 1"),
    ],
)
def test_a_verdict_without_a_finding_says_its_claim_with_the_outcome(outcome, sentence, phrase):
    made = verdict.Verdict(outcome, 0.5, "< 1", claim="It holds.")
    assert (made.statement, made.measurement) == (sentence, phrase)
