"""The examples of a data set that the checks look at."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset, default_collate

from recipe.errors import RecipeError
from recipe.rng import generator

MAX_NUMBERS = 30_000_000  # of the inputs that a check holds at once: 120 MB of float32


class MapDataset(Protocol):
    """A map-style data set: dataset[i] is (input, target), and may hold more."""

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
    each = max(1, torch.as_tensor(dataset[0][0]).numel())
    most = max(2, min(most, MAX_NUMBERS // each))
    return range(0, len(dataset), max(1, -(-len(dataset) // most)))


def collated(items: list, collate: Callable | None, name: str) -> tuple[Tensor, Tensor]:
    """Raises RecipeError that names the data set where the examples do not make a pair of tensors."""
    try:
        x, y = (collate or default_collate)([(item[0], item[1]) for item in items])
    except (TypeError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0][:200]
        raise RecipeError(f"{name}: its examples make no batch of (inputs, targets): {first}") from None
    if not isinstance(x, Tensor) or not isinstance(y, Tensor):
        raise RecipeError(
            f"{name}: inputs are a {type(x).__name__} and targets a {type(y).__name__}; both must be tensors."
        )
    return x, y


def varied_batch(x: Tensor, y: Tensor, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """A few examples with as many classes among them as possible; of a table, rows that differ."""
    if x.ndim == 2 and x.is_floating_point():
        _, which = torch.unique(x, dim=0, return_inverse=True)
        first = torch.full((int(which.max()) + 1,), len(x), device=x.device)
        first = first.scatter_reduce(0, which, torch.arange(len(x), device=x.device), "amin").sort().values
        x, y = (x[first], y[first]) if len(first) >= size else (x, y)
    if y.is_floating_point() or y.ndim > 1:
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
