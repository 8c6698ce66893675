"""The loss by itself: what it wants, and how low it can go, found on outputs that are free to move."""

from collections.abc import Callable

import torch
from torch import Tensor

from recipe.checks.setup import Setup
from recipe.checks.verdict import Verdict, above, below, check, exactly


def optimum(s: Setup, y: Tensor, through: Callable[[Tensor], Tensor] = lambda z: z, steps: int = 400):
    """(lowest loss, outputs there) over free outputs z (N, C), Adam on `loss(through(z), y)`."""
    z = torch.zeros(len(y), s.num_classes, device=y.device, requires_grad=True)
    adam = torch.optim.Adam([z], lr=0.1)
    lowest, at = float("inf"), z.detach().clone()
    for _ in range(steps):
        adam.zero_grad()
        loss = s.loss(through(z), y)
        if loss.item() < lowest:
            lowest, at = loss.item(), through(z).detach().clone()
        loss.backward()
        adam.step()
    return lowest, at


@check(source="Humbatova et al. 2020, wrong loss function")
def loss_is_bounded(s: Setup) -> Verdict:
    """The loss has a floor at or above zero.

    NLLLoss on raw logits falls without end: it wants log-probabilities. Or the sign is wrong.
    """
    return above(optimum(s, s.batch(32)[1])[0], -1e-3)


@check(source="Humbatova et al. 2020, wrong API usage")
def loss_wants_the_labels(s: Setup, share: float = 0.98) -> Verdict:
    """Where the loss is lowest, the outputs say the labels.

    Targets shifted by one or permuted inside the loss, an argmin for an argmax, or shapes that broadcast.
    """
    y = s.batch(32)[1]
    return above((optimum(s, y)[1].argmax(1) == y).float().mean().item(), share)


SQUASHES = {  # last operation of a graph -> what it does to free outputs
    "SoftmaxBackward0": lambda z: z.softmax(1),
    "SigmoidBackward0": torch.sigmoid,
    "TanhBackward0": torch.tanh,
    "ReluBackward0": torch.relu,
}
VIEWS = (
    "ViewBackward0",
    "ReshapeAliasBackward0",
    "UnsafeViewBackward0",
    "SqueezeBackward0",
    "CloneBackward0",
)


@check(source="Karpathy, most common neural net mistakes, no. 4")
def outputs_are_not_squashed(s: Setup, share: float = 0.05) -> Verdict:
    """The model's last operation leaves the loss free to reach its floor.

    Softmax or sigmoid stands in the model and again in the loss: with outputs in 0..1, cross-entropy over 10 classes
    cannot fall below 1.46. Return logits.
    """
    x, y = s.batch(32)
    node = s.fresh()(x).grad_fn
    while node is not None and node.name() in VIEWS:
        node = node.next_functions[0][0]
    name = node.name() if node is not None else ""
    if name not in SQUASHES:
        return exactly(0, 0)
    free, squashed = optimum(s, y)[0], optimum(s, y, SQUASHES[name])[0]
    start = s.loss(torch.zeros(len(y), s.num_classes, device=y.device), y).item()
    return below((squashed - free) / max(start - free, 1e-9), share)
