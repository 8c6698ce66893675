"""Suspect labels: planted noise is ranked first, clean labels are not flagged, nothing depends on the order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from recipe.errors import RecipeError
from recipe.sources.digits import Digits
from recipe.stages.audit.class_balance import balance, confusions, sentence
from recipe.stages.audit.embeddings import of_columns, of_images, of_texts
from recipe.stages.audit.labels import folds, out_of_fold, suspects, suspects_from


@pytest.fixture(scope="module")
def digits():
    source = Digits()
    return of_images(np.stack(source.images)[:, None], 0), np.array(source.targets)


def planted(true, kind, rate, seed):
    rng = np.random.default_rng(seed)
    bad = rng.choice(len(true), round(rate * len(true)), replace=False)
    labels = true.copy()
    labels[bad] = (true[bad] + (rng.integers(1, true.max() + 1, len(bad)) if kind == "sym" else 1)) % (true.max() + 1)
    return labels


def clusters(count, classes, seed, apart=4.0):
    """Points round a centre per class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = apart * np.eye(classes, max(classes, 6))
    return (centres[labels] + rng.normal(size=(count, centres.shape[1]))).astype(np.float32), labels


@pytest.mark.parametrize(("kind", "rate", "least"), [("sym", 0.05, 0.98), ("asym", 0.1, 0.97), ("sym", 0.2, 0.98)])
def test_planted_noise_is_ranked_first(digits, kind, rate, least):
    features, true = digits
    labels = planted(true, kind, rate, 0)
    result = suspects(features, labels, None, 0)
    wrong = labels != true
    assert average_precision_score(wrong, result.score) > least
    assert result.rate[0] <= wrong.mean() <= result.rate[1] <= wrong.mean() + 0.05
    assert wrong[result.flagged].mean() > 0.9  # flags are few and right
    assert (result.suggested[wrong & result.flagged] == true[wrong & result.flagged]).mean() > 0.9
    assert not result.weak


def test_clean_digits_are_left_in_peace(digits):
    features, true = digits
    result = suspects(features, true, None, 0)
    assert result.flagged.mean() <= 0.002
    assert result.rate[0] == 0 < result.rate[1] <= 0.02
    assert result.accuracy > 0.97
    assert confusions(result) == ()


def test_features_that_say_nothing_are_called_weak():
    rng = np.random.default_rng(0)
    result = suspects(rng.normal(size=(300, 5)), rng.integers(0, 4, 300), None, 0)
    assert result.weak
    assert not result.flagged.any()
    assert result.rate[0] == 0
    assert result.rate[1] > 0.5


def test_the_confusion_that_was_planted_is_named(digits):
    features, true = digits
    rng = np.random.default_rng(1)
    labels = true.copy()
    ones = np.flatnonzero(true == 1)
    labels[rng.choice(ones, 27, replace=False)] = 7  # 15 % of 182
    named = confusions(suspects(features, labels, None, 0))
    assert [(c.true, c.given) for c in named] == [(1, 7)]
    assert named[0].low <= 27 / 182 <= named[0].high
    text = sentence(named[0], [f"digit {i}" for i in range(10)])
    assert text.endswith("% of the examples whose true class is `digit 1` are labelled `digit 7`")


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 1000))
def test_neither_row_order_nor_class_numbers_matter(seed):
    features, true = clusters(120, 3, 5)
    labels = planted(true, "sym", 0.1, 5)
    result = suspects(features, labels, None, 0)
    rng = np.random.default_rng(seed)
    mix, names = rng.permutation(len(labels)), rng.permutation(3)
    moved = suspects(features[mix], labels[mix], None, 0)
    assert np.array_equal(moved.score, result.score[mix])
    assert np.array_equal(moved.suggested, result.suggested[mix])
    renamed = suspects(features, names[labels], None, 0)
    assert renamed.score == pytest.approx(result.score, abs=0.05)  # ranks of near ties
    assert np.array_equal(renamed.suggested, names[result.suggested])


def test_the_same_again_is_the_same_bits(digits):
    features, true = digits
    one, two = (suspects(features[:400], true[:400], None, 3) for _ in range(2))
    assert one.score.tobytes() == two.score.tobytes()
    assert one.given.tobytes() == two.given.tobytes()


def test_a_copy_does_not_vouch_for_its_twin():
    """A wrong label that occurs three times: in separate groups, the copies would outvote the true label."""
    features, true = clusters(90, 3, 1)
    features[60:63] = features[60]
    labels = true.copy()
    true[60:63], labels[60:63] = true[60], (true[60] + 1) % 3
    together = suspects(features, labels, None, 0)
    apart = suspects(features, labels, [str(i) for i in range(90)], 0)
    assert together.flagged[60:63].all()
    assert together.given[60:63].max() < apart.given[60:63].min()


def test_groups_stay_whole_in_folds():
    rng = np.random.default_rng(0)
    groups, labels = [f"g{i}" for i in rng.integers(0, 30, 600)], rng.integers(0, 3, 600)
    fold = folds(labels, groups, 0)
    assert len(set(fold)) == 5
    assert len(set(zip(groups, fold, strict=True))) == len(set(groups))
    with pytest.raises(RecipeError, match="one group"):
        folds(labels, ["same"] * 600, 0)


def test_a_class_of_one_example_is_not_judged():
    features, labels = clusters(60, 3, 2)
    labels[0] = 3
    result = suspects(features, labels, None, 0)
    assert result.given[0] > 0.99
    assert result.suggested[0] == 3
    assert not result.flagged[0]


@pytest.mark.parametrize(("count", "classes"), [(20, 2), (21, 7), (40, 20), (1200, 100)])
def test_few_examples_and_many_classes(count, classes):
    features, true = clusters(count, classes, 3, apart=12.0)
    result = suspects(features, true, None, 0)
    assert result.score.shape == (count,)
    assert np.isfinite(result.score).all()
    assert 0 <= result.rate[0] <= result.rate[1] <= 1
    labels = true.copy()
    labels[5] = (true[5] + 1) % classes
    if count // classes >= 10:
        assert suspects(features, labels, None, 0).score.argmax() == 5


def test_a_class_number_without_examples_breaks_nothing():
    features, labels = clusters(90, 3, 4)
    labels[labels == 1] = 5
    result = suspects(features, labels, None, 0)
    assert set(result.suggested) <= {0, 2, 5}
    assert result.accuracy > 0.9


def test_probabilities_of_another_model():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 4, 800)
    p = np.full((800, 4), 0.02) + 0.92 * np.eye(4)[true] + 0.02 * rng.random((800, 4))
    p /= p.sum(1, keepdims=True)
    labels = planted(true, "sym", 0.1, 0)
    result = suspects_from(p, labels)
    assert average_precision_score(labels != true, result.score) == pytest.approx(1)
    assert np.array_equal(result.suggested, true)
    assert result.rate[0] <= 0.1 <= result.rate[1]


def test_mistakes_are_named():
    features, labels = clusters(30, 3, 0)
    with pytest.raises(RecipeError, match="one class"):
        suspects(features, np.zeros(30, int), None, 0)
    with pytest.raises(RecipeError, match="class numbers"):
        suspects(features, labels.astype(float), None, 0)
    with pytest.raises(RecipeError, match="29 groups for 30"):
        suspects(features, labels, ["a"] * 29, 0)
    with pytest.raises(RecipeError, match="logits"):
        suspects_from(features[:, :3], labels)
    features[3, 0] = np.nan
    with pytest.raises(RecipeError, match="1 of 30 rows"):
        suspects(features, labels, None, 0)


def test_ours_is_above_the_default_of_cleanlab_on_the_same_probabilities(digits):
    rank = pytest.importorskip("cleanlab.rank", reason="cleanlab is a rival of the benchmark, and not installed")
    features, true = digits
    labels = planted(true, "asym", 0.1, 4)
    p = out_of_fold(features, labels, [str(i) for i in range(len(labels))], 0)
    theirs = 1 - rank.get_label_quality_scores(labels, p)
    ours = suspects_from(p, labels).score
    wrong = labels != true
    assert average_precision_score(wrong, ours) > average_precision_score(wrong, theirs) + 0.01


def test_balance():
    result = balance(np.repeat([0, 1], [30, 10]), 2)
    assert result.counts == (30, 10)
    assert result.ratio == 3
    assert result.effective == pytest.approx(1.755, abs=0.001)
    assert balance(np.arange(40) % 4, 4).effective == pytest.approx(4)
    assert balance(np.zeros(5, int), 2).ratio == float("inf")


def test_texts_are_judged():
    rng = np.random.default_rng(0)
    words = [["sun", "rain", "cloud", "wind", "storm"], ["goal", "team", "match", "player", "coach"]]
    true = np.arange(300) % 2
    texts = [" ".join(rng.choice([*words[c], "the", "a", "of"], 12)) for c in true]
    labels = planted(true, "sym", 0.05, 0)
    result = suspects(of_texts(texts, 0), labels, None, 0)
    assert average_precision_score(labels != true, result.score) == pytest.approx(1)
    assert (labels != true)[result.flagged].all()
    assert np.array_equal(of_texts(texts[:20], 0), of_texts(texts[:20], 0))


def test_columns_keep_what_is_missing():
    values = np.array([[1.0, np.nan, 7], [2, 5, 7], [3, 6, 7], [1e9, 7, 7]])
    result = of_columns(values)
    assert result.shape == (4, 4)
    assert np.isfinite(result).all()
    assert result[:, 3].tolist() == [1, 0, 0, 0]
    assert result[3, 0] <= 5  # a wild value does not squeeze the others
    assert np.array_equal(result[:, 2], np.zeros(4))


@pytest.mark.slow
def test_coded_images_tell_textures_apart_and_break_on_nothing():
    rng = np.random.default_rng(0)
    true = np.arange(120) % 2
    images = rng.integers(0, 256, (120, 3, 20, 24), dtype=np.uint8)
    images[true == 1] = np.repeat(images[true == 1][:, :, ::2], 2, axis=2)  # horizontal stripes
    features = of_images(images, 0)
    assert features.shape[0] == 120
    assert suspects(features, true, None, 0).accuracy > 0.95
    odd = images.astype(np.float32)
    odd[0, 0, 0, 0] = np.nan
    again = of_images(odd, 0)
    assert np.isfinite(again).all()
    assert again.tobytes() == of_images(odd, 0).tobytes()
