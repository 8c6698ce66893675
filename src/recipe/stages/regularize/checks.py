"""Claims about the accepted recipe."""

import math
from dataclasses import dataclass

from recipe.metrics import power
from recipe.metrics.power import Estimate
from recipe.stages.regularize.ablation import Ablation
from recipe.stages.regularize.diagnostics import Activation
from recipe.verdict import FAIL, PASS, Verdict, above, below, check, skip, undecided

EVIDENCE = {
    "something_helped": ["gains.png"],
    "first_layer_is_not_noise": ["first_layer.png"],
    "units_stay_alive": ["activations.png"],
    "activations_are_not_saturated": ["activations.png"],
    "augmentation_keeps_the_label": ["inputs.png"],
}


FIGURES = {
    "gains.png": "every rung in the order of trying: the interval of its gain, at a higher confidence where a rung has "
    "several levels (Bonferroni); and the gap between train and val, means over seeds",
    "learning_curve.png": "less data, and by the law twice the data; the interval is over seeds, and of the error over "
    "validation examples too",
    "inputs.png": "the same training examples as they are, and as each rung that touches the input gives them",
    "first_layer.png": "the weights of the pick's first layer, first seed",
    "activations.png": "every activation of the pick over all of val, first seed",
    "curves.png": "every rung's best level, a line per seed; in grey the base's loss on val",
}


@dataclass(frozen=True)
class Regularized:
    result: Ablation
    baseline: dict  # the baseline stage's score rows by system
    structure: (
        float | None
    )  # of the pick's first-layer weights, in standard errors from noise; None where it sees no image
    activations: list[Activation]  # of the pick, over all of val
    error: float = 0.0  # standard error of the pick's loss on val
    examples: int = 0  # of val


@check(source="Recipe 4, regularize")
def pick_beats_the_baseline(r: Regularized, errors: float = 2.0) -> Verdict:
    """The accepted recipe has a lower validation loss than every baseline, or one that chance explains.

    The overfitted model forgot what the baseline knew: too large a model without a change that was kept, too many steps
    without early stopping, or a rung that is harmful beyond val. The interval is over seeds and validation examples.
    """
    floor = min(score["val_loss"] for score in r.baseline.values())
    verdict = below(r.result.pick.score()["val_loss"], floor)
    lost = Estimate(verdict.value - floor, r.error, r.examples) if verdict.verdict == FAIL and r.error else None
    if lost and math.isfinite(lost.value) and lost.value <= lost.margin(errors):
        more = power.about(lost, lost.value, errors, "validation examples")
        return undecided(verdict.value, verdict.bound, f"The interval of the difference holds zero. {more}")
    return verdict


@check(source="Recipe 4, regularize")
def training_still_works(r: Regularized, share: float = 0.5) -> Verdict:
    """The regularised model still fits its training set: its loss is nearer the plain model's than the constant's.

    Dropout, weight decay or augmentation so strong that nothing is learned any more. The value is its share
    of what the plain model saves of the constant's training loss.
    """
    constant = r.baseline["constant"]["train_loss"]
    plain, pick = (constant - arm.score()["train_loss"] for arm in (r.result.base, r.result.pick))
    return above(pick / max(plain, 1e-9), share)


@check(source="Recipe 4, regularize", gate=False)
def something_helped(r: Regularized) -> Verdict:
    """At least one change lowers the validation loss by more than seed noise.

    Each of them made it worse: the model does not overfit, or more data is what is needed.
    """
    kept, bound = r.result.kept, "at least one"
    open_ = [(step.gain, step.name) for step in r.result.steps if step.gain and step.gain.high > 0 and step.gain.n > 1]
    if kept or not open_:
        return Verdict(PASS if kept else FAIL, ", ".join(kept) or "none", bound)
    gain, name = max(open_, key=lambda of: of[0].mean)
    more = power.about(power.of_interval(gain.mean, gain.low, gain.high, gain.n), abs(gain.mean), power.Z95, "seeds")
    return undecided("none", bound, f"The interval of the best one ({name}: {gain}) holds zero. {more}")


@check(source="Recipe 4, visualize the first-layer weights; Moran 1950, for the statistic", gate=False)
def first_layer_is_not_noise(r: Regularized, errors: float = 3.0) -> Verdict:
    """Weights side by side in the first layer go together more than the same weights in a random order.

    They still look like the random numbers they were drawn as: too few steps or too low a rate to move them, inputs
    whose pixels are in no order, or labels that the inputs do not tell. The value is in standard errors of noise, over
    the filters of all seeds; of filters of 3x3 that moved little it can be small in a net that works.
    """
    if r.structure is None:
        return skip("the first layer sees no image, or one pixel at a time")
    return above(r.structure, errors)


@check(source="Recipe 4, odd activations; Stanford CS231n, neural networks 1 (dead ReLUs); Lu et al. 2020", gate=False)
def units_stay_alive(r: Regularized, share: float = 0.4) -> Verdict:
    """In every layer of the trained pick most units react to some validation example.

    A unit that is 0 for all of them, or at the end of its tanh or sigmoid for all of them, learns nothing any more: too
    high a rate pushed it there. CS231n saw up to 40 % then; fresh nets have up to 39 %. The value is the worst layer's
    share.
    """
    if not r.activations:
        return skip("no activation that could die")
    worst = max(r.activations, key=lambda a: a.dead)
    verdict = below(worst.dead, share)
    return Verdict(verdict.verdict, f"{worst.dead:.3g} ({worst.name})" if worst.dead else 0.0, verdict.bound)


@check(source="Glorot and Bengio 2010, section 3; Karpathy 2022, makemore 3, activations and gradients", gate=False)
def activations_are_not_saturated(r: Regularized, share: float = 0.5) -> Verdict:
    """Most values of each tanh and sigmoid of the trained pick lie where they still have a slope.

    Weights grew too large, or inputs are not scaled: no gradient passes through the ends. The value is the worst
    layer's share of values beyond 0.97 of a tanh, or the same place of a sigmoid.
    """
    bounded = [a for a in r.activations if a.saturated is not None]
    if not bounded:
        return skip("no tanh or sigmoid")
    worst = max(bounded, key=lambda a: a.saturated)
    verdict = below(worst.saturated, share)
    return Verdict(verdict.verdict, f"{worst.saturated:.3g} ({worst.name})", verdict.bound)
