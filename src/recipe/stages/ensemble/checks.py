"""Claims about the final system."""

import math
from dataclasses import dataclass

from torch import Tensor

from recipe.formatting import interval, lowering
from recipe.metrics import power
from recipe.metrics.comparison import Comparison
from recipe.metrics.conformal import SHARE
from recipe.metrics.power import Estimate
from recipe.stages.ensemble.calibration_effect import CalibrationEffect
from recipe.stages.ensemble.coverage import Coverage
from recipe.stages.ensemble.extended_training import ExtendedTraining
from recipe.verdict import FAIL, PASS, Verdict, bounded, check, exactly, skip, undecided

NOT_CALIBRATED = "predictions of quantities are not calibrated; their intervals are"


@dataclass(frozen=True)
class FinalSystemEvidence:
    loss_name: str
    saved: Tensor  # predictions on test, read back from the saved table (N, K)
    reloaded: Tensor  # of the saved system, on the inputs as `prepare` stored them
    scale: Tensor  # (K,) what counts as 1 in a prediction: 1 of probabilities, the standard deviation of quantities
    test_count: int  # examples of the test list
    overlap: int  # test examples that are also in train or val
    choice: dict  # choice.yaml, as it was on disk before test was read
    choice_again: dict  # the same, chosen once more from the predictions on val
    members: list[float]  # loss of each network of the pool alone, on val
    averaged: float  # loss of the chosen members without a calibration, on val
    val_count: int
    held_out: tuple[float, float]  # cross-validated loss on val without and with a calibration
    calibration: CalibrationEffect  # on val
    coverage: list[Coverage]  # of the intervals of quantities
    saved_on_test: Estimate  # the share of the constant answer's loss that the final system saves
    saved_on_val: Estimate
    is_tabular: bool  # the inputs are columns of a table, which may not predict the label
    untuned: Comparison  # the final system with the untuned baseline, on test
    simple: Comparison | None  # with the best simple model of a table or of texts, on test
    extended: ExtendedTraining | None


@check(source="Recipe 6, ensembles")
def predictions_are_the_models(f: FinalSystemEvidence, limit: float = 1e-6) -> Verdict:
    """The saved predictions are those of the saved system: its members, how often each counts, its calibration.

    Weights were saved from another step than the predictions, rows were sorted differently, or the model has state
    that its weights do not hold.
    """
    worst = ((f.saved - f.reloaded).abs() / f.scale).max().item()
    finding = (
        f"The saved predictions differ from those of the saved system by up to {worst:.2g} (of probabilities, or in "
        "standard deviations of the training targets): look for weights of another step, another order of rows, or "
        "state outside the weights."
    )
    return bounded(PASS if worst <= limit else FAIL, worst, f"<= {limit:g}", finding=finding)


@check(source="Recipe 2, add significant digits")
def whole_test_set_is_counted(f: FinalSystemEvidence) -> Verdict:
    """Every test example is predicted once, and none of them was used for training or for a choice.

    A loader that drops the last batch, or split lists that were edited by hand.
    """
    finding = (
        f"{len(f.saved)} of {f.test_count} test examples are predicted, and {f.overlap} of them are also in train or "
        "val: look for a loader that drops the last batch, or split lists that were edited by hand."
    )
    return exactly(len(f.saved) - f.overlap, f.test_count, finding=finding)


@check(source="Recipe 2, why splits")
def choice_rests_on_val(f: FinalSystemEvidence) -> Verdict:
    """The system on disk before test was read is the one that the validation set alone chooses.

    Members or a calibration were chosen on the test set, or changed by hand afterwards. Such a score does not predict
    performance on new data.
    """
    different = [key for key in f.choice_again if f.choice_again[key] != f.choice.get(key)]
    return bounded(FAIL if different else PASS, ", ".join(different) or "the same", "the same")


@check(source="Guo et al. 2017, calibration")
def temperature_is_fitted(f: FinalSystemEvidence, limit: float = 1e-9) -> Verdict:
    """On val, which chose it, the temperature does not raise the negative log-likelihood.

    It was fitted on other predictions than these, or multiplied where it must divide.
    """
    if not f.choice["calibration"]:
        return skip(NOT_CALIBRATED)
    before, after = (next(iter(measures.values()))[0] for measures in (f.calibration.before, f.calibration.after))
    finding = (
        f"The temperature raises the validation NLL, which chose it, from {before:.4f} to {after:.4f}: it was fitted "
        "on other predictions, or multiplied where it must divide."
    )
    return bounded(PASS if after <= before + limit else FAIL, after, f"<= {before:.4g}", finding=finding)


@check(source="Recipe 2, dumb baselines")
def final_score_beats_the_constant(f: FinalSystemEvidence, errors: float = 2.5, effect: float = 0.14) -> Verdict:
    """On test, the final system has a lower loss than the constant answer, by more than chance.

    Test inputs were prepared differently from train, or labels are in another order. The value is the share of the
    constant's loss that the system saves.
    """
    # columns may not predict the label; where they do on val, they must on test
    weak = f.is_tabular and not f.saved_on_val.value > f.saved_on_val.margin(errors)
    return power.exceeds(f.saved_on_test, floor=0.0, effect=effect, errors=errors, what="test examples", weak=weak)


@check(source="Recipe 6, ensembles", gate=False)
def ensemble_beats_its_best_member(f: FinalSystemEvidence) -> Verdict:
    """On val, the averaged members have a lower loss than the best of them.

    Members that agree on everything add nothing: give them other seeds, data or shapes. The best of many on val is also
    the luckiest there: compare both on test.
    """
    best = min(f.members)
    finding = (
        f"The averaged members have a validation {f.loss_name} of {f.averaged:.4f}, the best member {best:.4f} (n = "
        f"{f.val_count:,}): averaging gains nothing. Give the members other seeds, data or shapes."
    )
    return bounded(PASS if f.averaged < best else FAIL, f.averaged, f"< {best:.4g}", finding=finding)


@check(source="Guo et al. 2017, calibration", gate=False)
def temperature_is_moderate(f: FinalSystemEvidence, most: float = 3.0) -> Verdict:
    """The temperature, of labels each one's, is within a factor of 3 of one.

    Far above: members are overconfident, as after training for long without regularisation. Far below: val has hardly a
    mistake to fit it on, or the members were trained to be unconfident (mixup, label smoothing).
    """
    if not (temperatures := f.choice["calibration"].values()):
        return skip(NOT_CALIBRATED)
    t = max(temperatures, key=lambda each: abs(math.log(each)))
    cause = "the members are overconfident: regularise more" if t > 1 else "the members are underconfident"
    return bounded(
        PASS if 1 / most <= t <= most else FAIL, t, f"{1 / most:.2g} to {most:.2g}",
        finding=f"The temperature fitted to validation is {t:.2f}, {cause}, or validation has too few mistakes.",
    )  # fmt: skip


@check(source="Guo et al. 2017, calibration", gate=False)
def temperature_helps_where_it_was_not_fitted(f: FinalSystemEvidence) -> Verdict:
    """Cross-validated on fifths of val, the temperature lowers the negative log-likelihood.

    It is not used otherwise. Val has too few mistakes to fit it on, or the members are calibrated already.
    """
    if not f.choice["calibration"]:
        return skip(NOT_CALIBRATED)
    before, after = f.held_out
    finding = (
        f"Cross-validated, the temperature changes the validation NLL from {before:.4f} to {after:.4f}, so it is not "
        "used: validation has too few mistakes to fit it on, or the members are calibrated already."
    )
    return bounded(PASS if after < before else FAIL, after, f"< {before:.4g}", finding=finding)


@check(source="Recipe 2, dumb baselines", gate=False)
def final_beats_the_untuned_baseline(f: FinalSystemEvidence) -> Verdict:
    """On test, the final system has a lower loss than the untuned model, by more than chance.

    What regularize, tune and ensemble added raised the test loss: too much was chosen on too small a validation set.
    """
    return _lowers(f, f.untuned, "the untuned baseline", "too much was chosen on too small a validation set")


@check(source="Grinsztajn, Oyallon and Varoquaux 2022, Why do tree-based models still outperform?", gate=False)
def final_beats_simple_models(f: FinalSystemEvidence) -> Verdict:
    """On test, the final system has a lower loss than the best simple model: of columns a linear one and gradient
    boosting of trees, of texts logistic or ridge regression on TF-IDF.

    By more than chance; the best one is that of validation. On columns of a table trees are hard to beat, and of few
    rows a linear model is; on texts TF-IDF is. They are fitted in seconds: where they are better, or as good, use them.
    """
    if not f.simple:
        return skip("the inputs are neither columns of a table nor texts")
    return _lowers(f, f.simple, f.simple.other, f"{f.simple.other} is better here, so use it")


def _lowers(f: FinalSystemEvidence, with_other: Comparison, other: str, otherwise: str) -> Verdict:
    """The claim that the final system's loss on test is lower; otherwise: what it means that it is higher."""
    mean, low, high = with_other.loss
    bound = f"below 0 with the whole {interval(low, high, decimals=4)} (n = {f.test_count:,} test examples)"
    effect = lowering(-mean, -high, -low, f"test {f.loss_name}", f"{f.test_count:,} examples")
    finding = f"Compared with {other}, the final system {effect}"
    if low <= 0 <= high:
        estimate = power.of_interval(mean, low, high, f.test_count)
        more = power.about(estimate, abs(mean), power.Z95, "test examples")
        note = f"{finding}: the interval includes zero."
        return undecided(mean, bound, f"The 95 % CI over examples includes zero. {more}", finding=note)
    return bounded(PASS if with_other.significant else FAIL, mean, bound, finding=f"{finding}: {otherwise}.")


@check(source="Lei et al. 2018, distribution-free prediction", gate=False)
def intervals_cover(f: FinalSystemEvidence) -> Verdict:
    """On test, the 90 % intervals contain 90 % of the true values, within the noise of the examples.

    The validation examples that set their width are easier than new ones: networks were chosen on them, or were trained
    on some of them. Or test comes from another time or place. The value is the coverage that is the furthest off.
    """
    if not f.coverage:
        return skip("intervals are of quantities")
    worst = max(f.coverage, key=lambda c: abs(c.share - SHARE))
    ends = interval(100 * worst.both_low, 100 * worst.both_high, decimals=1)
    finding = (
        f"The {100 * SHARE:g} % intervals of {worst.target} contain {worst.share:.1%} of the true values of test "
        f"({ends} %, with the noise of the validation examples that set the width): those are easier than new "
        "examples, or harder."
    )
    holds = worst.both_low <= SHARE <= worst.both_high
    return bounded(PASS if holds else FAIL, worst.share, f"{SHARE:g} within {ends} %", finding=finding)


@check(source="Recipe 6, leave it training", gate=False)
def training_was_long_enough(f: FinalSystemEvidence) -> Verdict:
    """Training for several times the passes does not lower the validation loss of a network by more than chance.

    Training was stopped too early: raise train.epochs, or let the rate fall at the end (`schedule: cooldown`).
    """
    if not f.extended:
        return skip("longer: 0")
    mean, low, high = f.extended.best_gain
    finding = (
        f"{f.extended.times} times the passes {f.extended.effect(f.extended.best_gain)}: training was stopped too "
        "early. Raise train.epochs, or let the rate fall at the end (`schedule: cooldown`)."
    )
    bound = f"not above 0 with the whole {interval(low, high, decimals=4)}"
    return bounded(PASS if low <= 0 else FAIL, mean, bound, finding=finding)
