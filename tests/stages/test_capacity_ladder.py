"""The ladder of capacities: grown where nothing learns the training set by heart, and what later stages get of it."""

import dataclasses
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from searching import SilentRun

from recipe.config.compose import compose
from recipe.data.batches import Data, Split
from recipe.stages.overfit import capacity_ladder as ladder
from recipe.stages.overfit import captions
from recipe.tasks.regression import Regression

LEARNED = 0.01


def noise(rows: int = 48) -> Data:
    """Targets that have nothing to do with the inputs: all that a network can do is to learn them by heart."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2 * rows, 6, generator=generator), torch.randn(2 * rows, 1, generator=generator)
    task = Regression(("y",)).scaled(y)
    names = [str(i) for i in range(rows)]
    train, val = Split(x[:rows], task.targets(y[:rows]), names), Split(x[rows:], task.targets(y[rows:]), names)
    return Data(train, val, task, task.metrics["rmse"], torch.zeros(6), torch.ones(6), "noise")


def config(**more):
    small = {"ladder": {"values": [2, 4], "growth": 1e9}, "train": {"epochs": 20, "batch_size": 16, "eval_every": 5}}
    model = {"model": {"_target_": "recipe.models.plain.mlp", "width": 2, "depth": 2}, "optimizer": {"lr": 3e-3}}
    cfg = OmegaConf.merge(compose("overfit"), {"model": None}, model, small)
    return OmegaConf.merge(cfg, more)


@pytest.fixture(scope="module")
def grown():
    return ladder.train_ladder(config(), noise(), SilentRun(Path()), LEARNED)


@pytest.mark.slow
def test_a_ladder_that_learns_nothing_by_heart_grows_in_size_and_passes(grown):
    assert [m.value for m in grown[:4]] == [2, 4, 8, 16]
    assert [m.trained.curve[-1]["epoch"] for m in grown[:4]] == [20, 20, 40, 80]
    assert [m.grown for m in grown[:4]] == [False, False, True, True]
    assert grown[-1].learned(LEARNED)
    assert not any(m.learned(LEARNED) for m in grown[:-1])


def test_a_ladder_grows_no_further_than_its_multiplications_allow():
    run = SilentRun(Path())
    models = ladder.train_ladder(config(ladder={"growth": 1e5}), noise(), run, LEARNED)
    assert [m.value for m in models] == [2, 4]
    assert "width 8 is not tried" in run.messages[-1]


def test_a_linear_head_is_trained_for_longer_until_it_overfits():
    head = {"model": {"_target_": "recipe.models.pretrained.pretrained", "width": 2, "depth": 0}}
    cfg, run = OmegaConf.merge(config(), {"model": None}, head), SilentRun(Path())
    models = ladder.train_ladder(cfg, noise(16), run, LEARNED)
    assert {m.value for m in models} == {0}  # no hidden layer is tried
    assert [m.trained.curve[-1]["epoch"] for m in models] == [20 * 2**n for n in range(len(models))]
    assert len(models) > 1
    assert [m.overfits for m in models] == [False] * (len(models) - 1) + [True]


def test_a_ladder_that_learns_does_not_grow():
    assert [m.value for m in ladder.train_ladder(config(), noise(), SilentRun(Path()), 100.0)] == [2, 4]


def test_of_noise_the_later_stages_get_the_smallest_that_overfits(grown):
    best = ladder.smallest_that_fits(grown, LEARNED)
    assert best.overfits
    assert not any(m.overfits for m in grown[: grown.index(best)])
    better = ladder.smallest_that_fits(grown, LEARNED, baseline=best.train_loss)  # a model that fitted as well
    assert better.train_loss < best.train_loss
    assert better.overfits or better.learned(LEARNED)
    changes = ladder.changes_for_later_stages(config(), best, LEARNED)
    assert changes == {"model.width": best.value, "train.epochs": 20}  # the lowest validation loss comes at once
    assert "overfits" in captions.summary(best, LEARNED) or best.learned(LEARNED)


@pytest.mark.slow
def test_a_model_that_learned_is_handed_on_with_half_as_many_passes_again():
    models = ladder.train_ladder(config(), noise(), SilentRun(Path()), 100.0)
    best = ladder.smallest_that_fits(models, 100.0)
    assert best is models[0]
    passes = best.trained.curve[-1]["epoch"]
    assert ladder.changes_for_later_stages(config(), best, 100.0) == {"model.width": 2, "train.epochs": 1.5 * passes}


def test_sizes_are_compared_at_a_step_at_which_both_were_evaluated(grown):
    for small in grown:
        for large in grown:
            a, b = ladder.rows_at_same_step(small, large)
            assert a["step"] == b["step"]


def test_a_falling_validation_loss_is_no_overfitting(grown):
    curve = [{"step": i, "val_loss": 1.0 - 0.1 * i, "train_loss": 1.0 - 0.2 * i} for i in range(4)]
    trained = dataclasses.replace(grown[0].trained, curve=curve, best_row=3)
    assert not dataclasses.replace(grown[0], trained=trained).overfits
