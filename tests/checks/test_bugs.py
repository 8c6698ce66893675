"""The corpus of silent bugs: each check that a bug names fails on it; unusual but healthy trainings close no gate."""

import pytest
import torch
from bugs import CATALOGUE, HEALTHY
from bugs.variation import variation

from recipe import Setup, examine
from recipe.checks import learning, training_loop
from recipe.checks.examine import CHECKS, Examination
from recipe.verdict import checks_of

REFERENCE = "H01 reference"
QUICK = ("H08 regression", "tumours", "padded sequences")  # of the healthy set-ups, those that are not marked slow
SHORT_TRAININGS = {*checks_of(learning, training_loop), "augmentation_keeps_the_label"}  # take seconds each


def slow_if(condition: bool, name: str):
    return pytest.param(name, marks=pytest.mark.slow) if condition else name


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [slow_if(bool(SHORT_TRAININGS & set(bug.gates)), name) for name, bug in CATALOGUE.items()]
)
def test_a_bug_is_noticed_by_each_check_that_it_names(name):
    bug = CATALOGUE[name]
    report = examine(bug.setup(0), only=bug.gates)
    assert {v.check: v.verdict for v in report.verdicts} == dict.fromkeys(bug.gates, "fail")


def test_every_check_has_a_bug_that_it_notices():
    assert set(CHECKS) == {gate for bug in CATALOGUE.values() for gate in bug.gates}


def examined(setup: Setup) -> Examination:
    """All checks; the state of the global random generator is the same before and after them."""
    before = torch.get_rng_state()
    report = examine(setup)
    assert torch.get_rng_state().equal(before)
    return report


@pytest.mark.slow
def test_the_reference_closes_no_gate_and_a_second_examination_gives_the_same_verdicts():
    report = examined(HEALTHY[REFERENCE](0))
    assert report.failed == [], str(report)
    few = ["loss_at_init", "overfit_one_batch", "beats_a_blind_model"]
    again = examine(HEALTHY[REFERENCE](0), only=few)
    assert again.verdicts == [report[name] for name in few]


@pytest.mark.slow
@pytest.mark.parametrize("name", [slow_if(name not in QUICK, name) for name in HEALTHY if name != REFERENCE])
def test_an_unusual_but_healthy_training_closes_no_gate(name):
    report = examined(HEALTHY[name](0))
    assert report.failed == [], str(report)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_variation_of_a_healthy_training_closes_no_gate(seed):
    report = examined(variation(seed))
    assert report.failed == [], str(report)
