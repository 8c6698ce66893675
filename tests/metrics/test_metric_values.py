"""Every metric against scikit-learn's of the same name: ties, absent classes and rare ones included."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as known

from recipe.metrics import classification, multilabel, regression
from recipe.metrics.per_class import by_class, by_label
from recipe.metrics.scores import calibration_error
from recipe.metrics.weighted import average_precision, roc_auc

CLASSES, LABELS = classification.METRICS, multilabel.METRICS
IN_UNIT = regression.metrics_of((2.0, 0.5), "mm")
FAST = settings(deadline=None, max_examples=30)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@st.composite
def predicted_classes(draw, least=2):
    """(p (N, K), y (N,)): with ties where `levels` is small, and often without one of the classes."""
    count, n = draw(st.integers(least, 5)), draw(st.integers(1, 40))
    chance = np.random.default_rng(draw(st.integers(0, 10**6)))
    raw = 1.0 + chance.integers(draw(st.sampled_from((2, 4, 10**6))), size=(n, count))
    present = chance.choice(count, draw(st.integers(1, count)), replace=False)
    return torch.from_numpy(raw / raw.sum(1, keepdims=True)), torch.from_numpy(chance.choice(present, n))


@st.composite
def predicted_labels(draw):
    count, n = draw(st.integers(1, 4)), draw(st.integers(1, 40))
    chance = np.random.default_rng(draw(st.integers(0, 10**6)))
    p = chance.integers(1, draw(st.sampled_from((3, 10, 10**6))), size=(n, count)) / 10**6
    p = p / p.max() * 0.99
    shares = chance.choice([0.0, 0.1, 0.5, 1.0], count)
    return torch.from_numpy(p), torch.from_numpy((chance.random((n, count)) < shares).astype(float))


@st.composite
def predicted_quantities(draw):
    n, columns = draw(st.integers(1, 30)), draw(st.integers(1, 3))
    chance = np.random.default_rng(draw(st.integers(0, 10**6)))
    actual = chance.normal(draw(st.sampled_from((0.0, 1e4))), 2.0, size=(n, columns))
    return torch.from_numpy(actual + chance.normal(size=(n, columns))), torch.from_numpy(actual)


def quietly(of, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return of(*args, **kwargs)


def same(metric, p, y, value):
    assert metric.of(p, y) == pytest.approx(value, abs=1e-9, nan_ok=True)


# ---- classes -----------------------------------------------------------------------------------------------------


@given(predicted_classes())
@FAST
def test_metrics_of_decisions_are_scikit_learns(given):
    p, y = given
    decided = p.argmax(1)
    same(CLASSES["accuracy"], p, y, known.accuracy_score(y, decided))
    same(CLASSES["balanced_accuracy"], p, y, quietly(known.balanced_accuracy_score, y, decided))
    same(CLASSES["macro_f1"], p, y, known.f1_score(y, decided, average="macro", zero_division=np.nan))


@given(predicted_classes())
@FAST
def test_metrics_of_probabilities_are_scikit_learns(given):
    p, y = given
    classes = range(p.shape[1])
    same(CLASSES["log_loss"], p, y, known.log_loss(y, p.numpy(), labels=classes))
    same(CLASSES["brier"], p, y, known.brier_score_loss(y, p.numpy(), labels=classes, scale_by_half=False))
    same(CLASSES["ece"], p, y, calibration_error(p, y))


@given(predicted_classes(least=3))
@FAST
def test_rankings_of_several_classes_are_scikit_learns_of_each_against_the_rest(given):
    p, y = given
    present = y.unique().tolist() if len(y.unique()) > 1 else []
    for name, of in (("average_precision", known.average_precision_score), ("roc_auc", known.roc_auc_score)):
        each = [of((y == c).numpy(), p[:, c].numpy()) for c in present]
        same(CLASSES[name], p, y, np.mean(each) if each else math.nan)


@given(predicted_classes().filter(lambda given: given[0].shape[1] == 2))
@FAST
def test_rankings_of_two_classes_are_those_of_the_rarer_one(given):
    p, y = given
    counts = torch.bincount(y, minlength=2)
    rarer = 0 if counts[0] < counts[1] else 1
    for name, of in (("average_precision", known.average_precision_score), ("roc_auc", known.roc_auc_score)):
        alone = not counts.min()
        same(CLASSES[name], p, y, math.nan if alone else of((y == rarer).numpy(), p[:, rarer].numpy()))


def test_of_two_classes_with_as_many_examples_the_second_is_ranked():
    p = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.7, 0.3]], dtype=torch.float64)
    same(CLASSES["average_precision"], p, torch.tensor([0, 0, 1, 1]), (1 / 2 + 2 / 3) / 2)


# ---- labels ------------------------------------------------------------------------------------------------------


@given(predicted_labels())
@FAST
def test_metrics_of_labels_are_scikit_learns(given):
    p, y = given
    q, actual, decided = p.numpy(), y.numpy(), (p >= 0.5).numpy()
    some, both = y.any(0).numpy(), (y.any(0) & ~y.all(0)).numpy()
    nan = math.nan
    average, auc = known.average_precision_score, known.roc_auc_score
    same(LABELS["macro_average_precision"], p, y, average(actual[:, some], q[:, some]) if some.any() else nan)
    micro = average(actual, q, average="micro") if some.any() else nan
    same(LABELS["micro_average_precision"], p, y, micro)
    same(LABELS["roc_auc"], p, y, auc(actual[:, both], q[:, both]) if both.any() else nan)
    # all columns as one, or one by one: scikit-learn's own averages warn where a label is absent
    same(LABELS["micro_f1"], p, y, known.f1_score(actual.ravel(), decided.ravel(), zero_division=nan))
    each = [known.f1_score(a, d, zero_division=nan) for a, d in zip(actual.T, decided.T, strict=True)]
    same(LABELS["macro_f1"], p, y, quietly(np.nanmean, each))
    same(LABELS["subset_accuracy"], p, y, (actual == decided).all(1).mean())
    losses = [known.log_loss(a, column, labels=[0, 1]) for a, column in zip(actual.T, q.T, strict=True)]
    same(LABELS["log_loss"], p, y, sum(losses) / len(losses))


def test_labels_with_the_probabilities_that_they_have_are_calibrated():
    p = torch.tensor([[0.25, 0.5]] * 8, dtype=torch.float64)
    y = torch.tensor([[1.0, 0.0]] * 2 + [[0.0, 1.0]] * 4 + [[0.0, 0.0]] * 2, dtype=torch.float64)
    same(LABELS["ece"], p, y, 0.0)
    same(LABELS["ece"], p, torch.zeros_like(y), (0.25 + 0.5) / 2)


# ---- quantities --------------------------------------------------------------------------------------------------


@given(predicted_quantities())
@FAST
def test_metrics_of_quantities_are_scikit_learns(given):
    p, y = given
    same(IN_UNIT["rmse"], p, y, known.root_mean_squared_error(y, p))
    same(IN_UNIT["mae"], p, y, known.mean_absolute_error(y, p))
    expected = known.r2_score(y, p) if len(y) > 1 else math.nan
    assert IN_UNIT["r2"].of(p, y) == pytest.approx(expected, rel=1e-6, abs=1e-6, nan_ok=True)


@given(predicted_quantities(), st.floats(0.01, 0.99))
@FAST
def test_the_pinball_loss_is_scikit_learns(given, level):
    p, y = given
    value = regression.pinball(p[:, 0].numpy(), y[:, 0].numpy(), level).mean()
    assert value == pytest.approx(known.mean_pinball_loss(y[:, 0], p[:, 0], alpha=level))


def test_r2_of_targets_that_are_all_equal_does_not_exist():
    assert math.isnan(IN_UNIT["r2"].of(torch.ones(5, 1), torch.full((5, 1), 0.1)))


# ---- during training ---------------------------------------------------------------------------------------------


def test_of_networks_each_metric_is_that_of_their_predictions():
    chance = torch.Generator().manual_seed(0)
    outputs, y = torch.randn(3, 50, 4, generator=chance), torch.randint(4, (50,), generator=chance)
    for metric in CLASSES.values():
        expected = [metric.of(each.double().softmax(1), y) for each in outputs]
        assert metric.of_networks(outputs, y).tolist() == pytest.approx(expected, abs=1e-6)
    labels = torch.randint(2, (50, 4), generator=chance).float()
    for metric in LABELS.values():
        expected = [metric.of(each.double().sigmoid(), labels) for each in outputs]
        assert metric.of_networks(outputs, labels).tolist() == pytest.approx(expected, abs=1e-6)


def test_of_networks_with_standardised_outputs_metrics_are_in_the_unit():
    chance = torch.Generator().manual_seed(0)
    outputs, y = torch.randn(3, 50, 2, generator=chance), torch.randn(50, 2, generator=chance)
    mean, std = torch.tensor([100.0, -7.0]).double(), torch.tensor([2.0, 0.5]).double()
    for metric in IN_UNIT.values():
        expected = [metric.of(each * std + mean, y * std + mean) for each in outputs]
        assert metric.of_networks(outputs, y).tolist() == pytest.approx(expected, rel=1e-5)
    assert IN_UNIT["rmse"].shown(2.1534) == "2.153 mm"


def test_soft_targets_count_as_their_likeliest_class():
    outputs, y = torch.randn(2, 30, 3, generator=torch.Generator().manual_seed(1)), torch.arange(30) % 3
    soft = torch.nn.functional.one_hot(y, 3) * 0.8 + 0.1
    for metric in CLASSES.values():
        assert metric.of_networks(outputs, soft).equal(metric.of_networks(outputs, y))


# ---- one class alone, and weights --------------------------------------------------------------------------------


def test_a_metric_without_a_value_shows_nothing():
    p, y = torch.full((6, 3), 1 / 3, dtype=torch.float64), torch.ones(6, dtype=torch.long)
    for name in ("average_precision", "roc_auc"):
        assert math.isnan(CLASSES[name].of(p, y))
        assert all(map(math.isnan, CLASSES[name].interval(p, y)))
    assert CLASSES["roc_auc"].shown(math.nan) == ""


@given(predicted_labels(), st.integers(0, 100))
@FAST
def test_rankings_of_examples_that_count_several_times_are_scikit_learns(given, seed):
    p, y = given[0][:, 0].numpy(), given[1][:, 0].numpy()
    w = np.random.default_rng(seed).integers(0, 3, size=(3, len(y))).astype(float)
    for ours, theirs in ((average_precision, known.average_precision_score), (roc_auc, known.roc_auc_score)):
        for value, row in zip(ours(p, y, w), w, strict=True):
            kinds = {bool(v) for v in y[row > 0]}
            exists = True in kinds if ours is average_precision else len(kinds) == 2
            expected = theirs(y, p, sample_weight=row) if exists else math.nan
            assert value == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("family", ["classes", "labels", "quantities"])
def test_examples_that_count_several_times_are_as_if_they_were_there_several_times(family):
    chance = torch.Generator().manual_seed(3)
    p = torch.rand(40, 3, generator=chance, dtype=torch.float64)
    given = {
        "classes": (CLASSES, p / p.sum(1, keepdim=True), torch.randint(3, (40,), generator=chance)),
        "labels": (LABELS, p, (torch.rand(40, 3, generator=chance) < 0.4).double()),
        "quantities": (IN_UNIT, p, torch.rand(40, 3, generator=chance, dtype=torch.float64)),
    }
    metrics, p, y = given[family]
    times = np.random.default_rng(0).integers(0, 3, size=(2, 40))
    for metric in metrics.values():
        values = metric.weighted(p.numpy(), y.numpy(), times.astype(float))
        for value, row in zip(values, times, strict=True):
            drawn = np.repeat(np.arange(40), row)
            assert value == pytest.approx(metric.of(p[drawn], y[drawn])), metric.name


# ---- tables by class and label -----------------------------------------------------------------------------------


@given(predicted_classes())
@FAST
def test_precision_and_recall_of_each_class_are_scikit_learns(given):
    p, y = given
    names = [f"class {c}" for c in range(p.shape[1])]
    rows = by_class(p.numpy().argmax(1), y.numpy(), names)
    expected = known.precision_recall_fscore_support(
        y, p.argmax(1), labels=range(p.shape[1]), zero_division=np.nan
    )  # fmt: skip
    assert [row["class"] for row in rows] == names
    for name, values in zip(("precision", "recall", "f1", "examples"), expected, strict=True):
        shown = [math.nan if row[name] == "" else row[name] for row in rows]
        assert shown == pytest.approx(values.tolist(), nan_ok=True), name


def test_a_label_is_decided_at_its_own_threshold():
    p, y = np.array([[0.3], [0.2], [0.6], [0.1]]), np.array([[1.0], [0.0], [1.0], [0.0]])
    (half,), (lower,) = by_label(p, y, ["rain"]), by_label(p, y, ["rain"], [0.25])
    assert (half["precision"], half["recall"], half["threshold"]) == (1.0, 0.5, 0.5)
    assert (lower["precision"], lower["recall"], lower["average_precision"]) == (1.0, 1.0, 1.0)
    assert half["recall_low"] < 0.5 < half["recall_high"]
    (absent,) = by_label(p, np.zeros((4, 1)), ["snow"])
    assert (absent["recall"], absent["average_precision"], absent["roc_auc"]) == ("", "", "")
