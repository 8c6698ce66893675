"""Which choices, how many trials, and how many seeds for the final comparison the stage's budget has room for."""

import contextlib
import statistics
from dataclasses import replace

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
DEARER = 1.5  # times the accepted recipe's cost, up to which a choice stays in the space


def within_budget(cfg: DictConfig, data: Data, start: dict, space: Space) -> tuple[DictConfig, Space, Budget]:
    """The stage's config with fewer trials and seeds, and its space with fewer choices, where needed.

    start: the changes of the accepted recipe.
    """
    budget = budget_of(cfg, data, start)
    space = _with_room(cfg, data, start, space, budget)
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
    return change(cfg, {"trials": trials, "seeds": seeds}), space, budget


def _with_room(cfg: DictConfig, data: Data, start: dict, space: Space, budget: Budget) -> Space:
    """Without the choices that would make the comparison too dear if one of them won, as twice the width."""
    if budget.limit is None:
        return space
    most = max(DEARER * budget.training, SHARE * budget.limit / (COMPARED * FEWEST_SEEDS))
    kept = dict(space)
    for key, range_ in space.items():
        dear = [choice for choice in range_.choices if _cost(cfg, data, start, space, {key: choice}) > most]
        if 0 < len(dear) < len(range_.choices):
            kept[key] = replace(range_, choices=tuple(choice for choice in range_.choices if choice not in dear))
            budget.left_out += [f"{key} = {choice}" for choice in dear]
    return kept


def _cost(cfg: DictConfig, data: Data, start: dict, space: Space, params: dict) -> float:
    """0 for values that a user-defined model does not take: their trials fail at once."""
    with contextlib.suppress(Exception):
        return cost_of(cfg, data, changes(space, start, params))
    return 0.0


def mean_cost(cfg: DictConfig, data: Data, start: dict, space: Space) -> float:
    """Multiplications of a whole training, over the space: a search of the width has trials of several costs."""
    points = [propose("qmc", space, cfg.seed, 0, index, SAMPLED, []) for index in range(SAMPLED)]
    return statistics.fmean(_cost(cfg, data, start, space, params) for params in points)


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
