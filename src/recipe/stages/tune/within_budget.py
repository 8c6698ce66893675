"""How many trials, and how many seeds for the final comparison, the stage's budget has room for."""

import contextlib
import statistics

from omegaconf import DictConfig

from recipe.config.changes import change
from recipe.data.batches import Data
from recipe.experiment.arms import lane_seeds
from recipe.experiment.budget import FEWEST_SEEDS, Budget, budget_of, cost_of
from recipe.stages.tune.halving import rungs_of, survivors
from recipe.stages.tune.samplers import propose
from recipe.stages.tune.space import Space, changes

SHARE = 0.5  # of the budget, for the trials; as much for the comparison
FEWEST_TRIALS = 4  # per sampler and repeat
SAMPLED = 16  # points of the space
COMPARED = 2  # the accepted recipe and the best trial


def within_budget(cfg: DictConfig, data: Data, start: dict, space: Space) -> tuple[DictConfig, Budget]:
    """The stage's config with fewer trials and seeds where needed. start: the changes of the accepted recipe."""
    budget = budget_of(cfg, data, start)
    configured = len(lane_seeds(cfg, data))
    seeds = budget.number(configured, COMPARED * budget.training, SHARE, max(FEWEST_SEEDS, len(data.folds)))
    of_one = 0.0
    if budget.limit is not None:
        of_one = mean_cost(cfg, data, start, space) * trained_share(cfg) * len(lane_seeds(cfg, data, cfg.trial_seeds))
    trials = budget.number(cfg.trials, len(cfg.samplers) * cfg.repeats * of_one, SHARE, min(FEWEST_TRIALS, cfg.trials))
    if trials < cfg.trials:
        budget.left_out.append(f"{cfg.trials - trials} of {cfg.trials} trials of each search")
    if seeds < configured:
        budget.left_out.append(f"{configured - seeds} of {configured} seeds of the comparison")
    return change(cfg, {"trials": trials, "seeds": seeds}), budget


def mean_cost(cfg: DictConfig, data: Data, start: dict, space: Space) -> float:
    """Multiplications of a whole training, over the space: a search of the width has trials of several costs."""
    costs = []
    for index in range(SAMPLED):
        params = propose("qmc", space, cfg.seed, 0, index, SAMPLED, [])
        with contextlib.suppress(Exception):  # a value that a user-defined model does not take: its trial fails at once
            costs.append(cost_of(cfg, data, changes(space, start, params)))
    return statistics.fmean(costs) if costs else 0.0


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
