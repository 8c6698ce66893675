"""The features of a frozen network, a row for each image of the store, and what the claims about them notice."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from backbones import SMALL, random_weights
from sources import CONFIG, Set, Wide, stored

from recipe.data.batches import load, read_test
from recipe.data.stored_features import StoredFeatures
from recipe.errors import RecipeError
from recipe.files import read_json, write_csv
from recipe.inputs.read import EMBEDDINGS
from recipe.models.backbone import load_backbone
from recipe.stages.embed import captions, checks
from recipe.stages.embed.embed import Embedded, embed
from recipe.verdict import FAIL, PASS, SKIP, checks_of, run

COUNT, SIDE = 21, 130


class Silent:
    """In place of a stage's run, as DVC starts it."""

    def __init__(self, root, inputs=None):
        self.root, self.out, self.home, self.device = root, root / "embed", root, "cpu"
        self.in_dvc, self.inputs = inputs is not None, inputs or {}
        self.said: list[str] = []

    def say(self, *texts):
        self.said += texts


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return random_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def model(weights):
    return {"_target_": "recipe.models.pretrained.pretrained", "backbone": SMALL, "weights": str(weights)}


def pictures() -> Set:
    """Noise of two classes; the last image is a copy of the first."""
    draw = np.random.default_rng(0)
    images = [draw.integers(60 * (i % 2), 200 + 50 * (i % 2), (SIDE, SIDE, 3), np.uint8) for i in range(COUNT - 1)]
    return Set([(image, i % 2) for i, image in enumerate([*images, images[0]])])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return stored(pictures(), tmp_path_factory.mktemp("store"))[1]


@pytest.fixture
def embedded(store, model, tmp_path) -> Embedded:
    return embed(store, model, Silent(tmp_path))


def verdicts(e: Embedded) -> dict[str, str]:
    return {v.check: v.verdict for v in run(checks_of(checks), e)}


def test_each_row_of_the_store_has_its_features(embedded, store, weights, tmp_path):
    expected = load_backbone(SMALL, str(weights)).features(torch.from_numpy(np.array(store.inputs)))
    assert embedded.values.dtype == np.float32
    np.testing.assert_array_equal(embedded.values, expected)
    opened = StoredFeatures.open(SMALL, store.fingerprint, tmp_path / "embed/features")
    np.testing.assert_array_equal(opened.values, expected)
    assert opened.facts["std"] == list(load_backbone(SMALL, str(weights)).std)
    assert opened.weights.is_file()


def test_a_model_without_a_backbone_costs_nothing(store, tmp_path):
    nothing = embed(store, {}, Silent(tmp_path))
    assert set(verdicts(nothing).values()) == {SKIP}
    assert [f.name for f in (tmp_path / "embed/features").iterdir()] == ["backbone.json"]
    assert read_json(tmp_path / "embed/features/backbone.json") == {}
    assert captions.summary(nothing) == "The model has no pretrained network: no features were computed."


def test_the_cost_is_said_before_the_work(store, model, tmp_path):
    silent = Silent(tmp_path)
    embed(store, model, silent)
    assert any(text.startswith(f"{COUNT} images x ") and text.endswith(" s") for text in silent.said)


def test_rows_of_a_table_have_no_features(model, tmp_path):
    _, rows = stored(Wide([((1, 2), 0), ((3, 4), 1)]), tmp_path / "store")
    with pytest.raises(RecipeError, match="is of images or texts, and the inputs are rows of features"):
        embed(rows, model, Silent(tmp_path))


def test_features_of_an_earlier_run_are_used_again_for_the_same_images_and_network(store, model, tmp_path):
    first = Silent(tmp_path, {"runs/split/report.json": "1", "resolved/embed.yaml": "1"})
    before = np.array(embed(store, model, first).values)
    again = Silent(tmp_path, {"runs/split/report.json": "2", "resolved/embed.yaml": "1"})
    np.testing.assert_array_equal(embed(store, model, again).values, before)
    assert "earlier run" in "".join(again.said)
    other = Silent(tmp_path, {"runs/split/report.json": "2", "resolved/embed.yaml": "2"})
    embed(store, model, other)
    assert "earlier run" not in "".join(other.said)
    assert len(list((tmp_path / ".recipe/features").iterdir())) == 1


def test_chunks_change_no_bit(store, model, tmp_path, monkeypatch, embedded):
    monkeypatch.setattr("recipe.stages.embed.embed.CHUNK", 1)
    np.testing.assert_array_equal(embed(store, model, Silent(tmp_path / "again")).values, embedded.values)


# ---- claims ------------------------------------------------------------------------------------------------------


def test_a_healthy_network_passes_every_claim(embedded):
    found = verdicts(embedded)
    assert found.pop("texts_fit_the_network") == SKIP
    assert set(found.values()) == {PASS}


def spoilt(e: Embedded, values: np.ndarray, **more) -> Embedded:
    return replace(e, values=values, outputs=[row.tobytes() for row in values], **more)


def test_what_is_wrong_is_noticed(embedded):
    values = np.array(embedded.values)
    broken = values.copy()
    broken[3, 5] = np.nan
    other_copy = values.copy()
    other_copy[-1] += 1
    cases = {
        "every_feature_is_finite": spoilt(embedded, broken, damaged=1),
        "other_inputs_have_other_features": spoilt(embedded, np.repeat(values[:1], COUNT, 0)),
        "equal_inputs_have_equal_features": spoilt(embedded, other_copy),
        "features_do_not_depend_on_the_batch": replace(embedded, again=embedded.again + 0.01 * values.std()),
        "images_are_large_enough": replace(embedded, shape=(3, 64, 64)),
    }
    assert {name: verdicts(e)[name] for name, e in cases.items()} == dict.fromkeys(cases, FAIL)


def test_damaged_weights_are_not_images_that_are_not_finite(store, model, tmp_path, monkeypatch):
    from recipe.models import backbone

    images = np.random.default_rng(0).random((4, SIDE, SIDE, 3), np.float32)
    images[1, 2, 3, 0] = np.nan  # the audit counts these
    _, holes = stored(Set([(image, i % 2) for i, image in enumerate(images)]), tmp_path / "holes")
    healthy, rows = backbone.load_backbone, embed(holes, model, Silent(tmp_path))
    assert rows.finite.tolist() == [True, False, True, True]
    assert verdicts(rows)["every_feature_is_finite"] == PASS

    def damaged(*args):
        loaded = healthy(*args)
        next(loaded.net.parameters()).data[0] = np.nan
        return loaded

    monkeypatch.setattr(backbone, "load_backbone", damaged)
    assert verdicts(embed(store, model, Silent(tmp_path)))["every_feature_is_finite"] == FAIL


def test_a_network_in_training_mode_is_noticed(store, model, tmp_path, monkeypatch):
    from recipe.models import backbone

    healthy = backbone.load_backbone

    def careless(*args):
        loaded = healthy(*args)
        loaded.net.train()
        return loaded

    monkeypatch.setattr(backbone, "load_backbone", careless)
    found = verdicts(embed(store, model, Silent(tmp_path)))
    assert found["features_do_not_depend_on_the_batch"] == FAIL
    assert found["equal_inputs_have_equal_features"] == FAIL


def test_the_figures_show_what_enters_and_a_plane(embedded, store, tmp_path):
    drawn = captions.draw(embedded, store, tmp_path / "embed")
    assert all((tmp_path / "embed" / file).stat().st_size > 1000 for file in drawn)


# ---- as the data of a training ---------------------------------------------------------------------------------


@pytest.fixture
def data(embedded, store, tmp_path) -> SimpleNamespace:
    lists = {"train": range(10), "val": range(10, 15), "test": range(15, COUNT)}
    for name, rows in lists.items():
        write_csv(tmp_path / f"{name}.csv", [{"id": f"i{r}", "row": r, "label": r % 2} for r in rows])
    write_csv(tmp_path / "classes.csv", [{"label": n, "class": name} for n, name in enumerate("ab")])
    places = {"lists": tmp_path, "folder": store.folder}
    read = load(CONFIG, "cpu", **places, backbone=SMALL, embedded=tmp_path / "embed/features")
    return SimpleNamespace(read=read, test=read_test(read, CONFIG, "cpu", **places))


def test_features_enter_standardised_by_train(data, embedded):
    train = data.read.train.x
    torch.testing.assert_close(train.mean(0), torch.zeros(train.shape[1]), atol=1e-5, rtol=0)
    x = (torch.from_numpy(embedded.values[10:15].copy()) - data.read.mean) / data.read.std
    torch.testing.assert_close(data.read.val.x, x.clamp(*data.read.limits))
    assert data.test.x.shape == (COUNT - 15, embedded.values.shape[1])
    assert data.read.kind == EMBEDDINGS
    assert (data.read.columns, data.read.window) == ((), None)


def test_their_images_are_shown(data, store):
    shown = data.read.pictures_of(data.test, torch.tensor([2, 0]))
    torch.testing.assert_close(shown, torch.from_numpy(np.array(store.inputs[[17, 15]])) / 255)


def test_features_of_another_network_are_refused(embedded, store, tmp_path):
    with pytest.raises(RecipeError, match=f"holds features of {SMALL}, the configuration names resnet18"):
        StoredFeatures.open("resnet18", store.fingerprint, tmp_path / "embed/features")
    with pytest.raises(RecipeError, match="those of other data"):
        StoredFeatures.open(SMALL, "another", tmp_path / "embed/features")
