"""The optimizers over lanes: torch's own fused kernels, on rows of one matrix, each with its own hyperparameters."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

READ = {  # what may differ between the lanes of one batch
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


@dataclass
class Update:
    """Moves the rows of a matrix (M, P) by their gradients. kind: of all lanes; options: a dict per lane."""

    kind: type[Optimizer]
    options: list[dict]
    moments: list[Tensor]  # (M, P) each: Adam's two, SGD's one
    done: int = 0  # steps

    @staticmethod
    def of(optimizers: list[Optimizer], flat: Tensor) -> "Update":
        kind = type(optimizers[0])
        options = [{name: o.param_groups[0][name] for name in READ[kind]} for o in optimizers]
        return Update(kind, options, [torch.zeros_like(flat) for _ in range(1 if kind is SGD else 2)])

    def step(self, flat: Tensor, grad: Tensor) -> None:
        self.done += 1
        rows = [t.unbind() for t in (flat, grad, *self.moments)] if len(self.alike()) > 1 else None
        for options, mine in self.alike():
            p, g, *moments = [list(t[mine]) for t in rows] if rows else [[t] for t in (flat, grad, *self.moments)]
            KERNELS[self.kind](self, options, p, g, moments)

    def keep(self, which: list[int]) -> None:
        self.options = [self.options[i] for i in which]
        self.moments = [m[which] for m in self.moments]

    def alike(self) -> list[tuple[dict, slice]]:
        """Neighbours with the same options share a call."""
        runs, start = [], 0
        for i in range(1, len(self.options) + 1):
            if i == len(self.options) or self.options[i] != self.options[start]:
                runs.append((self.options[start], slice(start, i)))
                start = i
        return runs


def _adam(kernel):
    def step(u: Update, options: dict, p: list, g: list, moments: list) -> None:
        beta1, beta2 = options["betas"]
        steps = [torch.tensor(float(u.done), device=p[0].device)]
        kernel(
            p, g, *moments, [], steps, lr=options["lr"], beta1=beta1, beta2=beta2,
            weight_decay=options["weight_decay"], eps=options["eps"], amsgrad=False, maximize=False,
        )  # fmt: skip

    return step


def _sgd(u: Update, options: dict, p: list, g: list, moments: list) -> None:
    torch._fused_sgd_(
        p, g, moments[0] if options["momentum"] else [], maximize=False, is_first_step=u.done == 1, **options
    )


KERNELS = {Adam: _adam(torch._fused_adam_), AdamW: _adam(torch._fused_adamw_), SGD: _sgd}
