"""Splits and probabilities of a known kind, for the tests of several rooms."""

import dataclasses

import torch
from healthy import digits

from recipe.data.batches import Data, Split
from recipe.metrics.classification import ACCURACY
from recipe.tasks.classification import Classification

X, Y = digits()
NAMES = [str(i) for i in range(len(Y))]
DIGITS = Classification(tuple(str(c) for c in range(10)))
FOUR = Classification(("a", "b", "c", "d"))
DATA = Data(
    Split(X[:700], Y[:700], NAMES[:700]), Split(X[1000:1200], Y[1000:1200], NAMES[1000:1200]),
    DIGITS, ACCURACY, torch.full((1, 1, 1), 0.3), torch.full((1, 1, 1), 0.4), "digits",
)  # fmt: skip
TABLE = dataclasses.replace(DATA, train=Split(X[:50].flatten(1), Y[:50], NAMES[:50]))


def data(raw: torch.Tensor) -> Data:
    """raw (N, F) or (N, C, H, W), as `load` standardises it."""
    axes = (0,) if raw.ndim == 2 else (0, 2, 3)
    mean, std = raw.mean(axes, keepdim=True)[0], raw.std(axes, keepdim=True)[0]
    std = torch.where(std <= 1e-6 * mean.abs(), torch.ones_like(std), std)
    part = Split((raw - mean) / std, torch.zeros(len(raw), dtype=torch.long), [""] * len(raw))
    return Data(part, part, Classification(("a", "b")), ACCURACY, mean, std, "")


def random(n: int, k: int = 4, seed: int = 0, sure: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities (n, k), and labels that are drawn from them: calibrated by construction."""
    chance = torch.Generator().manual_seed(seed)
    p = (sure * torch.randn(n, k, generator=chance, dtype=torch.float64)).softmax(1)
    return p, torch.multinomial(p, 1, generator=chance).squeeze(1)
