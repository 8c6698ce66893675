"""The search: spaces that are checked, studies that go on where they were killed, edges that are noticed."""

import math
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from recipe import search
from recipe.errors import RecipeError
from recipe.search import Trial, at_edges, best, best_so_far, read_space


def config(space: dict, **more):
    base = {"model": {"width": 8, "dropout": 0.0}, "optimizer": {"lr": 0.001}, "train": {"early_stopping": False}}
    return OmegaConf.create({**base, "seed": 0, "trials": 6, "failures": 0.5, "space": space, **more})


WRONG = {
    "misspelt": ({"optimizer.lrr": {"low": 1, "high": 2}}, "did you mean `optimizer.lr`"),
    "upside down": ({"optimizer.lr": {"low": 2, "high": 1}}, "low below high"),
    "log of zero": ({"optimizer.lr": {"low": 0, "high": 1, "log": True}}, "above 0"),
    "text": ({"optimizer.lr": {"low": "a", "high": 1}}, "must be numbers"),
    "neither": ({"optimizer.lr": {"from": 0, "to": 1}}, "must be {low, high}"),
    "no choices": ({"optimizer.lr": {"choices": []}}, "not empty"),
    "empty": ({}, "empty"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_space_is_refused_with_its_key(mistake):
    space, words = WRONG[mistake]
    with pytest.raises(RecipeError, match=words):
        read_space(config(space))


def quadratic(cfg, data, changes, run, name):
    """In place of a training: lowest at width 20, lr 1e-2; diverges above 5e-2."""
    lr, width = changes["optimizer.lr"], changes["model.width"]
    value = math.nan if lr > 5e-2 else (math.log10(lr) + 2) ** 2 + (width / 20 - 1) ** 2
    ended = "the training loss is nan by step 1" if lr > 5e-2 else "all steps done"
    return value, 0.5, SimpleNamespace(ended=ended)


SPACE = {"optimizer.lr": {"low": 1e-4, "high": 1e-1, "log": True}, "model.width": {"low": 4, "high": 64, "log": True}}
RUN = SimpleNamespace(lane=lambda *a, **k: None)


@pytest.mark.parametrize("sampler", search.SAMPLERS)
def test_a_search_killed_at_any_trial_ends_as_one_that_was_not(monkeypatch, tmp_path, sampler):
    monkeypatch.setattr(search, "run_trial", quadratic)
    whole = search.search(config(SPACE), None, {}, sampler, tmp_path / "whole.log", RUN)
    calls = 0

    def killed(cfg, data, changes, run, name):
        nonlocal calls
        calls += 1
        if calls in (2, 3, 6):
            raise KeyboardInterrupt  # the trial stays RUNNING or FAIL in the storage, as after a kill
        return quadratic(cfg, data, changes, run, name)

    monkeypatch.setattr(search, "run_trial", killed)
    for _ in range(4):
        try:
            resumed = search.search(config(SPACE), None, {}, sampler, tmp_path / "killed.log", RUN)
        except KeyboardInterrupt:
            continue
    assert resumed == whole
    assert len(resumed) == 6


def test_a_space_where_most_trials_diverge_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(search, "run_trial", lambda *a: (math.nan, 0.0, SimpleNamespace(ended="nan")))
    with pytest.raises(RecipeError, match="6 of 6 random trials diverged"):
        search.search(config(SPACE), None, {}, "random", tmp_path / "s.log", RUN)


def trial(value, **params):
    return Trial("random", 0, params, value, 0.5, "")


def test_the_best_is_the_lowest_that_is_a_number():
    trials = [trial(0.5), trial(None), trial(0.2), trial(0.3)]
    assert best(trials).value == 0.2
    assert best_so_far(trials) == [0.5, 0.5, 0.2, 0.2]


def test_a_value_at_an_end_of_its_range_is_noticed_on_the_ranges_scale():
    space = {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "p": {"low": 0.0, "high": 1.0}}
    assert at_edges(trial(1, lr=1.1e-4, p=0.5), space) == ["lr"]
    assert at_edges(trial(1, lr=1e-2, p=0.99), space) == ["p"]
    assert at_edges(trial(1, lr=5e-4, p=0.1), space) == []
