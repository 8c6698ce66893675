"""The corpus of silent bugs: every check that is named notices; unusual but healthy trainings close no gate."""

import pytest
from bugs import CATALOGUE, HEALTHY
from bugs.variation import variation

from recipe import examine
from recipe.checks.examine import CHECKS


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_bug_is_noticed_by_each_check_that_names_it(name):
    bug = CATALOGUE[name]
    report = examine(bug.setup(0), only=bug.gates)
    assert {v.check: v.verdict for v in report.verdicts} == dict.fromkeys(bug.gates, "fail")


def test_every_check_has_a_bug_that_it_notices():
    assert set(CHECKS) == {gate for bug in CATALOGUE.values() for gate in bug.gates}


@pytest.mark.parametrize("name", HEALTHY)
def test_an_unusual_but_healthy_training_closes_no_gate(name):
    report = examine(HEALTHY[name](0))
    assert report.failed == [], str(report)


@pytest.mark.parametrize("seed", range(6))
def test_a_variation_of_a_healthy_training_closes_no_gate(seed):
    report = examine(variation(seed))
    assert report.failed == [], str(report)
