"""Where the model has a pretrained network, its features judge labels, neighbours and outliers; copies are pictures."""

from types import SimpleNamespace

import numpy as np
import pytest
from audits import Rows, audit_of

from recipe.data.stored_features import FACTS, StoredFeatures
from recipe.files import write_json
from recipe.stages.audit.captions import sentences
from recipe.stages.audit.embeddings import of_network, standard_features

COUNT, CLASSES, WIDTH = 240, 3, 300
WRONG, ODD, COPY = range(10), 50, 60  # rows with a wrong label; one that shows something else; a copy of the one before


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Pixels are noise, features say the class: of three classes, one feature in a hundred each."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (COUNT, 20, 20), np.uint8)
    images[COPY] = images[COPY - 1]
    true = np.arange(COUNT) % CLASSES
    true[COPY] = true[COPY - 1]
    features = draw.normal(0, 1, (COUNT, WIDTH)).astype(np.float32)
    features[np.arange(COUNT)[:, None], true[:, None] * 30 + np.arange(30)] += 3
    features[ODD, 200:] += 20
    features[COPY] = features[COPY - 1]
    labels = true.copy()
    labels[list(WRONG)] = (true[list(WRONG)] + 1) % CLASSES
    source = Rows(images, labels, classes=("a", "b", "c"))
    folder = tmp_path_factory.mktemp("audited")
    plain, store = audit_of(source, folder / "plain")
    seen, _ = audit_of(source, folder / "seen", features)
    return SimpleNamespace(plain=plain, seen=seen, store=store, true=true, features=features)


def suspects(result) -> set[int]:
    return {row for row, flags in enumerate(result.columns["flags"]) if "suspect label" in flags}


def test_wrong_labels_are_seen_by_features_and_not_by_noise(made):
    assert suspects(made.seen) >= set(WRONG)
    assert len(suspects(made.seen)) <= len(WRONG) + 5
    assert not suspects(made.plain)
    given = made.seen.columns["suggested"][list(WRONG)]
    assert given.tolist() == [("a", "b", "c")[k] for k in made.true[list(WRONG)]]


def test_neighbours_are_of_what_is_shown(made):
    def same(result):
        rows = np.flatnonzero(result.neighbours[:, 0] >= 0)
        return float((made.true[result.neighbours[rows, 0]] == made.true[rows]).mean())

    assert same(made.seen) > 0.95
    assert same(made.plain) < 0.5


def test_what_shows_something_else_is_an_outlier(made):
    assert made.seen.columns["feature_outlier"].argmax() == ODD
    assert "outlier" in made.seen.columns["flags"][ODD]
    assert made.seen.columns["outlier_reason"][ODD] == "shows nothing that another shows"
    assert sum("outlier" in flags for flags in made.seen.columns["flags"]) == 1
    assert "feature_outlier" not in made.plain.columns


def test_copies_are_the_same_pictures(made):
    assert [(p.a, p.b, p.kind) for p in made.seen.pairs] == [(COPY - 1, COPY, "exact")]
    assert made.seen.pairs == made.plain.pairs


def test_the_report_says_what_judged(made):
    assert "That model looks at 300 features of a network." in sentences(made.seen, made.store.task)
    assert any("principal components of the" in text for text in sentences(made.plain, made.store.task))


def test_the_features_are_read_whichever_network_they_are_of(tmp_path):
    write_json(tmp_path / FACTS, {})
    assert StoredFeatures.of_store("data", tmp_path) is None
    write_json(tmp_path / FACTS, {"backbone": {"name": "a network"}, "store": "data"})
    np.save(tmp_path / "values.npy", np.zeros((2, 3), np.float32))
    assert StoredFeatures.of_store("data", tmp_path).facts["name"] == "a network"


def test_features_that_are_not_finite_count_as_zeros(made):
    features = made.features.copy()
    features[3, 5] = np.nan
    rows = np.arange(COUNT)
    assert np.isfinite(of_network(features, rows)).all()
    projected = standard_features(features, rows, 0)
    assert np.isfinite(projected).all()
    assert projected.shape == (COUNT, 256)
