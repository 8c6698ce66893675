"""Several labels: planted missing labels are flagged, healthy twins are not; pairs of labels are named."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score

from recipe.stages.audit.embeddings import of_images
from recipe.stages.audit.label_sets import cooccurrence, label_suspects


@pytest.fixture(scope="module")
def digits():
    """(features, labels (N, 5)) of what is true of a digit."""
    read = load_digits()
    t = read.target
    labels = np.stack([t % 2 == 0, np.isin(t, [0, 6, 8, 9]), t > 4, np.isin(t, [2, 3, 5, 7]), t == 7], 1)
    return of_images((read.images * 15.9375).astype(np.uint8)[:, None], 0), labels.astype(int)


def judged(features, labels):
    strata = [tuple(np.flatnonzero(row)) or (labels.shape[1],) for row in labels]
    return label_suspects(features, labels, strata, [str(i) for i in range(len(labels))], seed=0)


def planted(labels, share, of=1, seed=0):
    """(labels, which entries are wrong): so many of those that are `of` are changed."""
    rows = np.argwhere(labels == of)
    rows = rows[np.random.default_rng(seed).choice(len(rows), round(share * len(rows)), replace=False)]
    changed = labels.copy()
    changed[rows[:, 0], rows[:, 1]] = 1 - of
    return changed, changed != labels


@pytest.mark.slow
def test_missing_labels_are_found_and_a_healthy_set_is_hardly_flagged(digits):
    features, labels = digits
    healthy = judged(features, labels)
    assert healthy.flagged.mean() < 0.006
    assert not healthy.weak
    changed, wrong = planted(labels, 0.05)
    found = judged(features, changed)
    assert average_precision_score(wrong.any(1), found.score) > 0.93
    assert wrong[found.missing].mean() > 0.9
    assert found.missing[wrong].mean() > 0.5
    assert found.surplus.mean() < 0.001
    assert found.rate[0] <= wrong.mean() <= found.rate[1]
    right = (found.suggested == labels)[wrong]
    assert right.mean() > 0.9


@pytest.mark.slow
def test_surplus_labels_are_found(digits):
    features, labels = digits
    changed, wrong = planted(labels, 0.02, of=0)
    found = judged(features, changed)
    assert wrong[found.surplus].mean() > 0.9
    assert found.surplus[wrong].mean() > 0.5


def test_labels_that_the_features_do_not_know_are_not_flagged():
    rng = np.random.default_rng(0)
    found = judged(rng.normal(size=(300, 4)).astype(np.float32), rng.integers(0, 2, (300, 3)))
    assert found.weak
    assert not found.flagged.any()


def test_a_label_of_all_or_of_one_example_breaks_nothing():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype(np.float32)
    labels = np.stack([x[:, 0] > 0, np.ones(60), np.zeros(60), np.arange(60) == 3], 1).astype(int)
    found = judged(x, labels)
    assert [s is None for s in found.by_label] == [False, True, True, False]
    assert np.isfinite(found.score).all()
    assert (found.suggested[:, 1:3] == labels[:, 1:3]).all()
    assert not found.flagged[3]  # the other folds hold no example with the last label


def test_pairs_of_labels():
    rng = np.random.default_rng(0)
    a, b = rng.random(400) < 0.5, rng.random(400) < 0.3
    labels = np.stack([a, b, a, ~a, a & b, ~a & b, np.ones(400), np.zeros(400)], 1).astype(int)
    together = cooccurrence(labels)
    assert together.each.tolist() == labels.sum(0).tolist()
    assert together.counts[0, 1] == (a & b).sum()
    assert together.equal() == [(0, 2)]
    assert together.opposite() == [(0, 3), (2, 3)]
    assert together.excluding() == [(0, 5), (2, 5), (3, 4)]  # (4, 5) would meet 9 times
    assert set(together.implied()) == {(4, 0), (4, 1), (4, 2), (5, 1), (5, 3)}
    assert together.lift[0, 1] == pytest.approx((a & b).mean() / a.mean() / b.mean())
    assert together.conditional[1, 0] == pytest.approx(a[b].mean())
    assert np.isnan(together.conditional[7]).all()


def test_independent_labels_have_no_conspicuous_pairs():
    labels = (np.random.default_rng(0).random((500, 8)) < 0.3).astype(int)
    together = cooccurrence(labels)
    assert together.equal() == together.opposite() == together.excluding() == together.implied() == []
