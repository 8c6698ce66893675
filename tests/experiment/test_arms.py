"""Paired comparison: the interval is Student's, early stopping is judged on what did not choose it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_data import DATA
from omegaconf import OmegaConf
from scipy import stats

from recipe.errors import RecipeError
from recipe.experiment import arms as paired
from recipe.experiment.arms import Arm, Gain, gain, paired_gain
from recipe.metrics.classification import ACCURACY
from recipe.metrics.objective import Objective
from recipe.stages.regularize.ablation import Candidate, Level
from recipe.train.lane import Trained

numbers = st.lists(st.floats(-5, 5), min_size=2, max_size=12).filter(lambda v: max(v) - min(v) > 1e-3)


@settings(deadline=None)  # the first call imports scipy
@given(numbers)
def test_the_interval_is_scipys_paired_t_interval(differences):
    ours = paired_gain(differences, 0.95)
    theirs = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert ours.low == pytest.approx(theirs.low, abs=1e-9)
    assert ours.high == pytest.approx(theirs.high, abs=1e-9)
    assert ours.n == len(differences)


def tried(*gains: Gain | None) -> Candidate:
    levels = [Level(f"level {i}", {"key": i}, gain=g, skipped="" if g else "no such key") for i, g in enumerate(gains)]
    return Candidate("a", "falls", levels)


def test_a_change_is_kept_only_when_its_interval_excludes_zero():
    assert tried(Gain(0.1, 0.01, 0.2, 5)).kept
    assert not tried(Gain(0.1, -0.01, 0.2, 5)).kept
    assert not tried(Gain(-0.1, -0.2, -0.01, 5)).kept
    assert tried(Gain(0.1, 0.01, 0.2, 5)).prediction()["outcome"] == "confirmed"
    assert tried(Gain(0.1, -0.01, 0.2, 5)).prediction()["outcome"] == "undecided"
    assert tried(Gain(-0.1, -0.2, -0.01, 5)).prediction()["outcome"] == "refuted"


def test_the_best_level_counts_for_its_candidate():
    candidate = tried(Gain(0.05, 0.04, 0.06, 5), Gain(0.1, -0.1, 0.3, 5), None)
    assert candidate.best.name == "level 1"
    assert not candidate.kept  # though another level's interval excludes zero
    assert "best of 2 levels" in candidate.prediction()["measured"]


def test_a_candidate_without_a_level_that_could_be_trained_is_skipped():
    prediction = tried(None).prediction()
    assert (prediction["outcome"], prediction["measured"]) == ("skipped", "no such key")


def lane(a: list[float], b: list[float]) -> Trained:
    curve = [
        {"candidate": i, "val_loss": (x + y) / 2, "val_loss/a": x, "val_loss/b": y, "train_loss": 0.0}
        for i, (x, y) in enumerate(zip(a, b, strict=True))
    ]
    return Trained(curve=curve, best_row=min(range(len(a)), key=lambda i: curve[i]["val_loss"]))


def test_gains_are_paired_by_seed():
    base = Arm("base", {}, [lane([1.0], [1.0]), lane([3.0], [3.0])])
    arm = Arm("arm", {}, [lane([0.9], [0.9]), lane([2.8], [2.8])])
    assert gain(base, arm, 0.95).mean == pytest.approx(0.15)


def test_early_stopping_is_not_judged_by_the_examples_that_chose_the_step():
    # pure noise on the two halves: the best candidate of one half means nothing on the other
    noisy = [lane([1.0, 0.5, 1.0, 1.0], [1.0, 1.0, 0.5, 1.0]) for _ in range(4)]
    for i, t in enumerate(noisy):
        t.curve[-1]["val_loss/a"] += i * 1e-3
    base, stopped = Arm("base", {}, noisy), Arm("stopped", {}, noisy, early_stopping=True)
    assert not gain(base, stopped, 0.95).significant
    assert gain(base, stopped, 0.95).mean == pytest.approx(0.0, abs=0.01)


def test_early_stopping_that_helps_is_seen():
    rising = [lane([1.0, 0.3 + i / 100, 0.9], [1.0, 0.3, 0.9]) for i in range(4)]
    result = gain(Arm("base", {}, rising), Arm("stopped", {}, rising, early_stopping=True), 0.95)
    assert result.significant
    assert not math.isnan(result.high)


def test_two_arms_that_both_stop_early_are_both_judged_crosswise():
    base = Arm("base", {}, [lane([1.0, 0.6, 0.9], [1.0, 0.6, 0.9 + i / 99]) for i in range(3)], early_stopping=True)
    # the better half by chance at each candidate: its own lowest loss is too good, the other half's is not
    lucky = [lane([1.0, 0.2, 0.8 + i / 99], [1.0, 0.8, 0.2]) for i in range(3)]
    assert gain(base, Arm("lucky", {}, lucky, early_stopping=True), 0.95).mean == pytest.approx(-0.2, abs=0.02)


@settings(deadline=None)
@given(numbers, st.integers(2, 10))
def test_overlapping_training_sets_widen_the_interval(differences, folds):
    """Nadeau and Bengio's correction: the variance of the mean is s^2 (1 / n + n_val / n_train)."""
    n, plain, ours = len(differences), paired_gain(differences, 0.95), paired_gain(differences, 0.95, folds)
    assert ours.mean == plain.mean
    wider = (1 + n / (folds - 1)) ** 0.5
    assert ours.high - ours.low == pytest.approx(wider * (plain.high - plain.low))


def test_by_a_metric_a_gain_is_its_rise():
    def by(*values: tuple[float, float]) -> Arm:
        rows = [
            {"val_loss": 1.0, "val_accuracy": (a + b) / 2, "val_accuracy/a": a, "val_accuracy/b": b} for a, b in values
        ]
        return Arm("", {}, [Trained(curve=[row], best_row=0) for row in rows])

    base, arm = by((0.5, 0.5), (0.4, 0.6)), by((0.7, 0.7), (0.6, 0.9))
    result = gain(base, arm, 0.95, Objective(ACCURACY))
    assert result.mean == pytest.approx(0.225)
    assert result.sentence().startswith("raises validation accuracy by 0.225 (95 % CI ")
    assert gain(base, arm, 0.95).mean == 0  # the losses are equal


def test_a_metric_that_does_not_exist_on_a_half_of_val_is_a_message():
    rows = [{"val_accuracy": 0.5, "val_accuracy/a": value, "val_accuracy/b": 0.5} for value in (0.5, math.nan)]
    arm = Arm("", {}, [Trained(curve=[row, row], best_row=0) for row in rows], early_stopping=True)
    with pytest.raises(RecipeError, match="accuracy does not exist on a half of the validation set"):
        gain(arm, arm, 0.95, Objective(ACCURACY))


# ---- no training for nothing ---------------------------------------------------------------------------------------


def arm(name: str, losses) -> Arm:
    return Arm(name, {}, [Trained(curve=[{"step": 1, "val_loss": loss}]) for loss in losses])


def compared(monkeypatch, seeds: int, base_losses, losses) -> tuple[Gain, list[list[int]]]:
    """The gain of an arm with these losses over one with those, and the seeds of each call of the engine."""
    calls = []

    def trained(cfg, data, arms, run, label="", seeds=None):
        calls.append(list(seeds))
        return {name: arm(name, [losses[seed] for seed in seeds]) for name in arms}

    monkeypatch.setattr(paired, "train_arms", trained)
    cfg, base = OmegaConf.create({"seed": 0, "seeds": seeds}), arm("base", base_losses)
    done = paired.train_promising(cfg, DATA, {"changed": {}}, base, None, "changed")
    return gain(base, done["changed"], 0.95), calls


def test_a_change_that_is_no_better_over_the_first_seeds_has_these_alone(monkeypatch):
    base = [1.0, 1.1, 0.9, 1.0, 1.2, 1.1, 1.0, 0.9]
    worse, calls = compared(monkeypatch, 8, base, [b + 0.1 + i / 100 for i, b in enumerate(base)])
    assert (worse.n, calls) == (3, [[0, 1, 2]])
    better, calls = compared(monkeypatch, 8, base, [b - 0.1 + i / 100 for i, b in enumerate(base)])
    assert (better.n, calls) == (8, [[0, 1, 2], [3, 4, 5, 6, 7]])
    assert better.significant


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "effect"), [(4, 0.0), (4, 2.0), (8, 0.0), (8, 1.0), (16, 1.0)])
def test_stopping_for_futility_keeps_nothing_more_and_loses_nearly_nothing(monkeypatch, seeds, effect):
    draw, repeats, lost, trained = np.random.default_rng(0), 400, 0, 0
    for _ in range(repeats):
        base, noise = draw.normal(size=(2, seeds))
        losses = base - effect + noise
        stopped, calls = compared(monkeypatch, seeds, base.tolist(), losses.tolist())
        fixed = paired.paired_gain((base - losses).tolist(), 0.95)
        assert fixed.significant or not stopped.significant
        lost += fixed.significant and not stopped.significant
        trained += sum(map(len, calls))
    assert lost <= 0.03 * repeats
    assert trained <= repeats * (seeds if effect else 0.8 * seeds)
