"""Successive halving: at each rung of steps, the trials that are not among the best end (Li et al. 2018, ASHA)."""

import math
from collections.abc import Mapping
from typing import TypeVar

from omegaconf import DictConfig

K = TypeVar("K")


def rungs_of(cfg: DictConfig, steps: int) -> list[int]:
    """Steps (of evaluations) at which trials are judged: `first` of all steps, then `factor` times as many, etc."""
    if cfg.halving is None:
        return []
    first, factor, every = cfg.halving.first, cfg.halving.factor, cfg.train.eval_every
    rungs: list[int] = []
    step = first * steps
    while (rung := math.ceil(step / every - 1e-9) * every) < steps:
        rungs += [rung] if rung not in rungs else []
        step *= factor
    return rungs


def survivors(values: Mapping[K, float], factor: float) -> set[K]:
    """The best ceil(n / factor) of n trials, by loss {trial: value}; equal ones in the mapping's order."""
    ranked = sorted(values, key=lambda trial: values[trial])
    return set(ranked[: math.ceil(len(ranked) / factor - 1e-9)])
