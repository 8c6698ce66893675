"""How many trials, and how many seeds for the final comparison, the stage's budget has room for."""

from omegaconf import DictConfig

from recipe.config.changes import change
from recipe.data.batches import Data
from recipe.experiment.arms import lane_seeds
from recipe.experiment.budget import FEWEST_SEEDS, Budget, budget_of
from recipe.stages.tune.halving import rungs_of, survivors

SHARE = 0.5  # of the budget, for the trials; as much for the comparison
FEWEST_TRIALS = 4  # per sampler and repeat
COMPARED = 2  # the accepted recipe and the best trial


def within_budget(cfg: DictConfig, data: Data, start: dict) -> tuple[DictConfig, Budget]:
    """The stage's config with fewer trials and seeds where needed. start: the changes of the accepted recipe."""
    budget = budget_of(cfg, data, start)
    configured = len(lane_seeds(cfg, data))
    seeds = budget.number(configured, COMPARED * budget.training, SHARE, max(FEWEST_SEEDS, len(data.folds)))
    of_one = budget.training * trained_share(cfg) * len(lane_seeds(cfg, data, cfg.trial_seeds))
    trials = budget.number(cfg.trials, len(cfg.samplers) * cfg.repeats * of_one, SHARE, min(FEWEST_TRIALS, cfg.trials))
    if trials < cfg.trials:
        budget.left_out.append(f"{cfg.trials - trials} of {cfg.trials} trials of each search")
    if seeds < configured:
        budget.left_out.append(f"{configured - seeds} of {configured} seeds of the comparison")
    return change(cfg, {"trials": trials, "seeds": seeds}), budget


def trained_share(cfg: DictConfig) -> float:
    """The share of its passes that a trial trains on average, with halving."""
    if cfg.halving is None:
        return 1.0
    evaluations = 1000  # many, so that rungs lie where conf has them
    left, share, before = cfg.trials, 0.0, 0.0
    for rung in [*rungs_of(cfg, evaluations), evaluations]:
        share += left * (rung / evaluations - before)
        left, before = len(survivors(dict.fromkeys(range(left), 0.0), cfg.halving.factor)), rung / evaluations
    return share / cfg.trials
