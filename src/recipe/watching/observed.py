"""What has been seen of a training loop so far: numbers and small samples, never the loop's own tensors."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from recipe.checks.declare import Declare
from recipe.watching.loss_graph import LossGraph
from recipe.watching.probes import Probed

FIRST = 20  # steps that are looked at one by one; after them, each look comes after as many steps again
EARLY = 5  # steps after which some of it is known
SAMPLED = 512  # values of a parameter that are kept


class RecipeWarning(UserWarning):
    """A gate of a training that runs has closed."""


@dataclass
class Observed:
    """first: of each kind of event, (step, line of the user's code) when it was first seen; counts: how often."""

    model: nn.Module
    optimizers: list[torch.optim.Optimizer]  # the first one's steps are the steps
    declare: Declare
    val: Tensor | None = None  # inputs of examples of the validation set
    val_size: int | None = None
    forwards: int = 0  # with gradients
    backwards: int = 0
    steps: int = 0  # completed
    step: int = 0  # under way, or the last one while nothing is trained
    looks: int = 0  # steps that were looked at in full
    first: dict[str, tuple[int, str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    rates: list[float] = field(default_factory=list)  # the highest of all groups, per step
    losses: list[float] = field(default_factory=list)  # as `backward` got them
    inputs: list[Tensor] = field(default_factory=list)  # of the first batches
    input_steps: list[int] = field(default_factory=list)  # the step of each
    targets: list[Tensor] = field(default_factory=list)  # of the first batches
    seen: list[Tensor] = field(default_factory=list)  # fingerprints of training inputs
    graphs: list[LossGraph] = field(default_factory=list)  # of the first loss
    output_size: int | None = None  # numbers in the first outputs, all examples together
    hidden: list[tuple[int, ...]] = field(
        default_factory=list
    )  # tensors with a gradient that the model has not registered
    probed: Probed | None = None
    time_first: bool = False  # a layer of the model takes time before the batch
    start: dict[str, Tensor] = field(default_factory=dict)  # sampled values of each parameter
    moved: set[str] = field(default_factory=set)
    trained: Counter[str] = field(default_factory=Counter)  # looks in which a parameter was to be trained
    got_gradient: set[str] = field(default_factory=set)
    ratios: list[float] = field(default_factory=list)  # per look: median over matrices of |update| / |weights|
    evaluated: list[int] = field(default_factory=list)  # examples per evaluation
    statistics: dict[str, Tensor] = field(default_factory=dict)  # batch norm's running means of frozen parts
    ended: bool = False
    crash: str = ""  # an error of the watch itself, which then looks no further

    @property
    def groups(self) -> list[dict]:
        """Parameter groups of all optimizers."""
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def note(self, event: str, line: str) -> bool:
        """Counts an event; gives whether it is the first of its kind."""
        self.counts[event] += 1
        if event in self.first:
            return False
        self.first[event] = (self.step, line)
        return True

    def at(self, event: str) -> str:
        """Where it was first seen, as a sentence."""
        step, line = self.first[event]
        return f"First at step {step}{f', {line}' if line else ''}."


def sampled(p: Tensor) -> Tensor:
    """Up to 512 values of a parameter, evenly spaced, copied."""
    flat = p.detach().reshape(-1)
    return flat[evenly_spaced(flat.numel(), SAMPLED).to(flat.device)]


def evenly_spaced(size: int, most: int) -> Tensor:
    """Up to `most` of the indices below `size`, in whole numbers: float32 would round the last ones upwards."""
    count = min(size, most)
    return torch.arange(count) * max(0, size - 1) // max(1, count - 1)


def declared_frozen(o: Observed, name: str) -> bool:
    return any(name.startswith(prefix) for prefix in o.declare.frozen)


def next_look(step: int) -> int:
    """The step that is looked at in full after this one: each of the first 20, then twice as late each time."""
    return step + 1 if step < FIRST else 2 * step


def mode_dependent(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Layers that do something else in eval mode: dropout that drops, and batch norm."""
    from torch.nn.modules.batchnorm import _BatchNorm
    from torch.nn.modules.dropout import _DropoutNd

    def depends(module: Any) -> bool:
        return isinstance(module, _BatchNorm) or (isinstance(module, _DropoutNd) and module.p > 0)

    return [(name, module) for name, module in model.named_modules() if depends(module)]
