"""Successive halving: at each rung of passes, the trials that are not among the best end (Li et al. 2018, ASHA)."""

import math
from collections.abc import Mapping
from typing import TypeVar

from omegaconf import DictConfig

K = TypeVar("K")


def rungs_of(cfg: DictConfig, evaluations: float) -> list[int]:
    """Numbers of the evaluations at which trials are judged: `first` of all, then `factor` times as many, etc."""
    if cfg.halving is None:
        return []
    rungs: list[int] = []
    exact = cfg.halving.first * evaluations
    while (rung := max(1, math.ceil(exact - 1e-9))) < evaluations:
        rungs += [rung] if rung not in rungs else []
        exact *= cfg.halving.factor
    return rungs


def survivors(costs: Mapping[K, float], factor: float) -> set[K]:
    """The best ceil(n / factor) of n trials, by their {trial: cost}; equal ones in the mapping's order."""
    ranked = sorted(costs, key=lambda trial: costs[trial])
    return set(ranked[: math.ceil(len(ranked) / factor - 1e-9)])
