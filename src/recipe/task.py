"""The four tasks: what targets and outputs look like, and when an answer is right."""

from collections.abc import Callable

import torch
from torch import Tensor

TASKS = ("classification", "binary", "regression", "sequence")


def tell(outputs: torch.Size, targets: Tensor, loss: Callable) -> str:
    """The task, from the shape of the outputs, the targets (N, ...) and what the loss wants.

    Targets of 0 and 1 are classes where the loss goes on asking for more beyond them, as cross-entropy does, or accepts
    nothing beyond them; where it calls the outputs back, as a squared error does, they are numbers.
    """
    if not targets.is_floating_point() and len(outputs) == targets.ndim + 1 and outputs[-1] > 1:
        return "classification" if targets.ndim == 1 else "sequence"
    if not set(targets.unique()[:3].tolist()) <= {0, 1}:
        return "regression"
    z = (16.0 * targets - 8.0).reshape(len(targets), *outputs[1:]).float().requires_grad_()
    try:
        loss(z, targets).backward()
    except (RuntimeError, ValueError):  # outputs outside 0..1 are refused: they are probabilities
        return "binary"
    return "regression" if (z.grad * z.detach()).sum() > 0.01 else "binary"


def counts(task: str, outputs: Tensor, y: Tensor) -> Tensor:
    """Which targets count: padding (-100, or any other label that is no class) does not."""
    if task in ("classification", "sequence"):
        return (y >= 0) & (y < outputs.shape[-1])
    return torch.ones_like(y, dtype=torch.bool)


def right(task: str, outputs: Tensor, y: Tensor, threshold: float = 0.0) -> Tensor:
    """Whether each target that counts is met, flat; for regression R2 over all of them, 0-d (at most 1)."""
    if task in ("classification", "sequence"):
        valid = counts(task, outputs, y)
        return (outputs.argmax(-1) == y)[valid]
    if task == "binary":
        outputs = outputs.reshape(y.shape)
        return ((outputs > threshold) == (y > 0.5)).flatten()
    y, outputs = y.double(), matching(outputs, y).double()
    return 1 - (y - outputs).square().sum() / (y - y.mean(0)).square().sum().clamp_min(1e-12)


def ranks_agree(outputs: Tensor, y: Tensor) -> float:
    """Spearman's rank correlation of outputs and targets."""
    ranks = _ranks(y.flatten())
    order = torch.arange(len(ranks), dtype=ranks.dtype)
    most = _correlation(ranks.cpu().sort().values, order)  # of outputs that are right and break the ties of y
    return max(min(1.0, _correlation(_ranks(column), ranks) / max(most, 1e-12)) for column in _columns(outputs, y))


def matching(outputs: Tensor, y: Tensor) -> Tensor:
    """The outputs that stand for the targets, (shape of y): where there are several each, those that agree most."""
    columns = _columns(outputs, y)
    best = max(range(len(columns)), key=lambda i: _correlation(_ranks(columns[i]), _ranks(y.flatten())))
    return columns[best].reshape(y.shape)


def _columns(outputs: Tensor, y: Tensor) -> Tensor:
    return outputs.detach().reshape(y.numel(), max(1, outputs.numel() // y.numel())).T


def _correlation(a: Tensor, b: Tensor) -> float:
    a, b = a - a.mean(), b - b.mean()
    return (a @ b / (a.norm() * b.norm()).clamp_min(1e-12)).item()


def _ranks(values: Tensor) -> Tensor:
    """Equal values share their mean rank."""
    ranks = values.argsort().argsort().double()
    _, group, count = values.unique(return_inverse=True, return_counts=True)
    return (torch.zeros(len(count), dtype=ranks.dtype, device=ranks.device).index_add_(0, group, ranks) / count)[group]
