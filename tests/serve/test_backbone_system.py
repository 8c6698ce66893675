"""A saved system with a pretrained network: photographs in, through the network once, then through every head."""

import shutil
import socket

import numpy as np
import pytest
import torch
import yaml
from backbones import SMALL, random_weights
from omegaconf import OmegaConf
from sources import CONFIG
from systems import folder

from recipe.data.batches import load as load_data
from recipe.data.batches import read_test
from recipe.errors import RecipeError
from recipe.experiment import build
from recipe.models.backbone import Backbone
from recipe.serve import system
from recipe.serve.inputs import read_inputs
from recipe.serve.integrity import write_description
from recipe.serve.predict import predict_inputs
from recipe.stages.embed.embed import embed

HEAD = {"_target_": "recipe.models.pretrained.pretrained", "backbone": SMALL, "width": 8, "depth": 1, "dropout": 0.5}


class Silent:
    """In place of a stage's run."""

    def __init__(self, root):
        self.out, self.device, self.in_dvc = root / "runs/embed", "cpu", False

    def say(self, *texts):
        pass


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(photographs on disk, data of features, the test part, the system's folder, heads)"""
    root = tmp_path_factory.mktemp("heads")
    weights = str(random_weights(root / "weights"))
    photos = folder(root)  # prepared and split
    embed(photos.store, HEAD | {"weights": weights}, Silent(root))
    places = {"lists": root / "runs/split", "folder": root / "runs/prepare"}
    data = load_data(CONFIG, "cpu", **places, backbone=SMALL, embedded=root / "runs/embed/features")
    cfg = OmegaConf.create({"model": HEAD | {"weights": weights}, "train": {"input_size": None, "quantiles": False}})
    heads = [build.model(cfg, data, seed).eval() for seed in range(3)]
    to = root / "system"
    system.save(to, cfg, data, [({}, net.state_dict(), 1) for net in heads], prepared=root / "runs/prepare")
    return photos, data, read_test(data, CONFIG, "cpu", **places), to, heads


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("predicting asks no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_it_predicts_from_stored_images_what_the_heads_predict_from_features(made):
    photos, _, test, to, heads = made
    loaded = system.load(to)
    with torch.no_grad():
        expected = torch.stack([net(test.x).double().softmax(1) for net in heads]).mean(0)
    p = loaded.predict(photos.store.inputs[photos.store.rows(test.ids)])
    torch.testing.assert_close(p, expected, atol=1e-7, rtol=0)


def test_photographs_of_any_size_go_through_the_network_once(made, monkeypatch):
    photos, _, test, to, heads = made
    counted, original = [], Backbone.features

    def counting(self, images, window=None):
        counted.append(len(images))
        return original(self, images, window)

    monkeypatch.setattr(Backbone, "features", counting)
    loaded = system.load(to)
    results = {p.name: p for p in predict_inputs(loaded, read_inputs(photos.root / "photos", loaded.form, 1))}
    assert len(heads) == 3
    assert sum(counted) == len(results) == len(photos.store.inputs)
    assert all(not p.problem and not p.drift for p in results.values())
    names = {e["id"]: e["name"] for e in photos.store.examples()}
    with torch.no_grad():
        expected = torch.stack([net(test.x).double().softmax(1) for net in heads]).mean(0)
    for name, p in zip((names[i] for i in test.ids), expected, strict=True):
        torch.testing.assert_close(results[name].p, p, atol=1e-6, rtol=0)


def test_inputs_on_another_scale_are_told_from_those_of_training(made):
    photos, *_, to, _ = made
    loaded, images = system.load(to), np.array(photos.store.inputs[:2])
    assert loaded.drift(images) == ["", ""]
    assert all("contrast" in text for text in loaded.drift(images // 16))


def test_it_holds_no_path_and_the_weights_once(made):
    *_, to, _ = made
    text = (to / "system.yaml").read_text()
    assert "weights/" not in text
    assert "/tmp" not in text
    assert {f.name for f in to.rglob("*.safetensors")} == {*(f"{i}.safetensors" for i in range(3)), system.BACKBONE}


# ---- what a forged or damaged folder does ----------------------------------------------------------------------


@pytest.fixture
def copy(made, tmp_path):
    shutil.copytree(made[3], tmp_path / "system")
    return tmp_path / "system"


def forge(to, **changes) -> None:
    facts = yaml.safe_load((to / "system.yaml").read_text())
    del facts["sha256"]
    facts["backbone"] |= changes.pop("backbone", {})
    write_description(to / "system.yaml", facts | changes)


FORGED = {
    "an address on a hub": {"name": "hf-hub:timm/resnet18"},
    "a folder": {"name": "local-dir:."},
    "another network": {"name": "test_resnet"},
    "two numbers as the mean": {"mean": [0.5, 0.5]},
    "no deviation": {"std": [0.0, 1.0, 1.0]},
    "words": {"size": "large"},
    "a size that fills the memory": {"size": [100_000, 100_000], "fixed": True},
}


@pytest.mark.parametrize("name", FORGED)
def test_facts_that_are_none_of_a_network_are_refused(copy, name):
    forge(copy, backbone=FORGED[name])
    with pytest.raises(RecipeError):
        system.load(copy)


def test_missing_facts_are_refused(copy):
    facts = yaml.safe_load((copy / "system.yaml").read_text())
    del facts["sha256"], facts["backbone"]["mean"]
    write_description(copy / "system.yaml", facts)
    with pytest.raises(RecipeError, match="backbone"):
        system.load(copy)


def test_a_damaged_file_of_the_network_is_reported(copy):
    content = bytearray((copy / "backbone.safetensors").read_bytes())
    content[-1] ^= 1
    (copy / "backbone.safetensors").write_bytes(bytes(content))
    with pytest.raises(RecipeError, match=r"backbone\.safetensors is damaged"):
        system.load(copy)


def test_a_network_without_a_hash_is_refused(copy):
    facts = yaml.safe_load((copy / "system.yaml").read_text())
    del facts["files"]["backbone.safetensors"]
    forge(copy, files=facts["files"])
    with pytest.raises(RecipeError, match=r"lists no SHA-256 of backbone\.safetensors"):
        system.load(copy)
