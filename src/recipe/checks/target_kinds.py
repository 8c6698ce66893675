"""The four kinds of targets that a Setup may have: their form, that of outputs, and when an answer is correct."""

from collections.abc import Callable

import torch
from torch import Tensor

KINDS = ("classification", "binary", "regression", "sequence")


def infer(outputs: torch.Size, targets: Tensor, loss: Callable[[Tensor, Tensor], Tensor]) -> str:
    """The kind, from the shape of the outputs, the targets (N, ...) and the loss.

    Targets of 0 and 1 are classes where the loss keeps pushing outputs beyond them, as cross-entropy does, or refuses
    such outputs; they are numbers where the loss pulls outputs back to them, as a squared error does.
    """
    if not targets.is_floating_point() and len(outputs) == targets.ndim + 1 and outputs[-1] > 1:
        return "classification" if targets.ndim == 1 else "sequence"
    if not set(torch.unique(targets)[:3].tolist()) <= {0, 1}:
        return "regression"
    z = (16.0 * targets - 8.0).reshape(len(targets), *outputs[1:]).float().requires_grad_()
    try:
        torch.autograd.backward(loss(z, targets))
    except (RuntimeError, ValueError):  # outputs outside 0..1 are refused: they are probabilities
        return "binary"
    assert z.grad is not None
    return "regression" if (z.grad * z.detach()).sum() > 0.01 else "binary"


def valid_targets(task: str, outputs: Tensor, y: Tensor) -> Tensor:
    """Which targets count: padding (-100, or any other label that is not a class) does not."""
    if task in ("classification", "sequence"):
        return (y >= 0) & (y < outputs.shape[-1])
    return torch.ones_like(y, dtype=torch.bool)


def correct(task: str, outputs: Tensor, y: Tensor, threshold: float = 0.0) -> Tensor:
    """Whether each target that counts is predicted, flat; for regression R2 over all of them, 0-d (at most 1)."""
    if task in ("classification", "sequence"):
        valid = valid_targets(task, outputs, y)
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
    """One output per target, (shape of y): where there are several, those that correlate most with the targets."""
    columns = _columns(outputs, y)
    best = max(range(len(columns)), key=lambda i: _correlation(_ranks(columns[i]), _ranks(y.flatten())))
    return columns[best].reshape(y.shape)


def _columns(outputs: Tensor, y: Tensor) -> Tensor:
    return outputs.detach().reshape(y.numel(), max(1, outputs.numel() // y.numel())).T


def _correlation(a: Tensor, b: Tensor) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a @ b / (a.norm() * b.norm()).clamp_min(1e-12)).item())


def _ranks(values: Tensor) -> Tensor:
    """Equal values share their mean rank."""
    ranks = values.argsort().argsort().double()
    _, group, count = torch.unique(values, return_inverse=True, return_counts=True)
    totals = torch.zeros(len(count), dtype=ranks.dtype, device=ranks.device).index_add_(0, group, ranks)
    means: Tensor = totals / count
    return means[group]
