"""Which token fills sequences up to a common length."""

import torch
from torch import Tensor, nn

from recipe.checks.measurements.measured_once import measured_once
from recipe.checks.parts import main
from recipe.checks.setup import Setup

LEAST = 0.1  # of the sequences end with it


def trailing(x: Tensor, token: int) -> Tensor:
    """(N,) how often (N, L) ends with this token."""
    return (x.flip(1) == token).cummin(1).values.sum(1)


@measured_once
def padding_index(s: Setup) -> int | None:
    """The token of padding: that which an embedding names; else that which ends sequences by runs of different lengths.

    None where the inputs are not sequences of tokens, and where no token does.
    """
    x = main(s.train_tensors[0])
    if x.is_floating_point() or x.ndim != 2 or x.shape[1] < 2:
        return None
    embeddings = [m for m in s.new_model().modules() if isinstance(m, nn.Embedding)]
    for named in {m.padding_idx for m in embeddings if m.padding_idx is not None}:
        if (trailing(x, named) > 0).any():
            return named
    last, times = x[:, -1].unique(return_counts=True)
    token = int(last[times.argmax()])
    runs = trailing(x, token)
    ends = runs > 0
    varied = torch.unique(runs[ends]).numel() > 2 and (runs[ends] > 1).double().mean() > 0.5
    return token if ends.double().mean() > LEAST and varied and not _within(x, token) else None


def _within(x: Tensor, token: int) -> bool:
    """Whether the token is also a word: it has another one behind it in a sequence."""
    other = x != token
    return bool((~other & other.flip(1).cummax(1).values.flip(1)).any())
