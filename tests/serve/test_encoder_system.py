"""A saved system with a pretrained network of texts."""

import numpy as np
import pytest
import torch
from backbones import random_encoder
from omegaconf import OmegaConf
from sources import CONFIG, Set, stored

from recipe.data.batches import load as load_data
from recipe.data.batches import read_test
from recipe.experiment import build
from recipe.experiment.fitted_baselines import fit_baselines
from recipe.files import write_csv
from recipe.inputs.read import EMBEDDINGS
from recipe.serve import system
from recipe.serve.inputs import read_inputs
from recipe.serve.predict import predict_inputs
from recipe.stages.embed import captions, checks
from recipe.stages.embed.embed import embed
from recipe.verdict import PASS, SKIP, checks_of, run

WORDS = ["good", "fine", "great", "film", "bad", "dull", "poor", "plot"]
HEAD = {"_target_": "recipe.models.pretrained.pretrained", "backbone": "small", "width": 8, "depth": 0, "dropout": 0.0}


class Written(Set):
    kind = "text"


class Silent:
    """In place of a stage's run."""

    def __init__(self, root):
        self.out, self.device, self.in_dvc = root / "embed", "cpu", False

    def say(self, *texts):
        pass


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(store, data, test, embedded, the system's folder, heads, where the stage wrote)"""
    root = tmp_path_factory.mktemp("texts")
    folder = random_encoder(root / "small", WORDS)
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(WORDS[4 * (i % 2) : 4 * (i % 2) + 4], 6)) + f" {i}" for i in range(40)]
    _, store = stored(Written([(text, i % 2) for i, text in enumerate(texts)]), root / "store")
    embedded = embed(store, HEAD | {"weights": str(folder)}, Silent(root))
    for name, rows in {"train": range(24), "val": range(24, 32), "test": range(32, 40)}.items():
        write_csv(root / f"{name}.csv", [{"id": f"i{r}", "row": r, "label": r % 2} for r in rows])
    write_csv(root / "classes.csv", [{"label": n, "class": name} for n, name in enumerate("ab")])
    places = {"lists": root, "folder": store.folder}
    data = load_data(CONFIG, "cpu", **places, backbone="small", embedded=root / "embed/features")
    cfg = OmegaConf.create(
        {"model": HEAD | {"weights": str(folder)}, "train": {"input_size": None, "quantiles": False}}
    )
    heads = [build.model(cfg, data, seed).eval() for seed in range(2)]
    system.save(root / "system", cfg, data, [({}, net.state_dict(), 1) for net in heads], prepared=store.folder)
    return store, data, read_test(data, CONFIG, "cpu", **places), embedded, root / "system", heads, root


def test_every_claim_about_its_features_holds(made):
    _, _, _, embedded, *_ = made
    verdicts = {v.check: v.verdict for v in run(checks_of(checks), embedded)}
    assert set(verdicts.values()) == {PASS, SKIP}
    assert {name for name, verdict in verdicts.items() if verdict == SKIP} == {
        "equal_inputs_have_equal_features", "images_are_large_enough",
    }  # fmt: skip


def test_its_figures_show_texts(made):
    store, _, _, embedded, *_, root = made
    assert all((root / "embed" / file).stat().st_size > 1000 for file in captions.draw(embedded, store, root / "embed"))
    assert "of 40 texts" in captions.summary(embedded)


def test_features_enter_and_texts_are_shown(made):
    store, data, test, *_ = made
    assert data.kind == EMBEDDINGS
    assert data.train.x.shape == (24, 16)
    assert test.texts == tuple(store.texts()[32:])
    assert list(fit_baselines(data, 0)) == ["TF-IDF of words", "TF-IDF of words and characters", "logistic regression"]


def test_it_predicts_texts_as_the_heads_predict_features(made, tmp_path):
    _, _, test, _, to, heads, _ = made
    loaded = system.load(to)
    with torch.no_grad():
        expected = torch.stack([net(test.x).double().softmax(1) for net in heads]).mean(0)
    torch.testing.assert_close(loaded.predict(np.array(test.texts, object)), expected, atol=1e-7, rtol=0)
    for i, text in enumerate(test.texts):
        (tmp_path / f"{i}.txt").write_text(text)
    results = {p.name: p for p in predict_inputs(loaded, read_inputs(tmp_path, loaded.form, 1))}
    for i, p in enumerate(expected):
        torch.testing.assert_close(results[f"{i}.txt"].p, p, atol=1e-6, rtol=0)
        assert not results[f"{i}.txt"].drift
    assert "/" not in (to / "system.yaml").read_text().split("tokenizer:")[0].replace("recipe/", "")
