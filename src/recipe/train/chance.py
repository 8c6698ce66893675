"""Random numbers by name: each draw depends on a seed and on what it is for, never on what was drawn before it."""

import hashlib
from contextlib import contextmanager


def key(seed: int, *words) -> int:
    """A 63-bit number for a seed and a purpose, as in key(0, "order", epoch)."""
    text = "/".join(map(str, (seed, *words)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *words):
    """A torch.Generator (CPU) for a purpose."""
    import torch

    return torch.Generator().manual_seed(key(seed, *words))


@contextmanager
def seeded(seed: int, *words):
    """The global generators of torch, numpy and Python, seeded for a purpose inside the block, as before after it."""
    import random

    import numpy as np
    import torch

    number, python, numbers = key(seed, *words), random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        torch.manual_seed(number)
        random.seed(number)
        np.random.seed(number % 2**32)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numbers)
