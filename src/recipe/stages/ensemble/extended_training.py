"""Leave it training: what a multiple of the steps gains, at a constant rate and with a cooldown at the end.

Recipe 6: nets keep training for unintuitively long. The first seed of the best configuration goes on, not the best
member: that one was chosen for a lucky end of its training.
"""

from dataclasses import dataclass

from omegaconf import DictConfig

from recipe.data.batches import Data
from recipe.experiment import build
from recipe.metrics.scores import fall, nlls
from recipe.stages.ensemble.members import Member, probabilities
from recipe.train.lane import Trained

COOLDOWN = 0.2  # share of the steps: Hägele et al. 2024 find no gain beyond it
COLUMNS = ["arm", "step", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]
ARMS = {"constant rate": 0.0, "with a cooldown": COOLDOWN}


@dataclass(frozen=True)
class Longer:
    """steps: of the member, before. gains: how much lower the nll on val is at the end of each arm than the member's,
    with its paired 95 % bootstrap interval over examples. One seed: the interval does not hold the noise of seeds.
    """

    steps: int
    times: int
    trained: dict[str, Trained]
    gains: dict[str, tuple[float, float, float]]
    before: float

    @property
    def best(self) -> tuple[float, float, float]:
        """The larger gain; zero where both trainings were lost."""
        return max(self.gains.values(), default=(0.0, 0.0, 0.0))

    def rows(self) -> list[dict]:
        """The curves."""
        return [
            {"arm": arm} | {k: row[k] for k in COLUMNS[1:]} for arm, lane in self.trained.items() for row in lane.curve
        ]

    def prediction(self) -> dict:
        mean, low, high = self.best
        return {
            "change": f"{self.times} times the steps, the better of {' and '.join(self.trained)}",
            "expected": "val_nll falls",
            "measured": f"gain {mean:+.4f} [{low:+.4f}, {high:+.4f}] over examples, one seed",
            "outcome": "confirmed" if low > 0 else "refuted",
        }

    def told(self) -> str:
        arms = "; ".join(f"{arm} {m:+.4f} [{low:+.4f}, {high:+.4f}]" for arm, (m, low, high) in self.gains.items())
        return (
            f"Left training from {self.steps} to {self.times * self.steps} steps, one network (validation nll "
            f"{self.before:.4f}) gains: {arms or 'both trainings were lost'} (interval over examples, one seed)."
        )


def leave_it_training(cfg: DictConfig, data: Data, member: Member, run) -> Longer:
    """`cfg.longer` times the member's steps from its seed, in both arms; without patience, and judged at its end."""
    steps = member.changes.get("train.steps", cfg.train.steps)
    changes = {
        arm: member.changes | {"train.steps": cfg.longer * steps, "train.patience": None, "train.decay": decay}
        for arm, decay in ARMS.items()
    }
    lanes = [build.lane(cfg, data, member.seed, c) for c in changes.values()]
    trained = dict(zip(ARMS, build.train(cfg, data, lanes, run, "longer"), strict=True))
    y, gains = data.val.y.cpu(), {}
    for (arm, result), lane in zip(trained.items(), lanes, strict=True):
        run.lane(f"{cfg.longer} times the steps, {arm}", result, {**changes[arm], "seed": member.seed})
        if not result.lost:  # the model is left with its last weights
            gains[arm] = fall(member.p_val, probabilities(lane.model, data.val), y)
    return Longer(steps, cfg.longer, trained, gains, nlls(member.p_val, y).mean().item())
