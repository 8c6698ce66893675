"""Temperature scaling (Guo et al. 2017, On calibration of modern neural networks), of classes and of single labels."""

import torch
from torch import Tensor

from recipe.metrics.scores import TINY

LEAST, MOST = 0.05, 20.0  # temperatures; val without a single mistake has its optimum at zero
HALVINGS = 60  # of the range: beyond the precision of a double


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


def tempered_label(p: Tensor, temperature: float) -> Tensor:
    """Probabilities (N,) that one label is present, as those of two classes."""
    return tempered(_two_classes(p), temperature)[:, 1]


def fit_label_temperature(p: Tensor, actual: Tensor) -> float:
    """As fit_temperature, of probabilities (N,) that one label is present against (N,) of 0 and 1."""
    return fit_temperature(_two_classes(p), actual.long())


def _two_classes(p: Tensor) -> Tensor:
    return torch.stack([1 - p, p], 1)
