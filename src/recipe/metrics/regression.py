"""Metrics of predicted quantities (N, T) against the true ones (N, T), in their unit."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from recipe.metrics.metric import Metric


def metrics_of(mean: Sequence[float], std: Sequence[float], unit: str) -> Mapping[str, Metric]:
    """By name; mean and std: of the training targets, by which outputs and y are standardised."""

    def rmse_of_networks(outputs: Tensor, y: Tensor) -> Tensor:
        scale = torch.tensor(std, dtype=torch.float64, device=y.device)
        return ((outputs.double() - y.double()) * scale).square().mean((1, 2)).sqrt()

    return {
        "rmse": Metric("rmse", "RMSE", _rmse, rmse_of_networks, higher_is_better=False, unit=unit),
    }


def _rmse(p: Tensor, actual: Tensor) -> float:
    return (p.double() - actual.double()).square().mean().sqrt().item()
