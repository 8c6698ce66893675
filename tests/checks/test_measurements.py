"""Measurements are made once per Setup; which values of an activation count as active."""

import pytest
import torch
from bugs.reference import on_digits

from recipe.checks.measurements.activations import activation_kind, active
from recipe.checks.measurements.measured_once import hand_over, measured_once


@pytest.fixture
def count_calls():
    calls = []

    @measured_once
    def measurement(s, rows=0):
        calls.append(rows)
        return len(calls)

    return measurement, calls


def test_a_measurement_is_made_once_per_setup_and_arguments(count_calls):
    measurement, calls = count_calls
    one, other = on_digits(0), on_digits(0)
    assert [measurement(one), measurement(one), measurement(one, 1), measurement(one, rows=1)] == [1, 1, 2, 3]
    assert measurement(other) == 4
    assert calls == [0, 1, 1, 0]


def test_a_measurement_that_is_handed_over_is_not_made_again(count_calls):
    measurement, calls = count_calls
    one, other = on_digits(0), on_digits(0)
    measurement(one)
    hand_over(measurement, one, other)
    assert measurement(other) == 1
    assert calls == [0]


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("aten.relu_.default", "relu"),
        ("aten.leaky_relu.default", "leaky_relu"),
        ("aten.threshold_backward.default", None),
    ],
)
def test_an_activation_is_recognised_by_its_operation(operation, kind):
    assert activation_kind(operation) == kind


def test_a_sigmoid_and_a_tanh_saturate_at_the_same_place_of_their_slope():
    z = torch.linspace(-6, 6, 101, dtype=torch.float64)
    tanh = active("tanh", torch.tanh(z / 2), saturation=0.97)
    sigmoid = active("sigmoid", torch.sigmoid(z), saturation=0.97)
    assert tanh.equal(sigmoid)
    assert 0 < int(tanh.sum()) < len(z)
    assert active("gelu", torch.tensor([-0.1, 1e-5, 1.0]), saturation=0.97).tolist() == [False, False, True]
    assert active("elu", torch.tensor([-0.1, 1e-5, 1.0]), saturation=0.97).tolist() == [True, False, True]
