"""Claims about the accepted recipe."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from omegaconf import DictConfig

from recipe.data.batches import Data
from recipe.files import read_json
from recipe.formatting import count, interval
from recipe.metrics import power
from recipe.metrics.power import Estimate
from recipe.stages.regularize.ablation import Ablation
from recipe.stages.regularize.diagnostics import Activation, Diagnostics
from recipe.stages.regularize.second_source import separability_of
from recipe.verdict import FAIL, PASS, Verdict, above, below, check, skip, undecided


@dataclass(frozen=True)
class Regularized:
    """baseline: the baseline stage's score rows by system. structure: of the accepted recipe's first-layer weights, in
    standard errors from noise; None where the first layer does not see an image. activations: of the accepted recipe,
    over all of val. error: the standard error of its loss over `examples` examples of val. separability: of the real
    examples and those of a second source, by candidate (second_source.separability)."""

    result: Ablation
    baseline: dict[str, dict]
    structure: float | None
    activations: list[Activation]
    error: float = 0.0
    examples: int = 0
    separability: Mapping[str, float] = field(default_factory=dict)


def subject(result: Ablation, diagnostics: Diagnostics, cfg: DictConfig, data: Data) -> Regularized:
    """What the checks look at."""
    content = read_json("runs/baseline/exact.json")
    baseline = {row["system"]: row for row in content["scores"]}
    d = diagnostics
    apart = separability_of(cfg, data, result)
    return Regularized(result, baseline, d.structure, d.activations, d.error, len(data.val), apart)


@check(source="Recipe 4, regularize")
def pick_beats_the_baseline(r: Regularized, errors: float = 2.0) -> Verdict:
    """The accepted recipe has a validation loss below that of every baseline, or above it by no more than chance.

    The overfitted model lost what the baseline had learned: it is too large and no candidate change was kept, it was
    trained for too many passes without early stopping, or a change that was kept is harmful beyond val. The interval is
    over validation examples. With folds both are compared in the first one, on val.
    """
    loss = r.result.accepted.in_first_fold().score()["val_loss"]
    bound = min(score["val_loss"] for score in r.baseline.values())
    excess = Estimate(loss - bound, r.error, r.examples)
    half = excess.margin(power.Z95)
    sample = f"{interval(excess.value - half, excess.value + half)}, n = {r.examples:,} validation examples"
    finding = (
        f"The accepted recipe has a validation loss of {loss:.3f} and the best baseline {bound:.3f}: the "
        f"baseline is better by {loss - bound:.3f} ({sample}). Regularise more, or start from a smaller model."
    )
    verdict = below(loss, bound, finding=finding)
    if verdict.verdict != FAIL or not r.error:
        return verdict
    if math.isfinite(excess.value) and excess.value <= excess.margin(errors):
        more = power.about(excess, excess.value, errors, "validation examples")
        return undecided(verdict.value, verdict.bound, f"The interval of the difference contains 0. {more}")
    return verdict


@check(source="Recipe 4, regularize")
def training_still_works(r: Regularized, share: float = 0.5) -> Verdict:
    """The regularised model still fits its training set: its loss is nearer the unregularised model's than the
    constant's.

    Otherwise dropout, weight decay or augmentation is so strong that the model hardly learns. The value is its share
    of what the unregularised model saves of the constant's training loss.
    """
    constant = r.baseline["constant"]["train_loss"]
    base, accepted = (constant - arm.score()["train_loss"] for arm in (r.result.base, r.result.accepted))
    kept = accepted / max(base, 1e-9)
    finding = (
        f"With regularisation the model saves {kept:.0%} of the training loss that it saves without (of the constant's "
        f"{constant:.3f}). Weaken what was kept: {', '.join(r.result.kept) or 'nothing'}."
    )
    return above(kept, share, finding=finding)


@check(source="Recipe 4, regularize", gate=False)
def something_helped(r: Regularized) -> Verdict:
    """At least one candidate change is better on validation than without it, by more than noise.

    Otherwise the model does not overfit, or it needs more data rather than regularisation.
    """
    kept, bound = r.result.kept, "at least one"
    tried = [(c.gain, c.name) for c in r.result.candidates if c.gain]
    improves = f"gives a {r.result.objective.improves} by more than noise"
    finding = f"None of {count(len(tried), 'candidate change')} {improves}."
    if tried:
        gain, name = max(tried, key=lambda of: of[0].mean)
        finding = f"{finding} The best one, {name}, {gain.sentence()}."
    most = max((gain.n for gain, _ in tried), default=0)  # those that were no better over the first seeds have fewer
    possible = [(gain, name) for gain, name in tried if gain.high > 0 and gain.n == most > 1]
    if kept or not possible:
        value = ", ".join(kept) or "none"
        return Verdict(PASS, value, bound) if kept else Verdict(FAIL, value, bound, finding=finding)
    gain, _ = max(possible, key=lambda of: of[0].mean)
    return undecided("none", bound, f"The interval of the best change contains 0. {gain.needed}", finding=finding)


@check(source="Recipe 4, visualize the first-layer weights; Moran 1950, for the statistic", gate=False)
def first_layer_is_not_noise(r: Regularized, errors: float = 3.0) -> Verdict:
    """Adjacent weights in the first layer are more alike than the same weights in random order.

    Otherwise they still look like the random numbers that they were initialised with: too few passes or too low a rate
    to move them, inputs whose pixels are in no order, or labels that do not depend on the inputs. The value is in
    standard errors of noise, over the filters of all trainings; of 3x3 filters that moved little it can be small in a
    network that works.
    """
    if r.structure is None:
        return skip("the first layer sees no image, or one pixel at a time")
    finding = (
        f"Moran's I of the first layer's weights is {r.structure:.1f} standard errors from that of the same weights in "
        "random order: the filters look like noise. Look at first_layer.png."
    )
    return above(r.structure, errors, finding=finding)


@check(source="Recipe 4, odd activations; Stanford CS231n, neural networks 1 (dead ReLUs); Lu et al. 2020", gate=False)
def units_stay_alive(r: Regularized, share: float = 0.4) -> Verdict:
    """In every layer of the accepted recipe's network most units react to some validation example.

    A unit that is 0 for all of them, or saturated for all of them, no longer learns: too high a learning rate pushed it
    there. CS231n reports up to 40 % in that case; networks at initialisation have up to 39 %. The value is the share of
    the worst layer.
    """
    if not r.activations:
        return skip("no activation that could die")
    worst = max(r.activations, key=lambda a: a.dead)
    finding = (
        f"In the worst layer ({worst.name}) {worst.dead:.0%} of {count(worst.units, 'unit')} are dead: they react to "
        "no validation example. Lower the learning rate."
    )
    verdict = below(worst.dead, share, finding=finding)
    value = f"{worst.dead:.3g} ({worst.name})" if worst.dead else 0.0
    return Verdict(verdict.verdict, value, verdict.bound, finding=verdict.finding)


@check(source="Glorot and Bengio 2010, section 3; Karpathy 2022, makemore 3, activations and gradients", gate=False)
def activations_are_not_saturated(r: Regularized, share: float = 0.5) -> Verdict:
    """Most values of each tanh and sigmoid of the accepted recipe's network are where the function still has a slope.

    Otherwise weights grew too large, or inputs are not scaled: hardly any gradient passes through the ends. The value
    is the worst layer's share of values beyond 0.97 of a tanh, or the same place of a sigmoid.
    """
    bounded = [(a.saturated, a.name) for a in r.activations if a.saturated is not None]
    if not bounded:
        return skip("no tanh or sigmoid")
    saturated, name = max(bounded, key=lambda of: of[0])
    finding = (
        f"In the worst layer ({name}) {saturated:.0%} of the values on val are saturated. Scale the inputs, or use "
        "weight decay."
    )
    verdict = below(saturated, share, finding=finding)
    return Verdict(verdict.verdict, f"{saturated:.3g} ({name})", verdict.bound, finding=verdict.finding)


@check(source="Recipe 4, creative augmentation; Tobin et al. 2017, domain randomization", gate=False)
def extra_examples_look_real(r: Regularized, auc: float = 0.75) -> Verdict:
    """The brightness and the contrast of an example do not say whether it is real or from the second source. The value
    is the ROC AUC of a cross-validated logistic regression on each channel's mean and standard deviation.

    Otherwise a network can learn both apart instead of what they have in common. Give the second source the range, the
    background and the margins of the real ones.
    """
    if not r.separability:
        return skip("no second source of examples")
    name, value = max(r.separability.items(), key=lambda item: item[1])
    finding = (
        f"Mean and standard deviation of the channels tell the examples of {name} from real ones of the same classes "
        f"(ROC AUC {value:.2f}). Look at inputs.png, and give them the range, the background and the margins of the "
        "real ones."
    )
    return below(value, auc, finding=finding)
