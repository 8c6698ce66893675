"""Random numbers by name: each draw depends on a seed and on what it is for, never on what was drawn before it."""

import contextlib
import functools
import hashlib
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the functions import torch, which some users of a key never load
    from torch import Generator, Tensor


def key(seed: int, *words: object) -> int:
    """A 63-bit number for a seed and a purpose, as in key(0, "order", epoch)."""
    text = "/".join(map(str, (seed, *words)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *words: object) -> "Generator":
    """A torch.Generator (CPU) for a purpose."""
    import torch

    return torch.Generator().manual_seed(key(seed, *words))


@contextlib.contextmanager
def seeded(seed: int, *words: object) -> Iterator[None]:
    """The global generators of torch, numpy and Python, seeded for a purpose inside the block, as before after it."""
    import random

    import numpy as np
    import torch

    number, python, numbers = key(seed, *words), random.getstate(), np.random.get_state()
    # without a device, torch keeps each seed for one that never comes, with the text of its stack: half a millisecond
    alone = not torch.accelerator.is_available()
    with torch.random.fork_rng(devices=[] if alone else None):
        if alone:
            torch.default_generator.manual_seed(number)
        else:
            torch.manual_seed(number)
        random.seed(number)
        np.random.seed(number % 2**32)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numbers)


def keys(seeds: list[int], *words: object) -> "Tensor":
    """A key per lane (M, 2) for a purpose: what `fold` and `uniform` draw from.

    int64, though torch's own keys are uint64: there most operations are missing, indexing among them.
    """
    import torch

    return torch.tensor([[key(seed, *words), 0] for seed in seeds])


def fold(parents: "Tensor", n: int) -> "Tensor":
    """The key of step, layer or image `n` under each of the keys; of the same shape."""
    import torch

    if keyed := _keyed():
        folded: Tensor = keyed.fold_in(parents.view(torch.uint64), n)
        return folded.view(torch.int64)
    children = [[key(seed, at, n), 0] for seed, at in parents.reshape(-1, 2).tolist()]
    return torch.tensor(children, device=parents.device).reshape(parents.shape)


def uniform(of: "Tensor", *shape: int) -> "Tensor":
    """float32 in [0, 1): (M, *shape) for keys (M, 2), `shape` for one key (2,).

    A lane's numbers depend on its own key alone: not on the lanes beside it, nor on what was drawn before. Philox
    (Salmon et al. 2011) keyed by torch itself; a torch without it seeds a generator per key, with other numbers.
    """
    import torch

    whole = (*of.shape[:-1], *shape)
    if keyed := _keyed():
        drawn: Tensor = keyed.uniform(of.view(torch.uint64).reshape(*of.shape[:-1], *[1] * len(shape), 2), *whole)
        return drawn
    out = torch.empty(whole, device=of.device)
    for row, (seed, at) in zip(out.reshape(-1, *shape), of.reshape(-1, 2).tolist(), strict=True):
        row.uniform_(generator=torch.Generator(of.device).manual_seed(key(seed, at)))
    return out


@functools.cache
def _keyed() -> ModuleType | None:
    """torch's own keyed draws (2.14), or None."""
    with contextlib.suppress(ImportError):
        import torch.func._random as keyed

        return keyed
    return None
