"""Weak is not broken: few examples and features that say little close no gate, and what is broken still does."""

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


def pictures(n, signal, seed=0):
    """Noise in three colours, and of class 1 a shade that is `signal` brighter."""
    chance = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 2
    return torch.randn(n, 3, 12, 12, generator=chance) + signal * y[:, None, None, None], y


def table(n, signal=0.0, seed=0):
    """Five columns, of which two say `signal` of the label."""
    chance = torch.Generator().manual_seed(seed)
    y = (torch.rand(n, generator=chance) < 0.5).long()
    x = torch.randn(n, 5, generator=chance)
    x[:, :2] += signal * y[:, None]
    return x, y


@pytest.mark.parametrize("signal", [0.0, 0.02, 0.05])
def test_few_weak_pictures_close_no_gate_and_say_how_many_would_decide(signal):
    found = judged(setup(*pictures(106, signal), 84))
    assert not [v.check for v in found.values() if v.closes]
    seen = found["beats_a_blind_model"]
    assert seen.verdict == "undecided"
    assert "validation examples would decide (there are 22)" in seen.needed


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_table_without_a_signal_closes_no_gate_and_says_that_none_could_be_shown(seed):
    found = judged(setup(*table(1200, seed=seed), 900))
    assert not [v.check for v in found.values() if v.closes]
    for name in ("beats_a_blind_model", "labels_fit_inputs"):
        assert found[name].verdict == "undecided"
        assert "No signal beyond chance could be shown" in found[name].needed
        assert "other features" in found[name].needed.lower()


def test_a_table_with_a_weak_signal_is_not_broken():
    found = judged(setup(*table(3000, signal=0.25), 2000))
    assert not [v.check for v in found.values() if v.closes]


def test_many_pictures_that_say_nothing_of_their_labels_close_the_gate():
    found = judged(setup(*pictures(2400, 0.0), 1600), only=SCORES[:3])
    assert found["labels_fit_inputs"].verdict == found["beats_a_blind_model"].verdict == "fail"


@pytest.mark.parametrize("rows", [-1, 1])
def test_labels_of_a_table_that_are_off_by_one_row_close_the_gate(rows):
    x, y = table(1200, signal=3.0)
    found = judged(setup(x, y.roll(rows), 900), only=["labels_fit_inputs"])["labels_fit_inputs"]
    assert found.verdict == "fail"
    assert f"labels moved by {-rows:+d} row" in found.value


class Blind(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(5, 2)

    def forward(self, x):
        return self.head(0 * x)


@pytest.mark.parametrize("signal", [0.0, 3.0])
def test_a_model_of_a_table_that_never_sees_its_inputs_closes_the_gate(signal):
    found = judged(setup(*table(1200, signal), 900, model=Blind), only=SCORES[:2])
    assert found["inputs_of_others_are_worse"].verdict == "fail"
    assert (found["beats_a_blind_model"].verdict == "fail") == (signal > 0)


def test_a_row_that_occurs_often_with_both_labels_and_in_train_alone_closes_no_gate():
    x, y = table(1500, signal=2.0)
    x[:400], y[:40] = torch.tensor([2.0, 2.0, -1.5, -1.5, -1.5]), 1  # what was not measured
    y[40:400] = 0
    only = ["val_is_prepared_like_train", "evaluation_feeds_what_training_feeds", "overfit_one_batch"]
    found = judged(setup(x, y, 1100), only=[*only, "inputs_are_not_repeated"])
    assert {found[name].verdict for name in only} == {"pass"}
    assert found["inputs_are_not_repeated"].verdict == "undecided"
    assert "One row alone occurs 400 times" in found["inputs_are_not_repeated"].needed


@pytest.mark.slow
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="no real data in ../shared/data, beside the project")
def test_ants_and_bees_at_64_pixels_are_undecided():
    files = sorted(p for p in PHOTOGRAPHS.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".gif", ".png"))
    assert len(files) == 106
    images = [ImageOps.fit(Image.open(f).convert("RGB"), (64, 64)) for f in files]
    x = torch.tensor(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2).float()
    y = torch.tensor([int(f.parent.name == "bees") for f in files])
    x = (x - x.mean()) / x.std()
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    found = judged(setup(x[order], y[order], len(y) - 22, model=lambda: convnet(2)), only=SCORES[:3])
    assert not [v.check for v in found.values() if v.closes]
    assert "undecided" in {v.verdict for v in found.values()}


def test_a_table_whose_training_labels_alone_were_shuffled_closes_the_gate():
    """Within val the columns tell the label, so that they are not weak."""
    x, y = table(1000, 3.0)
    y[:800] = y[torch.randperm(800, generator=torch.Generator().manual_seed(1))]
    found = judged(setup(x, y, 800), ("labels_fit_inputs",))["labels_fit_inputs"]
    assert found.closes
    assert "within val" in found.shown
