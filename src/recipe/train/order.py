"""The order of a lane's examples: an endless stream of shuffled passes, cut into full batches."""

from functools import lru_cache

import torch
from torch import Tensor

from recipe.rng import generator


def subset(count: int, share: float, seed: int) -> Tensor:
    """Which of `count` examples the lane trains on; a smaller share is part of a larger one of the same seed."""
    if share >= 1:
        return torch.arange(count)
    return torch.randperm(count, generator=generator(seed, "share"))[: max(1, round(share * count))]


def batches(count: int, batch_size: int, seed: int, first: int, last: int, share: float = 1.0) -> Tensor:
    """(last - first, batch_size): the examples of steps first..last-1, a function of these arguments alone.

    Batch n is places n B .. (n + 1) B - 1 of the stream, so each pass has every example once and no batch is short;
    a batch may end one pass and begin the next.
    """
    examples = subset(count, share, seed)
    start, end, size = first * batch_size, last * batch_size, len(examples)
    passes = torch.cat([_pass(size, seed, n) for n in range(start // size, -(-end // size))])
    return examples[passes[start % size :][: end - start]].view(last - first, batch_size)


@lru_cache(256)  # arms share their seeds, and one pass serves many calls
def _pass(size: int, seed: int, n: int) -> Tensor:
    return torch.randperm(size, generator=generator(seed, "order", n))
