"""Claims about whole stages (baseline, overfit, regularize): each passes healthy, and fails on a planted bug."""

from types import SimpleNamespace

import pytest

from recipe.checks import baseline, overfit, regularize


def baselines(constant=0.1, linear=0.4, model=(0.9, 0.2), on=None, unfinished=()):
    rows = [{"system": "constant", "val_accuracy": constant, "val_loss": 2.3}]
    rows += [{"system": "linear", "val_accuracy": 0.8, "val_loss": linear}]
    rows += [{"system": "mlp", "val_accuracy": model[0], "val_loss": model[1]}]
    return baseline.Baselines(rows, {"model.dropout": 0.0} | (on or {}), list(unfinished))


def ladder(accuracy=1.0, of_baseline=0.98, lr=3e-4, optimizer="torch.optim.AdamW"):
    pick = SimpleNamespace(trained=SimpleNamespace(curve=[{"train_accuracy": accuracy}]))
    return overfit.Ladder([], pick, {"train_accuracy": of_baseline}, lr, optimizer)


def arm(train_accuracy=1.0, val_loss=0.1):
    return SimpleNamespace(score=lambda: {"train_accuracy": train_accuracy, "val_loss": val_loss})


def regularized(pick=None, floor=0.2):
    result = SimpleNamespace(pick=pick or arm(), base=arm())
    return regularize.Regularized(result, {"linear": {"val_loss": 0.5}, "mlp": {"val_loss": floor}}, None, [])


@pytest.mark.parametrize(
    ("claim", "healthy", "broken"),
    [
        (baseline.nothing_fancy_yet, baselines(), baselines(on={"train.mixup": 0.2})),
        (baseline.every_lane_is_finite, baselines(), baselines(unfinished=["mlp seed 1"])),
        (baseline.model_beats_the_constant, baselines(), baselines(model=(0.1, 2.3))),
        (baseline.model_beats_the_linear_floor, baselines(), baselines(model=(0.8, 0.6))),
        (overfit.training_accuracy_rises, ladder(), ladder(accuracy=0.9)),
        (overfit.optimizer_is_safe, ladder(), ladder(lr=0.1)),
        (overfit.optimizer_is_safe, ladder(), ladder(optimizer="torch.optim.SGD")),
        (regularize.pick_beats_the_baseline, regularized(), regularized(floor=0.05)),
        (regularize.training_still_works, regularized(), regularized(pick=arm(train_accuracy=0.5))),
    ],
    ids=lambda of: getattr(of, "__name__", ""),
)
def test_a_planted_bug_is_told_from_a_healthy_stage(claim, healthy, broken):
    assert claim(healthy).verdict == "pass"
    assert claim(broken).verdict == "fail"
