"""What trainings are judged by: the loss or a metric, as a cost that is lower where a training is better."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipe.metrics.classification import ACCURACY
from recipe.metrics.objective import LOSS, Objective, objective_of

BY_ACCURACY = Objective(ACCURACY)
CURVE = [{"val_loss": loss, "val_accuracy": accuracy} for loss, accuracy in ((9, 0.1), (3, 0.5), (4, 0.9), (5, 0.9))]


def test_the_loss_is_best_where_it_is_lowest_and_an_accuracy_where_it_is_highest():
    assert (LOSS.best_row(CURVE), BY_ACCURACY.best_row(CURVE)) == (1, 2)


def test_an_untrained_network_is_never_the_best():
    assert LOSS.best_row([{"val_loss": 0.1}, {"val_loss": 2.0}]) == 1
    assert LOSS.best_row(CURVE[:1]) is None


def test_a_metric_that_does_not_exist_is_worse_than_any_other():
    rows = [{"val_accuracy": value} for value in (0.9, math.nan, 0.0, math.nan)]
    assert BY_ACCURACY.best_row(rows) == 2


@given(st.floats(-10, 10))
def test_a_cost_turns_back_into_its_value(value):
    for objective in (LOSS, BY_ACCURACY):
        assert objective.turned(objective.turned(value)) == value
    assert BY_ACCURACY.cost({"val_accuracy": value}) == -value


@pytest.mark.parametrize(
    ("objective", "fall", "text"),
    [
        (LOSS, 0.2, "lowers validation loss by 0.200 (95 % CI 0.100 to 0.300, 3 seeds)"),
        (LOSS, -0.2, "raises validation loss by 0.200 (95 % CI 0.100 to 0.300, 3 seeds)"),
        (BY_ACCURACY, 0.2, "raises validation accuracy by 0.200 (95 % CI 0.100 to 0.300, 3 seeds)"),
        (BY_ACCURACY, -0.2, "lowers validation accuracy by 0.200 (95 % CI 0.100 to 0.300, 3 seeds)"),
    ],
)
def test_an_effect_names_its_direction(objective, fall, text):
    assert objective.effect(fall, fall - 0.1, fall + 0.1, "3 seeds") == text


def test_conf_chooses_between_the_two():
    assert objective_of("loss", ACCURACY) is LOSS
    assert objective_of("metric", ACCURACY) == BY_ACCURACY
    assert objective_of("metric", ACCURACY).improves == "higher validation accuracy"
    assert objective_of("loss", ACCURACY).improves == "lower validation loss"
