"""Schedules: torch's own numbers, in the plain loop and in lanes; a user's function; and what is refused."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lanes import lane, parts
from torch.optim import lr_scheduler as torchs

from recipe.config.compose import compose
from recipe.errors import RecipeError
from recipe.experiment import build
from recipe.train import engine, loop
from recipe.train.schedules import CONSTANT, Cooldown, Cosine, OneCycle, Steps

RATE = 1e-3


def warmup_cosine(optimizer, steps: int, rising: int):
    first = torchs.LinearLR(optimizer, start_factor=1 / rising, total_iters=rising - 1)
    return torchs.SequentialLR(optimizer, [first, torchs.CosineAnnealingLR(optimizer, steps - rising)], [rising])


def held_then_linear(optimizer, steps: int, falling: int):
    return torchs.LambdaLR(optimizer, lambda n: min(1, (steps - n) / falling))


# {name: (ours, torch's of an optimizer and 40 steps)}
PAIRS = {
    "cosine": (Cosine(), lambda o: torchs.CosineAnnealingLR(o, 40)),
    "cosine to a tenth": (Cosine(final=0.1), lambda o: torchs.CosineAnnealingLR(o, 40, eta_min=RATE / 10)),
    "warmup, then a cosine": (Cosine(warmup=0.2), lambda o: warmup_cosine(o, 40, 8)),
    "one cycle": (OneCycle(), lambda o: torchs.OneCycleLR(o, RATE, 40, cycle_momentum=False)),
    "one cycle, rising for half": (
        OneCycle(rise=0.5, start=0.1, final=0.001),
        lambda o: torchs.OneCycleLR(o, RATE, 40, 1, 40, 0.5, cycle_momentum=False, div_factor=10, final_div_factor=100),
    ),
    "steps": (Steps(), lambda o: torchs.MultiStepLR(o, [20, 30])),
    "one step": (Steps(at=[0.9], factor=0.5), lambda o: torchs.MultiStepLR(o, [36], gamma=0.5)),
    "cooldown": (Cooldown(0.4), lambda o: held_then_linear(o, 40, 16)),
    "linear": (Cooldown(1.0), lambda o: held_then_linear(o, 40, 40)),
}


@pytest.mark.parametrize("mode", ["plain", "batched"])
@pytest.mark.parametrize("name", PAIRS)
def test_a_training_is_that_with_torchs_scheduler(mode, name):
    """A constant lane beside it, so that lanes of one batch have different rates."""
    ours, theirs = PAIRS[name]
    double = {"steps": 40, "dtype": torch.float64, "options": {"lr": RATE}}
    lanes = [lane(seed=0, schedule=ours, **double), lane(seed=1, **double)]
    result, _ = engine.train(lanes, *parts("cpu", torch.float64), eval_every=25, mode=mode)
    other = lane(seed=0, **double)
    scheduler = theirs(other.optimizer)
    for n, _ in enumerate(loop.fit(other, parts("cpu", torch.float64)[0], 0, 40)):
        if n < 39:
            scheduler.step()
    assert all(torch.allclose(t, result.last[n], rtol=0, atol=1e-12) for n, t in other.model.state_dict().items())
    assert lanes[0].optimizer.param_groups[0]["lr"] == RATE  # as it was given


SHARE = st.floats(0, 0.99)
SCHEDULES = st.one_of(
    st.builds(Cosine, SHARE, SHARE),
    st.builds(OneCycle, SHARE, SHARE, SHARE),
    st.builds(Steps, st.lists(st.floats(0, 1)), SHARE),
    st.builds(Cooldown, st.floats(0.01, 1)),
)


@settings(deadline=None)
@given(SCHEDULES, st.integers(1, 60))
def test_a_factor_is_a_share_of_the_rate_at_any_number_of_steps(schedule, steps):
    factors = [schedule(n, steps) for n in range(steps)]
    assert all(0 <= f <= 1 + 1e-12 for f in factors)
    assert all(map(math.isfinite, factors))


def test_schedules_of_equal_numbers_are_equal_so_that_their_lanes_share_a_call():
    assert Cosine(warmup=0.1) == Cosine(warmup=0.1) != Cosine()
    assert lane(schedule=OneCycle()).scheduled == (OneCycle(), 100)
    assert lane(schedule=CONSTANT).scheduled is None


# ---- from conf -----------------------------------------------------------------------------------------------


def cut_in_half(step: int, steps: int, sign: float = 1.0) -> float:
    return sign * (0.5 if 2 * step >= steps else 1.0)


def configured(**schedule):
    cfg = compose("tune")
    cfg.schedule = schedule
    return build.schedule(cfg, 80)


def test_a_function_of_a_user_is_a_schedule():
    mine = configured(_target_="test_schedules.cut_in_half", _partial_=True)
    assert [mine(n, 80) for n in (0, 39, 40, 79)] == [1, 1, 0.5, 0.5]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"sign": -1.0}, r"gives -1\.0 at step 0 of 80; it must give a factor of the learning rate, at least 0"),
        ({"sign": "a"}, "fails at step"),
        ({"slope": 1}, "fails at step"),
    ],
)
def test_a_function_that_gives_no_factor_is_a_message(more, message):
    with pytest.raises(RecipeError, match=message):
        configured(_target_="test_schedules.cut_in_half", _partial_=True, **more)


def test_the_stages_before_tune_have_no_schedule():
    assert build.schedule(compose("overfit"), 80) == CONSTANT
    assert "schedule" in compose("ensemble")
