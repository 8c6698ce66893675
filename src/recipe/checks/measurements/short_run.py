"""One short training, watched: by the person's `fit` or by a plain one, with every batch, step and mode noted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from recipe.checks.setup import Setup, advance, once
from recipe.rng import seeded

LEAST = 300  # steps, where neither a schedule nor the person's own loop says how long a training is
EXAMPLES = 100_000  # and no more passes for that than over so many


@dataclass
class Run:
    """What a training gave, and what was seen while it ran."""

    model: nn.Module
    initial: dict[str, Tensor]
    losses: list[float]  # per step
    lrs: list[float]  # per step
    val: list[float]  # per epoch
    best_state: Mapping | None
    epochs: int
    loaded: dict[str, list[int]] = field(default_factory=dict)  # examples that each pass over a loader gave
    rates: list[float] = field(default_factory=list)  # of the optimizer as it stepped, whatever the history says
    moved: bool = False
    returned: int = 0  # steps that began from the very first weights again
    stepped_on: list[str] = field(default_factory=list)  # the loader that had been read last, per optimizer step
    fed: set[float] = field(default_factory=set)  # a number per different batch that entered the net while training
    asleep: set[str] = field(default_factory=set)  # dropout and norm layers in eval mode during a training forward


class Watched(DataLoader):
    """A loader that tells `note(name, examples)` of each batch; and of each new pass, with None."""

    def watch(self, name: str, note: Callable):
        self.name, self.note = name, note
        return self

    def __iter__(self):
        self.note(self.name, None)
        for batch in super().__iter__():
            self.note(self.name, len(batch[-1]))
            yield batch


def plain_fit(s: Setup, model, optimizer, scheduler, train_loader, val_loader, epochs: int) -> dict:
    """The loop that anyone would write from these parts."""
    history = {"train_loss": [], "lr": [], "val": [], "best_state": None}
    model.train()  # once: whoever leaves it in eval mode has to put it back
    for _ in range(epochs):
        for x, y in train_loader:
            if len(y) == 1 and len(train_loader) > 1:
                continue  # no batch to batch norm
            history["lr"].append(optimizer.param_groups[0]["lr"])
            loss = s.train_step(model, optimizer, x.to(s.device), y.to(s.device), s.loss)
            history["train_loss"].append(float(loss))
            if scheduler is not None and s.schedule_per == "step":
                advance(scheduler, history["train_loss"][-1])
        if scheduler is not None and s.schedule_per == "epoch":
            advance(scheduler, history["train_loss"][-1])
        history["val"].append(float(s.evaluate(model, val_loader)))
    return history


def train(s: Setup, *, seed: int | None = None, change: Callable | None = None, augmented: bool = True) -> Run:
    """A fresh model through the person's fit; `change` is a function of (input, target) put on every example."""
    seed = s.seed if seed is None else seed
    run = Run(s.fresh(seed), {}, [], [], [], None, s.epochs)
    run.initial = {n: t.detach().clone() for n, t in run.model.state_dict().items()}
    last, pending = [], set()

    def stepped(*_) -> None:
        run.stepped_on.extend(last)
        run.rates.append(max(g["lr"] for g in optimizer.param_groups))
        moved = any(not p.detach().equal(run.initial[n]) for n, p in run.model.named_parameters())
        run.returned += run.moved and not moved
        run.moved |= moved
        run.asleep.update(pending)  # a pass that no step follows was an evaluation, with or without no_grad

    def feed(_, args) -> None:
        if torch.is_grad_enabled():
            run.fed.add(args[0].detach().double().sum().item())

    def note(name: str, examples: int | None) -> None:
        last[:] = [name]
        pending.clear()
        passes = run.loaded.setdefault(name, [])
        if examples is None:
            passes.append(0)
        else:
            passes[-1] += examples

    def loader(name: str, dataset, shuffle: bool) -> Watched:
        plain = s.loader(dataset, seed=seed, shuffle=shuffle)
        options = {k: getattr(plain, k) for k in ("batch_size", "collate_fn", "generator")}
        return Watched(dataset, shuffle=shuffle, **options).watch(name, note)

    train_loader = loader("train", s.training_set(change, augmented), s.shuffle)
    val_loader = loader("val", s.validation_set(change), False)
    if not s.own_fit and s.schedule is None:
        affordable = EXAMPLES // len(s.trained_on)
        run.epochs = max(s.epochs, min(-(-LEAST // len(train_loader)), affordable))
    optimizer = s.optimizer(run.model)
    scheduler = s.schedule(optimizer, len(train_loader), run.epochs) if s.schedule else None
    hooks = [optimizer.register_step_pre_hook(stepped)]
    hooks.append(run.model.register_forward_pre_hook(feed))
    hooks += [_watch_mode(name, module, pending) for name, module in moody(s, run.model)]
    try:
        with seeded(seed, "train"):
            history = (s.fit or plain_fit)(s, run.model, optimizer, scheduler, train_loader, val_loader, run.epochs)
    finally:
        for hook in hooks:
            hook.remove()
    run.losses = [float(v) for v in history.get("train_loss") or []]
    run.lrs = [float(v) for v in history.get("lr") or []]
    run.val = [float(v) for v in history.get("val") or []]
    run.best_state = history.get("best_state")
    return run


def moody(s: Setup, model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Layers that act otherwise in eval mode, those of a declared frozen part left out."""
    kinds = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._BatchNorm)
    frozen = s.declare.frozen
    return [
        (n, m) for n, m in model.named_modules() if isinstance(m, kinds) and not n.startswith(tuple(frozen) or "\0")
    ]


def _watch_mode(name: str, module: nn.Module, asleep: set[str]):
    def look(module, args):
        if torch.is_grad_enabled() and not module.training:
            asleep.add(name)

    return module.register_forward_pre_hook(look)


@once
def seeing(s: Setup) -> Run:
    """The training as it is; nobody may change the model."""
    return train(s)


@once
def blind(s: Setup) -> Run:
    """The same on inputs of zeros."""
    return train(s, change=lambda x, y: (torch.zeros_like(torch.as_tensor(x)), y))
