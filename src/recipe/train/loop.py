"""The plain loop: one lane, with torch's own modules and optimizer. lanes.py does the same for many."""

import contextlib
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from recipe import rng
from recipe.data.batches import Data, Split, batches
from recipe.data.streaming import StreamedInputs
from recipe.train import augment, dropout, mixup, order
from recipe.train.lane import Lane

# An evaluation computes as many examples together as have so many input values: with their activations they fit a CPU's
# cache, beyond which each takes twice as long or more (benchmarks/scale.py). A GPU wants many.
IN_CACHE, ON_GPU, MOST = 2**16, 2**24, 512


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """Autocast to bfloat16; for float32 an empty context, since entering torch's costs 3 % of a small net's step."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else contextlib.nullcontext()


def full(out: Tensor) -> Tensor:
    """As float32 or float64, so that losses and scores are computed without rounding."""
    return out.to(torch.promote_types(out.dtype, torch.float32))


def channels_last(x: Tensor | StreamedInputs) -> bool:
    """Whether convolutions are faster in this memory format: from 16 pixels on, 1.3 to 1.6 times on a CPU."""
    return x.ndim == 4 and min(x.shape[2:]) >= 16


def rows_together(x: Tensor | StreamedInputs, in_cache: int = IN_CACHE) -> int:
    """Examples of x (N, ...) that an evaluation computes together."""
    values = ON_GPU if x.device.type == "cuda" else in_cache
    return max(1, min(MOST, values // math.prod(x.shape[1:])))


def outputs(model: nn.Module, x: Tensor | StreamedInputs) -> Tensor:
    """(N, K) of all of x in eval mode; leaves every module in the mode it was in."""
    modes = {m: m.training for m in model.modules()}
    model.eval()
    with torch.no_grad():
        logits = torch.cat([full(model(part)) for part in x.split(rows_together(x))])
    for module, training in modes.items():
        module.training = training
    return logits


def train_step(model: nn.Module, optimizer: Optimizer, x: Tensor, y: Tensor, loss_fn: Callable) -> Tensor:
    """Forward, backward, step; returns the loss before the step."""
    optimizer.zero_grad(set_to_none=True)
    loss: Any = loss_fn(model(x), y)
    loss.backward()
    optimizer.step()
    return cast(Tensor, loss.detach())


def fit(lane: Lane, part: Split, first: int, last: int) -> Iterator[Tensor]:
    """Steps first..last-1 of a lane; yields the loss before each.

    All randomness of a step depends on the lane's seed and on the step's number, so that an interrupted training
    resumes with the same numbers. User code that draws from the global generators gets them seeded, from `first` on.
    """
    layers, one_step = dropout.keyed(lane.model), lane.step or train_step
    rates = [(group, group["lr"]) for group in lane.optimizer.param_groups] if lane.scheduled else []
    dropout_key, augment_key = (rng.keys([lane.seed], use).to(part.y.device)[0] for use in ("dropout", "augment"))
    lane.model.train()
    with rng.seeded(lane.seed, "train", first):
        index = order.batches(len(part), lane.batch_size, lane.seed, first, last, lane.share, lane.sampler)
        for n, (x, y) in enumerate(batches(part, index), first):
            if lane.extra:
                x, y = lane.extra.mixed(x, y, lane.seed, n)
            if channels_last(x):
                x = x.contiguous(memory_format=torch.channels_last)
            loss = lane.loss
            dropout.give_keys(layers, rng.fold(dropout_key, n))
            if lane.augment:
                x = augment.apply(lane.augment, x, rng.fold(augment_key, n))
            if lane.mixup:
                lam = mixup.share(lane.mixup, lane.seed, n)
                x, loss = mixup.mixed(x, lam, 0), mixup.mixed_loss(lane.loss, lam)
            for group, rate in rates:
                group["lr"] = rate * lane.schedule(n, lane.steps)
            with autocast(lane.precision, x.device):
                result = one_step(lane.model, lane.optimizer, x, y, loss)
            for group, rate in rates:
                group["lr"] = rate
            yield result


class PlainLane:
    """One lane in training. Has the methods of Lanes, for one."""

    def __init__(self, lane: Lane, part: Split):
        self.lane, self.part, self.done = lane, part, 0
        if channels_last(part.x):
            lane.model.to(memory_format=torch.channels_last)
        if probe := lane.probe:  # again where the training resumes, which then replaces its weights
            for _ in fit(probe, probe.fold.train if probe.fold else part, 0, probe.steps):
                pass
        self.best = copy_of(lane.model)

    def advance(self, to: int) -> Tensor:
        """Trains until `to` steps are done; returns the sum of the losses (1,), not finite where one of them is not."""
        total = sum(fit(self.lane, self.part, self.done, to))
        self.done = to
        return torch.as_tensor(total).view(1)

    def outputs(self, part: Split) -> Tensor:
        """(1, N, K), in eval mode. At first, of a network whose head alone was trained, the head's on the features."""
        model, x, probe = self.lane.model, part.x, self.lane.probe
        if probe and probe.fold and not self.done:
            model, x = probe.model, _same_examples(probe.fold, part)
        with autocast(self.lane.precision, part.y.device):
            return outputs(model, x)[None]

    def losses(self, logits: Tensor, y: Tensor) -> Tensor:
        """The judged loss (1,) of logits (1, N, K)."""
        loss: Tensor = self.lane.judged(logits[0], y)
        return loss.view(1)

    def remember(self, which: list[int]) -> None:
        """Stores the present weights as the best so far."""
        if which:
            self.best = copy_of(self.lane.model)

    def weights(self, which: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """State dicts of the last and of the best weights."""
        return copy_of(self.lane.model), self.best

    def keep(self, which: list[int]) -> None:
        """Only these remain: of one lane, it or nothing."""

    def state(self) -> dict[str, Tensor]:
        """What `restore` resumes from. A user-defined training step may keep more, so such a lane starts again."""
        tensors = {f"model/{name}": t for name, t in self.lane.model.state_dict().items()}
        tensors |= {f"best/{name}": t for name, t in self.best.items()}
        for i, state in self.lane.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{i}/{name}": torch.as_tensor(t) for name, t in state.items() if t is not None}
        return tensors

    def restore(self, state: dict[str, Tensor], done: int) -> None:
        self.done = done
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}}
        for name, tensor in state.items():
            kind, _, rest = name.partition("/")
            parts[kind][rest] = tensor
        self.best = parts["best"]
        moments: dict[int, dict[str, Tensor]] = {}
        self.lane.model.load_state_dict(parts["model"])
        for name, tensor in parts["optimizer"].items():
            i, _, kind = name.partition("/")
            moments.setdefault(int(i), {})[kind] = tensor
        optimizer = self.lane.optimizer
        optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})


def _same_examples(data: Data, part: Split) -> Tensor | StreamedInputs:
    """The inputs in `data` of the examples of a part of train or val."""
    split = data.train if part.ids[0] in set(data.train.ids) else data.val
    row = {name: i for i, name in enumerate(split.ids)}
    return split.x[torch.tensor([row[name] for name in part.ids], device=split.y.device)]


def copy_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of weights and statistics: a plain state_dict would change with the model."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
