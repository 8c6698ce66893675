"""Claims about the final system."""

from dataclasses import dataclass

import torch

from recipe.metrics import power
from recipe.metrics.calibration import Calibration
from recipe.metrics.comparison import Comparison
from recipe.metrics.power import Estimate
from recipe.metrics.scores import Quality
from recipe.stages.ensemble.extended_training import Longer
from recipe.verdict import FAIL, PASS, Verdict, check, exactly, skip, undecided


@dataclass(frozen=True)
class Final:
    saved: torch.Tensor  # probabilities on test read back from the saved table (N, K)
    fresh: torch.Tensor  # of the saved system, on the inputs as `prepare` stored them
    expected: int  # examples of the test list
    overlap: int  # test examples that also stand in train or val
    written: dict  # choice.yaml, as it was on disk before test was read
    again: dict  # the same, chosen once more from the probabilities on val
    members: list[Quality]  # of the pool, each by itself, on val
    together: Quality  # the chosen members without a temperature, on val
    held_out: tuple[float, float]  # nll on val without and with a temperature, both judged on what did not choose
    calibration: Calibration  # on val
    test: Quality
    over_constant: Estimate  # the share of the constant's loss on test that the final system saves
    on_val: Estimate  # the same on val
    columns: bool  # the inputs are columns of a table, which may say nothing of the label
    untuned: Comparison  # the final system against the untuned baseline, on test
    longer: Longer | None


@check(source="Recipe 6, ensembles")
def predictions_are_the_models(f: Final, limit: float = 1e-6) -> Verdict:
    """The saved predictions are those of the saved system: its members, how often each counts, its temperature.

    Weights were saved from another step than the predictions, rows were sorted differently, or the model keeps state
    that its weights do not hold.
    """
    worst = (f.saved - f.fresh).abs().max().item()
    return Verdict(PASS if worst <= limit else FAIL, worst, f"<= {limit:g}")


@check(source="Recipe 2, add significant digits")
def whole_test_set_is_counted(f: Final) -> Verdict:
    """Every test example is predicted once, and none of them was trained or chosen on.

    A loader that drops the last batch, or split lists that were edited by hand.
    """
    return exactly(len(f.saved) - f.overlap, f.expected)


@check(source="Recipe 2, why splits")
def choice_rests_on_val(f: Final) -> Verdict:
    """The system on disk before test was read is the one that the validation set alone chooses.

    Members or a temperature were chosen with the test set in sight, or changed by hand afterwards. Such a score says
    nothing about new data.
    """
    other = [key for key in f.again if f.again[key] != f.written.get(key)]
    return Verdict(FAIL if other else PASS, ", ".join(other) or "the same", "the same")


@check(source="Guo et al. 2017, calibration")
def temperature_is_fitted(f: Final, limit: float = 1e-9) -> Verdict:
    """On val, which chose it, the temperature does not make the negative log-likelihood worse.

    It was fitted on other predictions than these, or multiplied where it must divide.
    """
    before, after = (found["nll"][0] for found in (f.calibration.before, f.calibration.after))
    return Verdict(PASS if after <= before + limit else FAIL, after, f"<= {before:.4g}")


@check(source="Recipe 2, dumb baselines")
def final_score_beats_the_constant(f: Final, errors: float = 2.5, effect: float = 0.14) -> Verdict:
    """On test, the final system has a lower negative log-likelihood than the constant answer, by more than chance.

    Test inputs prepared otherwise than train, or labels of another order. The value is the share of the constant's loss
    that the system saves.
    """
    # columns may say nothing of the label; where they do on val, they must on test
    weak = f.columns and not f.on_val.value > f.on_val.margin(errors)
    return power.exceeds(f.over_constant, floor=0.0, effect=effect, errors=errors, what="test examples", weak=weak)


@check(source="Recipe 6, ensembles", gate=False)
def ensemble_beats_its_best_member(f: Final) -> Verdict:
    """On val, the averaged members have a lower negative log-likelihood than the best of them.

    Members that agree on everything add nothing: give them other seeds, data or shapes. The best of many on val is also
    the luckiest there: see how both do on test.
    """
    best = min(m.nll for m in f.members)
    return Verdict(PASS if f.together.nll < best else FAIL, f.together.nll, f"< {best:.4g}")


@check(source="Guo et al. 2017, calibration", gate=False)
def temperature_is_moderate(f: Final, most: float = 3.0) -> Verdict:
    """The temperature is within a factor of 3 of one.

    Far above: members are far too sure, as after training for long without regularisation. Far below: val has hardly a
    mistake to fit it on, or the members were trained to be unsure (mixup, label smoothing).
    """
    t = f.written["temperature"]
    return Verdict(PASS if 1 / most <= t <= most else FAIL, t, f"{1 / most:.2g} to {most:.2g}")


@check(source="Guo et al. 2017, calibration", gate=False)
def temperature_helps_where_it_was_not_fitted(f: Final) -> Verdict:
    """On fifths of val that chose neither members nor temperature, the temperature lowers the negative log-likelihood.

    It is not used then. Val has too few mistakes to fit it on, or the members are calibrated as they are.
    """
    before, after = f.held_out
    return Verdict(PASS if after < before else FAIL, after, f"< {before:.4g}")


@check(source="Recipe 2, dumb baselines", gate=False)
def final_beats_the_untuned_baseline(f: Final) -> Verdict:
    """On test, the final system has a lower negative log-likelihood than the untuned model, by more than chance.

    What regularize, tune and ensemble added made it worse on test: too much was chosen on too small a validation set.
    """
    mean, low, high = f.untuned.nll
    bound = f"below 0 with its whole interval [{low:+.4f}, {high:+.4f}]"
    if low <= 0 <= high:
        found = power.of_interval(mean, low, high, f.test.count)
        more = power.about(found, abs(mean), power.Z95, "test examples")
        return undecided(mean, bound, f"The interval holds zero. {more}")
    return Verdict(PASS if f.untuned.significant else FAIL, mean, bound)


@check(source="Recipe 6, leave it training", gate=False)
def training_was_long_enough(f: Final) -> Verdict:
    """Left training for several times the steps, a network gains nothing on val that could be told from noise.

    It gains: raise train.steps, or give the cooldown (train.decay) to regularize as a rung.
    """
    if not f.longer:
        return skip("longer: 0")
    mean, low, high = f.longer.best
    return Verdict(PASS if low <= 0 else FAIL, mean, f"not above 0 with its whole interval [{low:+.4f}, {high:+.4f}]")
