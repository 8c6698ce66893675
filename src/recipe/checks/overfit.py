"""Claims about the ladder of capacities."""

from dataclasses import dataclass

from recipe.checks.verdict import Verdict, above, below, check, skip
from recipe.ladder import Rung, at_same_step


@dataclass(frozen=True)
class Ladder:
    rungs: list[Rung]
    pick: Rung
    baseline: dict  # the score row of the chosen model in the baseline stage
    lr: float | None
    optimizer: str


@check(source="Recipe 3, overfit")
def training_set_is_learned(r: Ladder, limit: float = 0.05) -> Verdict:
    """A model of the ladder learns the training set by heart.

    Too few steps or too small a ladder, if the loss was still falling; else labels that contradict each other (see the
    audit), a learning rate that is off, or regularisation that is still on.
    """
    return below(r.pick.train_loss, limit)


@check(source="Recipe 2, verify decreasing training loss")
def capacity_lowers_training_loss(r: Ladder) -> Verdict:
    """The largest model of the ladder fits the training set better than the smallest, after the same steps.

    The knob does not reach the model, a bottleneck elsewhere holds it back, or the larger model needs another learning
    rate.
    """
    if len(r.rungs) < 2:
        return skip("the model has no knob for its capacity")
    small, large = at_same_step(r.rungs[0], r.rungs[-1])
    return below(large["train_loss"], small["train_loss"])


@check(source="Recipe 3, overfit")
def training_accuracy_rises(r: Ladder) -> Verdict:
    """The pick is more often right on its training set than the baseline's model was.

    The pick is smaller than the baseline's model, or was trained for fewer steps.
    """
    value, bound = r.pick.trained.curve[-1]["train_accuracy"], r.baseline["train_accuracy"]
    return above(value, bound - 1e-3)


@check(source="Recipe 3, adam is safe", gate=False)
def optimizer_is_safe(r: Ladder, low: float = 1e-4, high: float = 3e-3) -> Verdict:
    """Adam with a constant learning rate near 3e-4, until something else is shown to be better.

    Another optimizer or rate is a choice to be tuned later, not at the start.
    """
    if "adam" not in r.optimizer.lower() or r.lr is None:
        return Verdict("fail", r.optimizer, "Adam")
    return Verdict("pass" if low <= r.lr <= high else "fail", r.lr, f"{low:g} to {high:g}")
