"""Halving inside a training: the same lanes survive in a batch, one after the other, and after kills."""

from dataclasses import replace

import pytest
import searching
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from killed import kill_at
from lanes import MODELS, lane, parts, same
from searching import SMALL, config, ended, forked, linear
from torch import nn

from recipe.experiment import build
from recipe.metrics.classification import ACCURACY
from recipe.metrics.objective import LOSS, Objective
from recipe.stages.tune import compare, trials, worker
from recipe.stages.tune.space import read_space
from recipe.stages.tune.train_trials import CohortJudge, train_again, train_cohort
from recipe.stages.tune.trials import Trial, TrialSetup
from recipe.train import engine
from recipe.train.lane import Trained

RATES = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, float("inf"))


def lanes():
    """Two architectures, a lane that is lost, one that ends by itself before a rung and one at it."""
    made = [lane(seed=s, steps=60, options={"lr": rate}) for s, rate in enumerate(RATES)]
    made += [lane(MODELS["convnet"], s, steps=60, options={"lr": rate}) for s, rate in enumerate(RATES[:3])]
    return [*made, lane(seed=8, steps=15), lane(seed=9, steps=20), lane(seed=9, steps=60, enough=1.9)]


def best_third(step, seen):
    """By the newest validation loss; asked at evaluations 2 and 4."""
    going = [i for i, t in enumerate(seen) if not t.ended]
    ranked = sorted(going, key=lambda i: seen[i].curve[-1]["val_loss"])
    return {i: f"not among the best at {step}" for i in ranked[-(-len(ranked) // 3) :]}


def trained(mode: str, folder=None, judge=best_third):
    return engine.train(lanes(), *parts(), eval_every=10, mode=mode, folder=folder, rungs=(2, 4), judge=judge)


@pytest.mark.slow
def test_the_same_lanes_survive_in_a_batch_and_one_after_the_other():
    plain, batched = trained("plain"), trained("batched")
    assert [t.ended for t in plain] == [t.ended for t in batched]
    assert {t.ended for t in plain} >= {"not among the best at 2", "not among the best at 4", "all steps done"}
    assert plain[5].lost
    for a, b in zip(plain, batched, strict=True):
        assert [r["step"] for r in a.curve] == [r["step"] for r in b.curve]
        assert torch.allclose(*(torch.tensor([r["val_loss"] for r in t.curve]) for t in (a, b)), rtol=1e-3)


@pytest.mark.slow
def test_a_lane_that_goes_on_is_not_touched_by_those_that_end():
    alone, judged = trained("plain", judge=lambda step, seen: {}), trained("plain")
    for a, b in zip(alone, judged, strict=True):
        if "best" not in b.ended:
            assert same(a, b)
        else:
            assert a.curve[: len(b.curve)] == b.curve


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["plain", "batched"])
def test_killed_with_9_at_any_evaluation_the_same_lanes_survive(tmp_path, monkeypatch, mode):
    monkeypatch.setattr(engine, "EVERY", 0.0)
    whole = trained(mode)
    for at in (2, 3, 4, 5, 6, 7, 9, 12, 16):

        def work(at=at) -> None:
            kill_at(at)
            trained(mode, tmp_path)

        ended(forked(work))
    assert any(tmp_path.iterdir())
    asked = []

    def judge(step, seen):
        asked.append(step)
        return best_third(step, seen)

    again = trained(mode, tmp_path, judge)
    assert all(same(a, b) for a, b in zip(again, whole, strict=True))
    assert asked == [2, 4]  # also where a checkpoint lies behind


# ---- trials --------------------------------------------------------------------------------------------------


def work(**more) -> TrialSetup:
    cfg = linear(**more)
    return TrialSetup(cfg, SMALL, {}, read_space(cfg, {}), lambda text: None)


def cohort(*rates: float, repeat: int = 0) -> dict:
    return {(repeat, i): {"optimizer.lr": rate} for i, rate in enumerate(rates)}


def test_one_in_three_goes_on_at_each_rung():
    done = train_cohort(work(), "random", cohort(1e-3, 3e-3, 0.01, 0.03, 0.06, 0.1), {}, None)
    assert sorted(t.curve["step"][-1] for t in done) == [5, 5, 5, 5, 15, 30]
    assert sorted({t.epochs for t in done}) == [pytest.approx(5 / 6, abs=1e-3), 2.5, 5]
    assert [t.state for t in done].count("complete") == 1
    (top,) = (t for t in done if t.state == "complete")
    assert set(top.rungs) == {"1", "3"}
    for rung in ("1", "3"):
        values = {t.key: t.rungs[rung] for t in done if rung in t.rungs}
        assert min(values, key=values.get) == top.key
    assert top.spread > 0
    assert len(top.curve["val_loss"]) == 7


def test_trials_are_judged_against_earlier_ones_of_their_repeat_alone():
    past = [Trial("tpe", 0, i, {}, "complete", 0.1, rungs={"1": 0.1, "3": 0.1}) for i in range(9)]
    known = {t.key: t for t in past}
    mine = {(0, 9): {"optimizer.lr": 0.01}, (1, 9): {"optimizer.lr": 0.01}}
    first, other = train_cohort(work(), "tpe", mine, known, None)
    assert (first.state, first.curve["step"][-1]) == ("pruned", 5)
    assert other.state == "complete"


def test_without_halving_every_trial_trains_to_its_end():
    cfg = work()
    cfg.cfg.halving = None
    done = train_cohort(cfg, "random", cohort(1e-3, 0.01, 0.1), {}, None)
    assert [t.epochs for t in done] == [5, 5, 5]


class Burns(nn.Module):
    """Fails in training, not when it is built: what running out of memory looks like."""

    def __init__(self, num_classes: int, width: float = 1.0):
        super().__init__()
        self.inner, self.width = nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes)), width

    def forward(self, x):
        if self.training and self.width > 2:
            raise RuntimeError("out of memory")
        return self.inner(x)


def burning() -> TrialSetup:
    cfg = config(trials=5)
    cfg.model = {"_target_": "test_search_halving.Burns", "width": 1.0}
    cfg.space = {"model.width": {"choices": [1, 2, 3]}}
    cfg.train.epochs, cfg.train.eval_every = 6, 3
    return TrialSetup(cfg, SMALL, {}, read_space(cfg, {}), lambda text: None)


def test_of_trials_that_throw_together_only_the_guilty_fail():
    of = burning()
    done = train_cohort(of, "random", {(0, i): {"model.width": i + 1} for i in range(3)}, {}, None)
    assert [t.state for t in done] == ["complete", "complete", "failed"]
    assert "out of memory" in done[2].cause
    assert [t.alone for t in done] == [True, True, True]
    assert train_again(of, done, done[0]) == done[0].cost


def test_a_trial_that_cannot_be_built_fails_and_the_others_train_together(monkeypatch):
    make = build.lane

    def lane(cfg, data, seed, changes=None, **more):
        if changes["optimizer.lr"] == 0.02:
            raise ValueError("not this one")
        return make(cfg, data, seed, changes, **more)

    monkeypatch.setattr(build, "lane", lane)
    done = train_cohort(work(), "random", cohort(0.01, 0.02, 0.03), {}, None)
    assert [t.state for t in done].count("failed") == 1
    assert "not this one" in done[1].cause
    assert not any(t.alone for t in done)


def test_a_trial_with_a_lost_seed_fails_with_its_cause():
    done = train_cohort(work(), "random", {(0, 0): {"optimizer.lr": float("inf")}, **cohort(0.01)}, {}, None)
    lost = train_cohort(work(), "random", {(0, 1): {"optimizer.lr": float("inf")}, **cohort(0.01)}, {}, None)[0]
    assert done[0].state == "complete"
    assert lost.state == "failed"
    assert lost.cost is None
    assert "loss is" in lost.cause


@pytest.mark.slow
@given(st.integers(0, 5))
@settings(max_examples=3, deadline=None)
def test_the_best_trial_repeats_to_the_bit(seed):
    """Beside those alone that were computed with it, each ended where it was."""
    of = work(seed=seed)
    done = train_cohort(of, "random", cohort(1e-3, 3e-3, 0.01, 0.03, 0.06, 0.1), {}, None)
    top = min((t for t in done if t.state == "complete"), key=lambda t: t.cost)
    assert train_again(of, done, top) == top.cost


def test_state_that_one_trial_leaves_to_the_next_is_seen_when_the_best_is_repeated(monkeypatch):
    """A planted bug: the weights depend on how many models were made before."""
    of, made, make = work(), [], build.lane

    def lane(cfg, data, seed, changes=None, **more):
        made.append(1)
        return make(cfg, data, seed + len(made), changes, **more)

    monkeypatch.setattr(build, "lane", lane)
    done = train_cohort(of, "random", cohort(0.01, 0.03), {}, None)
    top = min((t for t in done if t.state == "complete"), key=lambda t: t.cost)
    assert train_again(of, done, top) != top.cost


def test_cohorts_are_even_and_keep_likeness_together():
    space = read_space(
        config({"model.width": {"choices": [8, 16]}, "optimizer.lr": searching.SPACE["optimizer.lr"]}), {}
    )
    params = {
        (r, i): {"model.width": (8, 16)[i % 2], "optimizer.lr": 0.01 * (i + 1)} for r in range(2) for i in range(5)
    }
    cut = list(worker.cohorts(params, space, 5))
    assert [len(c) for c in cut] == [5, 5]
    assert {p["model.width"] for p in cut[0].values()} == {8}
    assert sorted(key for c in cut for key in c) == sorted(params)
    assert [len(c) for c in worker.cohorts(params, space, 4)] == [3, 3, 4]


def test_a_result_comes_back_from_the_storage_as_it_was():
    (done,) = train_cohort(work(), "random", cohort(0.01), {}, None)
    import json

    result = json.loads(json.dumps(trials.result_of(done)))
    assert Trial("random", *done.key, done.params, **result) == done


def by_accuracy(**more) -> TrialSetup:
    setup = work(**more)
    return replace(setup, data=replace(SMALL, objective=Objective(ACCURACY)))


def test_halving_by_a_metric_keeps_the_trial_with_the_best_one():
    """Two trials whose losses are in the other order than their accuracies."""

    def one(loss: float, accuracy: float) -> Trained:
        row = {"step": 5, "epoch": 1.0, "train_loss": 0.0, "val_loss": loss, "val_accuracy": accuracy}
        return Trained([row, row], best_row=1, ended="")

    results = [one(0.1, 0.6), one(0.9, 0.8)]
    for objective, worse in ((LOSS, 1), (Objective(ACCURACY), 0)):
        keys = [(0, 0), (0, 1)]
        judge = CohortJudge(keys, 1, 2, dict.fromkeys(keys, False), {}, objective)
        assert list(judge(1, results)) == [worse]


def test_a_search_by_a_metric_maximises_it_and_repeats_to_the_bit(tmp_path):
    setup = by_accuracy()
    done = train_cohort(setup, "random", cohort(1e-3, 3e-3, 0.01, 0.03), {}, None)
    top = trials.complete(done)[0]
    assert top.scores["val_accuracy"] == max(t.scores["val_accuracy"] for t in done)
    assert top.cost == -top.scores["val_accuracy"]
    assert train_again(setup, done, top) == top.cost


def test_the_storage_has_the_metric_itself_and_its_direction(tmp_path):
    """So that optuna-dashboard shows accuracies that rise."""
    setup = by_accuracy(samplers=["random"], trials=2, repeats=1)
    search = worker.open_search(setup.cfg, setup.data, {}, {}, tmp_path, lambda text: None)
    worker.take_part(search)
    study = search.studies["random"].optuna_study
    finished = list(search.studies["random"].finished.values())
    assert study.direction.name == "MAXIMIZE"
    values = sorted(t.value for t in study.get_trials() if t.value is not None)
    assert values == sorted(t.scores["val_accuracy"] for t in finished)
    search.close()


def test_the_accepted_recipe_keeps_the_rate_that_it_was_accepted_with(tmp_path):
    """conf's schedule is of the trials: where none of them is better, the constant rate stays."""
    cfg = work(samplers=["random"], trials=2, repeats=1, seeds=2).cfg
    cfg.schedule = {"_target_": "recipe.train.schedules.Cooldown", "share": 1.0}
    search = worker.open_search(cfg, SMALL, {}, {}, tmp_path, lambda text: None)
    worker.take_part(search)
    trials_of_all = worker.trials_of(search)["random"]
    tuned = compare.compare(search, trials_of_all, searching.SilentRun(tmp_path))
    constant = {"schedule": {"_target_": "recipe.train.schedules.Constant"}}
    assert compare.constant_rate(cfg) == constant
    alone = replace(search.setup, start=constant).lanes({})
    assert [lane.scheduled for lane in alone] == [None] * len(alone)
    assert all(lane.scheduled for lane in search.setup.lanes({}))
    assert tuned.changes.get("schedule") == (None if tuned.gain.significant else constant["schedule"])
    (accepted,) = train_cohort(replace(search.setup, start=constant), "accepted", {(0, 0): {}}, {}, None)
    assert tuned.accepted_cost == accepted.cost
    search.close()
