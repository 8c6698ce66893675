"""Which members, how many of them, and the temperature: against sorting it out by hand."""

import itertools
import statistics
from random import Random as random_generator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_data import FOUR, random
from scipy.optimize import minimize_scalar

from recipe.metrics.calibration import LEAST, MOST, fit_temperature, tempered
from recipe.metrics.classification import ACCURACY
from recipe.metrics.scores import fall, nlls, quality, weighted
from recipe.stages.ensemble import selection
from recipe.stages.ensemble.calibration_effect import calibration_effect
from recipe.stages.ensemble.captions import ensemble_size
from recipe.stages.ensemble.member_weights import GREEDY, choose_weights
from recipe.stages.ensemble.selection import LOSS, counts, enough, greedy, held_out
from recipe.stages.ensemble.selection import ensemble_sizes as sizes_of_task
from recipe.tasks.classification import Classification


def members(m: int, n: int = 120, k: int = 4, seed: int = 0, noise: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """(m, n, k) of networks that see the same evidence, each with noise of its own; and the labels."""
    chance = torch.Generator().manual_seed(seed)
    evidence = 2 * torch.randn(n, k, generator=chance, dtype=torch.float64)
    y = torch.multinomial(evidence.softmax(1), 1, generator=chance).squeeze(1)
    blur = noise * torch.randn(m, n, k, generator=chance, dtype=torch.float64)
    return (evidence + blur).softmax(2), y


def ensemble_sizes(p, y, seed=0):
    return sizes_of_task(FOUR, ACCURACY, p, y, seed)


# ---- greedy --------------------------------------------------------------------------------------------------


@given(st.integers(1, 6), st.integers(0, 50))
@settings(max_examples=25, deadline=None)
def test_each_greedy_pick_is_the_best_next_one(m, seed):
    p, y = members(m, 30, seed=seed)
    picks, path = greedy(FOUR, p, y)
    for i, (pick, loss) in enumerate(zip(picks, path, strict=True)):
        losses = [nlls(p[[*picks[:i], j]].mean(0), y).mean().item() for j in range(m)]
        assert loss == pytest.approx(min(losses))
        assert losses[pick] == pytest.approx(min(losses))
    assert path[-1] == min(path)
    assert path[-1] <= min(nlls(mine, y).mean().item() for mine in p) + 1e-12


def test_a_good_member_may_count_several_times():
    p, y = members(3, noise=0.3)
    p[1:] = (p[1:].log() * 0.2).softmax(2)  # two that are nearly ignorant
    times = counts(greedy(FOUR, p, y)[0], 3)
    assert times[0] > max(times[1:])
    mean = weighted(p, [2, 1, 0])
    assert mean.allclose((2 * p[0] + p[1]) / 3)


def test_what_greedy_selection_promises_on_what_chose_is_not_kept_elsewhere():
    """Networks that know nothing: the greedy choice looks better than ignorance where it was made, and is worse."""
    chance = torch.Generator().manual_seed(0)
    p = torch.randn(40, 60, 4, generator=chance, dtype=torch.float64).softmax(2)
    y = torch.randint(4, (60,), generator=chance)

    def taken(p, y):
        return counts(greedy(FOUR, p, y)[0], len(p))

    seen = nlls(weighted(p, taken(p, y)), y).mean().item()
    unseen, mean = (held_out(FOUR, p, y, way)[0].mean().item() for way in (taken, lambda p, y: [1] * len(p)))
    assert seen < mean < unseen
    assert choose_weights(FOUR, p, y, 40).name == "mean of 40 seeds"


def test_members_that_differ_by_noise_alone_are_averaged():
    """Greedy selection among equals: lower here, higher there, and never by more than chance."""
    p, y = members(8, 300, noise=1.0)
    found = choose_weights(FOUR, p, y, 8)
    assert found.greedy_gain[1] <= 0
    assert found.name == "mean of 8 seeds"


def test_a_member_that_is_better_by_far_is_chosen():
    p, y = members(6, 400, noise=0.1)
    p[:5] = (p[:5].log() * 0.1).softmax(2)  # the seeds; the sixth is another configuration
    found = choose_weights(FOUR, p, y, 5)
    assert found.name == GREEDY
    assert found.counts[5] > 0
    assert sum(found.counts[:5]) <= found.counts[5]


# ---- how many ------------------------------------------------------------------------------------------------


def test_every_subset_counts_where_there_are_few():
    p, y = members(4)
    found = ensemble_sizes(p, y)
    assert [s.subsets for s in found] == [4, 6, 4, 1]
    pairs = [quality(p[list(pair)].mean(0), y).nll for pair in itertools.combinations(range(4), 2)]
    assert found[1].means[LOSS] == pytest.approx(sum(pairs) / 6)
    assert found[3].means[LOSS] == pytest.approx(quality(p.mean(0), y).nll)
    assert found[0].row()["members"] == 1


@pytest.mark.slow
def test_the_interval_is_how_far_other_members_would_lie(monkeypatch):
    """Eight members at a time, of two hundred: their own interval, and how ensembles of all really spread."""
    monkeypatch.setattr(selection, "SUBSETS", 30)
    p, y = members(200, 200, noise=2.0)
    found = [ensemble_sizes(p[i : i + 8], y, seed=i) for i in range(0, 200, 8)]
    chance = random_generator(0)
    for size in (1, 3, 8):
        widths = [(s[size - 1].high[LOSS] - s[size - 1].low[LOSS]) / (2 * 1.96) for s in found]
        others = [quality(p[chance.sample(range(200), size)].mean(0), y).nll for _ in range(300)]
        assert statistics.fmean(widths) == pytest.approx(statistics.stdev(others), rel=0.2)


@pytest.mark.slow
def test_it_tops_out_or_it_does_not():
    p, y = members(10, 400, noise=2.0)
    few = enough(ensemble_sizes(p, y))
    assert 2 <= few < 10
    assert f"; {few} members are within that interval, so more gain little" in ensemble_size(
        ensemble_sizes(p, y), "NLL"
    )
    same = p[:1].expand(10, -1, -1)  # ten times the same network
    assert enough(ensemble_sizes(same, y)) == 1
    assert "gains no more than the noise" in ensemble_size(ensemble_sizes(same, y), "NLL")


# ---- temperature ---------------------------------------------------------------------------------------------


@given(st.floats(0.3, 4.0), st.integers(0, 20))
@settings(max_examples=20, deadline=None)
def test_the_temperature_is_that_of_the_lowest_loss(t, seed):
    p, y = random(200, sure=2.0, seed=seed)
    p = tempered(p, t)
    known = minimize_scalar(
        lambda b: nlls(tempered(p, 1 / b), y).mean().item(), bounds=(1 / MOST, 1 / LEAST), method="bounded",
        options={"xatol": 1e-9},
    )  # fmt: skip
    assert fit_temperature(p, y) == pytest.approx(1 / known.x, rel=1e-3)


def test_a_temperature_is_found_again():
    p, y = random(20_000, sure=2.0)
    for t in (0.5, 1.0, 3.0):
        assert fit_temperature(tempered(p, 1 / t), y) == pytest.approx(t, rel=0.05)
    assert tempered(p, 2.0).argmax(1).equal(p.argmax(1))


def test_without_a_mistake_the_temperature_is_at_its_end_and_not_used():
    p = torch.tensor([[0.7, 0.2, 0.1]] * 30 + [[0.2, 0.6, 0.2]] * 29 + [[0.1, 0.85, 0.05]], dtype=torch.float64)
    y = torch.tensor([0] * 30 + [1] * 29 + [1])
    assert fit_temperature(p, y) == pytest.approx(LEAST)
    y[-1] = 0  # one that is confidently wrong: held out, it is what the others did not know
    found = choose_weights(Classification(("a", "b", "c")), torch.stack([p, p]), y, 2)
    assert not found.calibrated
    assert found.calibration == (1.0,)
    assert found.predictions(torch.stack([p, p])).allclose(p)


@pytest.mark.slow
def test_calibration_before_and_after():
    p, y = random(2000, sure=2.0)
    sure = tempered(p, 0.5)
    found = calibration_effect("val", FOUR, sure, (fit_temperature(sure, y),), y)
    assert all(found.after[name][0] < found.before[name][0] for name in ("NLL", "Brier", "ECE"))
    assert found.fall[1] > 0
    assert found.fall == fall(sure, tempered(sure, fit_temperature(sure, y)), y)
    rows = found.rows()
    assert len(rows) == 6
    assert all(r["low"] <= r["value"] <= r["high"] or r["measure"] == "ECE" for r in rows)
