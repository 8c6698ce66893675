"""The plain loop: one lane, with torch's own modules and optimizer. What lanes.py does for many, this does for one."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recipe import rng
from recipe.data.batches import Split
from recipe.data.streaming import StreamedInputs, batches
from recipe.train import augment, dropout, mixup, order
from recipe.train.lane import Lane, cooled

CHUNK = 1000  # examples of an evaluation that go through the net together


@dataclass(frozen=True)
class Score:
    """Over every example of a split: mean loss (nats), accuracy (0 to 1), how many, and the outputs (N, K)."""

    loss: float
    accuracy: float
    count: int
    logits: Tensor


def autocast(precision: str, device: torch.device):
    """A context; with float32 none, for entering torch's costs a small net's step 3 %."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else contextlib.nullcontext()


def full(out: Tensor) -> Tensor:
    """Of float32 at least: what is judged is not rounded."""
    return out.to(torch.promote_types(out.dtype, torch.float32))


def channels_last(x: Tensor) -> bool:
    """Whether convolutions are faster so: from 16 pixels on, 1.3 to 1.6 times on a CPU."""
    return x.ndim == 4 and min(x.shape[2:]) >= 16


def outputs(model: nn.Module, x: Tensor | StreamedInputs, chunk: int = CHUNK) -> Tensor:
    """(N, K) of all of x in eval mode; leaves every module in the mode it was in."""
    modes = {m: m.training for m in model.modules()}
    model.eval()
    with torch.no_grad():
        logits = torch.cat([full(model(part)) for part in x.split(chunk)])
    for module, training in modes.items():
        module.training = training
    return logits


def evaluate(model: nn.Module, part: Split, loss_fn: Callable, chunk: int = CHUNK) -> Score:
    """Scores `model` on all of `part`.

    The loss is computed once on all outputs, so a short last batch counts for what it is and the number does not
    depend on the batch size.
    """
    logits = outputs(model, part.x, chunk)
    loss = loss_fn(logits, part.y).item()
    return Score(loss, (logits.argmax(1) == classes_of(part.y)).float().mean().item(), len(logits), logits)


def classes_of(y: Tensor) -> Tensor:
    """(N,): targets that are classes as they are; of probabilities (N, K) the likeliest."""
    return y if y.ndim == 1 else y.argmax(1)


def train_step(model, optimizer, x: Tensor, y: Tensor, loss_fn) -> Tensor:
    """Forward, backward, step; gives the loss before the step."""
    optimizer.zero_grad(set_to_none=True)
    loss = loss_fn(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.detach()


def fit(lane: Lane, part: Split, first: int, last: int) -> Iterator[Tensor]:
    """Steps first..last-1 of a lane; yields the loss before each.

    All that is random in a step depends on the lane's seed and on the step's number, so that a training that was
    interrupted goes on as if it had not been. What draws from the global generators gets them seeded, from `first` on.
    """
    layers, one_step = dropout.keyed(lane.model), lane.step or train_step
    rates = [(group, group["lr"]) for group in lane.optimizer.param_groups] if lane.decay else []
    drops, views = (rng.keys([lane.seed], use).to(part.y.device)[0] for use in ("dropout", "augment"))
    lane.model.train()
    with rng.seeded(lane.seed, "train", first):
        index = order.batches(len(part), lane.batch_size, lane.seed, first, last, lane.share)
        for n, (x, y) in enumerate(batches(part, index), first):
            if channels_last(x):
                x = x.contiguous(memory_format=torch.channels_last)
            loss = lane.loss
            dropout.give_keys(layers, rng.fold(drops, n))
            if lane.augment:
                x = augment.apply(lane.augment, x, rng.fold(views, n))
            if lane.mixup:
                lam = mixup.share(lane.mixup, lane.seed, n)
                x, loss = mixup.mixed(x, lam, 0), mixup.mixed_loss(lane.loss, lam)
            for group, rate in rates:
                group["lr"] = rate * cooled(lane.cooldown, n)
            with autocast(lane.precision, x.device):
                result = one_step(lane.model, lane.optimizer, x, y, loss)
            for group, rate in rates:
                group["lr"] = rate
            yield result


class Plain:
    """A lane at work. Has what Lanes has, for one."""

    def __init__(self, lane: Lane, part: Split):
        self.lane, self.part, self.done = lane, part, 0
        if channels_last(part.x):
            lane.model.to(memory_format=torch.channels_last)
        self.best = copy_of(lane.model)

    def advance(self, to: int) -> Tensor:
        """Trains until `to` steps are done; the sum of the losses (1,), which one that is not finite makes so too."""
        total = sum(fit(self.lane, self.part, self.done, to))
        self.done = to
        return torch.as_tensor(total).view(1)

    def outputs(self, part: Split) -> Tensor:
        """(1, N, K), in eval mode."""
        with autocast(self.lane.precision, part.y.device):
            return outputs(self.lane.model, part.x)[None]

    def losses(self, logits: Tensor, y: Tensor) -> Tensor:
        """The judged loss (1,) of logits (1, N, K)."""
        return self.lane.judged(logits[0], y).view(1)

    def remember(self, which: list[int]) -> None:
        """The present weights are the best so far."""
        if which:
            self.best = copy_of(self.lane.model)

    def weights(self, which: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """State dicts of the last and of the best weights."""
        return copy_of(self.lane.model), self.best

    def keep(self, which: list[int]) -> None:
        """Only these go on: of one lane, it or nothing."""

    def state(self) -> dict[str, Tensor]:
        """What `restore` goes on from. A person's own training step may keep more, so that such a lane starts anew."""
        tensors = {f"model/{name}": t for name, t in self.lane.model.state_dict().items()}
        tensors |= {f"best/{name}": t for name, t in self.best.items()}
        for i, kept in self.lane.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{i}/{name}": torch.as_tensor(t) for name, t in kept.items() if t is not None}
        return tensors

    def restore(self, state: dict[str, Tensor], done: int) -> None:
        self.done, parts = done, {"model": {}, "best": {}, "optimizer": {}}
        for name, tensor in state.items():
            kind, _, rest = name.partition("/")
            parts[kind][rest] = tensor
        self.best, moments = parts["best"], {}
        self.lane.model.load_state_dict(parts["model"])
        for name, tensor in parts["optimizer"].items():
            i, _, kind = name.partition("/")
            moments.setdefault(int(i), {})[kind] = tensor
        optimizer = self.lane.optimizer
        optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})


def copy_of(model: nn.Module) -> dict[str, Tensor]:
    """The weights and statistics as a copy: a plain state_dict would go on changing with the model."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
