"""Power: what few examples cannot show is undecided, what many show is decided, and the numbers are those of theory."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from recipe.metrics import power
from recipe.metrics.power import Estimate
from recipe.verdict import FAIL, PASS, UNDECIDED

ESTIMATES = st.builds(Estimate, st.floats(-2, 2), st.floats(1e-4, 2), st.integers(2, 10_000))
UNHURRIED = settings(deadline=None)  # the first call imports scipy
WANTED = {"floor": 0.03, "effect": 0.14, "errors": 2.5, "what": "examples"}


@UNHURRIED
@given(ESTIMATES)
def test_what_could_not_have_been_seen_never_fails(e):
    if e.smallest(2.5) > 0.14 and e.value + e.margin(2.5) >= 0:
        assert power.exceeds(e, **WANTED).verdict != FAIL


def test_answers_that_are_far_worse_than_knowing_nothing_fail_however_much_they_vary():
    assert power.exceeds(Estimate(-4.3, 0.17, 200, entropy=2.3), **WANTED).verdict == FAIL


@UNHURRIED
@given(ESTIMATES)
def test_features_that_may_say_nothing_never_fail(e):
    assert power.exceeds(e, **WANTED, weak=True).verdict != FAIL


@UNHURRIED
@given(ESTIMATES)
def test_every_undecided_verdict_says_what_would_decide(e):
    for verdict in (
        power.exceeds(e, **WANTED),
        power.exceeds(e, **WANTED, weak=True),
        power.sign(e, errors=2.0, what="examples"),
        power.agrees(e, limit=0.1, errors=2.0, what="examples"),
        power.stays_below(e, limit=0.25, largest=0.4, errors=4.0, what="examples"),
    ):
        assert ("decide" in verdict.needed) == (verdict.verdict == UNDECIDED)


@pytest.mark.slow
@UNHURRIED
@given(ESTIMATES, st.integers(2, 50))
def test_more_examples_of_the_same_decide_no_less(e, times):
    more = Estimate(e.value, e.error / times**0.5, e.n * times)
    one, other = (power.sign(x, errors=2.0, what="examples").verdict for x in (e, more))
    assert one in (UNDECIDED, other)


@UNHURRIED
@given(ESTIMATES)
def test_as_many_examples_as_are_needed_would_see_the_effect(e):
    needed = e.needed(0.14, 2.5)
    assume(needed)
    grown = Estimate(e.value, e.error * math.sqrt(e.n / needed), max(2, needed))
    assert grown.error * (2.5 + 0.8416) <= 0.14 * 1.01


def test_the_number_needed_is_that_of_the_textbook():
    # Cohen 1988, one sample, one-sided alpha 0.025, power 0.8, d = 0.2: 196 to 199 examples
    assert 195 <= Estimate(0.0, 1 / math.sqrt(10_000), 10_000).needed(0.2, 1.96) <= 200


@pytest.mark.parametrize("true", [0.0, 0.14])
def test_decisions_about_simulated_differences_are_right_as_often_as_promised(true):
    chance = np.random.default_rng(0)
    outcomes = []
    for _ in range(400):
        drawn = torch.tensor(chance.normal(true, 1.0, 600))
        outcomes.append(power.exceeds(power.paired(torch.zeros(600), drawn), **WANTED).verdict)
    wrong = FAIL if true else PASS
    assert outcomes.count(wrong) <= 0.02 * len(outcomes)
    drawn = [power.paired(torch.zeros(600), torch.tensor(chance.normal(0.14, 1.0, 600))) for _ in range(400)]
    seen = sum(e.value > e.margin(1.96) for e in drawn) / 400
    assert abs(seen - 0.93) < 0.05  # the power of n = 600 for 0.14 standard deviations


def test_a_single_example_shows_nothing():
    alone = power.paired(torch.zeros(1), torch.ones(1))
    found = power.exceeds(alone, **WANTED)
    assert (found.verdict, alone.needed(0.14, 2.5)) == (UNDECIDED, None)


def test_equal_answers_fail_whatever_the_features():
    same = power.paired(torch.ones(500), torch.ones(500))
    assert power.exceeds(same, **WANTED, weak=True).verdict == FAIL


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_loss_that_is_not_finite_fails(value):
    assert power.exceeds(Estimate(value, math.nan, 22), **WANTED).verdict == FAIL


def test_a_share_on_the_limit_is_undecided_and_one_far_from_it_is_not():
    judged = {"limit": 0.08, "errors": 2.0, "what": "examples"}
    assert power.agrees(power.share(6, 75), **judged).verdict == UNDECIDED
    assert power.agrees(power.share(200, 1000), **judged).verdict == FAIL
    assert power.agrees(power.share(10, 1000), **judged).verdict == PASS


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 400), st.floats(0.02, 0.98))
def test_a_drop_that_no_defect_could_cause_is_undecided(n, right):
    e = power.difference(power.share(round(right * n), n), power.share(round(right * n), n))
    assert power.stays_below(e, limit=0.15, largest=0.1, errors=4.0, what="examples").verdict == UNDECIDED


@UNHURRIED
@given(st.integers(1, 10**9))
def test_needed_examples_are_rounded_up_to_two_digits(n):
    shown = power.rounded(n)
    assert n <= shown <= 1.1 * n + 1
    assert len(str(shown).rstrip("0")) <= 2


@pytest.mark.parametrize(("classes", "share"), [(2, 0.14), (10, 0.14), (2, 0.05)])
def test_the_spread_of_a_true_effect_is_that_of_a_model_that_has_it(classes, share):
    chance = torch.Generator().manual_seed(0)
    y = torch.randint(classes, (20_000,), generator=chance)
    low, high = 0.0, 5.0
    for _ in range(40):  # shift of the right class's score that saves this share of log K
        shift = (low + high) / 2
        z = torch.randn(len(y), classes, generator=chance.manual_seed(1)) + shift * torch.nn.functional.one_hot(
            y, classes
        )
        losses = torch.nn.functional.cross_entropy(shift * z, y, reduction="none")
        found = power.share_saved(losses, torch.full((len(y),), math.log(classes)))
        low, high = (shift, high) if found.value < share else (low, shift)
    expected = power.planned(Estimate(0.0, 0.0, len(y), math.log(classes)), share).error
    assert found.error == pytest.approx(expected, rel=0.35)


def test_answers_that_hardly_vary_do_not_pretend_to_power():
    hardly = power.paired(torch.zeros(22), 1e-4 * torch.randn(22, generator=torch.Generator().manual_seed(0)))
    e = Estimate(hardly.value, hardly.error, 22, entropy=0.69)
    assert power.exceeds(e, **WANTED).verdict == UNDECIDED
    assert "there are 22" in power.exceeds(e, **WANTED).needed
