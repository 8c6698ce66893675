"""Claims about the ladder of capacities."""

from dataclasses import dataclass

from omegaconf import DictConfig

from recipe.files import read_json
from recipe.stages.overfit.capacity_ladder import Rung, at_same_step
from recipe.verdict import FAIL, Verdict, below, check, skip, undecided


@dataclass(frozen=True)
class Ladder:
    rungs: list[Rung]
    pick: Rung
    baseline: dict  # the score row of the chosen model in the baseline stage
    lr: float | None
    optimizer: str
    lowest: float = 0.0  # nats of training loss that equal inputs with different labels leave to any model


def subject(cfg: DictConfig, rungs: list[Rung], best: Rung, floor: float) -> Ladder:
    """What the checks look at; floor: the training loss that no model can go below."""
    baseline = read_json("runs/baseline/exact.json")["scores"][-1]
    return Ladder(rungs, best, baseline, cfg.optimizer.get("lr"), cfg.optimizer._target_, floor)


@check(source="Recipe 3, overfit")
def training_set_is_learned(r: Ladder, limit: float = 0.05) -> Verdict:
    """A model of the ladder learns the training set by heart, as far as equal inputs have equal labels.

    Too few steps or too small a ladder (`overfit: {ladder: ..., train: {steps: ...}}` in params.yaml), if the loss was
    still falling; else a learning rate that is off, or regularisation that is still on. Rows of a table that say little
    of their label take a larger model and more steps to learn by heart.
    """
    return below(r.pick.train_loss, limit + r.lowest)


@check(source="Recipe 2, verify decreasing training loss")
def capacity_lowers_training_loss(r: Ladder, tie: float = 0.1) -> Verdict:
    """The largest model of the ladder fits the training set better than the smallest, after the same steps.

    The knob does not reach the model, a bottleneck elsewhere holds it back, or the larger model needs another learning
    rate.
    """
    if len(r.rungs) < 2:
        return skip("the model has no knob for its capacity")
    small, large = (row["train_loss"] for row in at_same_step(r.rungs[0], r.rungs[-1]))
    verdict = below(large, small)
    if verdict.verdict == FAIL and large - small < tie * max(small - r.lowest, 0.05):
        needed = "Both sizes fit the training set equally well: a smaller first value of the ladder would decide."
        return undecided(large, verdict.bound, needed)
    return verdict


@check(source="Recipe 3, overfit")
def training_loss_is_below_the_baselines(r: Ladder, limit: float = 0.05) -> Verdict:
    """The pick has a lower loss on its training set than the baseline's model had, or has learned it by heart.

    The pick is smaller than the baseline's model, or was trained for fewer steps.
    """
    return below(r.pick.train_loss, max(limit + r.lowest, r.baseline["train_loss"] + 1e-3))


@check(source="Recipe 3, adam is safe", gate=False)
def optimizer_is_safe(r: Ladder, low: float = 1e-4, high: float = 3e-3) -> Verdict:
    """Adam with a constant learning rate near 3e-4, until something else is shown to be better.

    Another optimizer or rate is a choice to be tuned later, not at the start.
    """
    if "adam" not in r.optimizer.lower() or r.lr is None:
        return Verdict("fail", r.optimizer, "Adam")
    return Verdict("pass" if low <= r.lr <= high else "fail", r.lr, f"{low:g} to {high:g}")
