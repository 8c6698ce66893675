"""A loss as autograd has recorded it: which function it is, its targets, and what lies between it and the outputs.

Read before `backward`, which frees what the nodes have saved.
"""

import math
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from recipe.checks.last_operation import RESHAPING

LOG_LIKELIHOODS = ("NllLossBackward0", "NllLoss2DBackward0")
BINARY = ("BinaryCrossEntropyWithLogitsBackward0",)
ELEMENTWISE = (
    "MseLossBackward0",
    "SmoothL1LossBackward0",
    "HuberLossBackward0",
    *BINARY,
    "BinaryCrossEntropyBackward0",
)
KNOWN = (*LOG_LIKELIHOODS, *ELEMENTWISE)
SQUASHING = ("SoftmaxBackward0", "SigmoidBackward0", "ReluBackward0", "LogSigmoidBackward0")
NODES = 20_000  # of a graph that are looked at
MOST_LABELS = 1_000_000  # of a batch that are kept


@dataclass(frozen=True)
class LossGraph:
    """One loss function of a loss.

    name: of its node. labels: classes (N,), where it got such. compared: how many numbers, or sets of logits, it
    compares with targets. broadcast: how many times as many as there were outputs. squashed: the operation that the
    outputs went through although the loss expects them free. unnormalised: whether a negative log-likelihood got
    numbers that are no log-probabilities. value, chance: mean loss of the batch, and that of equal outputs; None where
    the function has none, or they were not asked for.
    """

    name: str
    labels: Tensor | None
    compared: int
    broadcast: float = 1.0
    squashed: str = ""
    unnormalised: bool = False
    value: float | None = None
    chance: float | None = None


def nodes(root: Any, without: Collection[Any] = ()) -> Iterator[Any]:
    """Every node of a graph once, the loss first; none behind those of `without`."""
    todo: deque[Any] = deque([root])
    done: set[Any] = set(without)
    while todo and len(done) < NODES:
        node = todo.popleft()
        if node is None or node in done:
            continue
        done.add(node)
        yield node
        todo.extend(parent for parent, _ in node.next_functions)


def variables(root: Any) -> set[int]:
    """The ids of the tensors that get a gradient."""
    return {id(node.variable) for node in nodes(root) if hasattr(node, "variable")}


def unregistered(root: Any, known: set[int], inputs: Collection[Any]) -> list[tuple[int, ...]]:
    """Shapes of the tensors that get a gradient and are none of the `known` (by their id).

    inputs: nodes that gave the inputs of the model, which are another's.
    """
    leaves = [node.variable for node in nodes(root, inputs) if hasattr(node, "variable")]
    return [tuple(leaf.shape) for leaf in leaves if id(leaf) not in known]


def loss_graphs(root: Any, measure: bool = True) -> list[LossGraph]:
    """The loss functions of PyTorch in a loss, as far as they are known; several where it is a sum.

    measure: also the values, which takes time where there are many outputs.
    """
    return [_read(node, measure) for node in nodes(root) if node.name() in KNOWN]


def _read(node: Any, measure: bool) -> LossGraph:
    name = node.name()
    got, targets = node._saved_self.detach(), node._saved_target.detach()
    source = _before(node)
    if name in LOG_LIKELIHOODS:
        labels = targets.clone() if targets.ndim == 1 and targets.numel() <= MOST_LABELS else None
        after = source is not None and source.name() == "LogSoftmaxBackward0"
        before = _before(source) if after else None
        squashed = before.name() if before is not None and before.name() in SQUASHING else ""
        if not measure:
            return LossGraph(name, labels, targets.numel(), 1.0, squashed)
        normalised = after or bool(got.float().logsumexp(1).abs().max() < 1e-2)
        value = chance = None
        if node._saved_weight is None:
            ignored = _signed(node._saved_ignore_index)
            value, chance = float(F.nll_loss(got.float(), targets, ignore_index=ignored)), math.log(got.shape[1])
        return LossGraph(name, labels, targets.numel(), 1.0, squashed, not normalised, value, chance)
    squashed, value, chance = "", None, None
    if name in BINARY:
        squashed = source.name() if source is not None and source.name() in SQUASHING else ""
        if measure:
            value, chance = float(F.binary_cross_entropy_with_logits(got.float(), targets.float())), math.log(2)
    return LossGraph(name, None, got.numel(), _broadcast(node, got.numel()), squashed, False, value, chance)


def _broadcast(node: Any, compared: int) -> float:
    """How many times the outputs were repeated to meet the targets."""
    before = node.next_functions[0][0] if node.next_functions else None
    if before is None or before.name() != "ExpandBackward0":
        return 1.0
    return compared / max(1, math.prod(int(side) for side in before._saved_self_sym_sizes))


def _before(node: Any) -> Any:
    """The operation that gave the first argument of a node, reshaping left out; None for a leaf."""
    node = node.next_functions[0][0] if node.next_functions else None
    while node is not None and node.name() in RESHAPING and node.next_functions:
        node = node.next_functions[0][0]
    return node


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number
