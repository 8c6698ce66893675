"""What is searched and how it is asked for: spaces, samplers, halving; what is made of the trials."""

import math
from dataclasses import replace

import pytest
from clone import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from searching import SMALL, SPACE, config, shipped

from recipe.addresses import masked
from recipe.config.changes import change
from recipe.config.compose import checked
from recipe.errors import RecipeError
from recipe.experiment.arms import Gain
from recipe.metrics.classification import ACCURACY
from recipe.metrics.objective import LOSS, Objective
from recipe.stages.tune import checks as claims
from recipe.stages.tune import compare, compare_samplers, figures, halving, importance, samplers
from recipe.stages.tune import trials as trials_module
from recipe.stages.tune.compare import TunedRecipe
from recipe.stages.tune.results import SearchResults
from recipe.stages.tune.space import at_edges, changes, read_space
from recipe.stages.tune.trials import Trial, TrialSetup
from recipe.verdict import checks_of

LR = {"low": 1e-4, "high": 1e-1, "log": True}
ADAM, SGD = {"_target_": "torch.optim.AdamW", "lr": 1.0}, {"_target_": "torch.optim.SGD", "lr": 1.0, "momentum": 0.9}
GROUP = {"optimizer": {"choices": {"adam": ADAM, "sgd": SGD}}}

WRONG = {
    "misspelt": ({"optimizer.lrr": LR}, "conf/space: no `optimizer.lrr`.* did you mean `optimizer.lr`"),
    "no part of a training": ({"data._target_": {"choices": ["a"]}}, "does not configure a training"),
    "one for all lanes": ({"train.eval_every": {"low": 1, "high": 9}}, "does not configure a training"),
    "no group": ({"train": {"choices": ["a"]}}, "not a group"),
    "upside down": ({"optimizer.lr": {"low": 2, "high": 1}}, "low below high"),
    "log of zero": ({"optimizer.lr": {"low": 0, "high": 1, "log": True}}, "above 0"),
    "text": ({"optimizer.lr": {"low": "a", "high": 1}}, "must be numbers"),
    "neither": ({"optimizer.lr": {"from": 0, "to": 1}}, "must be {low, high}"),
    "a misspelt end": ({"optimizer.lr": {"low": 0, "hihg": 1}}, "It has `hihg`; did you mean `high`"),
    "both": ({"optimizer.lr": {"low": 0, "high": 1, "choices": [1]}}, "must be {low, high}"),
    "no choices": ({"optimizer.lr": {"choices": []}}, "not empty"),
    "a choice that is a list": ({"optimizer.lr": {"choices": [[1, 2]]}}, "must be numbers, words"),
    "a choice twice": ({"optimizer.lr": {"choices": [0.1, 0.1]}}, "twice"),
    "a choice of the wrong type": ({"train.batch_size": {"choices": [8, "many"]}}, "must be a whole number"),
    "below what makes sense": ({"model.width": {"low": 0, "high": 9}}, "at least 1"),
    "a half for a whole one of a part of ours": ({"model.width": {"choices": [8, 8.5]}}, "must be a whole number"),
    "above what makes sense": ({"model.dropout": {"low": 0.5, "high": 1.5}}, "at least 0 and at most 1"),
    "half a unit": ({"model.width": {"low": 1.5, "high": 9}}, "whole number"),
    "a range of a switch": ({"train.augment": {"low": 0, "high": 1}}, "give it choices"),
    "empty": ({}, "empty"),
    "when names a stranger": ({"optimizer.lr": LR | {"when": {"model.widht": 8}}}, "`model.widht`, which is not"),
    "when is no mapping": ({"optimizer.lr": LR | {"when": "always"}}, "when must be"),
    "a circle": (
        {"optimizer.lr": LR | {"when": {"model.width": 8}},
         "model.width": {"choices": [8, 9], "when": {"optimizer.lr": 0.1}}}, "has a cycle",
    ),
    "when has a value that never comes": (
        {"model.width": {"choices": [8, 9]}, "optimizer.lr": LR | {"when": {"model.width": 10}}}, "is never 10",
    ),
    "a key of one choice": (GROUP | {"optimizer.momentum": {"low": 0.1, "high": 0.9}}, r"when: \{optimizer: \[sgd\]\}"),
    "a key of no choice": (GROUP | {"optimizer.betas": {"low": 0.1, "high": 0.9}}, "no `optimizer.betas`"),
    "a group without names": ({"optimizer": {"low": 0, "high": 1}}, "choose by name|must be"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_space_is_refused_with_its_key(mistake):
    space, words = WRONG[mistake]
    cfg = config()
    cfg.space = space
    with pytest.raises(RecipeError, match=words):
        read_space(cfg, {})


def test_a_group_that_conf_does_not_have():
    cfg = config({"optimizer": {"choices": ["adm", "sgd"]}})
    with pytest.raises(RecipeError, match="conf/optimizer/ has no `adm`; did you mean `adam`"):
        checked(cfg)


def test_the_spaces_that_are_shipped_can_be_read():
    for path in sorted((ROOT / "conf/space").glob("*.yaml")):
        cfg = config()
        cfg.space = OmegaConf.load(path)
        space = read_space(checked(cfg), {})
        assert set(space) == set(OmegaConf.load(path))
    assert set(space["optimizer"].groups) == {"adam", "sgd"}  # wide.yaml
    assert space["optimizer.momentum"].when == {"optimizer": ("sgd",)}


def test_a_space_is_read_on_top_of_what_was_accepted():
    cfg = config({"augment.pixels": {"low": 1, "high": 3}})
    start = {"augment": {"_target_": "recipe.train.augment.Crop", "pixels": 1}}
    assert read_space(cfg, start)["augment.pixels"].whole  # Affine's are no whole numbers, Crop's are
    with pytest.raises(RecipeError, match=r"no `augment.degrees`"):
        read_space(config({"augment.degrees": {"low": 1, "high": 3}}), start)


def test_a_chosen_group_takes_the_place_of_what_was_accepted():
    space = read_space(config(GROUP | {"optimizer.lr": LR}), {"optimizer.lr": 0.5, "train.epochs": 9})
    found = changes(space, {"optimizer.lr": 0.5, "train.epochs": 9}, {"optimizer": "sgd", "optimizer.lr": 0.1})
    assert list(found.items()) == [("train.epochs", 9), ("optimizer", SGD), ("optimizer.lr", 0.1)]


def test_choices_may_be_factors_of_the_accepted_value():
    space = read_space(config({"model.width": {"choices": ["x0.5", "x1", "x2", 7]}}), {"model.width": 64})
    assert space["model.width"].choices == (32, 64, 128, 7)
    with pytest.raises(RecipeError, match="has a value twice"):
        read_space(config({"model.width": {"choices": ["x1", 64]}}), {"model.width": 64})


# ---- samplers ------------------------------------------------------------------------------------------------


def proposed(sampler: str, space, repeat: int, index: int, past=(), seed: int = 0, trials: int = 12) -> dict:
    return samplers.propose(sampler, space, seed, repeat, index, trials, list(past))


def past(space, count: int, sampler: str = "random") -> list[Trial]:
    made = [proposed("random", space, 0, i) for i in range(count)]
    return [Trial(sampler, 0, i, p, "complete", float(i % 3) + p["optimizer.lr"]) for i, p in enumerate(made)]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe", "gp"])
def test_a_trial_is_a_function_of_its_place_and_of_what_is_known(sampler):
    space = read_space(config(), {})
    known = past(space, 8)
    working = [proposed("random", space, 0, 8)]
    first = proposed(sampler, space, 0, 9, [*known, *working])
    assert first == proposed(sampler, space, 0, 9, [*known, *working])
    others = [proposed(sampler, space, 1, 9, [*known, *working]), proposed(sampler, space, 0, 10, [*known, *working])]
    others.append(proposed(sampler, space, 0, 9, [*known, *working], seed=1))
    assert all(other != first for other in others)


def test_a_model_looks_at_results_and_the_others_do_not():
    space = read_space(config(), {})
    known = past(space, 8)
    turned = [Trial("tpe", 0, t.index, t.params, "complete", -t.cost) for t in known]
    for sampler in samplers.SAMPLERS[:4]:
        same = proposed(sampler, space, 0, 9, known) == proposed(sampler, space, 0, 9, turned)
        assert same == (sampler not in samplers.MODELS)


def test_a_trial_that_failed_counts_as_the_worst():
    """Left out, its region would be tried again and again."""
    space = read_space(config({"optimizer.lr": LR}), {})
    lows = [Trial("tpe", 0, i, {"optimizer.lr": 1e-3 * (1 + i)}, "complete", 1.0) for i in range(5)]
    bad = [Trial("tpe", 0, 5 + i, {"optimizer.lr": 5e-2 + 5e-3 * i}, "failed") for i in range(6)]
    rates = [proposed("tpe", space, repeat, 11, [*lows, *bad])["optimizer.lr"] for repeat in range(12)]
    assert sum(rate > 4e-2 for rate in rates) <= 2


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe"])
def test_values_lie_in_their_ranges_and_conditions_hold(sampler):
    space, known = read_space(config(), {}), []
    for index in range(24):
        params = proposed(sampler, space, 0, index, known)
        known.append(Trial(sampler, 0, index, params, "complete", math.sin(index)))
        assert type(params["train.batch_size"]) is int
        assert 4 <= params["train.batch_size"] <= 64
        assert 1e-4 <= params["optimizer.lr"] <= 1e-1
        assert ("augment.degrees" in params) == params["train.augment"]
    assert {t.params["train.augment"] for t in known} == {True, False}


def test_quasi_random_points_fill_the_space_evenly():
    space = read_space(config({"optimizer.lr": LR, "model.dropout": {"low": 0.0, "high": 1.0}}), {})
    points = [proposed("qmc", space, 3, i) for i in range(16)]
    for key, scale in (("optimizer.lr", lambda v: (math.log10(v) + 4) / 3), ("model.dropout", float)):
        assert sorted(int(16 * scale(p[key])) for p in points) == list(range(16))  # one in each sixteenth


def test_a_grid_has_every_cell_once_in_an_order_of_the_repeats_own():
    space = read_space(config({"optimizer.lr": LR, "model.width": {"choices": [8, 16, 32]}}), {})
    cells = [[tuple(proposed("grid", space, repeat, i).values()) for i in range(12)] for repeat in (0, 1)]
    assert len(set(cells[0])) == 12
    assert len({rate for rate, _ in cells[0]}) == 4
    assert cells[0] != cells[1]
    assert sorted(cells[0]) == sorted(cells[1])


@pytest.mark.parametrize(
    ("names", "space", "words"),
    [
        (["random", "tpee"], SPACE, "no sampler `tpee`; did you mean `tpe`.*Known: gp, grid, qmc, random, tpe"),
        (["grid"], SPACE, "Bergstra and Bengio"),
        (["random", "random"], SPACE, "each once"),
        ([], SPACE, "at least one"),
        (["grid"], {"train.augment": {"choices": [True, False]}}, "has 2 points"),
    ],
)
def test_samplers_that_cannot_be(names, space, words):
    with pytest.raises(RecipeError, match=words):
        samplers.check_samplers(names, read_space(config(space), {}), 12)


# ---- halving -------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=40), st.floats(1.1, 6))
@settings(deadline=None)
def test_survivors_are_the_best_share_and_never_none(values, factor):
    named = dict(enumerate(values))
    kept = halving.survivors(named, factor)
    count = math.ceil(len(values) / factor - 1e-9)
    assert kept == {i for _, i in sorted((v, i) for i, v in named.items())[:count]}
    assert len(kept) == count >= 1


@pytest.mark.parametrize(
    ("first", "factor", "evaluations", "rungs"),
    [
        (0.1, 3, 9, [1, 3]),
        (0.1, 3, 10, [1, 3, 9]),
        (0.01, 2, 9, [1, 2, 3, 6]),
        (0.5, 3, 1, []),
    ],
)
def test_rungs_are_evaluations_before_the_end(first, factor, evaluations, rungs):
    cfg = config(halving={"first": first, "factor": factor})
    assert halving.rungs_of(cfg, evaluations) == rungs


def test_halving_can_be_off():
    cfg = config()
    cfg.halving = None
    assert halving.rungs_of(cfg, 9) == []


# ---- what is made of trials ----------------------------------------------------------------------------------


def trial(value, state="complete", repeat=0, index=0, **params):
    return Trial("random", repeat, index, params, state, value)


def test_the_best_is_the_lowest_that_trained_to_its_end():
    trials = [trial(0.5), trial(None, "failed"), trial(0.2), trial(0.1, "pruned"), trial(0.3)]
    assert trials_module.complete(trials)[0].cost == 0.2
    assert compare_samplers.best_so_far(trials) == [0.5, 0.5, 0.2, 0.2, 0.2]
    assert compare_samplers.best_so_far(trials[1:2]) == [math.inf]


def test_a_value_at_an_end_of_its_range_is_noticed_on_the_ranges_scale():
    space = read_space(config({"optimizer.lr": LR, "model.dropout": {"low": 0.0, "high": 1.0}}), {})
    assert at_edges({"optimizer.lr": 1.1e-4, "model.dropout": 0.5}, space) == ["optimizer.lr"]
    assert at_edges({"optimizer.lr": 1e-2, "model.dropout": 0.99}, space) == ["model.dropout"]
    assert at_edges({"optimizer.lr": 5e-4, "model.dropout": 0.1}, space) == []


@pytest.mark.parametrize(
    ("values", "words", "outcome"),
    [
        ((1.0, 1.1, 0.9), "tpe is better", "confirmed"),
        ((3.0, 3.1, 2.9), "random is better", "refuted"),
        ((1.0, 3.0, 2.1), "no significant difference", "undecided"),
        ((1.0, 1.1, None), "takes two repeats", "undecided"),
    ],
)
def test_one_sampler_against_another_is_paired_over_repeats(values, words, outcome):
    cfg = shipped()
    random = [trial(v, repeat=r) for r, v in enumerate((2.0, 2.1, 2.0))]
    tpe = [trial(v, "complete" if v else "failed", repeat=r) for r, v in enumerate(values)]
    (prediction,) = compare_samplers.sampler_predictions(cfg, {"random": random, "tpe": tpe}, LOSS)
    assert words in prediction["measured"]
    assert prediction["outcome"] == outcome


def test_importance_is_measured_where_no_model_chose():
    space = read_space(config({"optimizer.lr": LR, "model.dropout": {"low": 0.0, "high": 1.0}}), {})
    made = [proposed("random", space, 0, i) for i in range(40)]
    blind = [trial((math.log10(p["optimizer.lr"]) + 2) ** 2, index=i, **p) for i, p in enumerate(made)]
    assert importance.without_model({"tpe": [trial(1.0)], "random": blind}) == blind
    shares = importance.importances(space, blind)
    assert shares["optimizer.lr"] > 0.8
    assert importance.importances(space, blind[:1]) == {}


# ---- claims --------------------------------------------------------------------------------------------------

TRIALS = {
    name: [Trial(name, r, i, {}, "complete", 0.1 + i) for r in range(2) for i in range(3)] for name in ("random", "tpe")
}
TUNED = TunedRecipe(
    best=TRIALS["tpe"][0], repeated_cost=0.1, accepted_cost=0.2, gain=Gain(0.2, 0.1, 0.3, 6), confidence=0.95,
    keys_at_edges=[], changes={}, score={},
)  # fmt: skip
SETUP = TrialSetup(config(trials=3, repeats=2), SMALL, {}, {}, print)
SEARCH = SearchResults(SETUP, TRIALS, TUNED, [])


def tuned(**changes) -> SearchResults:
    return replace(SEARCH, tuned=replace(TUNED, **changes))


def without(trials: dict, *more: Trial) -> dict:
    return trials | {"tpe": [*trials["tpe"][:-1], *more]}


PAIRS = {
    "best_trial_repeats": tuned(repeated_cost=0.1 + 1e-9),
    "budgets_are_equal": replace(SEARCH, trials=without(TRIALS)),
    "trials_come_to_an_end": replace(SEARCH, trials=without(TRIALS, Trial("tpe", 1, 2, {}, "failed", cause="nan"))),
    "gain_is_more_than_noise": tuned(gain=Gain(-0.2, -0.3, -0.1, 6)),
    "best_is_inside_the_space": tuned(keys_at_edges=["optimizer.lr"]),
}


def test_every_claim_about_a_search_has_its_pair():
    assert set(PAIRS) == set(checks_of(claims))


@pytest.mark.parametrize("name", PAIRS)
def test_a_healthy_search_passes_and_a_sabotaged_one_fails(name):
    check = checks_of(claims)[name]
    assert check(SEARCH).verdict == "pass"
    assert check(PAIRS[name]).verdict == "fail"


def test_a_gain_whose_interval_holds_zero_is_undecided_and_says_how_many_seeds_would_decide():
    verdict = checks_of(claims)["gain_is_more_than_noise"](tuned(gain=Gain(0.2, -0.1, 0.5, 6)))
    assert verdict.verdict == "undecided"
    assert "seeds would decide (there are 6)" in verdict.needed


def test_a_trial_that_was_trained_twice_is_noticed():
    twice = replace(SEARCH, trials=without(TRIALS, TRIALS["tpe"][0]))
    assert checks_of(claims)["budgets_are_equal"](twice).verdict == "fail"


def test_a_rerun_that_is_lost_is_noticed():
    assert checks_of(claims)["best_trial_repeats"](tuned(repeated_cost=math.nan)).verdict == "fail"


# ---- pictures ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("objective", [LOSS, Objective(ACCURACY)], ids=["loss", "accuracy"])
def test_pictures_are_drawn_of_any_search(tmp_path, objective):
    """Trials that failed, keys that are not there, repeats that found nothing, one repeat alone."""
    space = read_space(config(), {})
    params = [proposed("random", space, 0, i) for i in range(6)]
    sign = -1 if objective.higher_is_better else 1

    def made(index: int, state: str, value: float) -> Trial:
        scores = {"val_loss": value, "val_accuracy": value}
        return Trial("random", 0, index, params[index], state, sign * value, scores=scores)

    trials = [*(made(i, "complete", (1.0 + i) / 10) for i in range(3)), made(3, "pruned", 0.9)]
    trials += [Trial("random", 0, 4, params[4], "failed")]
    rows, axes = [t.row(space, "accuracy") for t in trials], {key: range_.axis() for key, range_ in space.items()}
    for name, of in (("all", trials), ("none", trials[3:]), ("first", trials[::-1])):
        best, half = compare_samplers.progress({"random": of}, 0.95)
        figures.progress(tmp_path / f"{name}.png", best, half, sign * 0.15, 0.95, objective)
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
    for name, of in (("all", rows), ("none", rows[3:])):
        figures.slices(tmp_path / f"s_{name}.png", of, axes, objective)
        figures.parallel(tmp_path / f"p_{name}.png", of, axes, objective)
    figures.importance(tmp_path / "b.png", {})
    figures.slices(tmp_path / "again.png", rows, axes, objective)
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "s_all.png").read_bytes()


def test_a_password_is_not_logged():
    text = "storage: postgresql+pg8000://me:se/cret@host/name\nuri: http://127.0.0.1:5000\nother: a@b"
    assert "se/cret" not in masked(text)
    assert "postgresql+pg8000://me:***@host/name\nuri: http://127.0.0.1:5000\nother: a@b" in masked(text)


def test_what_trained_to_its_end_is_handed_on_as_changes_that_build():
    """A group's choice stands in trials.csv by its name: read from there, another stage could not build it."""
    space = read_space(config(GROUP | {"optimizer.lr": LR}), {})
    slow, fast, lost = (
        Trial("random", 0, i, {"optimizer": "sgd", "optimizer.lr": lr}, state, value)
        for i, (lr, state, value) in enumerate([(0.01, "complete", 0.3), (0.1, "complete", 0.2), (1e-3, "pruned", 0.1)])
    )
    found = compare.finished_changes(space, {"train.mixup": 0.2}, [slow, lost, fast, slow])
    assert [changes["optimizer.lr"] for changes in found] == [0.1, 0.01]
    built = change(shipped(), found[0])
    assert built.optimizer == SGD | {"lr": 0.1}
    assert built.train.mixup == 0.2
