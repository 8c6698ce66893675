"""How many seeds, and which shares of the learning curve, the stage's budget has room for."""

from omegaconf import DictConfig

from recipe.config.changes import change
from recipe.data.batches import Data
from recipe.experiment.arms import lane_seeds
from recipe.experiment.budget import FEWEST_SEEDS, Budget, budget_of

SHARE = 0.25  # of the budget, for the trainings that all are compared with; as much for the learning curve


def within_budget(cfg: DictConfig, data: Data, start: dict) -> tuple[DictConfig, Budget]:
    """The stage's config with fewer seeds and shares where that is needed, and the budget, which has these spent.

    start: the changes of the trainings that all are compared with.
    """
    budget = budget_of(cfg, data, start)
    configured, shares = len(lane_seeds(cfg, data)), sorted(cfg.shares)
    seeds = budget.number(configured, budget.training, SHARE, least=max(FEWEST_SEEDS, len(data.folds)))
    of_share = seeds * budget.training
    kept = shares[len(shares) - budget.number(len(shares), of_share, SHARE, least=0) :]
    if seeds < configured:
        budget.left_out.append(f"{configured - seeds} of {configured} seeds")
    if kept != shares:
        left_out = shares[: len(shares) - len(kept)]
        budget.left_out.append(f"the learning curve at {', '.join(f'{share:.1%}' for share in left_out)}")
    budget.spent = of_share * (1 + len(kept))
    return change(cfg, {"seeds": seeds, "shares": kept}), budget
