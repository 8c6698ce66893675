"""Average the probabilities of members that differ in their seed; how good, and how well calibrated."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

Z95 = 1.959963984540054  # 97.5th percentile of the normal distribution


@dataclass(frozen=True)
class Quality:
    """Of probabilities (N, K) against labels (N,): accuracy, mean negative log-likelihood (nats), calibration error."""

    accuracy: float
    nll: float
    ece: float
    count: int

    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy (Wilson 1927): right also near 1, where the plain one is not."""
        n, p = self.count, self.accuracy
        centre = (p + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
        half = Z95 / (1 + Z95**2 / n) * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n**2))
        return max(0.0, centre - half), min(1.0, centre + half)


def quality(p: Tensor, y: Tensor) -> Quality:
    p = p.double()
    nll = -p[torch.arange(len(y)), y].clamp_min(1e-12).log().mean().item()
    return Quality((p.argmax(1) == y).double().mean().item(), nll, calibration_error(p, y), len(y))


def calibration_error(p: Tensor, y: Tensor, bins: int = 15) -> float:
    """Expected calibration error over equally wide bins of confidence (Guo et al. 2017)."""
    error = 0.0
    for _, confidence, accuracy, share in reliability(p, y, bins):
        error += share * abs(confidence - accuracy)
    return error


def reliability(p: Tensor, y: Tensor, bins: int = 15) -> list[tuple[int, float, float, float]]:
    """(bin, mean confidence, accuracy, share of examples) of each bin that is not empty."""
    confidence, guess = p.max(1)
    index = (confidence * bins).long().clamp(max=bins - 1)
    rows = []
    for b in range(bins):
        inside = index == b
        if inside.any():
            right = (guess[inside] == y[inside]).double().mean().item()
            rows.append((b, confidence[inside].double().mean().item(), right, inside.double().mean().item()))
    return rows


def averages(members: Tensor) -> list[Tensor]:
    """The mean probabilities of the first 1, 2, ... M members. members: (M, N, K)."""
    return [members[: i + 1].mean(0) for i in range(len(members))]


def predictions(ids: list[str], y: Tensor, p: Tensor, classes: list[str]) -> list[dict]:
    """One row per example: id, label, prediction, confidence, and the probability of each class."""
    rows = []
    for name, label, row in zip(ids, y.tolist(), p.tolist(), strict=True):
        guess = max(range(len(row)), key=row.__getitem__)
        chances = {f"p_{c}": v for c, v in zip(classes, row, strict=True)}
        rows.append(
            {"id": name, "label": classes[label], "predicted": classes[guess], "confidence": row[guess]} | chances
        )
    return rows


def worst_first(p: Tensor, y: Tensor) -> Tensor:
    """Indices of the wrong answers, the most confident first."""
    confidence, guess = p.max(1)
    wrong = (guess != y).nonzero().flatten()
    return wrong[confidence[wrong].argsort(descending=True, stable=True)]
