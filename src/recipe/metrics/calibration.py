"""Temperature scaling (Guo et al. 2017, On calibration of modern neural networks)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from recipe.metrics.scores import TINY, fall, intervals, quality

LEAST, MOST = 0.05, 20.0  # temperatures; val without a single mistake has its optimum at zero
HALVINGS = 60  # of the range: beyond the precision of a double
SHOWN = ("nll", "brier", "ece")


def tempered(p: Tensor, temperature: float) -> Tensor:
    """Probabilities (N, K) ** (1 / temperature), normalised: a temperature above 1 makes them less confident. The
    order of the classes stays."""
    return (p.double().clamp_min(TINY).log() / temperature).softmax(-1)


def fit_temperature(p: Tensor, y: Tensor) -> float:
    """The temperature with the lowest mean negative log-likelihood of probabilities (N, K) against labels (N,).

    It divides the logarithm of the ensemble's mean probability, so members are averaged first and calibrated together
    (Rahaman and Thiery 2021: the other way round leaves the mean underconfident). The loss is convex in the inverse
    temperature, so its derivative rises: bisection.
    """
    log_p = p.double().clamp_min(TINY).log()
    label = log_p[torch.arange(len(y)), y]
    low, high = 1 / MOST, 1 / LEAST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        slope = (((log_p * middle).softmax(1) * log_p).sum(1) - label).mean().item()
        low, high = (low, middle) if slope > 0 else (middle, high)
    return 2 / (low + high)


@dataclass(frozen=True)
class Calibration:
    """Before and after temperature scaling, on one split: each measure with its 95 % bootstrap interval over examples,
    and by how much the nll falls, with its paired interval."""

    split: str
    before: dict[str, tuple[float, float, float]]
    after: dict[str, tuple[float, float, float]]
    fall: tuple[float, float, float]

    def rows(self) -> list[dict[str, str | float]]:
        return [
            {"split": self.split, "temperature": name, "measure": measure, "value": value, "low": low, "high": high}
            for name, measures in (("before", self.before), ("after", self.after))
            for measure, (value, low, high) in measures.items()
        ]


def calibration(split: str, before: Tensor, temperature: float, y: Tensor) -> Calibration:
    """Of probabilities (N, K) against labels (N,)."""
    after = tempered(before, temperature)
    return Calibration(split, _measured(before, y), _measured(after, y), fall(before, after, y))


def _measured(p: Tensor, y: Tensor) -> dict[str, tuple[float, float, float]]:
    values, ends = quality(p, y), intervals(p, y)
    return {name: (getattr(values, name), *ends[name]) for name in SHOWN}
