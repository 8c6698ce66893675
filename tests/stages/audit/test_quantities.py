"""Quantities that similar examples contradict: planted errors are flagged, healthy twins are not."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.metrics import average_precision_score

from recipe.stages.audit import quantities
from recipe.stages.audit.embeddings import of_columns
from recipe.stages.audit.quantities import neighbours_of_other_folds, residuals

TABLES = Path(__file__).resolve().parents[4] / "shared" / "data" / "tabular"  # beside the project, if it is there
NO_TABLES = "no real tables in ../shared/data, beside the project"


def friedman(count=1200, seed=0):
    return make_friedman1(count, 8, noise=1.0, random_state=seed)


def lognormal(count=1200, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 5))
    return x, np.exp(1.2 * x[:, 0] + 0.5 * x[:, 1] + 0.3 * rng.normal(size=count) + 3)


def table(file):
    text = np.loadtxt(TABLES / file, delimiter=",", dtype=str)
    sex = text[:, :1] == ["M", "F", "I"] if file == "abalone.csv" else np.empty((len(text), 0))
    return np.hstack([sex, text[:, sex.shape[1] > 0 : -1].astype(float)]), text[:, -1].astype(float)


def planted(values, factor, share=0.03, seed=0):
    """(values, which are wrong): some times `factor`, or exchanged among themselves where it is 0."""
    wrong = np.zeros(len(values), bool)
    rows = np.random.default_rng(seed).choice(len(values), round(share * len(values)), replace=False)
    wrong[rows] = True
    changed = values.copy()
    changed[rows] = values[rows] * factor if factor else values[np.roll(rows, 1)]
    return changed, wrong


def judged(x, values, groups=None):
    columns = values[:, None] if values.ndim == 1 else values
    inner = np.quantile(columns[:, 0], np.linspace(0.1, 0.9, 9))
    strata = [(int(b),) for b in np.searchsorted(inner, columns[:, 0])]
    names = groups or [str(i) for i in range(len(columns))]
    return residuals(of_columns(x), columns, strata, names, seed=0)


def quality(found, wrong):
    """(average precision, precision and recall of the flags)"""
    flagged = found.flagged
    return average_precision_score(wrong, found.score), wrong[flagged].mean(), flagged[wrong].mean()


@pytest.mark.parametrize("make", [friedman, lognormal, lambda: load_diabetes(return_X_y=True)])
def test_a_healthy_quantity_is_hardly_flagged(make):
    (found,) = judged(*make())
    assert found.flagged.mean() < 0.004
    assert found.odd.sum() == 0
    assert found.codes == {}
    assert found.explained > 0.4
    assert np.array_equal(np.argsort(found.score, kind="stable"), np.argsort(found.z, kind="stable"))


def test_a_shifted_decimal_point_is_found_and_named():
    x, values = friedman()
    changed, wrong = planted(values, 10.0)
    (found,) = judged(x, changed)
    ranked, precision, recall = quality(found, wrong)
    assert ranked > 0.99
    assert precision > 0.9
    assert recall > 0.95
    assert (found.slip[wrong & found.flagged] == "10 times too large").mean() > 0.8
    assert (found.slip[~found.flagged] == "").all()
    assert np.median(np.abs(found.predicted - values)[wrong]) < 3  # of a spread of 5


@pytest.mark.parametrize("factor", [0.1, -1.0])
def test_values_that_are_too_small_or_of_the_wrong_sign(factor):
    x, values = friedman()
    changed, wrong = planted(values, factor)
    (found,) = judged(x, changed)
    assert quality(found, wrong)[0] > 0.9
    assert set(found.slip[wrong & found.flagged]) - {""} <= {"10 times too small", "of the wrong sign"}


def test_exchanged_values_are_ranked_as_far_as_the_features_tell_them_apart():
    x, values = friedman()
    changed, wrong = planted(values, 0)
    ranked, precision, _ = quality(judged(x, changed)[0], wrong)
    assert ranked > 5 * wrong.mean()
    assert precision > 0.5


def test_a_code_for_a_missing_value_is_counted_and_not_learned_from():
    x, values = friedman()
    changed, wrong = values.copy(), np.arange(len(values)) % 8 == 0
    changed[wrong] = -999  # an eighth: as ordinary numbers they would set the scale
    (found,) = judged(x, changed)
    assert found.codes == {-999.0: int(wrong.sum())}
    assert (found.flagged & found.odd)[wrong].all()
    assert found.flagged[~wrong].mean() < 0.005
    assert found.explained > 0.6


def test_wild_values_are_outliers_of_the_quantity_and_a_long_tail_is_not():
    x, values = lognormal()
    (found,) = judged(x, values)
    assert not found.odd.any()
    changed = values.copy()
    changed[:5] = 1e7
    (found,) = judged(x, changed)
    assert np.flatnonzero(found.odd).tolist() == [0, 1, 2, 3, 4]


def test_a_copy_does_not_vouch_for_a_wrong_value():
    x, values = friedman()
    x[1], values[:2] = x[0], 90.0
    names = ["0", "0", *(str(i) for i in range(2, len(values)))]
    assert judged(x, values, names)[0].flagged[:2].all()


def test_each_quantity_is_judged_by_itself():
    x, values = friedman()
    changed, wrong = planted(values, 10.0)
    first, second = judged(x, np.stack([changed, values], 1))
    assert first.flagged[wrong].mean() > 0.95
    assert second.flagged.mean() < 0.005


@pytest.mark.parametrize(
    "values",
    [np.zeros(60), np.where(np.arange(60) % 9, 0.0, 7.0), np.repeat([-1.0, 1.0], 30), np.full(60, 1e-300)],
)
def test_odd_distributions_break_nothing(values):
    x = np.random.default_rng(0).normal(size=(60, 3))
    (found,) = judged(x, values)
    for numbers in (found.score, found.predicted, found.z, found.outlier):
        assert np.isfinite(numbers).all()


def test_an_exact_function_has_no_suspects():
    x = np.random.default_rng(0).normal(size=(400, 3))
    assert not judged(x, x @ [1.0, 2.0, -1.0])[0].flagged.any()


def test_neighbours_are_of_other_folds_and_of_a_limited_sample(monkeypatch):
    monkeypatch.setattr(quantities, "MOST", 50)
    rng = np.random.default_rng(0)
    x, fold = rng.normal(size=(400, 3)), np.arange(400) % 5
    near = neighbours_of_other_folds(x, fold, seed=0)
    assert near.shape == (400, 20)
    assert (fold[near] != fold[:, None]).all()
    assert all(len(np.unique(near[fold == f])) <= 50 for f in range(5))


@pytest.mark.slow
@pytest.mark.skipif(not TABLES.is_dir(), reason=NO_TABLES)
@pytest.mark.parametrize("file", ["abalone.csv", "winequality-white.csv"])
def test_planted_errors_of_real_tables(file):
    x, values = table(file)
    assert judged(x, values)[0].flagged.mean() < 0.002
    for factor in (10.0, 0.1):
        changed, wrong = planted(values, factor)
        ranked, precision, recall = quality(judged(x, changed)[0], wrong)
        assert ranked > 0.99
        assert precision > 0.85
        assert recall > 0.95
