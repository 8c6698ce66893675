"""Weak data is not broken: few examples and uninformative features close no gate, and what is broken still does."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import nn
from torch.utils.data import TensorDataset

from recipe import Setup, examine
from recipe.models.plain import convnet

SCORES = (
    "beats_a_blind_model", "inputs_of_others_are_worse", "labels_fit_inputs", "val_is_labelled_like_train",
    "val_follows_train", "training_loss_falls", "labels_are_clean", "predictions_settle",
)  # fmt: skip
PHOTOGRAPHS = Path(__file__).resolve().parents[3] / "shared" / "data" / "natural_ants_bees"


def split(x, y, at):
    return {"train": TensorDataset(x[:at], y[:at]), "val": TensorDataset(x[at:], y[at:])}


def setup(x, y, at, model=None, **more):
    inputs, classes = x[0].numel(), int(y.max()) + 1
    net = model or (lambda: nn.Sequential(nn.Flatten(), nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, classes)))
    parts = {"loss": nn.CrossEntropyLoss(), "optimizer": lambda m: torch.optim.Adam(m.parameters(), lr=1e-3)}
    return Setup(model=net, batch_size=32, seed=0, **parts, **split(x, y, at), **more)


def judged(s, only=SCORES):
    return {v.check: v for v in examine(s, only=only).verdicts}


def images(n, signal, seed=0):
    """Noise in three colours, brighter by `signal` in class 1."""
    random = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 2
    return torch.randn(n, 3, 12, 12, generator=random) + signal * y[:, None, None, None], y


def table(n, signal=0.0, seed=0):
    """Five columns, of which two are higher by `signal` in class 1."""
    random = torch.Generator().manual_seed(seed)
    y = (torch.rand(n, generator=random) < 0.5).long()
    x = torch.randn(n, 5, generator=random)
    x[:, :2] += signal * y[:, None]
    return x, y


@pytest.mark.slow
@pytest.mark.parametrize("signal", [0.0, 0.02, 0.05])
def test_few_weak_images_close_no_gate_and_the_verdict_gives_the_number_needed(signal):
    verdicts = judged(setup(*images(106, signal), 84))
    assert not [v.check for v in verdicts.values() if v.closes]
    blind = verdicts["beats_a_blind_model"]
    assert blind.verdict == "undecided"
    assert "validation examples would decide (there are 22)" in blind.needed


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_table_without_a_signal_closes_no_gate_and_the_verdict_explains_it(seed):
    verdicts = judged(setup(*table(1200, seed=seed), 900))
    assert not [v.check for v in verdicts.values() if v.closes]
    for name in ("beats_a_blind_model", "labels_fit_inputs"):
        assert verdicts[name].verdict == "undecided"
        assert "No signal beyond chance could be shown" in verdicts[name].needed
        assert "other features" in verdicts[name].needed.lower()


@pytest.mark.slow
def test_a_table_with_a_weak_signal_is_not_broken():
    verdicts = judged(setup(*table(3000, signal=0.25), 2000))
    assert not [v.check for v in verdicts.values() if v.closes]


@pytest.mark.slow
def test_many_images_without_a_signal_close_the_gate():
    verdicts = judged(setup(*images(2400, 0.0), 1600), only=SCORES[:3])
    assert verdicts["labels_fit_inputs"].verdict == verdicts["beats_a_blind_model"].verdict == "fail"


@pytest.mark.parametrize("rows", [-1, 1])
def test_labels_of_a_table_that_are_off_by_one_row_close_the_gate(rows):
    x, y = table(1200, signal=3.0)
    verdicts = judged(setup(x, y.roll(rows), 900), only=["labels_fit_inputs"])["labels_fit_inputs"]
    assert verdicts.verdict == "fail"
    assert f"labels moved by {-rows:+d} row" in verdicts.value


class InputIndependent(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(5, 2)

    def forward(self, x):
        return self.head(0 * x)


@pytest.mark.slow
@pytest.mark.parametrize("signal", [0.0, 3.0])
def test_a_model_of_a_table_that_ignores_its_inputs_closes_the_gate(signal):
    verdicts = judged(setup(*table(1200, signal), 900, model=InputIndependent), only=SCORES[:2])
    assert verdicts["inputs_of_others_are_worse"].verdict == "fail"
    assert (verdicts["beats_a_blind_model"].verdict == "fail") == (signal > 0)


def test_a_row_that_occurs_often_with_both_labels_and_in_train_alone_closes_no_gate():
    x, y = table(1500, signal=2.0)
    x[:400], y[:40] = torch.tensor([2.0, 2.0, -1.5, -1.5, -1.5]), 1  # missing measurements
    y[40:400] = 0
    only = ["val_is_prepared_like_train", "evaluation_feeds_what_training_feeds", "overfit_one_batch"]
    verdicts = judged(setup(x, y, 1100), only=[*only, "inputs_are_not_repeated"])
    assert {verdicts[name].verdict for name in only} == {"pass"}
    assert verdicts["inputs_are_not_repeated"].verdict == "undecided"
    assert "One row alone occurs 400 times" in verdicts["inputs_are_not_repeated"].needed


@pytest.mark.slow
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="no real data in ../shared/data, beside the project")
def test_ants_and_bees_at_32_pixels_are_undecided():
    files = sorted(p for p in PHOTOGRAPHS.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".gif", ".png"))
    assert len(files) == 106
    photos = [ImageOps.fit(Image.open(f).convert("RGB"), (32, 32)) for f in files]
    x = torch.tensor(np.stack([np.asarray(photo) for photo in photos])).permute(0, 3, 1, 2).float()
    y = torch.tensor([int(f.parent.name == "bees") for f in files])
    x = (x - x.mean()) / x.std()
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    verdicts = judged(setup(x[order], y[order], len(y) - 22, model=lambda: convnet(2)), only=SCORES[:3])
    assert not [v.check for v in verdicts.values() if v.closes]
    assert "undecided" in {v.verdict for v in verdicts.values()}


@pytest.mark.slow
def test_a_table_whose_training_labels_alone_were_shuffled_closes_the_gate():
    """Within val the columns predict the label, so they are not weak."""
    x, y = table(1000, 3.0)
    y[:800] = y[torch.randperm(800, generator=torch.Generator().manual_seed(1))]
    verdicts = judged(setup(x, y, 800), ("labels_fit_inputs",))["labels_fit_inputs"]
    assert verdicts.closes
    assert "within val" in verdicts.shown
