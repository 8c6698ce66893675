"""Scores, their intervals, and two systems side by side, against what is known of them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_data import random
from scipy import stats

from recipe.metrics import comparison, resampling
from recipe.metrics import scores as q
from recipe.metrics.classification import ACCURACY
from recipe.metrics.comparison import mcnemar


@given(st.integers(1, 500), st.data())
def test_the_interval_of_an_accuracy_is_wilsons(n, data):
    right = data.draw(st.integers(0, n))
    low, high = q.Quality(right / n, 0.0, 0.0, 0.0, n).interval()
    known = stats.binomtest(right, n).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((known.low, known.high), abs=1e-9)


def test_quality_of_a_known_table():
    p = torch.tensor([[0.8, 0.2], [0.4, 0.6], [0.9, 0.1]], dtype=torch.float64)
    found = q.quality(p, torch.tensor([0, 0, 0]))
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.nll == pytest.approx(-(torch.tensor([0.8, 0.4, 0.9]).log().mean().item()), abs=1e-6)
    assert found.brier == pytest.approx(2 * (0.2**2 + 0.6**2 + 0.1**2) / 3)
    assert found.count == 3


def test_the_scores_are_scikit_learns():
    from sklearn.metrics import accuracy_score, brier_score_loss, log_loss

    p, y = random(200)
    found = q.quality(p, y)
    assert found.accuracy == pytest.approx(accuracy_score(y, p.argmax(1)))
    assert found.nll == pytest.approx(log_loss(y, p.numpy(), labels=range(4)), abs=1e-9)
    assert found.brier == pytest.approx(brier_score_loss(y, p.numpy(), labels=range(4), scale_by_half=False), abs=1e-9)


def test_probabilities_that_mean_what_they_say_are_calibrated():
    p = torch.tensor([[0.75, 0.25]] * 8)
    y = torch.tensor([0] * 6 + [1] * 2)
    assert q.calibration_error(p, y) == pytest.approx(0.0, abs=1e-6)
    assert q.calibration_error(p, torch.zeros(8, dtype=torch.long)) == pytest.approx(0.25, abs=1e-6)


def test_a_bootstrap_has_the_spread_of_a_mean():
    values = torch.randn(400, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    means = q.bootstrap(values)
    assert means.shape == (resampling.DRAWS, 2)
    assert means.mean(0) == pytest.approx(values.mean(0).numpy(), abs=0.01)
    assert means.std(0) == pytest.approx((values.std(0) / 20).numpy(), rel=0.06)


def test_a_bootstrap_in_pieces_has_the_same_bits(monkeypatch):
    values = torch.rand(50, 3, dtype=torch.float64)
    whole = q.bootstrap(values)
    monkeypatch.setattr(resampling, "AT_ONCE", 700)
    assert np.array_equal(q.bootstrap(values), whole)


@pytest.mark.slow
def test_the_intervals_hold_the_truth_about_as_often_as_they_say():
    held = dict.fromkeys(("accuracy", "nll", "brier"), 0)
    p, y = random(200_000)
    truth = q.quality(p, y)
    for i in range(60):
        part = slice(300 * i, 300 * (i + 1))
        found = q.intervals(p[part], y[part], seed=i)
        for name in held:
            low, high = found[name]
            held[name] += low <= getattr(truth, name) <= high
    assert all(52 <= n <= 60 for n in held.values()), held


# ---- two systems ---------------------------------------------------------------------------------------------


def compare(system, p, other, r, y):
    return comparison.compare(
        system, p, other, r, y, metric=ACCURACY, loss_name="NLL", losses=q.nlls, right=q.right
    )  # fmt: skip


@given(st.integers(0, 40), st.integers(0, 40))
@settings(deadline=None)
def test_mcnemar_is_the_sign_test_of_the_examples_that_one_alone_gets_right(one, other):
    whole = sum(stats.binom.pmf(k, one + other, 0.5) for k in range(one + other + 1) if k <= min(one, other))
    assert mcnemar(one, other) == pytest.approx(min(1.0, 2 * whole), abs=1e-9)


def test_a_system_is_no_better_than_itself():
    p, y = random(100)
    found = compare("a", p, "b", p, y)
    assert (found.metric, found.loss, found.rights.p) == ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 1.0)
    assert not found.significant


def test_a_difference_is_paired_and_has_a_sign():
    p, y = random(300, sure=3.0)
    blurred = (p.log() / 3).softmax(1)
    found, back = compare("a", p, "b", blurred, y), compare("b", blurred, "a", p, y)
    assert found.significant
    assert not back.significant
    assert found.loss[0] == pytest.approx(q.quality(p, y).nll - q.quality(blurred, y).nll)
    assert found.loss[1] < found.loss[0] < found.loss[2] < 0
    assert found.loss == pytest.approx([-back.loss[0], -back.loss[2], -back.loss[1]])
    assert found.metric == (0.0, 0.0, 0.0)  # a temperature changes no answer


def test_pairing_tells_what_two_separate_intervals_cannot():
    p, y = random(300, sure=3.0)
    slightly = (p.log() * 0.8).softmax(1)
    found = compare("a", p, "b", slightly, y)
    alone = [q.intervals(x, y)["nll"] for x in (p, slightly)]
    assert alone[0][1] > alone[1][0]  # they overlap
    assert found.loss[2] - found.loss[1] < 0.4 * (alone[0][1] - alone[0][0])


def test_who_is_right_alone_is_counted():
    y = torch.zeros(10, dtype=torch.long)
    good = torch.tensor([[0.9, 0.1]] * 8 + [[0.1, 0.9]] * 2)
    bad = torch.tensor([[0.1, 0.9]] * 6 + [[0.9, 0.1]] * 4)
    found = compare("good", good, "bad", bad, y)
    assert (found.rights.only_system, found.rights.only_other) == (6, 2)
    assert found.metric[0] == pytest.approx(0.4)
    assert "+40.0 points" in found.sentence()
