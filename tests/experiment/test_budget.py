"""What a stage's budget of multiplications leaves out, and that what is trained keeps within it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_data import DATA
from omegaconf import OmegaConf
from searching import SMALL, SilentRun, config, opened

from recipe.config.compose import compose
from recipe.experiment.budget import Budget, cost_of
from recipe.stages.baseline.baselines import train_baselines
from recipe.stages.ensemble.members import train_pool
from recipe.stages.overfit import capacity_ladder
from recipe.stages.regularize import ablation, learning_curve
from recipe.stages.regularize.within_budget import within_budget as regularize_within
from recipe.stages.tune import worker
from recipe.stages.tune.within_budget import mean_cost, trained_share

LINEAR = {"model": None}, {"model": {"_target_": "recipe.models.plain.linear"}}
SHORT = {"train": {"epochs": 4, "batch_size": 16}}


def of_stage(stage: str, **more):
    return OmegaConf.merge(compose(stage), *LINEAR, SHORT, more)


@given(st.integers(1, 50), st.floats(1, 1e12), st.floats(1, 1e15), st.floats(0.01, 1), st.data())
def test_a_number_of_trainings_keeps_within_the_limit_or_is_the_least(most, each, limit, share, data):
    least = data.draw(st.integers(0, most))
    number = Budget(limit).number(most, each, share, least)
    assert least <= number <= most
    assert number == least or number * each <= share * limit * (1 + 1e-9)
    assert number == most or (number + 1) * each > share * limit * (1 - 1e-9)


def test_without_a_limit_nothing_is_left_out():
    budget = Budget()
    assert budget.number(8, 1e30, 0.1, 2) == 8
    assert budget.left == math.inf
    assert budget.sentence("tune") == ""


def test_a_cost_counts_forward_and_backward_of_every_example_that_is_shown():
    cfg = of_stage("regularize")
    examples = 4 * len(DATA.train) // 16 * 16
    assert cost_of(cfg, DATA, {}) == pytest.approx(
        3 * DATA.train.x[0].numel() * len(DATA.task.names) * examples, rel=0.05
    )


def test_regularize_has_fewer_seeds_and_shares_and_then_fewer_candidates():
    usual = of_stage("regularize")
    each = cost_of(usual, SMALL, {})
    rungs = [
        {"name": name, "expected": "falls", "change": {"optimizer.weight_decay": decay}}
        for name, decay in (("a", 0.1), ("b", 0.2), ("c", 0.3), ("d", 0.4))
    ] + [{"name": "free", "expected": "falls", "change": {"train.early_stopping": True}}]
    cfg, run = of_stage("regularize", budget=16 * each, rungs=rungs), SilentRun(None)
    cfg, budget = regularize_within(cfg, SMALL, {})
    assert (cfg.seeds, list(cfg.shares)) == (4, [0.5])  # a quarter of the budget each
    base, _ = learning_curve.train_shares(cfg, SMALL, {}, run)
    result = ablation.run_ablation(cfg, SMALL, base, run, budget=budget)
    trained = {c.name: len(c.levels[0].arm.lanes) if c.levels[0].arm else 0 for c in result.candidates}
    assert trained.pop("free") == 4  # the same trainings, read at another step
    assert trained["a"] >= 2
    assert trained["d"] == 0
    assert 8 + sum(trained.values()) <= 16
    assert budget.spent == (8 + sum(trained.values())) * each
    assert "there is no room" in result.candidates[3].skipped
    assert "4 of 8 seeds, the learning curve at 12.5%, 25.0%, " in run.messages[-1]
    assert run.messages[-1].endswith("`regularize: {budget: null}` in params.yaml, or `effort: normal`.")


def test_regularize_without_a_budget_is_as_configured():
    cfg, budget = regularize_within(of_stage("regularize"), SMALL, {})
    assert (cfg.seeds, list(cfg.shares)) == (8, [0.125, 0.25, 0.5])
    assert budget.left == math.inf


def test_a_search_has_fewer_trials_and_a_comparison_fewer_seeds(tmp_path):
    usual = config(**SHORT, trials=60, repeats=1, seeds=12)
    each = cost_of(usual, SMALL, {})
    search = opened(config(**SHORT, trials=60, repeats=1, seeds=12, budget=24 * each), tmp_path)
    search.close()
    cfg = search.setup.cfg
    assert cfg.seeds == 6  # of each of two recipes, in half of the budget
    assert 4 < cfg.trials < 60
    assert 2 * cfg.trials * trained_share(usual) <= 12
    assert "of 60 trials of each search, 6 of 12 seeds" in search.setup.budget.sentence("tune")


def test_trials_of_a_wider_model_count_for_what_they_cost(tmp_path):
    mlps = {"model": {"_target_": "recipe.models.plain.mlp", "width": 8, "depth": 1, "dropout": 0.0}}
    cfg = OmegaConf.merge(config({"model.width": {"choices": [8, 64]}}, **SHORT, trials=60, repeats=1), {"model": None})
    cfg = OmegaConf.merge(cfg, mlps, {"budget": 100 * cost_of(OmegaConf.merge(cfg, mlps), SMALL, {})})
    search = opened(cfg, tmp_path)
    search.close()
    narrow, wide = (cost_of(cfg, SMALL, {"model.width": width}) for width in (8, 64))
    mean = mean_cost(cfg, SMALL, {}, search.setup.space)
    assert search.setup.space["model.width"].choices == (8, 64)
    assert mean == pytest.approx((narrow + wide) / 2, rel=0.01)
    assert 2 * search.setup.cfg.trials * trained_share(cfg) * mean <= 0.5 * cfg.budget or search.setup.cfg.trials == 4


def test_a_choice_that_makes_the_comparison_too_dear_is_left_out(tmp_path):
    mlps = {"model": {"_target_": "recipe.models.plain.mlp", "width": 8, "depth": 1, "dropout": 0.0}}
    cfg = OmegaConf.merge(config({"model.width": {"choices": [4, 8, 64]}}, **SHORT, trials=5), {"model": None}, mlps)
    cfg = OmegaConf.merge(cfg, {"budget": 12 * cost_of(cfg, SMALL, {})})
    search = opened(cfg, tmp_path)
    search.close()
    assert search.setup.space["model.width"].choices == (4, 8)
    assert "model.width = 64" in search.setup.budget.sentence("tune")


def test_halving_trains_a_share_that_its_rungs_give():
    halved = config(trials=16, halving={"first": 0.1, "factor": 4})
    assert trained_share(halved) == pytest.approx(0.1 + 0.3 / 4 + 0.6 / 16)
    assert trained_share(config(trials=16, halving=None)) == 1
    assert trained_share(config(trials=2, halving={"first": 0.1, "factor": 4})) == pytest.approx(0.55)


def test_a_worker_of_another_process_has_the_same_trials(tmp_path):
    each = cost_of(config(**SHORT), SMALL, {})
    cfg = config(**SHORT, trials=60, repeats=1, budget=24 * each)
    one = opened(cfg, tmp_path)
    two = opened(cfg, tmp_path, create=False)
    assert [worker.generations(s.setup.cfg, "tpe") for s in (one, two)] == [
        worker.generations(one.setup.cfg, "tpe")
    ] * 2
    one.close()
    two.close()


def test_baselines_train_for_fewer_passes():
    cfg, run = of_stage("baseline", seeds=2, train={"epochs": 10}), SilentRun(None)
    per_pass = 2 * (cost_of(cfg, SMALL, {}) + cost_of(_with_model(cfg, cfg.baselines.convnet), SMALL, {})) / 10
    limited = OmegaConf.merge(cfg, {"budget": 5 * per_pass})
    *_, conv, model = train_baselines(limited, SMALL, run)
    assert [b.trained[0].curve[-1]["epoch"] for b in (conv, model)] == pytest.approx([5, 5], abs=0.2)
    assert "left out is the passes after 5 of 10" in run.messages[0]


def _with_model(cfg, model):
    return OmegaConf.merge(cfg, {"model": None}, {"model": model})


def test_the_largest_models_of_a_ladder_are_left_out_and_later_trainings_shortened():
    widths = {"ladder": {"values": [2, 4, 64], "growth": 0.0}}
    model = OmegaConf.create({"_target_": "recipe.models.plain.mlp", "width": 2, "depth": 1, "dropout": 0.0})
    cfg, run = _with_model(of_stage("overfit", **widths), model), SilentRun(None)
    two = sum(cost_of(cfg, SMALL, {"model.width": width}) for width in (2, 4))
    models = capacity_ladder.train_ladder(OmegaConf.merge(cfg, {"budget": 2 * two}), SMALL, run, 0.0)
    assert [m.value for m in models] == [2, 4]
    assert "left out is width 64" in run.messages[0]
    best = models[-1]
    assert best.cost_of_pass == pytest.approx(cost_of(cfg, SMALL, {"model.width": 4}) / 4, rel=0.02)
    usual = capacity_ladder.changes_for_later_stages(cfg, best, 0.0)["train.epochs"]
    limited = OmegaConf.merge(cfg, {"training": 0.5 * usual * best.cost_of_pass})
    passes = capacity_ladder.changes_for_later_stages(limited, best, 0.0)["train.epochs"]
    assert passes == pytest.approx(max(0.5 * usual, 1.5 * best.lowest["epoch"]), abs=0.01) or passes == usual


def test_an_ensemble_has_fewer_members(tmp_path):
    cfg, run = of_stage("ensemble"), SilentRun(tmp_path)
    (tmp_path / "members").mkdir()
    each = cost_of(cfg, SMALL, {})
    finished = [{"optimizer.lr": rate} for rate in (1e-3, 2e-3, 3e-3)]
    pool = train_pool(OmegaConf.merge(cfg, {"budget": 3 * each, "members": 2, "top": 3}), SMALL, {}, finished, run)
    assert [m.arm for m in pool] == ["best recipe", "best recipe", "trial 1"]
    assert "left out is 2 of 3 other configurations" in run.messages[0]
