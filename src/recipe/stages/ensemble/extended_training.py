"""Extended training: what a multiple of the passes gains, at a constant rate and with a cooldown at the end.

Recipe 6: nets keep training for unintuitively long. The first seed of the best configuration is trained for longer, not
the best member: that one was chosen for a lucky end of its training. With folds, in the first fold.
"""

from dataclasses import dataclass

from omegaconf import DictConfig

from recipe.data.batches import Data
from recipe.experiment import build
from recipe.formatting import lowering, outcome
from recipe.metrics.objective import Objective
from recipe.metrics.scores import gained
from recipe.stages.ensemble.members import Member, predictions
from recipe.stages.runner import Run
from recipe.train.lane import Trained

ARMS = {
    "constant rate": {"_target_": "recipe.train.schedules.Constant"},
    # a fifth of the training: Hägele et al. 2024 find no gain beyond it
    "with a cooldown": {"_target_": "recipe.train.schedules.Cooldown", "share": 0.2},
}


@dataclass(frozen=True)
class ExtendedTraining:
    """epochs: passes of the member's training. gains: by how much the loss on val at the end of each arm is lower than
    the member's, with its paired 95 % bootstrap interval over examples; one seed, so the interval does not include the
    noise of seeds. member_loss: on val. early: what chooses the best evaluation of each. metric: the name of the one in
    the curves.
    """

    epochs: float
    times: int
    trained: dict[str, Trained]
    gains: dict[str, tuple[float, float, float]]
    member_loss: float
    examples: int
    early: Objective
    metric: str

    @property
    def best_gain(self) -> tuple[float, float, float]:
        """The larger gain; zero where both trainings were lost."""
        return max(self.gains.values(), default=(0.0, 0.0, 0.0))

    def effect(self, gain: tuple[float, float, float]) -> str:
        """`lowers validation loss by 0.012 (95 % CI 0.004 to 0.021, 360 examples, one seed)`."""
        return lowering(*gain, "validation loss", f"{self.examples:,} examples, one seed")

    def rows(self) -> list[dict]:
        """The curves."""
        return [
            {"arm": arm} | {k: row[k] for k in columns(self.metric)[1:]}
            for arm, lane in self.trained.items()
            for row in lane.curve
        ]

    def prediction(self) -> dict:
        return {
            "change": f"{self.times} times the passes, the better of {' and '.join(self.trained)}",
            "expected": "lower validation loss",
            "measured": self.effect(self.best_gain),
            "outcome": outcome(*self.best_gain[1:]) if self.gains else "refuted",
        }

    def sentence(self) -> str:
        effects = "; ".join(f"{arm}: {self.effect(gain)}" for arm, gain in self.gains.items())
        return (
            f"Training one network for {self.times * self.epochs:.3g} instead of {self.epochs:.3g} passes "
            f"(validation loss {self.member_loss:.4f}): {effects or 'both trainings were lost'}."
        )


def columns(metric: str) -> list[str]:
    """Of the table of curves."""
    return ["arm", "epoch", "train_loss", f"train_{metric}", "val_loss", f"val_{metric}"]


def extend_training(cfg: DictConfig, data: Data, member: Member, run: Run) -> ExtendedTraining | None:
    """`cfg.longer` times the member's passes from its seed, in both arms; without patience, and judged at its end.

    None where conf turns it off.
    """
    if not cfg.longer:
        return None
    epochs = member.changes.get("train.epochs", cfg.train.epochs)
    changes = {
        arm: member.changes | {"train.epochs": cfg.longer * epochs, "train.patience": None, "schedule": schedule}
        for arm, schedule in ARMS.items()
    }
    lanes = [build.lane(cfg, data, member.seed, c) for c in changes.values()]
    trained = dict(zip(ARMS, build.train(cfg, data, lanes, run, "longer"), strict=True))
    task, actual = data.task, data.task.actual(data.val.y.cpu())
    before, gains = task.losses(member.p_val[: len(actual)], actual), {}
    for (arm, result), lane in zip(trained.items(), lanes, strict=True):
        run.lane(f"{cfg.longer} times the passes, {arm}", result, {**changes[arm], "seed": member.seed})
        if not result.lost:  # the model has its last weights
            gains[arm] = gained(before, task.losses(predictions(data, lane.model, data.val), actual))
    return ExtendedTraining(
        epochs=epochs, times=cfg.longer, trained=trained, gains=gains,
        member_loss=before.mean().item(), examples=len(actual), early=data.objective, metric=data.metric.name,
    )  # fmt: skip
