"""Claims about the baselines; those about the training itself are in recipe.checks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from recipe.metrics import power
from recipe.metrics.power import Estimate
from recipe.verdict import FAIL, PASS, Verdict, below, check, exactly, skip


@dataclass(frozen=True)
class Baselines:
    scores: list[dict]  # a row per system: constant, linear, ..., the configured model last
    regularizers: dict[str, object]  # {config key: value} of what must be off in this stage
    lost: list[str]  # why lanes ended on a loss that is not finite
    over_constant: Estimate | None  # the share of the constant's loss on val that the configured model saves
    over_linear: Estimate | None  # by how much its loss on val is below the linear one's; None where it is linear
    over_boosting: Estimate | None = None  # by how much it is below that of gradient boosting; None for images
    words: tuple[Sequence[int], int] | None = None  # of the texts of train and val, and at how many they are cut
    tabular: bool = False  # the inputs are columns of a table, which may say nothing about the label


@check(source="Recipe 2, simplify")
def nothing_fancy_yet(b: Baselines) -> Verdict:
    """Augmentation, mixup, dropout, weight decay and label smoothing are off in the baseline stage.

    Leave them to regularize, which adds them one at a time and measures each.
    """
    on = [f"{k}={v}" for k, v in b.regularizers.items() if v]
    if not on:
        return Verdict(PASS, "all off", "all off")
    finding = f"Regularisation is on in the baseline stage: {', '.join(on)}. Turn it off; regularize will measure it."
    return Verdict(FAIL, ", ".join(on), "all off", finding=finding)


@check(source="Recipe 2, be careful of NaN")
def every_lane_is_finite(b: Baselines) -> Verdict:
    """Every training ended with a finite loss.

    Look for a learning rate that is far too high, a logarithm of zero, or an input that is not finite.
    """
    first = b.lost[0] if b.lost else ""
    finding = f"{len(b.lost)} trainings were lost (the first one: {first}). Lower the learning rate."
    return exactly(len(b.lost), 0, finding=finding)


@check(source="Recipe 2, dumb baselines")
def model_beats_the_constant(b: Baselines, errors: float = 2.5, effect: float = 0.14) -> Verdict:
    """The configured model has a lower validation loss than the best constant answer, by more than chance.

    Look for inputs that never reach the network, labels that are shifted between training and evaluation, or a training
    that learns nothing. The value is the share of the constant's loss that the model saves, whatever
    its confidence: with few examples per class, accuracy hardly moves.
    """
    if b.over_constant is None:
        return Verdict(FAIL, "every training was lost", "a trained model to compare")
    e, what = b.over_constant, "validation examples"
    finding = (
        f"The configured model saves {e.value:.3f} of the validation loss of the best constant answer ({e.ci(errors)}, "
        f"n = {e.n:,} {what}): it has learned hardly anything about the label. Look at the inputs and the labels first."
    )
    return power.exceeds(e, floor=0.0, effect=effect, errors=errors, what=what, weak=b.tabular, finding=finding)


@check(source="Recipe 2, dumb baselines", gate=False)
def model_beats_the_linear_floor(b: Baselines, errors: float = 2.0) -> Verdict:
    """The configured model has a lower validation loss than the linear one.

    A network that a linear model beats is too small, was trained too briefly, or has a bug. This need not be an error,
    but look at it. The value is by how much its validation loss is lower, with the interval over validation examples.
    """
    if b.over_linear is None:
        return skip("the configured model is the linear one")
    advice = "Where it is the linear model, look at the configured model's size and its number of passes."
    return _lower_loss(b.over_linear, "the linear model", advice, errors)


@check(source="Grinsztajn, Oyallon and Varoquaux 2022, Why do tree-based models still outperform?", gate=False)
def model_beats_gradient_boosting(b: Baselines, errors: float = 2.0) -> Verdict:
    """The configured model has a lower validation loss than gradient boosting of trees, which takes a second to train.

    On columns of a table trees are hard to beat. Where they are better, regularize and tune may change that; if they do
    not, use the trees. The value is by how much the model's validation loss is lower, with the interval over validation
    examples.
    """
    if b.over_boosting is None:
        return skip("the inputs are not columns of a table")
    advice = "Where it is the trees, they are the model to beat in the next stages, or to use."
    return _lower_loss(b.over_boosting, "gradient boosting", advice, errors)


@check(source="Recipe 2, visualize just before the net", gate=False)
def texts_are_whole(b: Baselines, share: float = 0.01) -> Verdict:
    """Hardly any text is longer than what the network reads of it.

    The words beyond the tokenizer's `length` are cut off. The value is the share of the texts of train and val that
    lose some.
    """
    if b.words is None:
        return skip("the inputs are not texts that are cut at a number of words")
    counts, length = b.words
    cut = sum(count > length for count in counts) / max(1, len(counts))
    enough = sorted(counts)[min(len(counts) - 1, math.ceil(0.99 * len(counts)) - 1)]
    finding = (
        f"{cut:.1%} of the {len(counts):,} texts of train and val have more than {length:,} words, and what follows is "
        f"not read. `tokenizer: {{name: words, length: {enough}}}` in params.yaml keeps 99 % of them whole."
    )
    return below(cut, share, finding=finding)


def _lower_loss(e: Estimate, other: str, advice: str, errors: float) -> Verdict:
    """The claim that the configured model's loss is lower; e: by how much."""
    what = "validation examples"
    better, by = ("the configured model", e.value) if e.value > 0 else (other, -e.value)
    low, high, level = by - e.margin(errors), by + e.margin(errors), 100 * power.confidence(errors)
    finding = (
        f"On validation {better} has the lower loss, by {by:.3f} ({level:.3g} % CI {low:.2g} to {high:.2g}, "
        f"n = {e.n:,} {what}), when {other} and the configured model are compared. {advice}"
    )
    return power.sign(e, errors=errors, what=what, finding=finding)


@check(source="Recipe 2, human baseline", gate=False)
def human_is_measured(b: Baselines) -> Verdict:
    """A person has predicted a sample of the validation set.

    Human performance has not been measured: without it nobody knows how much of the remaining error is the model's.
    """
    human = next((s["val_accuracy"] for s in b.scores if s["system"] == "human"), None)
    if human is not None:
        return Verdict(PASS, human, "measured")
    finding = "Human performance on the validation set has not been measured: predict a sample of it by hand."
    return Verdict(FAIL, None, "measured", finding=finding)
