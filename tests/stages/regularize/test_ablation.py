"""The ablation: which candidate changes it keeps, refuses and skips, and how a change reaches the lanes."""

import functools
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from clone import ROOT
from made_data import DATA, TABLE, X
from omegaconf import OmegaConf

from recipe.checks.examine import CHECKS
from recipe.config.changes import change, merge_changes
from recipe.config.compose import compose
from recipe.data.batches import Split
from recipe.data.quantiles import Quantiles
from recipe.errors import RecipeError
from recipe.experiment import arms as paired
from recipe.experiment import build
from recipe.experiment.arms import Arm
from recipe.models.plain import Resize, convnet
from recipe.stages.baseline.baselines import regularizers
from recipe.stages.regularize import ablation, augmentations, captions
from recipe.stages.regularize import checks as claims
from recipe.stages.regularize.learning_curve import learning_curve
from recipe.train.lane import Trained
from recipe.verdict import checks_of


class Silent:
    """A run without output."""

    checkpoints = None

    def __init__(self, cfg=None):
        limits = cfg.checks if cfg else {}
        self.limits = {"limits": limits, "known": CHECKS | checks_of(claims), "where": "conf/regularize.yaml"}

    def say(self, text):
        pass

    def note(self, text):
        pass

    def lane(self, *args, **kwargs):
        pass

    def show(self, verdict):
        pass


@functools.cache
def composed():
    return compose("regularize", ROOT)


def config(*tried: dict, **more):
    return OmegaConf.merge(composed(), {"rungs": [{"name": "r", "expected": "falls"} | rung for rung in tried], **more})


def arm(name: str, losses, changes=None, early=False) -> Arm:
    rows = [{"val_loss": v, "val_loss/a": v, "val_loss/b": v} for v in losses]
    same = {"step": 1, "train_loss": 0.1, "train_accuracy": 1.0, "val_accuracy": 0.9}
    return Arm(name, dict(changes or {}), [Trained(curve=[same | row]) for row in rows], early)


def ablated(cfg, monkeypatch, losses_of, base, data=DATA, **more) -> ablation.Ablation:
    """An ablation with trainings that are not run: losses_of(changes) gives a loss per seed."""

    def trained(cfg, data, arms, run, label="", seeds=None):
        numbers = [seed % 100 for seed in (range(len(base.lanes)) if seeds is None else seeds)]
        return {name: arm(name, np.asarray(losses_of(changes))[numbers], changes) for name, changes in arms.items()}

    monkeypatch.setattr(paired, "train_arms", trained)
    return ablation.run_ablation(OmegaConf.merge(cfg, {"seeds": len(base.lanes)}), data, base, Silent(), **more)


# ---- what is kept --------------------------------------------------------------------------------------------


def test_a_candidate_that_helps_is_kept_and_the_next_is_tried_on_top(monkeypatch):
    def losses(changes):
        return np.arange(5) / 100 + 1.0 - changes.get("model.dropout", 0) - changes.get("train.mixup", 0)

    cfg = config({"change": {"model.dropout": 0.25}}, {"change": {"train.mixup": 0.2}})
    result = ablated(cfg, monkeypatch, lambda c: losses(c) + np.linspace(0, 1e-3, 5), arm("base", losses({})))
    assert [c.kept for c in result.candidates] == [True, True]
    assert result.changes == {"model.dropout": 0.25, "train.mixup": 0.2}
    assert result.candidates[1].gain.mean == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("folds", [0, 5])
def test_captions_speak_of_folds_where_there_are_some(monkeypatch, folds):
    cfg, base = config({"change": {"model.dropout": 0.25}}), arm("base", np.arange(10) / 100 + 1)
    base.folds = folds
    result = ablated(cfg, monkeypatch, lambda c: np.arange(10) / 100 + 1, base)
    sizes = [100, 200, 400, 800]
    values = 0.1 + 5 / np.array(sizes) + np.linspace(0, 1e-4, 10)[:, None]
    curves = [learning_curve("loss", sizes, values, 0.95, folds=folds), learning_curve("loss", sizes, values[:2], 0.95)]
    texts = [captions.summary(result, cfg), *captions.findings(result, curves, cfg), *captions.FIGURES.values()]
    expected = "10 trainings in 5 folds" if folds else "10 seeds"
    assert sum(expected in text for text in texts) == 2  # the summary, and the law
    if folds:
        assert not [text for text in texts if "seed" in text]


@pytest.mark.slow
@pytest.mark.parametrize("levels", [1, 3])
def test_a_candidate_without_effect_is_kept_at_no_more_than_the_nominal_rate(monkeypatch, levels):
    chance, repeats, kept = np.random.default_rng(0), 600, 0
    cfg = config({"levels": [{"model.dropout": 0.1 * (i + 1)} for i in range(levels)]})
    monkeypatch.setattr(ablation, "inapplicable", lambda *args: "")
    monkeypatch.setattr(ablation, "resolved", lambda cfg, data, kept, change: change)
    monkeypatch.setattr(ablation, "_refused", lambda *args: "")
    # counting multiplications takes longer than all else
    monkeypatch.setattr(ablation, "_note_costs", lambda *args: dict.fromkeys(args[3], 0))
    for _ in range(repeats):
        result = ablated(cfg, monkeypatch, lambda c: chance.normal(1, 0.1, 5), arm("base", chance.normal(1, 0.1, 5)))
        kept += result.candidates[0].kept
    nominal = 0.025  # one side of 95 %
    assert kept / repeats < nominal + 3 * (nominal * (1 - nominal) / repeats) ** 0.5
    if levels == 1:
        assert kept > 0


def test_the_levels_interval_is_bonferronis_and_the_table_says_so(monkeypatch):
    cfg = config({"levels": [{"model.dropout": 0.1}, {"model.dropout": 0.3}]})
    losses = np.array([1.0, 1.1, 0.9, 1.05, 1.2])
    result = ablated(cfg, monkeypatch, lambda c: losses[::-1] - c["model.dropout"], arm("base", losses))
    rows = ablation.table(result)
    assert [(r["rung"], r["level"]) for r in rows] == [("no regularisation", 1), ("r", 1), ("r", 2)]
    assert [r["confidence"] for r in rows[1:]] == [pytest.approx(0.975)] * 2
    assert rows[1]["outcome"] == "not the best level"
    assert rows[2]["gap"] == pytest.approx(rows[2]["val_loss"] - rows[2]["train_loss"])
    assert all(set(row) == set(rows[0]) for row in rows)


def test_a_level_whose_training_was_lost_is_not_kept(monkeypatch):
    cfg = config({"change": {"model.dropout": 0.1}})
    base, broken = arm("base", [1.0] * 5), arm("r", [0.1] * 5)
    broken.lanes[2].ended = "the training loss is nan by step 100"
    monkeypatch.setattr(ablation, "train_promising", lambda *args, **kwargs: {"r": broken})
    result = ablation.run_ablation(cfg, DATA, base, Silent())
    assert not result.kept
    assert "1 of 5 trainings were lost" in result.candidates[0].skipped


def test_early_stopping_trains_nothing_and_a_larger_model_does(monkeypatch):
    requested = []
    cfg = config(
        {"change": {"train.early_stopping": True}}, {"change": {"model.width": "x2", "train.early_stopping": True}}
    )
    ablated(cfg, monkeypatch, lambda c: requested.append(c) or np.arange(5.0), arm("base", np.arange(5.0) ** 2))
    assert requested == [{"model.width": 32, "train.early_stopping": True}]


# ---- what a change becomes -----------------------------------------------------------------------------------


def test_a_value_can_be_a_multiple_of_what_it_is_by_then():
    cfg = config()
    done = ablation.resolved(
        cfg, DATA, {"model.width": 5}, {"model.width": "x0.5", "train.epochs": "x2", "optimizer.lr": "x3"}
    )
    assert done == {"model.width": 2, "train.epochs": 40, "optimizer.lr": pytest.approx(9e-4)}


def test_a_share_of_the_images_is_of_the_size_that_they_have_by_then():
    smaller = {"train.input_size": "x0.75"}
    assert ablation.resolved(config(), DATA, {}, smaller) == {"train.input_size": 6}
    assert ablation.resolved(config(), DATA, {"train.input_size": 4}, smaller) == {"train.input_size": 3}


def test_a_change_that_the_model_cannot_take_is_skipped_with_the_reason(monkeypatch):
    """Poolings of a network for larger images leave nothing of four pixels."""
    base = arm("base", [1.0, 1.0, 1.0])
    cfg = config({"change": {"train.input_size": 4}})
    cfg = OmegaConf.merge(cfg, {"model": None}, {"model": {"_target_": "recipe.models.resnet.resnet9", "width": 2}})
    done = ablated(cfg, monkeypatch, lambda changes: [0.0, 0.0, 0.0], base)
    assert "cannot take inputs" in done.candidates[0].skipped
    assert not done.kept


FLIP = {"_target_": "recipe.train.augment.Flip", "share": 0.5}
CUTOUT = {"_target_": "recipe.train.augment.Cutout", "share": 0.25, "chance": 0.5}


def test_a_group_is_replaced_as_a_whole():
    cfg = config()
    kept = {"train.augment": True, "augment.degrees": 9.0, "model.dropout": 0.1}
    changes = merge_changes(kept, {"augment": FLIP})
    assert changes == {"train.augment": True, "model.dropout": 0.1, "augment": FLIP}
    assert OmegaConf.to_container(change(cfg, changes).augment) == FLIP
    with pytest.raises(RecipeError, match=r"no `augment\.degrees`"):
        change(cfg, {"augment": FLIP, "augment.degrees": 3.0})


def test_an_augmentation_comes_on_top_of_those_that_were_kept():
    cfg = config()
    assert ablation.resolved(cfg, DATA, {}, {"+augment": CUTOUT}) == {"augment": CUTOUT}  # none was kept
    two = ablation.resolved(cfg, DATA, {"train.augment": True, "augment": FLIP}, {"+augment": CUTOUT})["augment"]
    assert two == {"_target_": ablation.COMPOSE, "_convert_": "all", "augments": [FLIP, CUTOUT]}
    three = ablation.resolved(cfg, DATA, {"train.augment": True, "augment": two}, {"+augment": FLIP})["augment"]
    assert three["augments"] == [FLIP, CUTOUT, FLIP]
    lane = build.lane(cfg, DATA, 0, {"train.augment": True, "augment": three, "train.epochs": 0.1})
    assert len(build.train(cfg, DATA, [lane], Silent(), "three")[0].curve) == 2


def test_what_the_model_or_the_data_do_not_have_is_skipped():
    cfg = config()
    assert "no model.depth" in ablation.inapplicable(cfg, DATA, {}, {"model.depth": "x2"})
    assert "no larger than 8" in ablation.inapplicable(cfg, DATA, {}, {"train.input_size": 8})
    for touching in ({"train.augment": True}, {"train.input_size": 4}, {"+augment": FLIP}, {"model.dropout2d": 0.1}):
        assert ablation.inapplicable(cfg, TABLE, {}, touching) == "the inputs are not images"
    for data in (TABLE, DATA):
        dropout = {"train.augment": True, "augment": {"_target_": "recipe.train.word_dropout.WordDropout"}}
        assert ablation.inapplicable(cfg, data, {}, dropout) == "the inputs are not texts"
    assert ablation.inapplicable(cfg, TABLE, {}, {"train.mixup": 0.2}) == ""
    assert ablation.inapplicable(cfg, DATA, {}, {"train.quantiles": True}) == "the inputs are not columns of a table"


@pytest.mark.slow
def test_each_of_confs_rungs_reaches_a_lane_of_the_default_model():
    cfg = compose("regularize", ROOT)
    for rung in OmegaConf.to_container(cfg.rungs):
        for requested in rung.get("levels") or [rung["change"]]:
            data = TABLE if "train.quantiles" in requested else DATA
            if (
                rung["name"] == "word dropout" or "pretrained" in rung
            ):  # tests/experiment: test_text_lanes, test_unfreezing
                continue
            assert ablation.inapplicable(cfg, data, {}, requested) == ""
            model = {"model": {"_target_": "recipe.models.plain.mlp"}} if data is TABLE else {}
            build.lane(cfg, data, 0, model | ablation.resolved(cfg, data, {}, requested))


def test_candidates_for_imbalanced_classes_are_skipped_with_a_reason_where_classes_are_even(monkeypatch):
    rungs = [r for r in OmegaConf.to_container(compose("regularize", ROOT).rungs) if "imbalance" in r]
    assert [rung["name"] for rung in rungs] == ["weighted loss", "balanced batches"]
    base = arm("base", [1.0, 1.1, 1.2])
    even = ablated(config(*rungs), monkeypatch, lambda c: [0.5, 0.6, 0.7], base)
    assert [c.outcome for c in even.candidates] == ["skipped", "skipped"]
    reason = r"the classes are even: the largest has 1\.\d times the examples of the smallest.*more than 5 times"
    assert all(re.fullmatch(reason, row["skipped"]) for row in ablation.table(even)[1:])

    few = (DATA.train.y > 0) | (torch.arange(len(DATA.train)) % 20 == 0)
    uneven = replace(DATA, train=Split(DATA.train.x[few], DATA.train.y[few], []))
    tried = ablated(config(*rungs), monkeypatch, lambda c: [0.5, 0.6, 0.7], base, data=uneven)
    assert [c.kept for c in tried.candidates] == [True, False]  # the second one gains nothing more
    assert tried.changes == rungs[0]["change"]
    assert build.lane(config(), uneven, 0, tried.changes).loss.weights[0] > 2


def test_what_is_kept_survives_the_yaml(tmp_path):
    changes = {"augment": {"_target_": ablation.COMPOSE, "augments": [FLIP, CUTOUT]}, "train.augment": True}
    assert yaml.safe_load(yaml.safe_dump(changes)) == changes


def test_a_lane_gets_mixup_share_and_patience():
    lane = build.lane(config(), DATA, 0, {"train.mixup": 0.3, "train.share": 0.5, "train.patience": 4})
    assert (lane.mixup, lane.share, lane.patience) == (0.3, 0.5, 4)


def test_regularisers_are_off_before_this_stage():
    listed = regularizers(compose("baseline", ROOT))
    assert {"train.mixup", "train.patience", "model.dropout2d", "loss.label_smoothing", "model.dropout"} <= set(listed)
    assert not any(listed.values())


# ---- augmentations -------------------------------------------------------------------------------------------


def half_turned(image):
    """Half of the images upside down: 6 becomes 9."""
    return image.flip(1, 2) if torch.rand(()) < 0.5 else image


@pytest.mark.slow
def test_an_augmentation_that_destroys_the_label_is_refused_before_it_is_trained(monkeypatch):
    harmful = {"_target_": "test_ablation.half_turned", "_partial_": True}
    cfg = config({"levels": [{"train.augment": True}, {"train.augment": True, "augment": harmful}]})
    verdicts, closed_gates = augmentations.augmentation_checks(cfg, DATA, Silent(cfg))
    losses = np.arange(5.0)
    requested = []

    def trained(changes):
        requested.append(changes)
        return losses

    result = ablated(cfg, monkeypatch, trained, arm("base", losses + np.arange(5) / 10), closed_gates=closed_gates)
    assert requested  # for the first seeds, and for the others
    assert not [changes for changes in requested if "augment" in changes]
    level = result.candidates[0].levels[1]
    assert level.gain is None
    assert "augmentation_keeps_the_label" in level.skipped
    assert not [v for v in verdicts({}) if v.closes]  # of the one that is configured: for the report
    shown = dict(augmentations.example_rows(cfg, DATA, result, count=4))
    assert set(shown) == {"original", "r 1", "r 2"}  # what was refused is shown too
    assert all(images.shape == (4, 1, 8, 8) for images in shown.values())


def test_a_table_has_no_augmentation_to_be_checked():
    """Though params.yaml names one for images."""
    cfg = change(config(), {"model": {"_target_": "recipe.models.plain.mlp"}})
    verdicts, closed_gates = augmentations.augmentation_checks(cfg, TABLE, Silent(cfg))
    assert {v.verdict for v in verdicts({})} == {"skip"}
    assert closed_gates({}) == ""


# ---- smaller input -------------------------------------------------------------------------------------------


def test_resize_is_a_mean_over_what_each_new_pixel_covers():
    x = torch.rand(2, 3, 8, 12)
    small = Resize(6)(x)
    assert small.shape == (2, 3, 4, 6)  # the longer side; the aspect is kept
    assert torch.allclose(Resize(6)(torch.full((1, 1, 8, 12), 0.3)), torch.tensor(0.3))
    stripes = torch.zeros(1, 1, 8, 8)
    stripes[..., ::2] = 1  # finer than the new pixels: grey, not other stripes
    assert Resize(4)(stripes)[..., 1:-1].std() < 0.05
    lanes = torch.rand(3, 2, 1, 8, 8)
    assert torch.equal(torch.vmap(Resize(6))(lanes), torch.stack([Resize(6)(x) for x in lanes]))


def test_a_smaller_input_is_part_of_the_model():
    cfg = change(config(), {"train.input_size": 6})
    model = build.model(cfg, DATA, 0)
    assert isinstance(model[0], Resize)
    smaller = next(p for n, p in model.named_parameters() if n.endswith("weight") and p.ndim == 2)
    assert smaller.shape == (10, 32 * 9)  # 6 pixels, halved by the stride
    for size, data in ((8, DATA), (4, TABLE)):
        with pytest.raises(RecipeError, match="makes nothing smaller"):
            build.model(change(config(), {"train.input_size": size}), data, 0)


def test_quantiles_of_the_training_columns_are_part_of_the_model():
    cfg = change(config(), {"train.quantiles": True, "model": {"_target_": "recipe.models.plain.mlp"}})
    a, b = (build.model(cfg, TABLE, seed) for seed in (0, 1))
    assert isinstance(a[0], Quantiles)
    assert torch.equal(a[0].knots, b[0].knots)  # they are of the data, whatever the seed
    assert torch.equal(a[0].knots, Quantiles(TABLE.train.x.shape[1]).fit(TABLE.train.x).knots)
    with pytest.raises(RecipeError, match=r"`train\.quantiles` is of columns of a table"):
        build.model(change(config(), {"train.quantiles": True}), DATA, 0)


def test_channel_dropout_drops_whole_channels():
    model = convnet(10, width=64, dropout2d=0.5).train()
    model(X[:2])
    seen = model[:3](X[:8]).flatten(2)
    dropped = (seen == 0).all(2)
    assert 0.3 < dropped.float().mean() < 0.7
