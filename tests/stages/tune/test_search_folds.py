"""A search over folds: the value of a trial is its mean over all of them, and so is what halving compares."""

import statistics

import pytest
from folded import FOLDS, listed, loaded
from searching import SilentRun, linear

from recipe.config.changes import change
from recipe.experiment.arms import lane_of, lane_seeds
from recipe.stages.tune.compare import compare
from recipe.stages.tune.trials import TrialSetup
from recipe.stages.tune.worker import open_search, take_part, trials_of
from recipe.train import engine


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return loaded(listed(tmp_path_factory.mktemp("search")))[0]


@pytest.mark.parametrize(("conf", "lanes"), [(1, FOLDS), (FOLDS, FOLDS), (FOLDS + 1, 2 * FOLDS)])
def test_a_trial_has_as_many_trainings_in_each_fold(data, conf, lanes):
    cfg = change(linear(), {"trial_seeds": conf})
    setup = TrialSetup(cfg, data, {}, {}, print)
    assert setup.seeds == list(range(lanes))
    assert [lane.fold for lane in setup.lanes({})] == list(data.folds) * (lanes // FOLDS)


@pytest.mark.slow
def test_the_value_of_a_trial_is_the_mean_over_folds(data, tmp_path):
    cfg = change(linear(trials=4, repeats=1, seeds=2, samplers=["random"]), {"trial_seeds": 1})
    search = open_search(cfg, data, {}, {}, tmp_path, lambda text: None)
    take_part(search)
    trials = trials_of(search)["random"]
    judged = {rung for t in trials for rung in t.rungs}
    assert judged
    assert {t.state for t in trials} == {"complete", "pruned"}
    complete = next(t for t in trials if t.state == "complete")
    alone = engine.train(search.setup.lanes(complete.params), data.train, data.val, metric=data.metric)
    assert complete.cost == pytest.approx(statistics.fmean(t.curve[-1]["val_loss"] for t in alone), rel=1e-5)
    assert complete.spread == pytest.approx(statistics.stdev(t.curve[-1]["val_loss"] for t in alone), rel=1e-4)
    for rung, value in complete.rungs.items():
        expected = statistics.fmean(t.curve[int(rung)]["val_loss"] for t in alone)
        assert value == pytest.approx(expected, rel=1e-5)
    tuned = compare(search, trials, SilentRun(tmp_path))
    assert tuned.repeated_cost == complete.cost or tuned.best is not complete
    assert (tuned.gain.n, tuned.gain.folds) == (FOLDS, FOLDS)
    assert tuned.effect.endswith(f"{FOLDS} trainings in {FOLDS} folds, new seeds)")
    search.close()


def test_the_seeds_of_the_comparison_are_new_and_in_the_same_folds(data):
    cfg = change(linear(), {"seed": 1000})
    assert [lane_of(cfg, data, seed).fold for seed in lane_seeds(cfg, data, 1)] == list(data.folds)
