"""Claims about the accepted recipe."""

from dataclasses import dataclass

from recipe.ablation import Ablation
from recipe.checks.verdict import FAIL, PASS, Verdict, above, below, check


@dataclass(frozen=True)
class Regularized:
    result: Ablation
    baseline: dict  # the baseline stage's score rows by system


@check(source="Recipe 4, regularize")
def pick_beats_the_baseline(r: Regularized) -> Verdict:
    """The accepted recipe has a lower validation loss than every baseline.

    The overfitted model forgot what the baseline knew: too large a model without a change that was kept, too many steps
    without early stopping, or a rung that is harmful beyond val.
    """
    floor = min(score["val_loss"] for score in r.baseline.values())
    return below(r.result.pick.score()["val_loss"], floor)


@check(source="Recipe 4, regularize")
def training_still_works(r: Regularized, share: float = 0.9) -> Verdict:
    """The regularised model still fits its training set.

    Dropout, weight decay or augmentation so strong that nothing is learned any more.
    """
    return above(r.result.pick.score()["train_accuracy"], share * r.result.base.score()["train_accuracy"])


@check(source="Recipe 4, regularize", gate=False)
def something_helped(r: Regularized) -> Verdict:
    """At least one change lowers the validation loss by more than seed noise.

    None did: the validation set may be too small to tell, the model does not overfit, or more data is what is needed.
    """
    kept = [s.name for s in r.result.steps if s.kept]
    return Verdict(PASS if kept else FAIL, ", ".join(kept) or "none", "at least one")
