"""How much a stage may train, in counted multiplications: with `effort: quick`, a large model or data set gets fewer
trainings instead of more hours, and the same ones on every machine.
"""

import math
from dataclasses import dataclass, field

from omegaconf import DictConfig

from recipe.data.batches import Data
from recipe.experiment import build
from recipe.train import cost

FEWEST_SEEDS = 3  # of a comparison: the interval of two seeds is too wide to decide anything


@dataclass
class Budget:
    """limit: multiplications of a stage; None: no limit. training: those of a usual training of the stage. left_out:
    what there was no room for, in words.
    """

    limit: float | None = None
    training: float = 0.0
    spent: float = 0.0
    left_out: list[str] = field(default_factory=list)

    @property
    def left(self) -> float:
        return math.inf if self.limit is None else self.limit - self.spent

    def number(self, most: int, each: float, share: float, least: int) -> int:
        """How many things that take `each` multiplications there is room for in a share of the limit: from `least` to
        `most`."""
        if self.limit is None or not each:  # a model without a convolution or a linear layer
            return most
        return min(most, max(least, int(share * self.limit / each)))

    def sentence(self, stage: str) -> str:
        """What was left out, and how to have it all the same; empty where nothing was."""
        if not self.left_out:
            return ""
        return (
            f"The effort allows this stage {self.limit:.2g} multiplications, and a training takes {self.training:.2g}: "
            f"left out {'is' if len(self.left_out) == 1 else 'are'} {', '.join(self.left_out)}. All of it: "
            f"`{stage}: {{budget: null}}` in params.yaml, or `effort: normal`."
        )


def budget_of(cfg: DictConfig, data: Data, changes: dict) -> Budget:
    """The stage's, whose usual training has these changes."""
    return Budget() if cfg.budget is None else Budget(cfg.budget, cost_of(cfg, data, changes))


def cost_of(cfg: DictConfig, data: Data, changes: dict) -> float:
    """Multiplications of one training."""
    lane = build.lane(cfg, data, cfg.seed, changes)
    return cost.of_training(lane, data.train.x)
