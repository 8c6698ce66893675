"""Successive halving: at each rung of steps, trials that are not among the best end (Li et al. 2018, ASHA)."""

import math
from collections.abc import Mapping

from omegaconf import DictConfig


def rungs_of(cfg: DictConfig, steps: int) -> list[int]:
    """Steps at which trials are judged: `first` of all steps, then `factor` times as many, on evaluations alone."""
    if cfg.halving is None:
        return []
    first, factor, every = cfg.halving.first, cfg.halving.factor, cfg.train.eval_every
    found, step = [], first * steps
    while (rung := math.ceil(step / every - 1e-9) * every) < steps:
        found += [rung] if rung not in found else []
        step *= factor
    return found


def survivors(values: Mapping, factor: float) -> set:
    """The best ceil(n / factor) of n trials, by loss {trial: value}; equal ones in the mapping's order."""
    ranked = sorted(values, key=values.get)
    return set(ranked[: math.ceil(len(ranked) / factor - 1e-9)])
