"""Claims about whole stages (baseline, overfit, regularize): each passes healthy, and fails on a planted bug."""

import itertools
from types import SimpleNamespace

import pytest
import torch

from recipe.experiment.arms import Gain
from recipe.metrics import objective
from recipe.metrics.power import Estimate
from recipe.stages.baseline import checks as baseline_checks
from recipe.stages.baseline.baselines import Baseline, over_constant
from recipe.stages.overfit import checks as overfit_checks
from recipe.stages.overfit.capacity_ladder import SizedModel
from recipe.stages.regularize import checks as regularize_checks
from recipe.tasks.classification import Classification
from recipe.train.lane import Trained

SIZES = itertools.count(8)  # no two models have one
GAIN, LOSS, OPEN = Gain(0.02, 0.01, 0.03, 5), Gain(-0.02, -0.03, -0.01, 5), Gain(0.005, -0.01, 0.02, 5)


def baselines(
    constant=(0.6, 0.02), linear=(0.2, 0.02), boosting=(0.1, 0.02), n=300, tabular=False, on=None, lost=(), words=None
):  # fmt: skip
    over = [Estimate(*of, n) for of in (constant, linear, boosting)]
    return baseline_checks.Baselines([], {"model.dropout": 0.0} | (on or {}), list(lost), *over, words, tabular)


def ladder(loss=0.04, of_baseline=0.2, lr=3e-4, optimizer="torch.optim.AdamW", irreducible=0.0, losses=(), val=()):
    """val: validation losses of the best model, from its best evaluation on."""
    best, baseline = sized_model(loss, *val), {"train_loss": of_baseline}
    models = [sized_model(v) for v in losses or (loss,)]
    return overfit_checks.CapacityLadder(models, best, baseline, lr, optimizer, irreducible, 0.05 + irreducible)


def sized_model(loss, *val):
    untrained, trained = (2.3, 2.3), [(loss + 0.1 * (len(val) - 1 - i), v) for i, v in enumerate(val)]
    losses = [untrained, *(trained or [(loss, 1.0)])]
    curve = [{"step": 10 * i, "train_loss": train, "val_loss": v} for i, (train, v) in enumerate(losses)]
    return SizedModel("width 8", "model.width", next(SIZES), 100, Trained(curve))


def arm(train_loss=0.1, val_loss=0.1):
    made = SimpleNamespace(score=lambda: {"train_loss": train_loss, "val_loss": val_loss})
    made.in_first_fold = lambda: made
    return made


def regularized(accepted=None, baseline=0.2, error=0.0, examples=0, gains=()):
    candidates = [SimpleNamespace(gain=g, name=f"change {i}", kept=g.significant) for i, g in enumerate(gains)]
    result = SimpleNamespace(
        accepted=accepted or arm(), base=arm(), candidates=candidates, kept=[c.name for c in candidates if c.kept],
        objective=objective.LOSS,
    )  # fmt: skip
    rows = {"constant": {"train_loss": 2.3, "val_loss": 2.3}, "mlp": {"val_loss": baseline}}
    return regularize_checks.Regularized(result, rows, None, [], error, examples)


@pytest.mark.parametrize(
    ("claim", "healthy", "broken"),
    [
        (baseline_checks.nothing_fancy_yet, baselines(), baselines(on={"train.mixup": 0.2})),
        (baseline_checks.every_lane_is_finite, baselines(), baselines(lost=["mlp seed 1"])),
        (baseline_checks.model_beats_the_constant, baselines(), baselines(constant=(0.0, 0.01))),
        (baseline_checks.model_beats_the_linear_floor, baselines(), baselines(linear=(-0.2, 0.02))),
        (baseline_checks.model_beats_gradient_boosting, baselines(), baselines(boosting=(-0.2, 0.02))),
        (
            baseline_checks.texts_are_whole,
            baselines(words=([5] * 199 + [80], 64)),
            baselines(words=([5] * 95 + [70, 80, 90, 100, 900], 64)),
        ),
        (overfit_checks.training_set_is_learned, ladder(), ladder(loss=0.2)),
        (overfit_checks.training_set_is_learned, ladder(0.2, val=(0.4, 0.5)), ladder(0.2, val=(0.4, 0.41))),
        (
            overfit_checks.training_set_is_learned,
            ladder(loss=0.2, irreducible=0.16),
            ladder(loss=0.22, irreducible=0.16),
        ),
        (overfit_checks.training_loss_is_below_the_baselines, ladder(), ladder(loss=0.3)),
        (overfit_checks.capacity_lowers_training_loss, ladder(losses=(0.5, 0.1)), ladder(losses=(0.1, 0.5))),
        (overfit_checks.optimizer_is_safe, ladder(), ladder(lr=0.1)),
        (overfit_checks.optimizer_is_safe, ladder(), ladder(optimizer="torch.optim.SGD")),
        (regularize_checks.pick_beats_the_baseline, regularized(), regularized(baseline=0.05)),
        (regularize_checks.training_still_works, regularized(), regularized(accepted=arm(train_loss=2.0))),
        (regularize_checks.something_helped, regularized(gains=[GAIN]), regularized(gains=[LOSS])),
    ],
    ids=lambda of: getattr(of, "__name__", ""),
)
def test_a_planted_bug_is_told_from_a_healthy_stage(claim, healthy, broken):
    assert claim(healthy).verdict == "pass"
    assert claim(broken).verdict == "fail"


@pytest.mark.parametrize(
    ("claim", "subject"),
    [
        (baseline_checks.model_beats_the_constant, baselines(constant=(0.05, 0.19), n=22)),
        (baseline_checks.model_beats_the_constant, baselines(constant=(0.0, 0.01), tabular=True)),
        (baseline_checks.model_beats_the_linear_floor, baselines(linear=(-0.02, 0.02))),
        (overfit_checks.capacity_lowers_training_loss, ladder(losses=(0.0101, 0.0102))),
        (regularize_checks.pick_beats_the_baseline, regularized(baseline=0.09, error=0.02, examples=60)),
        (regularize_checks.something_helped, regularized(gains=[LOSS, OPEN])),
    ],
    ids=lambda of: getattr(of, "__name__", ""),
)
def test_what_the_numbers_cannot_decide_closes_nothing(claim, subject):
    verdict = claim(subject)
    assert verdict.verdict == "undecided"
    assert "would decide" in verdict.needed


def test_the_note_on_texts_that_are_cut_names_a_length_that_keeps_them():
    verdict = baseline_checks.texts_are_whole(baselines(words=([5] * 95 + [70, 80, 90, 100, 900], 64)))
    assert verdict.value == 0.05
    assert "5.0% of the 100 texts" in verdict.finding
    assert "length: 100}" in verdict.finding


def test_a_rare_class_that_accuracy_does_not_see_is_seen_by_the_loss():
    chance = torch.Generator().manual_seed(0)
    y = (torch.rand(2000, generator=chance) < 0.023).long()
    prior = torch.tensor([0.977, 0.023]).log()
    z = torch.stack([torch.zeros(2000), -3.8 + 2.0 * y + 0.5 * torch.randn(2000, generator=chance)], 1)
    constant, model = (Baseline(n, [], [], {}, [v]) for n, v in (("constant", prior.expand(2000, -1)), ("mlp", z)))
    assert (z.argmax(1) == y).double().mean() == (y == 0).double().mean()  # accuracy is the constant's
    data = SimpleNamespace(val=SimpleNamespace(y=y), task=Classification(("all", "rare")))
    subject = baseline_checks.Baselines(
        [], {}, [], over_constant(data, model, constant), tabular=True, over_linear=None
    )
    assert baseline_checks.model_beats_the_constant(subject).verdict == "pass"


def test_a_model_that_is_right_and_far_too_sure_beats_the_constant():
    y = torch.arange(400) % 2
    right = torch.arange(400) % 10 > 2  # 70 %
    z = 30.0 * torch.nn.functional.one_hot(torch.where(right, y, 1 - y), 2)
    constant, model = (Baseline("", [], [], {}, [v]) for v in (torch.zeros(400, 2), z))
    assert torch.nn.functional.cross_entropy(z, y) > 5
    found = over_constant(SimpleNamespace(val=SimpleNamespace(y=y), task=Classification(("a", "b"))), model, constant)
    assert found.value > found.margin(2.5)
