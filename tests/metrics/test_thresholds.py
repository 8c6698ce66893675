"""The probability from which a label is predicted."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recipe.metrics.thresholds import best_threshold, f1, helpful_threshold
from recipe.stages.ensemble.threshold_effect import f1_gain, sentence
from recipe.tasks.classification import Classification
from recipe.tasks.multilabel import Multilabel
from recipe.tasks.regression import Regression

SHARES = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=40)


@given(SHARES)
def test_no_other_threshold_has_a_higher_f1(pairs):
    p, positive = np.array([n / 20 for n, _ in pairs]), np.array([b for _, b in pairs])
    best = f1(p >= best_threshold(p, positive), positive)
    assert all(best >= f1(p >= cut, positive) - 1e-12 for cut in np.linspace(0, 1.05, 43))
    assert 0 <= best_threshold(p, positive) <= 1


def rare(rows: int = 2000, seed: int = 0):
    """(p, positive): calibrated probabilities of which few are above a half, although 6 % are positive."""
    draw = np.random.default_rng(seed)
    p = draw.beta(0.4, 6, rows)
    return p, draw.random(rows) < p


def test_of_a_rare_label_the_threshold_is_low_and_finds_more():
    p, positive = rare()
    least = helpful_threshold(p, positive)
    assert 0.1 < least < 0.4
    new, truth = rare(seed=1)
    assert f1(new >= least, truth) > f1(new >= 0.5, truth) + 0.1


def test_a_threshold_that_does_not_help_on_others_is_not_used():
    draw = np.random.default_rng(0)
    p = np.concatenate([draw.uniform(0, 0.45, 100), draw.uniform(0.55, 1, 100)])
    assert helpful_threshold(p, p > 0.5) == 0.5
    assert helpful_threshold(p, np.zeros(200, bool)) == 0.5


@pytest.mark.parametrize("which", [0, 1])
def test_of_two_uneven_classes_the_rarer_one_is_found_more_often(which):
    p, positive = rare()
    task = Classification(("a", "b"))
    both = torch.tensor(np.stack([1 - p, p], 1))[:, [0, 1] if which else [1, 0]]
    actual = torch.tensor(np.where(positive, which, 1 - which))
    (threshold,) = task.thresholds(both, actual)
    assert (threshold < 0.5) == (which == 1)
    found = task.answers(thresholds=(threshold,)).decided(both)
    likeliest = task.answers().decided(both)
    assert (found == which).sum() > (likeliest == which).sum()
    rows = task.answers(thresholds=(threshold,)).by_target(both, actual)
    assert rows[which]["recall"] > task.answers().by_target(both, actual)[which]["recall"]
    columns = task.answers(thresholds=(threshold,)).columns(both)
    assert columns["predicted"].count("ab"[which]) == int((found == which).sum())
    assert columns["confidence"] == both[torch.arange(len(both)), found].tolist()
    text = sentence(task, (threshold,), both, actual)
    assert f"the F1 of {'ab'[which]} is" in text


def test_even_classes_many_classes_and_quantities_have_no_threshold():
    p, _ = rare()
    both = torch.tensor(np.stack([1 - p, p], 1))
    assert Classification(("a", "b")).thresholds(both, torch.arange(len(p)) % 2) == ()
    three = torch.rand(60, 3, generator=torch.Generator().manual_seed(0))
    assert Classification(("a", "b", "c")).thresholds(three, torch.arange(60) % 3) == ()
    assert Regression(("a",)).thresholds(both[:, :1], both[:, :1]) == ()


def test_each_label_has_its_threshold_and_answers_obey_it():
    (p, positive), (q, other) = rare(seed=2), (np.linspace(0, 1, 2000), np.linspace(0, 1, 2000) > 0.5)
    both, actual = torch.tensor(np.stack([p, q], 1)), torch.tensor(np.stack([positive, other], 1)).double()
    task = Multilabel(("rain", "snow"))
    first, second = task.thresholds(both, actual)
    assert first < 0.4
    assert second == 0.5
    decided = task.answers(thresholds=(first, second)).decided(both)
    assert torch.equal(decided[:, 0], (both[:, 0] >= first).double())
    assert "the mean F1 is" in sentence(task, (first, second), both, actual)
    assert sentence(task, (), both, actual) == ""


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_the_gain_is_that_of_the_two_f1(seed):
    draw = np.random.default_rng(seed)
    chosen, half, positive = (torch.tensor(draw.random((80, 2)) < share) for share in (0.4, 0.2, 0.3))
    after, before, low, high = f1_gain(chosen, half, positive)
    for value, predicted in ((after, chosen), (before, half)):
        each = [f1(predicted[:, i].numpy(), positive[:, i].numpy()) for i in range(2)]
        assert value == pytest.approx(np.mean(each))
    assert low <= after - before <= high
