"""Arms over folds: each training in the fold of its seed, paired by both, with Nadeau and Bengio's interval."""

import functools
import math

import pytest
from folded import FOLDS, listed, loaded
from omegaconf import OmegaConf
from scipy import stats
from searching import SilentRun

from recipe.config.changes import change
from recipe.config.compose import compose
from recipe.experiment.arms import gain, lane_of, lane_seeds, train_arms
from recipe.stages.regularize import captions, learning_curve
from recipe.stages.regularize.ablation import run_ablation

MLP = {"_target_": "recipe.models.plain.mlp", "width": 8, "depth": 1, "dropout": 0.0}
WEAK = {"optimizer.weight_decay": 0.5}


@functools.cache
def shipped():
    return compose("regularize")


def config(**more):
    small = {"seeds": FOLDS + 1, "train": {"epochs": 13.5, "eval_every": 4.5, "batch_size": 16}, **more}
    return OmegaConf.merge(shipped(), {"model": None}, {"model": MLP}, small)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return loaded(listed(tmp_path_factory.mktemp("arms")))[0]


@pytest.fixture(scope="module")
def arms(data, tmp_path_factory):
    cfg = change(config(), {"optimizer.lr": 0.02})
    return train_arms(cfg, data, {"base": {}, "decay": WEAK}, SilentRun(tmp_path_factory.mktemp("arms")))


def test_each_fold_has_equally_many_seeds(data):
    cfg = config()
    assert lane_seeds(cfg) == list(range(5))
    assert lane_seeds(cfg, data) == list(range(8))  # twice four, of the five that conf asks for
    assert lane_seeds(change(cfg, {"seed": 3}), data, count=1) == [300, 301, 302, 303]
    folds = [lane_of(cfg, data, seed).fold for seed in lane_seeds(change(cfg, {"seed": 1003}), data)]
    assert [next(k for k, fold in enumerate(data.folds) if fold is of) for of in folds] == [0, 1, 2, 3] * 2


def test_arms_are_paired_by_fold_and_seed(arms, data):
    base, other = arms["base"], arms["decay"]
    assert base.folds == other.folds == FOLDS
    starts = [[lane.curve[0]["val_loss"] for lane in arm.lanes] for arm in (base, other)]
    assert starts[0] == starts[1]  # the same initial weights and the same examples
    assert len(set(starts[0])) == 8
    differences = [
        b.curve[-1]["val_loss"] - a.curve[-1]["val_loss"] for b, a in zip(base.lanes, other.lanes, strict=True)
    ]
    n, deviation = 8, stats.tstd(differences)
    half = stats.t.ppf(0.975, n - 1) * deviation * math.sqrt(1 / n + 1 / (FOLDS - 1))
    result = gain(base, other, 0.95)
    assert (result.low, result.high) == pytest.approx((result.mean - half, result.mean + half))
    assert result.sample == "8 trainings in 4 folds"
    assert result.needed.startswith("More examples would decide; more trainings hardly would")


def test_what_is_compared_with_the_baselines_is_of_the_first_fold(arms):
    first = arms["base"].in_first_fold()
    assert first.lanes == [arms["base"].lanes[0], arms["base"].lanes[4]]
    assert first.in_first_fold().lanes == first.lanes


@pytest.mark.slow
def test_an_ablation_and_a_learning_curve_over_folds(data, tmp_path):
    rungs = [
        {"name": "weight decay", "change": WEAK, "expected": "val_loss falls"},
        {"name": "early stopping", "change": {"train.early_stopping": True}, "expected": "val_loss falls"},
    ]
    cfg, run = config(rungs=rungs, seeds=FOLDS), SilentRun(tmp_path)
    base, curves = learning_curve.train_shares(cfg, data, {"optimizer.lr": 0.02}, run)
    assert [curve.metric for curve in curves] == ["loss"]
    result = run_ablation(cfg, data, base, run)
    assert {c.name: c.gain.folds for c in result.candidates} == {"weight decay": FOLDS, "early stopping": FOLDS}
    assert f"n = {FOLDS} trainings in {FOLDS} folds" in captions.summary(result, cfg)
