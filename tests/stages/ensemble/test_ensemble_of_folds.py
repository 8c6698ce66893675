"""The ensemble over folds: chosen and calibrated on what its networks were not trained on, averaged on test."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from folded import FOLDS, listed, loaded
from omegaconf import OmegaConf
from searching import SilentRun
from systems import CONFIG

from recipe.config.compose import compose
from recipe.data.store import Store
from recipe.experiment import build
from recipe.experiment.saved import save_baselines
from recipe.files import read_csv, read_yaml
from recipe.metrics.calibration import fit_temperature
from recipe.metrics.conformal import half_widths
from recipe.metrics.scores import weighted
from recipe.models.fitted import BOOSTING
from recipe.serve import system
from recipe.stages.baseline.baselines import Baseline
from recipe.stages.ensemble import captions, distillation, figures, member_weights, mispredictions, results
from recipe.stages.ensemble import checks as claims
from recipe.stages.ensemble.extended_training import extend_training
from recipe.stages.ensemble.final_evaluation import Candidates
from recipe.stages.ensemble.final_system import FinalSystem, save
from recipe.stages.ensemble.members import BEST, member_on_test, saved_predictions, stack, train_pool
from recipe.verdict import ERROR, checks_of
from recipe.verdict import run as run_checks

pytestmark = pytest.mark.slow
MLP = {"_target_": "recipe.models.plain.mlp", "width": 16, "depth": 1, "dropout": 0.0}
ACCEPTED, OTHER = {"optimizer.lr": 0.02}, {"optimizer.lr": 0.01}


def config():
    small = {"members": 5, "top": 3, "train": {"epochs": 54, "eval_every": 27}, "longer": 2, "distil": True}
    cfg = OmegaConf.merge(compose("ensemble"), {"model": None}, {"model": MLP}, small)
    cfg.data = OmegaConf.create(CONFIG)
    return cfg


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """All that pipeline/ensemble.py does."""
    root = listed(tmp_path_factory.mktemp("ensemble"))
    data, test = loaded(root)
    cfg, run = config(), SilentRun(root)
    (untuned,) = build.train(cfg, data, [build.lane(cfg, data, 0, {"optimizer.lr": 1e-4})], run, "untuned")
    save_baselines(root / "baselines", [Baseline("mlp", [untuned], [], {"model": MLP, "train.input_size": None})])
    pool = train_pool(cfg, data, ACCEPTED, [OTHER], run)
    weights = member_weights.choose(data.task, pool, data.actual_held_out, root / "choice.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        save(cfg, data, pool, weights, run)
    extended, student = extend_training(cfg, data, pool[0], run), distillation.distil(cfg, data, pool, weights, run)
    candidates = Candidates(pool, weights, extended, student, root, root / "baselines")
    tested = results.evaluate(cfg, data, test, candidates)
    results.write_tables(root, tested)
    figures.draw(root, tested, data, test)
    final = FinalSystem(system.load(root / "system"), Store.open(CONFIG, root / "runs/prepare"))
    run.cfg = cfg
    return SimpleNamespace(
        root=root, data=data, test=test, cfg=cfg, run=run, pool=pool, weights=weights, tested=tested, final=final
    )


def test_there_are_about_as_many_networks_as_without_folds_and_two_members_at_least(ran):
    assert [(m.arm, m.seed, len(m.files)) for m in ran.pool] == [
        (BEST, 50, FOLDS), (BEST, 54, FOLDS), ("trial 1", 58, FOLDS),
    ]  # fmt: skip
    assert len({file for m in ran.pool for file in m.files}) == 3 * FOLDS


def test_each_example_is_judged_by_the_network_of_its_fold(ran):
    for m in ran.pool:
        parts = m.p_val.split([len(fold.val) for fold in ran.data.folds])
        for fold, file, p in zip(ran.data.folds, m.files, parts, strict=True):
            assert saved_predictions(ran.cfg, fold, m.changes, ran.root / file, fold.val).equal(p)


def test_the_choice_the_intervals_and_the_scores_are_of_all_held_out_examples(ran):
    actual = ran.data.actual_held_out
    assert ran.tested.actual_val.equal(actual)
    averaged = weighted(stack(ran.pool), ran.weights.counts)
    assert ran.weights.half_widths == half_widths(averaged, actual)
    row = results.scores(ran.tested)[-1]
    assert row["val_loss"] == pytest.approx(ran.data.task.losses(ran.tested.final.p_val, actual).mean().item())
    assert row["seeds"] == FOLDS * sum(n > 0 for n in ran.weights.counts)


def test_the_saved_system_predicts_as_all_networks_on_average(ran):
    final, store = ran.final.system, ran.final.store
    rows = store.rows(ran.test.ids)
    expected = []
    for m, n in zip(ran.pool, ran.weights.counts, strict=True):
        for fold, part, file in zip(ran.data.folds, ran.test.parts, m.files, strict=True):
            expected += [saved_predictions(ran.cfg, fold, m.changes, ran.root / file, part)] * n
    p = final.predict(store.inputs[rows])
    assert p.numpy() == pytest.approx(torch.stack(expected).mean(0).numpy(), abs=1e-6)
    assert p.numpy() == pytest.approx(ran.tested.final.p_test.numpy(), abs=1e-6)
    assert np.isnan(store.inputs[rows]).any()  # gaps too, which each fold fills with its own mean


def test_the_scales_of_the_folds_are_in_the_description_and_each_is_used(ran):
    facts = read_yaml(ran.root / "system/system.yaml")
    assert [entry["fold"] for entry in facts["members"]] == list(range(FOLDS)) * (len(facts["members"]) // FOLDS)
    assert [one["task"]["mean"] for one in facts["further_folds"]] == [list(f.task.mean) for f in ran.data.folds[1:]]
    final = ran.final.system
    same = dataclasses.replace(final, scales=final.scales[:1] * FOLDS, tasks=final.tasks[:1] * FOLDS)
    raw = ran.final.store.inputs[ran.final.store.rows(ran.test.ids)]
    assert (same.predict(raw) - final.predict(raw)).abs().max() > 0.01


def test_members_of_one_fold_were_not_trained_on_its_validation_part(ran):
    of = ran.final.system.of_fold(2)
    fold = ran.data.folds[2]
    p = of.predict(ran.final.store.inputs[ran.final.store.rows(fold.val.ids)])
    held_out = weighted(stack(ran.pool), ran.weights.counts).split([len(f.val) for f in ran.data.folds])[2]
    assert p.numpy() == pytest.approx(held_out.numpy(), abs=1e-6)


def test_trees_are_averaged_over_the_folds_as_networks_are(ran):
    (trees,) = [s for s in ran.tested.systems if s.name == BOOSTING]
    assert len(trees.p_val) == len(ran.data.actual_held_out)
    constant = ran.tested.systems[0]
    ages = [fold.task.mean[0] for fold in ran.data.folds]
    assert constant.p_test[0].item() == pytest.approx(sum(ages) / FOLDS, rel=1e-6)


def test_what_is_of_the_first_fold_is_scored_on_val(ran):
    student = ran.tested.candidates.student
    assert len(student.p_val) == len(ran.data.val)
    (row,) = [r for r in results.scores(ran.tested) if r["system"] == "one network, distilled"]
    losses = ran.data.task.losses(student.p_val, ran.data.task.actual(ran.data.val.y))
    assert row["val_loss"] == pytest.approx(losses.mean().item())
    before = ran.data.task.losses(ran.pool[0].p_val[: len(losses)], ran.data.task.actual(ran.data.val.y))
    assert ran.tested.extended.member_loss == pytest.approx(before.mean().item())


def test_every_claim_is_judged_and_none_crashes(ran):
    evidence = results.evidence(ran.data, ran.test, ran.tested, ran.final.predictions(ran.test))
    verdicts = run_checks(checks_of(claims), evidence, where="a test")
    assert not [v.check for v in verdicts if v.closes]
    assert ERROR not in {v.verdict for v in verdicts}
    assert evidence.val_count == len(ran.data.train) + len(ran.data.val)


def test_the_sentences_say_what_a_member_is(ran):
    texts = [captions.summary(ran.tested), *captions.findings(ran.tested)]
    assert all(text.endswith(".") for text in texts)
    assert texts[1].startswith(f"A member is {FOLDS} networks, one trained in each fold.")
    networks = FOLDS * sum(n > 0 for n in ran.weights.counts)
    assert f"({networks} networks)" in texts[0]
    (interval,) = [text for text in texts if text.startswith("The 90 % interval")]
    assert f"from the residuals of {FOLDS} folds, and a little wide" in interval


def test_labels_are_doubted_in_every_fold(ran):
    said = mispredictions.write(ran.run, ran.final, ran.data, ran.test)
    assert said.startswith(f"In {FOLDS} folds, the networks contradict ")
    rows = read_csv(ran.root / "suspects.csv")
    assert all(row["reason"].startswith("val: ") for row in rows)
    assert f"contradict {len(rows)} labels of train and val" in said


def test_a_lost_network_leaves_its_member_out(ran, tmp_path, monkeypatch):
    real = build.train

    def lose(cfg, data, lanes, *args, **more):
        trained = real(cfg, data, lanes, *args, **more)
        trained[FOLDS + 1].curve[-1]["train_loss"] = math.nan
        trained[FOLDS + 1].ended = "the training loss is nan by step 60"
        return trained

    monkeypatch.setattr(build, "train", lose)
    cfg = OmegaConf.merge(ran.cfg, {"members": 3 * FOLDS, "top": 0})
    pool = train_pool(cfg, ran.data, ACCEPTED, [], SilentRun(tmp_path))
    assert [m.seed for m in pool] == [50, 58]


def test_the_temperature_of_classes_is_fitted_to_all_held_out_examples(tmp_path, monkeypatch):
    data, test = loaded(listed(tmp_path, classes=True))
    assert all(fold.train.y.unique().tolist() == [0, 1] for fold in data.folds)
    cfg, run = config(), SilentRun(tmp_path)
    pool = train_pool(cfg, data, ACCEPTED, [], run)
    actual = data.actual_held_out
    weights = member_weights.choose(data.task, pool, actual, tmp_path / "choice.yaml")
    assert weights.fitted == (fit_temperature(weighted(stack(pool), weights.counts), actual),)
    monkeypatch.chdir(tmp_path)
    save(cfg, data, pool, weights, run)
    final, store = system.load(tmp_path / "system"), Store.open(CONFIG)
    p_test = torch.stack([member_on_test(cfg, data, m, tmp_path, test) for m in pool])
    p = final.predict(store.inputs[store.rows(test.ids)])
    assert p.numpy() == pytest.approx(weights.predictions(p_test).numpy(), abs=1e-6)
    assert p.sum(1).numpy() == pytest.approx(1)
