"""Which examples a pass over the training set shows: conf/sampler names one with `_partial_: true`.

Each is a function (task, y) -> sampler, where y are the training targets. A sampler is (examples (n,), generator) ->
(n,) examples, some of them maybe several times; None is the plain order, in which a pass shows every example once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from recipe.errors import RecipeError
from recipe.tasks.task import Task

Sampler = Callable[[Tensor, Generator], Tensor]


def plain(task: Task, y: Tensor) -> None:
    """Every example once in each pass."""


def balanced(task: Task, y: Tensor) -> Sampler:
    """Each class equally often. Raises RecipeError where the task has no classes."""
    if not isinstance(task.usual_loss(), nn.CrossEntropyLoss):
        raise RecipeError(f"`sampler: balanced` draws each class equally often, and the task is {task.name}.")
    return Balanced(task.actual(y).cpu())


@dataclass(frozen=True, eq=False)
class Balanced:
    """A pass has as many examples as before, of each class that is there equally many: rare ones are repeated, of
    common ones a part is drawn, each time another. An example is repeated once all others of its class were shown."""

    classes: Tensor  # (N,) of all training examples

    def __call__(self, examples: Tensor, generator: Generator) -> Tensor:
        classes = self.classes[examples]
        present = torch.bincount(classes).nonzero().flatten()
        quotas = torch.full((len(present),), len(examples) // len(present))
        more = torch.randperm(len(present), generator=generator)[: len(examples) % len(present)]
        quotas[more] += 1
        drawn = [_drawn(examples[classes == c], int(q), generator) for c, q in zip(present, quotas, strict=True)]
        return torch.cat(drawn)[torch.randperm(len(examples), generator=generator)]


def _drawn(members: Tensor, quota: int, generator: Generator) -> Tensor:
    """Shuffles of the members, one after the other, cut to the quota."""
    times = -(-quota // len(members))
    shuffles = [members[torch.randperm(len(members), generator=generator)] for _ in range(times)]
    return torch.cat([*shuffles, members[:0]])[:quota]


def completed(sampler: Any, task: Task, y: Tensor) -> Sampler | None:
    """What conf names, for these training targets. Raises RecipeError where it is not a sampler."""
    if not callable(sampler):
        raise RecipeError("conf/sampler: it needs the line `_partial_: true`.")
    made = sampler(task=task, y=y)
    if made is not None and not callable(made):
        raise RecipeError(f"conf/sampler: it gave a {type(made).__name__}, not a function (examples, generator).")
    return made  # type: ignore[no-any-return]
