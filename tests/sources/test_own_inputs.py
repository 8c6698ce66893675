"""Inputs that no source of ours reads, as a user's class gives them by `_target_`: spectrograms, and graphs as rows."""

from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from systems import CONFIG, load, project, read_test

from recipe.checks.examine import examine
from recipe.config.changes import change
from recipe.config.compose import compose
from recipe.config.instantiate import part
from recipe.experiment import build
from recipe.serve import system
from recipe.serve.inputs import read_inputs
from recipe.stages.setup_from_config import OF_THE_MODEL, setup_from
from recipe.train import engine

MODULE = '''
import numpy as np


class Spectrograms:
    """Rising and falling tones in noise, as decibels of 16 frequencies at 20 times."""

    classes = ("rising", "falling")

    def __len__(self):
        return 300

    def __getitem__(self, i):
        rng = np.random.default_rng(i)
        at = np.arange(1280) / 1280
        start, end = (40 + 10 * rng.random(), 200 + 20 * rng.random())[:: 1 if i % 2 else -1]
        wave = np.sin(2 * np.pi * (start * at + (end - start) * at**2 / 2)) + rng.normal(0, 0.5, 1280)
        frames = np.lib.stride_tricks.sliding_window_view(wave, 128)[::60][:20] * np.hanning(128)
        power = np.abs(np.fft.rfft(frames))[:, :64].reshape(20, 16, 4).mean(2)
        return (20 * np.log10(power + 1e-3)).T.astype(np.float32), int(i % 2 == 0)


class Graphs:
    """Random graphs with and without a hub, each as a row of numbers: edges, and quantiles of the degrees."""

    kind = "features"
    classes = ("even", "hub")
    columns = ("edges", "smallest degree", "median degree", "largest degree")

    def __len__(self):
        return 300

    def __getitem__(self, i):
        rng = np.random.default_rng(i)
        edges = np.triu(rng.random((12, 12)) < 0.3, 1)
        if i % 2:
            edges[0, 1:] = rng.random(11) < 0.9
        degrees = (edges + edges.T).sum(0)
        return [edges.sum(), degrees.min(), np.median(degrees), degrees.max()], i % 2
'''
KINDS = {"Spectrograms": ((1, 16, 20), "convnet"), "Graphs": ((4,), "mlp")}


@pytest.fixture(params=KINDS)
def made(request, tmp_path, monkeypatch):
    (tmp_path / "own_inputs.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    source = part(OmegaConf.create({"data": {"_target_": f"own_inputs.{request.param}"}}), "data")
    return project(tmp_path, source), *KINDS[request.param]


@pytest.mark.slow
def test_they_are_stored_examined_learned_saved_and_predicted(made, tmp_path):
    of, shape, model = made
    data = of.data
    assert tuple(data.train.x.shape[1:]) == shape
    assert data.train.x.mean().abs() < 1e-3
    cfg = change(compose("overfit"), {"train.epochs": 8, "train.eval_every": 4, "optimizer.lr": 0.01})
    cfg.model = OmegaConf.load(Path(__file__).parents[2] / f"conf/model/{model}.yaml")
    verdicts = examine(setup_from(cfg, data), only=OF_THE_MODEL).verdicts
    assert [v.check for v in verdicts if v.closes] == []

    (trained,) = engine.train([build.lane(cfg, data, 0)], data.train, data.val)
    assert trained.curve[-1]["val_accuracy"] > 0.9
    system.save(tmp_path / "system", cfg, data, [({}, trained.best, 1)], prepared=of.root / "runs/prepare")
    stored = np.asarray(of.store.inputs[:5])
    np.save(tmp_path / "new.npy", stored.transpose(0, 2, 3, 1) if len(shape) == 3 else stored)
    ready = system.load(tmp_path / "system")
    read = np.stack([one.value for one in read_inputs(tmp_path / "new.npy", ready.form, 1)])
    assert np.array_equal(read, stored)
    right = ready.predict(of.store.inputs).argmax(1).numpy() == [e["label"] for e in of.store.examples()]
    assert right.mean() > 0.9


def test_the_test_part_is_standardised_like_training(made):
    of, shape, _ = made
    places = {"lists": of.root / "runs/split", "folder": of.root / "runs/prepare"}
    test = read_test(load(CONFIG, "cpu", **places), CONFIG, "cpu", **places)
    assert tuple(test.x.shape[1:]) == shape
    assert test.x.std() == pytest.approx(1, abs=0.25)
