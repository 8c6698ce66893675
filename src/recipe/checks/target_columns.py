"""Targets as columns: one per example, or several quantities or labels."""

from torch import Tensor


def target_columns(y: Tensor) -> list[Tensor]:
    """Of targets (N,) themselves, of (N, T) each column (N,)."""
    return list(y.reshape(len(y), -1).T)
