"""Proper scores, calibration error and bootstrap intervals of predicted probabilities."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recipe.metrics.intervals import wilson
from recipe.metrics.resampling import draws, percentiles

TINY = 1e-12  # a probability of zero would have an infinite loss
BINS = 15  # of confidence


@dataclass(frozen=True)
class Quality:
    """Of probabilities (N, K) against labels (N,): accuracy, mean negative log-likelihood (nats), Brier score (0 to 2:
    the sum over classes), expected calibration error."""

    accuracy: float
    nll: float
    brier: float
    ece: float
    count: int

    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy."""
        low, high = wilson(self.accuracy, self.count)
        return float(low), float(high)


def quality(p: Tensor, y: Tensor) -> Quality:
    p = p.double()
    accuracy, nll, brier = (f(p, y).mean().item() for f in (right, nlls, briers))
    return Quality(accuracy, nll, brier, calibration_error(p, y), len(y))


def right(p: Tensor, y: Tensor) -> Tensor:
    """(N,) 1 where the likeliest class is the label, else 0."""
    return (p.argmax(1) == y).double()


def nlls(p: Tensor, y: Tensor) -> Tensor:
    """(N,) negative log-likelihoods in nats."""
    return -p[torch.arange(len(y)), y].double().clamp_min(TINY).log()


def briers(p: Tensor, y: Tensor) -> Tensor:
    """(N,) squared distances to the one-hot label, summed over classes (Brier 1950)."""
    return (p.double() - torch.nn.functional.one_hot(y, p.shape[1])).square().sum(1)


def calibration_error(p: Tensor, y: Tensor, bins: int = BINS) -> float:
    """Expected calibration error over equally wide bins of confidence (Guo et al. 2017)."""
    rows = reliability(p.max(1).values, right(p, y), bins)
    return sum(share * abs(confidence - accuracy) for _, confidence, accuracy, share in rows)


def reliability(confidence: Tensor, hit: Tensor, bins: int = BINS) -> list[tuple[int, float, float, float]]:
    """(bin, mean confidence, accuracy, share of examples) of each bin that is not empty.

    confidence: (n,) probabilities; hit: (n,) 1 where what they are the probability of is so, else 0.
    """
    confidence, hit, index = confidence.double(), hit.double(), _bins(confidence, bins)
    return [
        (b, confidence[index == b].mean().item(), hit[index == b].mean().item(), (index == b).double().mean().item())
        for b in range(bins)
        if (index == b).any()
    ]


def _bins(confidence: Tensor, bins: int) -> Tensor:
    return (confidence * bins).long().clamp(max=bins - 1)


# ---- intervals -----------------------------------------------------------------------------------------------


def intervals(p: Tensor, y: Tensor, seed: int = 0) -> dict[str, tuple[float, float]]:
    """95 % bootstrap intervals over examples of accuracy, nll, brier and ece.

    A resampled ECE is biased upwards, and so is the ECE itself: it takes absolute values of what is partly noise. Read
    its interval as its variability, and compare two systems rather than one with zero.
    """
    gap = (p.max(1).values.double() - right(p, y)).unsqueeze(1)
    in_bins = gap * torch.nn.functional.one_hot(_bins(p.max(1).values, BINS), BINS)
    means = bootstrap(torch.cat([torch.stack([f(p, y) for f in (right, nlls, briers)], 1), in_bins], 1), seed)
    values = {"accuracy": means[:, 0], "nll": means[:, 1], "brier": means[:, 2], "ece": np.abs(means[:, 3:]).sum(1)}
    return {name: percentiles(v) for name, v in values.items()}


def bootstrap(columns: Tensor, seed: int = 0) -> np.ndarray:
    """(DRAWS, C): means of columns (N, C) over examples drawn with replacement, the same ones for every column.

    Efron 1979. The columns of one draw stay paired.
    """
    values = columns.double().cpu().numpy()
    # einsum and not @: its bits depend neither on threads nor on how many draws are held together
    return np.concatenate([np.einsum("dn,nc->dc", t, values) for t in draws(len(values), seed)]) / len(values)


def fall(before: Tensor, after: Tensor, y: Tensor) -> tuple[float, float, float]:
    """By how much the mean nll falls, and its paired 95 % bootstrap interval over examples."""
    return gained(nlls(before, y), nlls(after, y))


def gained(before: Tensor, after: Tensor) -> tuple[float, float, float]:
    """By how much the mean of (N,) numbers falls, and its paired 95 % bootstrap interval over examples."""
    falls = before - after
    return (falls.mean().item(), *percentiles(bootstrap(falls.unsqueeze(1))[:, 0]))


def weighted(p: Tensor, times: list[int]) -> Tensor:
    """(N, K): the mean of p (M, N, K), member m with the weight times[m]."""
    used = [i for i, n in enumerate(times) if n]
    shares = torch.tensor([times[i] for i in used], dtype=torch.float64) / sum(times)
    return (p[used].double() * shares.view(-1, 1, 1)).sum(0)
