"""The 95 % intervals of metrics hold the truth about as often as they say; metrics of a user's own."""

import math

import numpy as np
import pytest
import torch
from made_data import random

from recipe.errors import RecipeError
from recipe.metrics import classification, multilabel, regression, resampling
from recipe.metrics.user_defined import UserFunction
from recipe.tasks.chosen_metric import chosen_metric
from recipe.tasks.classification import Classification

CLASSES, LABELS = classification.METRICS, multilabel.METRICS
OF_QUANTITIES = regression.metrics_of((1.0,))
TWO = Classification(("common", "rare"))
REPEATS, LARGE = 200, 60_000


def rare(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two classes, one of which has 12 % of the examples."""
    chance = torch.Generator().manual_seed(0)
    p = (1.5 * torch.randn(n, 1, generator=chance, dtype=torch.float64) - 3).sigmoid()
    return torch.cat([1 - p, p], 1), torch.bernoulli(p[:, 0], generator=chance).long()


def labels(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    chance = torch.Generator().manual_seed(0)
    p = (2 * torch.randn(n, 3, generator=chance, dtype=torch.float64) - 1).sigmoid()
    return p, torch.bernoulli(p, generator=chance)


def quantities(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    actual, off = torch.randn(2, n, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return actual + off / 2, actual


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metrics", "made", "size"),
    [(CLASSES, random, 150), (CLASSES, rare, 300), (LABELS, labels, 100), (OF_QUANTITIES, quantities, 80)],
    ids=["four classes", "a rare class", "labels", "a quantity"],
)
def test_intervals_hold_the_truth_about_as_often_as_they_say(metrics, made, size, monkeypatch):
    monkeypatch.setattr(resampling, "DRAWS", 200)
    p, y = made(LARGE)
    for name, metric in metrics.items():
        truth, held = metric.of(p, y), 0
        for i in range(REPEATS):
            part = slice(size * i, size * (i + 1))
            low, high = metric.interval(p[part], y[part], seed=i)
            held += low <= truth <= high
        assert 0.89 <= held / REPEATS <= 1, name  # 0.95 less four standard errors


@pytest.mark.slow
@pytest.mark.parametrize(("metrics", "made"), [(CLASSES, rare), (LABELS, labels)], ids=["classes", "labels"])
def test_every_interval_contains_its_value_and_is_repeatable(metrics, made):
    p, y = made(200)
    for metric in metrics.values():
        low, high = metric.interval(p, y)
        assert low <= metric.of(p, y) <= high, metric.name
        assert low < high
        assert metric.interval(p, y) == (low, high)


def test_a_rare_class_that_is_all_right_leaves_the_balanced_accuracy_uncertain():
    y = torch.tensor([0] * 97 + [1] * 3)
    p = torch.nn.functional.one_hot(y, 2).double()
    low, high = CLASSES["balanced_accuracy"].interval(p, y)
    assert (low < 0.75, high) == (True, 1.0)  # 3 of 3 are right: Wilson's interval begins at 0.44


def test_the_draws_of_two_systems_are_paired():
    p, y = random(300)
    slightly = (p.log() * 0.95).softmax(1)
    log_loss = CLASSES["log_loss"]
    difference = log_loss.draws(p, y) - log_loss.draws(slightly, y)
    assert difference.std() < 0.2 * log_loss.draws(p, y).std()


def test_an_error_of_calibration_may_be_all_noise():
    p, y = random(300, seed=1)
    assert CLASSES["ece"].interval(p, y)[0] == 0.0
    assert CLASSES["ece"].interval((3 * p.log()).softmax(1), y)[0] > 0.05


def test_prediction_intervals_have_a_coverage_and_a_pinball_loss():
    chance = np.random.default_rng(0)
    actual = chance.normal(size=(1000, 2)) * [1.0, 10.0]
    ends = 1.6449 * np.array([1.0, 10.0]) * np.ones_like(actual)
    narrow, wide = regression.of_intervals(-ends, ends, actual, ["a", "b"])
    assert narrow["coverage_low"] < 0.9 < narrow["coverage_high"]
    assert narrow["pinball"] == pytest.approx(0.1031, abs=0.01)  # phi(z), of the quantiles 0.05 and 0.95
    assert wide["width"] == pytest.approx(10 * narrow["width"])
    short = regression.of_intervals(-ends / 2, ends / 2, actual, ["a", "b"])[0]
    assert short["coverage_high"] < 0.9
    assert short["pinball_low"] > narrow["pinball"]


# ---- a user's own ------------------------------------------------------------------------------------------------


def cost(targets: np.ndarray, predictions: np.ndarray) -> float:
    """A missed rare example costs as much as ten false alarms."""
    decided = predictions.argmax(1)
    return float((10 * ((targets == 1) & (decided == 0)) + ((targets == 0) & (decided == 1))).mean())


def test_a_metric_of_a_users_own_gets_numpy_arrays_as_scikit_learn_does():
    p, y = rare(400)
    metric = chosen_metric(TWO, y, UserFunction(cost, "cost", higher_is_better=False, unit="euro"))
    value = metric.of(p, y)
    assert value == pytest.approx(cost(y.numpy(), p.numpy()))
    low, high = metric.interval(p, y)
    assert low < value < high
    outputs = p.log()[None].float()
    assert metric.of_networks(outputs, y).tolist() == pytest.approx([value])
    assert (metric.better(1.0, 2.0), metric.shown(0.5)) == (True, "0.5 euro")


@pytest.mark.slow
def test_draws_that_a_users_function_cannot_take_are_left_out(recwarn, monkeypatch):
    monkeypatch.setattr(resampling, "DRAWS", 200)
    from sklearn.metrics import roc_auc_score

    def auc(targets, predictions):
        return roc_auc_score(targets, predictions[:, 1])

    p, y = rare(30)
    metric = UserFunction(auc, "auc").metric(lambda outputs, y: (outputs.softmax(-1), y))
    low, high = metric.interval(p, y)
    assert 0 <= low < high <= 1
    assert not recwarn.list


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda targets, predictions: targets.no, r"metric `own` failed on .*predictions .5, 2.*AttributeError"),
        (lambda targets, predictions: predictions, r"metric `own` gave a ndarray .*one number"),
        (lambda targets, predictions: None, "metric `own` gave a NoneType"),
    ],
)
def test_a_users_function_that_fails_says_so(function, message):
    with pytest.raises(RecipeError, match=message):
        UserFunction(function, "own").value(torch.full((5, 2), 0.5), torch.zeros(5, dtype=torch.long))


@pytest.mark.parametrize("name", ["loss", "loss_of_sleep", "Cost", "my cost", ""])
def test_a_users_metric_names_a_column(name):
    with pytest.raises(RecipeError, match="small letters"):
        UserFunction(cost, name)


@pytest.mark.parametrize("name", ["low", "high", "coverage"])
def test_a_users_metric_has_not_the_name_of_another_number(name):
    with pytest.raises(RecipeError, match=f"test_{name}: choose another name"):
        UserFunction(cost, name)


def test_a_users_metric_has_not_the_name_of_one_of_the_task():
    with pytest.raises(RecipeError, match=r"`metric.name: accuracy` is a metric of the task classification already"):
        chosen_metric(TWO, torch.tensor([0, 1]), UserFunction(cost, "accuracy"))


# ---- which metric ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "name"),
    [
        ((50, 50), "accuracy"), ((50, 10), "accuracy"), ((51, 10), "average_precision"), ((9, 0), "average_precision"),
        ((60, 30, 12), "accuracy"), ((61, 30, 12), "balanced_accuracy"),
    ],
)  # fmt: skip
def test_the_usual_metric_follows_from_the_imbalance(counts, name):
    task = Classification(tuple("abc"[: len(counts)]))
    y = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    assert chosen_metric(task, y).name == name


def test_a_metric_of_another_task_is_one_message_that_lists_those_that_fit():
    y = torch.tensor([0, 1])
    assert chosen_metric(TWO, y, "roc_auc").name == "roc_auc"
    with pytest.raises(RecipeError, match=r"`metric: rmse` is not a metric.*classification.*balanced_accuracy, brier"):
        chosen_metric(TWO, y, "rmse")


def test_a_metric_that_does_not_exist_is_shown_as_nothing():
    assert CLASSES["accuracy"].shown(math.nan) == ""
