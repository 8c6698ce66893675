"""Metrics of predicted quantities (N, T) against targets (N, T) in their unit, as scikit-learn's; means over columns.

A mean is not a quantile, and the pinball loss of the median is half of the mean absolute error: it is measured of what
predicts quantiles, the ends of prediction intervals (`of_intervals`).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from recipe.metrics.intervals import wilson
from recipe.metrics.metric import Metric, of_weighted
from recipe.metrics.resampling import draws, percentiles
from recipe.metrics.weighted import Array, divided, mean_of_known, means


def _columns(values: Array, w: Array) -> Array:
    """(D, T): means of each column of values (N, T)."""
    return np.stack([means(column, w) for column in values.T], 1)


def _rmse(p: Array, actual: Array, w: Array) -> Array:
    result: Array = np.sqrt(_columns(np.square(p - actual), w)).mean(1)
    return result


def _mae(p: Array, actual: Array, w: Array) -> Array:
    result: Array = _columns(np.abs(p - actual), w).mean(1)
    return result


def _r2(p: Array, actual: Array, w: Array) -> Array:
    """The share of the variance of the targets that the predictions explain; NaN where the targets are all equal."""
    centred = actual - actual.mean(0)  # else the difference of two large sums is all rounding
    variance = _columns(np.square(centred), w) - np.square(_columns(centred, w))
    variance[:, np.ptp(actual, axis=0) == 0] = 0.0
    return mean_of_known(1 - divided(_columns(np.square(p - actual), w), np.maximum(variance, 0.0)))


def metrics_of(std: Sequence[float], unit: str = "") -> Mapping[str, Metric]:
    """By name. std: (T,) of the training targets, by which networks' outputs and targets are standardised."""

    def scale(outputs: Tensor) -> Tensor:
        return torch.tensor(std, dtype=torch.float64, device=outputs.device)

    def of_networks(outputs: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Without the mean, which cancels in each of these metrics."""
        return outputs.double() * scale(outputs), y.double() * scale(outputs)

    def rmse_of_networks(outputs: Tensor, y: Tensor) -> Tensor:
        return ((outputs.double() - y.double()).square().mean(1).sqrt() * scale(outputs)).mean(1)

    all_of_them = (
        of_weighted(
            "rmse", "RMSE", _rmse, of_networks, higher_is_better=False, unit=unit, of_networks=rmse_of_networks
        ),
        of_weighted("mae", "MAE", _mae, of_networks, higher_is_better=False, unit=unit),
        of_weighted("r2", "R2", _r2, of_networks),
    )
    return {metric.name: metric for metric in all_of_them}


def pinball(quantile: Array, actual: Array, level: float) -> Array:
    """(N,) losses of predictions of the quantile `level` (Koenker and Bassett 1978), in the unit of the targets."""
    above = actual - quantile
    return np.maximum(level * above, (level - 1) * above)


def of_intervals(
    low: Array, high: Array, actual: Array, names: Sequence[str], share: float = 0.9, seed: int = 0
) -> list[dict[str, str | float]]:
    """A row per column of prediction intervals (N, T) that are to hold `share` of the targets.

    coverage: with Wilson's 95 % interval. pinball: the mean loss of both ends, as predictions of the quantiles
    (1 - share) / 2 and (1 + share) / 2, with a bootstrap interval. width: mean.
    """
    rows: list[dict[str, str | float]] = []
    for i, name in enumerate(names):
        covered = float(((low[:, i] <= actual[:, i]) & (actual[:, i] <= high[:, i])).mean())
        covered_low, covered_high = wilson(covered, len(actual))
        tail = (1 - share) / 2
        losses = (pinball(low[:, i], actual[:, i], tail) + pinball(high[:, i], actual[:, i], 1 - tail)) / 2
        drawn = np.concatenate([means(losses, w) for w in draws(len(losses), seed)])
        pinball_low, pinball_high = percentiles(drawn)
        rows.append({
            "target": name, "share": share,
            "coverage": covered, "coverage_low": float(covered_low), "coverage_high": float(covered_high),
            "pinball": float(losses.mean()), "pinball_low": pinball_low, "pinball_high": pinball_high,
            "width": float((high[:, i] - low[:, i]).mean()),
        })  # fmt: skip
    return rows
