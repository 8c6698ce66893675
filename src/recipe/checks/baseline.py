"""Claims about the baselines, beside those about the training itself (the other files of this folder)."""

from dataclasses import dataclass

from recipe.checks.verdict import FAIL, PASS, Verdict, above, check, exactly


@dataclass(frozen=True)
class Baselines:
    scores: list[dict]  # rows of the score ladder: constant, linear, ..., the chosen model last
    simplified: dict[str, object]  # {config key: value} of what must be off at this point
    unfinished: list[str]  # lanes that ended on a loss that is not finite


@check(source="Recipe 2, simplify")
def nothing_fancy_yet(b: Baselines) -> Verdict:
    """No augmentation, mixup, dropout, weight decay or label smoothing before the plain thing works.

    Leave them to regularize, which adds them one at a time and measures each.
    """
    on = [f"{k}={v}" for k, v in b.simplified.items() if v]
    return Verdict(FAIL if on else PASS, ", ".join(on) or "all off", "all off")


@check(source="Recipe 2, be careful of NaN")
def every_lane_is_finite(b: Baselines) -> Verdict:
    """No training ended on a loss that is NaN or infinite.

    A learning rate far too high, a log of zero, or an input that is not finite.
    """
    return exactly(len(b.unfinished), 0)


@check(source="Recipe 2, dumb baselines")
def model_beats_the_constant(b: Baselines, errors: float = 0.0) -> Verdict:
    """The chosen model is more often right on val than the best constant answer.

    Labels that do not belong to inputs, labels shifted between training and evaluation, inputs that never arrive.
    """
    return above(b.scores[-1]["val_accuracy"], b.scores[0]["val_accuracy"] + errors)


@check(source="Recipe 2, dumb baselines", gate=False)
def model_beats_the_linear_floor(b: Baselines) -> Verdict:
    """The chosen model has a lower validation loss than the linear one.

    A net that a matrix beats is too small, too briefly trained, or wired wrongly. Not wrong by itself: look.
    """
    linear = next((s["val_loss"] for s in b.scores if s["system"] == "linear"), None)
    if linear is None or b.scores[-1]["system"] == "linear":
        return Verdict("skip", bound="the chosen model is the linear one")
    return Verdict(PASS if b.scores[-1]["val_loss"] < linear else FAIL, b.scores[-1]["val_loss"], f"< {linear:.4g}")


@check(source="Recipe 2, human baseline", gate=False)
def human_is_measured(b: Baselines) -> Verdict:
    """A person has classified a sample of the validation set.

    Not measured yet: without it nobody knows how much of the remaining error is the model's.
    """
    human = next((s["val_accuracy"] for s in b.scores if s["system"] == "human"), None)
    return Verdict(PASS if human is not None else FAIL, human, "measured")
