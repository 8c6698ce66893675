"""Optimizers over lanes: torch's fused kernels on the rows of one matrix, each row with its hyperparameters."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from recipe.train.schedules import Schedule

READ: dict[type[Optimizer], tuple[str, ...]] = {  # what may differ between the lanes of one batch
    Adam: ("lr", "betas", "eps", "weight_decay"),
    AdamW: ("lr", "betas", "eps", "weight_decay"),
    SGD: ("lr", "momentum", "dampening", "weight_decay", "nesterov"),
}


def why_not(optimizer: Optimizer) -> str:
    """Why an optimizer has no form over lanes; empty where it has one."""
    kind, groups = type(optimizer), optimizer.param_groups
    if kind not in READ:
        return f"{kind.__name__} is not among {', '.join(k.__name__ for k in READ)}"
    if len(groups) > 1:
        return "its optimizer has several groups of parameters"
    group = groups[0]
    if group.get("amsgrad") or group["maximize"] or optimizer.state or isinstance(group["lr"], Tensor):
        return "its optimizer has amsgrad, maximize, a learning rate that is a tensor, or a state already"
    if kind is Adam and group.get("decoupled_weight_decay"):
        return "Adam with decoupled weight decay: take AdamW"
    return ""


class Update:
    """Moves the rows of `flat` (M, P) by their gradients, each with the hyperparameters of its optimizer."""

    def __init__(self, optimizers: list[Optimizer], flat: Tensor, schedules: list[tuple[Schedule, int] | None]):
        """schedules: (schedule, steps) of each lane; None where its rate is constant."""
        self.kind, self.done, self.schedules = type(optimizers[0]), 0, schedules
        self.options = [{name: o.param_groups[0][name] for name in READ[self.kind]} for o in optimizers]
        self.moments = [torch.zeros_like(flat) for _ in range(1 if self.kind is SGD else 2)]
        self.hold(flat, self.moments)

    def hold(self, flat: Tensor, moments: list[Tensor]) -> None:
        """Sets weights and moments; views of their rows are made once, since making one costs time in each step."""
        self.flat, self.moments, self.runs = flat, moments, _runs([*zip(self.options, self.schedules, strict=True)])
        self.views = [[[t[run]] for t in (flat, *moments)] for run in self.runs]

    def step(self, grad: Tensor) -> None:
        self.done += 1
        done = torch.tensor(float(self.done), device=grad.device)
        grads = torch.split(grad, [run.stop - run.start for run in self.runs])
        for run, (p, *moments), g in zip(self.runs, self.views, grads, strict=True):
            options = self.options[run.start]
            if scheduled := self.schedules[run.start]:
                schedule, steps = scheduled
                options = options | {"lr": options["lr"] * schedule(self.done - 1, steps)}
            KERNELS[self.kind](options, p, [g], moments, done)

    def keep(self, which: list[int]) -> None:
        """Only these rows remain."""
        self.options = [self.options[i] for i in which]
        self.schedules = [self.schedules[i] for i in which]
        self.hold(self.flat[which], [m[which] for m in self.moments])


def _runs(options: list[tuple]) -> list[slice]:
    """Slices of adjacent lanes with the same options, which share a call."""
    starts = [i for i, own in enumerate(options) if not i or own != options[i - 1]]
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(options)], strict=True)]


Kernel = Callable[[dict[str, Any], list[Tensor], list[Tensor], list[list[Tensor]], Tensor], None]


def _adam(fused: Callable[..., None]) -> Kernel:
    def step(
        options: dict[str, Any], p: list[Tensor], g: list[Tensor], moments: list[list[Tensor]], done: Tensor
    ) -> None:
        beta1, beta2 = options["betas"]
        fused(
            p, g, *moments, [], [done], lr=options["lr"], beta1=beta1, beta2=beta2,
            weight_decay=options["weight_decay"], eps=options["eps"], amsgrad=False, maximize=False,
        )  # fmt: skip

    return step


def _sgd(options: dict[str, Any], p: list[Tensor], g: list[Tensor], moments: list[list[Tensor]], done: Tensor) -> None:
    momentum = moments[0] if options["momentum"] else []
    torch._fused_sgd_(p, g, momentum, maximize=False, is_first_step=done.item() == 1, **options)


KERNELS: dict[type[Optimizer], Kernel] = {Adam: _adam(torch._fused_adam_), AdamW: _adam(torch._fused_adamw_), SGD: _sgd}
