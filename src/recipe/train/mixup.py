"""Mixup (Zhang et al. 2018): inputs and losses of two examples, mixed with one random weight per batch."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from torch import Tensor

from recipe.rng import key

BLOCK = 1024  # steps drawn at a time


def share(alpha: float, seed: int, step: int) -> float:
    """lambda ~ Beta(alpha, alpha) of a lane's step; 1 where mixup is off."""
    return float(_block(alpha, seed, step // BLOCK)[step % BLOCK]) if alpha else 1.0


@lru_cache(1024)
def _block(alpha: float, seed: int, block: int) -> np.ndarray:
    return np.random.default_rng(key(seed, "mixup", block)).beta(alpha, alpha, BLOCK)


def mixed(x: Tensor, lam: float | Tensor, dim: int) -> Tensor:
    """Each example with the one before it in the batch, which is a random partner since the order is random."""
    return lam * x + (1 - lam) * x.roll(1, dim)


def mixed_loss(loss: Callable[..., Tensor], lam: float | Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """(outputs, targets) -> the loss against the targets of both examples, weighted like their inputs."""
    return lambda out, y: lam * loss(out, y) + (1 - lam) * loss(out, y.roll(1, 0))
