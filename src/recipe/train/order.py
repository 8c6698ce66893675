"""The order of a lane's examples: an endless stream of passes, shuffled or by a sampler, cut into full batches."""

from functools import lru_cache

import torch
from torch import Tensor

from recipe.errors import RecipeError
from recipe.rng import generator
from recipe.train.sampler import Sampler


def subset(count: int, share: float, seed: int) -> Tensor:
    """Which of `count` examples the lane trains on; a smaller share is part of a larger one of the same seed."""
    if share >= 1:
        return torch.arange(count)
    return torch.randperm(count, generator=generator(seed, "share"))[: max(1, round(share * count))]


def batches(
    count: int, batch_size: int, seed: int, first: int, last: int, share: float = 1.0, sampler: Sampler | None = None
) -> Tensor:
    """(last - first, batch_size): the examples of steps first..last-1, a function of these arguments alone.

    Batch n is places n B .. (n + 1) B - 1 of the stream, so each pass has every example once, unless a sampler draws
    it, and no batch is short; a batch may end one pass and begin the next.
    """
    examples = subset(count, share, seed)
    start, end, size = first * batch_size, last * batch_size, len(examples)
    numbers = range(start // size, -(-end // size))
    if sampler:
        stream = torch.cat([_sampled(sampler, examples, seed, n) for n in numbers])
    else:
        stream = examples[torch.cat([_pass(size, seed, n) for n in numbers])]
    return stream[start % size :][: end - start].view(last - first, batch_size)


def _sampled(sampler: Sampler, examples: Tensor, seed: int, n: int) -> Tensor:
    drawn = sampler(examples, generator(seed, "order", n))
    if drawn.shape != examples.shape:
        raise RecipeError(
            f"conf/sampler: a pass over {len(examples)} examples must have as many, and it has {tuple(drawn.shape)}."
        )
    return drawn


@lru_cache(256)  # arms share their seeds, and one pass serves many calls
def _pass(size: int, seed: int, n: int) -> Tensor:
    return torch.randperm(size, generator=generator(seed, "order", n))
