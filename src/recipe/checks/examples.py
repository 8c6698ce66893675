"""The examples of a data set that the checks look at."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves
from torch.utils.data import Dataset, TensorDataset, default_collate

from recipe.errors import RecipeError
from recipe.rng import generator

MAX_NUMBERS = 30_000_000  # of the inputs that a check holds at once: 120 MB of float32


class MapDataset(Protocol):
    """A map-style data set: dataset[i] is an example, mostly (input, target)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class MappedExamples(Dataset):
    """Some examples of a map-style data set, through a function of (input, target)."""

    def __init__(self, dataset: MapDataset, index: Iterable[int], function: Callable):
        self.dataset, self.index, self.function = dataset, list(index), function

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, i: int):
        item = self.dataset[self.index[i]]
        return self.function(item[0], item[1])


class WholeBatches(TensorDataset):
    """A TensorDataset that gives a loader with the collate function `list` a batch at once: the same bytes, sooner."""

    def __getitems__(self, index: list[int]) -> list[Tensor]:
        return [t[index].contiguous() for t in self.tensors]


class MadeBatches(Dataset):
    """A data set that gives a loader with the collate function `itemgetter(0)` whole batches, which `read` makes."""

    def __init__(self, size: int, read: Callable[[list[int]], Any]):
        self.size, self.read = size, read

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, place: int) -> Any:
        return self.read([place])

    def __getitems__(self, places: list[int]) -> list[Any]:
        return [self.read(places)]


def with_zeros(dataset: TensorDataset) -> TensorDataset:
    """The same targets, with inputs that are zero: one example of them, seen at each index."""
    zeros = torch.zeros_like(dataset[0][0])
    return TensorDataset(zeros.expand(len(dataset), *zeros.shape), dataset.tensors[1])


def part(dataset: MapDataset, index: range, augment: Callable | None, zeros: bool) -> MapDataset:
    """The examples of an index, augmented; zeros: then with inputs of zero."""
    if augment is None and len(index) == len(dataset):
        if not zeros:
            return dataset
        if type(dataset) is TensorDataset:
            return with_zeros(dataset)

    def item(x, y):
        x = augment(x) if augment else x
        return (torch.zeros_like(torch.as_tensor(x)) if zeros else x), y

    return MappedExamples(dataset, index, item)


def evenly_spaced(dataset: MapDataset, most: int) -> range:
    """Indices of at most `most` examples, and no more than fit into memory, evenly spaced over the data set."""
    example = dataset[0]
    first = example[0] if isinstance(example, tuple | list) and len(example) else example
    each = max(1, sum(torch.as_tensor(leaf).numel() for leaf in tree_leaves(first) if _has_numbers(leaf)))
    most = max(2, min(most, MAX_NUMBERS // each))
    return range(0, len(dataset), max(1, -(-len(dataset) // most)))


def _has_numbers(leaf: Any) -> bool:
    return isinstance(leaf, Tensor | int | float | np.ndarray)


def collated(items: list, collate: Callable | None, name: str) -> Any:
    """A batch of these examples, as the user's loader makes it. Raises RecipeError that names the data set where they
    make none."""
    try:
        return (collate or default_collate)(items)
    except (TypeError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0][:200]
        raise RecipeError(
            f"{name}: its examples make no batch of (inputs, targets): {first} Give the collate function of your "
            "loader (collate=...), or watch the loop as it is with recipe.watch."
        ) from None


def same(a: Any, b: Any) -> bool:
    """Two examples, or parts of such, hold the same values."""
    (one, form), (other, form_of_other) = tree_flatten(a), tree_flatten(b)
    if form != form_of_other:
        return False
    pairs = [(torch.as_tensor(x), torch.as_tensor(y)) for x, y in zip(one, other, strict=True) if _has_numbers(x)]
    return all(x.shape == y.shape and torch.equal(x, y) for x, y in pairs)


def varied_batch(inputs: Any, targets: Any, size: int, seed: int) -> tuple[Any, Any]:
    """A few examples with as many classes among them as possible; of a table, rows that differ."""
    x, y = inputs, targets
    if isinstance(x, Tensor) and x.ndim == 2 and x.is_floating_point():
        _, which = torch.unique(x, dim=0, return_inverse=True)
        first = torch.full((int(which.max()) + 1,), len(x), device=x.device)
        first = first.scatter_reduce(0, which, torch.arange(len(x), device=x.device), "amin").sort().values
        x, y = (x[first], y[first]) if len(first) >= size else (x, y)
    if not isinstance(y, Tensor) or y.is_floating_point() or y.ndim > 1:
        index = torch.randperm(len(y), generator=generator(seed, "batch"))[:size].to(y.device)
    else:
        index = torch.argsort(_rank_in_class(y), stable=True)[:size]  # one of each class in turn
    return x[index], y[index]


def _rank_in_class(y: Tensor) -> Tensor:
    """For each example, the number of earlier examples of the same class."""
    rank = torch.zeros_like(y)
    for c in y.unique():
        rank[y == c] = torch.arange(int((y == c).sum()), device=y.device)
    return rank
