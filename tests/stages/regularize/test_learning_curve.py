"""The learning curve: the law is found, its interval covers, and nothing is extrapolated where nothing is known."""

import numpy as np
import pytest

from recipe.stages.regularize.learning_curve import Law, fit, learning_curve, rows, sentences

SIZES = [125, 250, 500, 1000]
LAW = Law(0.02, 2.0, 0.6)


@pytest.mark.parametrize("law", [LAW, Law(0.0, 1.0, 0.35), Law(0.1, 20.0, 1.1), Law(0.05, 0.4, 0.15)])
def test_a_planted_law_is_recovered(law):
    (found,) = fit(SIZES, law.at(SIZES)[None], np.ones(4))
    assert found.c == pytest.approx(law.c, rel=0.02)
    assert found.at(2000) == pytest.approx(law.at(2000), rel=1e-3)
    assert found.a == pytest.approx(law.a, abs=0.005)


@pytest.mark.slow
def test_the_interval_covers_what_twice_the_data_would_bring(monkeypatch):
    monkeypatch.setattr("recipe.stages.regularize.learning_curve.DRAWS", 400)  # of 1,000, for time
    chance, truth, covered, refused = np.random.default_rng(0), LAW.at(1000) - LAW.at(2000), [], 0
    for seed in range(100):
        curve = learning_curve("loss", SIZES, LAW.at(SIZES) * (1 + 0.08 * chance.standard_normal((5, 4))), 0.95, seed)
        refused += bool(curve.refused)
        if not curve.refused:
            covered.append(curve.extrapolation.low <= truth <= curve.extrapolation.high)
    assert refused <= 3
    assert np.mean(covered) > 0.88  # 95 % nominal, less three standard errors


def test_validation_examples_widen_the_interval():
    chance = np.random.default_rng(0)
    each = chance.random((5, 4, 300)) < LAW.at(SIZES)[None, :, None]
    seeds = learning_curve("error", SIZES, each.mean(2), 0.95).extrapolation
    both = learning_curve("error", SIZES, each.mean(2), 0.95, per_example=each).extrapolation
    assert both.high - both.low > seeds.high - seeds.low
    assert both.low <= LAW.at(1000) - LAW.at(2000) <= both.high


def test_flat_data_are_not_extrapolated():
    chance = np.random.default_rng(0)
    reasons = [
        learning_curve("loss", SIZES, 0.3 + 0.02 * chance.standard_normal((5, 4)), 0.95).refused for _ in range(100)
    ]
    assert sum("did not lower the loss" in text for text in reasons) >= 92  # 97.5 nominal


def test_more_data_that_does_harm_and_what_no_law_fits_are_not_extrapolated():
    noise = 1e-3 * np.random.default_rng(0).standard_normal((5, 4))
    assert learning_curve("loss", SIZES, np.array([0.1, 0.2, 0.3, 0.4]) + noise, 0.95).refused
    bump = learning_curve("loss", SIZES, np.array([0.4, 0.1, 0.5, 0.05]) + noise, 0.95)
    assert "no power law fits" in bump.refused
    assert bump.extrapolation is None


def test_three_sizes_or_two_seeds_are_too_few():
    assert "4 sizes" in learning_curve("loss", SIZES[1:], np.tile(LAW.at(SIZES[1:]), (5, 1)), 0.95).refused
    assert "3 trainings" in learning_curve("loss", SIZES, np.tile(LAW.at(SIZES), (2, 1)), 0.95).refused


def test_the_sentences_and_the_table_tell_it():
    values = LAW.at(SIZES) * (1 + 0.03 * np.random.default_rng(0).standard_normal((5, 4)))
    curve = learning_curve("error", SIZES, values, 0.95)
    flat = learning_curve("loss", SIZES, np.full((5, 4), 0.3) + 1e-3 * values[:, ::-1], 0.95)
    error, loss = sentences([curve, flat], "5 seeds", 0.95)
    assert "twice the training data (n = 1,000 to 2,000)" in error
    assert f"fall by {100 * curve.extrapolation.reduction:.1f} points" in error
    assert "not extrapolated" in loss
    assert len(rows([curve, flat])) == 2 * 5 * 4


def test_the_same_seed_gives_the_same_interval():
    values = LAW.at(SIZES) * (1 + 0.05 * np.random.default_rng(1).standard_normal((5, 4)))
    one, two = (learning_curve("loss", SIZES, values, 0.95, seed=3).extrapolation for _ in range(2))
    assert (one.low, one.high) == (two.low, two.high)
