"""Claims about the baselines, beside those about the training itself (the other files of this folder)."""

from dataclasses import dataclass

from recipe.metrics import power
from recipe.metrics.power import Estimate
from recipe.verdict import FAIL, PASS, Verdict, check, exactly, skip


@dataclass(frozen=True)
class Baselines:
    scores: list[dict]  # rows of the score ladder: constant, linear, ..., the chosen model last
    simplified: dict[str, object]  # {config key: value} of what must be off at this point
    unfinished: list[str]  # lanes that ended on a loss that is not finite
    over_constant: Estimate | None  # the share of the constant's loss on val that the chosen model saves
    over_linear: Estimate | None  # nats by which its loss on val is below the linear one's; None where it is linear
    columns: bool = False  # the inputs are columns of a table, which may say nothing of the label


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
def model_beats_the_constant(b: Baselines, errors: float = 2.5, effect: float = 0.14) -> Verdict:
    """The chosen model has a lower loss on val than the best constant answer, by more than chance.

    Inputs that never arrive, labels shifted between training and evaluation, a training that learns nothing. The value
    is the share of the constant's negative log-likelihood that the model saves, however sure its answers are: with few
    examples of a class accuracy hardly moves.
    """
    if b.over_constant is None:
        return Verdict(FAIL, "no training came to its end", "a model to compare")
    return power.exceeds(
        b.over_constant, floor=0.0, effect=effect, errors=errors, what="validation examples", weak=b.columns
    )


@check(source="Recipe 2, dumb baselines", gate=False)
def model_beats_the_linear_floor(b: Baselines, errors: float = 2.0) -> Verdict:
    """The chosen model has a lower validation loss than the linear one.

    A net that a matrix beats is too small, too briefly trained, or wired wrongly. Not wrong by itself: look. The value
    is how many nats lower its negative log-likelihood is, with its interval over validation examples.
    """
    if b.over_linear is None:
        return skip("the chosen model is the linear one")
    return power.sign(b.over_linear, errors=errors, what="validation examples")


@check(source="Recipe 2, human baseline", gate=False)
def human_is_measured(b: Baselines) -> Verdict:
    """A person has classified a sample of the validation set.

    Not measured yet: without it nobody knows how much of the remaining error is the model's.
    """
    human = next((s["val_accuracy"] for s in b.scores if s["system"] == "human"), None)
    return Verdict(PASS if human is not None else FAIL, human, "measured")
