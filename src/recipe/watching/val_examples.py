"""A few examples of the validation set, loaded without a trace in the training."""

from typing import Any

from torch import Tensor

from recipe.rng import seeded
from recipe.watching.observed import evenly_spaced
from recipe.watching.structures import main_input


def examples_of(data: Any, most: int = 256) -> tuple[Tensor | None, int | None]:
    """(inputs of evenly spaced examples, number of all) of a data set or a DataLoader.

    Random states are kept, and a loader is not iterated, which would draw from its generator; None where it has no
    length, or an example cannot be loaded.
    """
    from torch.utils.data import DataLoader, default_collate

    dataset: Any
    dataset, collate = (data.dataset, data.collate_fn) if isinstance(data, DataLoader) else (data, default_collate)
    try:
        size = len(dataset)
        index = evenly_spaced(size, most).tolist()
        with seeded(0, "watch val"):
            batch = (collate or default_collate)([dataset[i] for i in index])
        return main_input(batch), size
    except Exception:  # an iterable data set, or one with its own idea of an index
        return None, None
