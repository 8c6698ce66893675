"""Splits and probabilities of a known kind, for the tests of several rooms."""

import dataclasses

import torch
from healthy import digits

from recipe.data.batches import Data, Split
from recipe.data.tokens import Words
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


def _texts() -> Data:
    """240 texts of eight words, of which the first and in most the last say the class."""
    random = torch.Generator().manual_seed(0)
    words = torch.randint(20, (240, 6), generator=random)
    y = torch.randint(2, (240,), generator=random)
    texts = [
        " ".join([("bad", "good")[c], *(f"w{n}" for n in row), f"c{c}" if row[0] > 5 else "w0"][: 4 + c + row[1] % 4])
        for c, row in zip(y.tolist(), words.tolist(), strict=True)
    ]
    tokenizer = Words().fit(texts[:160])
    parts = [Split(tokenizer.encode(texts[p]), y[p], NAMES[p], texts=tuple(texts[p])) for p in (TRAIN, VAL)]
    return Data(
        *parts, Classification(("a", "b")), ACCURACY, torch.zeros(0), torch.ones(0), "texts", tokenizer=tokenizer
    )


TRAIN, VAL = slice(160), slice(160, 240)
TEXTS = _texts()


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
