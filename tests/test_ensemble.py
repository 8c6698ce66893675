"""Averages, intervals and calibration against what is known of them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from recipe.ensemble import Quality, averages, calibration_error, predictions, quality, worst_first


@given(st.integers(1, 500), st.data())
def test_the_interval_is_wilsons(n, data):
    right = data.draw(st.integers(0, n))
    low, high = Quality(right / n, 0.0, 0.0, n).interval()
    known = binomtest(right, n).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((known.low, known.high), abs=1e-9)


def test_quality_of_a_known_table():
    p = torch.tensor([[0.8, 0.2], [0.4, 0.6], [0.9, 0.1]], dtype=torch.float64)
    q = quality(p, torch.tensor([0, 0, 0]))
    assert q.accuracy == pytest.approx(2 / 3)
    assert q.nll == pytest.approx(-(torch.tensor([0.8, 0.4, 0.9]).log().mean().item()), abs=1e-6)
    assert q.count == 3


def test_probabilities_that_mean_what_they_say_are_calibrated():
    p = torch.tensor([[0.75, 0.25]] * 8)
    y = torch.tensor([0] * 6 + [1] * 2)
    assert calibration_error(p, y) == pytest.approx(0.0, abs=1e-6)
    assert calibration_error(p, torch.zeros(8, dtype=torch.long)) == pytest.approx(0.25, abs=1e-6)


def test_averages_are_of_the_first_members():
    members = torch.rand(4, 5, 3, dtype=torch.float64)
    assert len(averages(members)) == 4
    torch.testing.assert_close(averages(members)[2], (members[0] + members[1] + members[2]) / 3)


def test_the_most_confident_mistake_comes_first():
    p = torch.tensor([[0.9, 0.1], [0.3, 0.7], [0.05, 0.95], [0.6, 0.4]])
    assert worst_first(p, torch.tensor([0, 0, 0, 1])).tolist() == [2, 1, 3]


def test_predictions_keep_every_bit():
    p = torch.rand(3, 2, dtype=torch.float64)
    rows = predictions(["a", "b", "c"], torch.tensor([0, 1, 0]), p, ["x", "y"])
    assert [[float(str(r["p_x"])), float(str(r["p_y"]))] for r in rows] == p.tolist()
    assert rows[1]["label"] == "y"
