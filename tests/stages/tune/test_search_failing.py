"""A search that cannot succeed ends with its cause, before more is trained than needed."""

import pytest
import torch
from searching import config, opened

from recipe.errors import RecipeError
from recipe.stages.tune import worker
from recipe.stages.tune.trials import Trial


def test_too_many_failures_stop_the_search(monkeypatch, tmp_path):
    def failing(setup, sampler, cohort, past, folder):
        return [Trial(sampler, *key, params, "failed", cause="it burns") for key, params in cohort.items()]

    monkeypatch.setattr(worker, "train_cohort", failing)
    search = opened(config(), tmp_path)
    with pytest.raises(worker.NothingFound, match=r"10 random trials failed.*it burns.*next run begins a new search"):
        worker.take_part(search)
    search.close()


def test_the_limit_of_failures_is_looked_at_before_more_is_trained(monkeypatch, tmp_path):
    trained = []

    def failing(setup, sampler, cohort, past, folder):
        trained.extend(cohort)
        return [Trial(sampler, *key, params, "failed", cause="it burns") for key, params in cohort.items()]

    monkeypatch.setattr(worker, "train_cohort", failing)
    search = opened(config(trials=12, repeats=1, together=4, samplers=["random"]), tmp_path)
    with pytest.raises(worker.NothingFound, match="8 of 12"):
        worker.take_part(search)
    assert len(trained) == 8
    search.close()


@pytest.mark.parametrize("state", ["failed", "pruned"])
def test_a_search_in_which_no_trial_is_complete_has_found_nothing(state, monkeypatch, tmp_path):
    """`failures: 1` lets every one fail; halving may stop those that would not have, before the others diverge."""

    def never(setup, sampler, cohort, past, folder):
        value = 1.0 if state == "pruned" else None
        return [Trial(sampler, *key, params, state, value, cause="it ends") for key, params in cohort.items()]

    monkeypatch.setattr(worker, "train_cohort", never)
    search = opened(config(failures=1.0), tmp_path)
    with pytest.raises(worker.NothingFound, match=r"none of 20 trials trained to.*next run begins a new search"):
        worker.take_part(search)
    search.close()


WRONG = {
    "model": ({"_target_": "test_search_failing.picky", "dropout": 2.0}, "a dropout of 2"),
    "optimizer": ({"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.1, "momentum": -1.0}, "momentum value"),
}


@pytest.mark.parametrize("part", list(WRONG))
def test_what_was_accepted_must_be_buildable_before_anything_is_trained(part, tmp_path):
    """A trial that changes the bad value would hide it until all of them are done."""
    cfg = config({"train.batch_size": {"low": 4, "high": 64}})
    cfg[part], words = WRONG[part]
    with pytest.raises(RecipeError, match=f"conf/{part}: .* cannot be built: .*{words}"):
        opened(cfg, tmp_path)
    assert not list(tmp_path.iterdir())


def picky(num_classes: int, dropout: float):
    if dropout > 1:
        raise ValueError(f"a dropout of {dropout:g}")
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(num_classes), torch.nn.Dropout(dropout))
