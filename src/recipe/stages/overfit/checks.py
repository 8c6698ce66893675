"""Claims about the ladder of capacities."""

from dataclasses import dataclass

from omegaconf import DictConfig

from recipe.data.batches import Data
from recipe.files import read_json
from recipe.stages.overfit.capacity_ladder import SizedModel, irreducible_loss, rows_at_same_step
from recipe.verdict import FAIL, PASS, Verdict, below, bounded, check, skip, undecided


@dataclass(frozen=True)
class CapacityLadder:
    """best: the smallest model that learned the training set. baseline: the score row of the baseline stage's model.
    irreducible: the training loss that equal inputs with different targets leave to any model. enough: the training
    loss at which the training set counts as learned."""

    models: list[SizedModel]
    best: SizedModel
    baseline: dict
    lr: float | None
    optimizer: str
    irreducible: float
    enough: float


def subject(
    cfg: DictConfig, data: Data, models: list[SizedModel], best: SizedModel, enough: float
) -> CapacityLadder:  # fmt: skip
    """What the checks look at."""
    return CapacityLadder(
        models=models,
        best=best,
        baseline=baselines_score(),
        lr=cfg.optimizer.get("lr"),
        optimizer=cfg.optimizer._target_,
        irreducible=irreducible_loss(data),
        enough=enough,
    )


def baselines_score() -> dict:
    """The scores of the baseline stage's model."""
    scores: list[dict] = read_json("runs/baseline/exact.json")["scores"]
    return scores[-1]


@check(source="Recipe 3, overfit")
def training_set_is_learned(r: CapacityLadder) -> Verdict:
    """A model of the ladder learns the training set by heart, or overfits it: its validation loss rises meanwhile.

    As far as equal inputs have equal targets. If the loss was still falling, there are too few passes or the ladder is
    too small (`overfit: {ladder: {values: ..., growth: ...}, train: {epochs: ...}}` in params.yaml); else the learning
    rate is off, or regularisation is still on. `overfit: {enough: ...}` sets the bound.
    """
    finding = (
        f"The best model of the ladder, {r.best.name}, reaches a training loss of {r.best.train_loss:.3f}, above "
        f"{r.enough:.3f}, and its validation loss does not rise: it neither learns the training set by heart nor "
        "overfits it. Give it more passes, or enlarge the ladder."
    )
    lowest = min(m.train_loss for m in r.models)
    if lowest < r.enough:
        return below(lowest, r.enough)
    return bounded(PASS if r.best.overfits else FAIL, lowest, f"< {r.enough:.4g}, or overfitted", finding=finding)


@check(source="Recipe 2, verify decreasing training loss")
def capacity_lowers_training_loss(r: CapacityLadder, tie: float = 0.1) -> Verdict:
    """The largest model of the ladder fits the training set better than the smallest, after the same passes.

    Otherwise the setting does not reach the model, a bottleneck elsewhere holds it back, or the larger model needs
    another learning rate.
    """
    if r.models[0].value == r.models[-1].value:
        return skip("the model has no setting for its capacity")
    small, large = (row["train_loss"] for row in rows_at_same_step(r.models[0], r.models[-1]))
    finding = (
        f"After the same passes the largest model of the ladder has a training loss of {large:.4f}, the smallest "
        f"{small:.4f}: capacity does not help. See whether the setting reaches the model."
    )
    verdict = below(large, small, finding=finding)
    if verdict.verdict == FAIL and large - small < tie * max(small - r.irreducible, 0.05):
        needed = "Both sizes fit the training set equally well: a smaller first value of the ladder would decide."
        return undecided(large, verdict.bound, needed)
    return verdict


@check(source="Recipe 3, overfit")
def training_loss_is_below_the_baselines(r: CapacityLadder) -> Verdict:
    """The best model of the ladder has a lower training loss than the baseline's model, or has learned it by heart.

    Otherwise it is smaller than the baseline's model, or was trained for fewer passes.
    """
    finding = (
        f"The best model of the ladder has a training loss of {r.best.train_loss:.3f}, the baseline's model "
        f"{r.baseline['train_loss']:.3f}. Enlarge the ladder, or train for more passes."
    )
    return below(r.best.train_loss, max(r.enough, r.baseline["train_loss"] + 1e-3), finding=finding)


@check(source="Recipe 3, adam is safe", gate=False)
def optimizer_is_safe(r: CapacityLadder, low: float = 1e-4, high: float = 3e-3) -> Verdict:
    """The optimizer is Adam with a constant learning rate near 3e-4, until another is shown to be better.

    Another optimizer or learning rate is a choice to be tuned later, not at the start.
    """
    if "adam" not in r.optimizer.lower() or r.lr is None:
        return Verdict("fail", r.optimizer, "Adam")
    return Verdict("pass" if low <= r.lr <= high else "fail", r.lr, f"{low:g} to {high:g}")
