"""Batches of any structure: tensors in tuples, lists and mappings, as a model takes and gives them."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map


def tensors(structure: Any) -> list[Tensor]:
    """Every tensor, in order."""
    if type(structure) is tuple and len(structure) == 2 and structure[1] == {} and type(structure[0]) is tuple:
        structure = structure[0]  # a call without keywords; the walk below takes tens of microseconds
    if type(structure) is tuple and all(isinstance(leaf, Tensor) for leaf in structure):
        return list(structure)
    return [leaf for leaf in tree_leaves(structure) if isinstance(leaf, Tensor)]


def batch_size(structure: Any) -> int:
    """The length of the first tensor that has a dimension; 0 where there is none."""
    return next((len(t) for t in tensors(structure) if t.ndim), 0)


def map_rows(structure: Any, size: int, change: Callable[[Tensor], Tensor]) -> Any:
    """The structure with `change` applied to each tensor of `size` rows."""
    return tree_map(
        lambda leaf: change(leaf) if isinstance(leaf, Tensor) and leaf.ndim and len(leaf) == size else leaf, structure
    )


def copied(structure: Any, most: int) -> Any:
    """The first `most` examples of a batch, detached and copied."""
    return map_rows(structure, batch_size(structure), lambda t: t.detach()[:most].clone())


def main_input(structure: Any) -> Tensor | None:
    """The tensor that holds the examples: the first one with two dimensions or more."""
    return next((t for t in tensors(structure) if t.ndim > 1), None)


def main_output(structure: Any, size: int | None = None) -> Tensor | None:
    """The outputs of a batch: the first tensor of floating-point numbers with a row per example.

    size: number of examples; None: the first such tensor with a dimension.
    """
    found = [t for t in tensors(structure) if t.is_floating_point() and t.ndim and (size is None or len(t) == size)]
    return found[0] if found else None


def fingerprints(x: Tensor, places: int = 64) -> Tensor:
    """A number for each row (B,), float64: a weighted sum of up to `places` of its values.

    Those of equal rows are equal but for rounding.
    """
    rows = x.detach().reshape(len(x), -1)
    step = -(-rows.shape[1] // places)
    chosen = rows[:, ::step].double()
    return chosen.mv(_weights(chosen.shape[1], chosen.device))


@functools.cache
def _weights(count: int, device: torch.device) -> Tensor:
    return torch.linspace(1, 2, count, dtype=torch.float64, device=device).sqrt()
