"""The last operation of a model, read from the graph of its outputs, and whether the loss needs its result."""

from dataclasses import dataclass

import torch
from torch import Tensor

from recipe.checks.free_outputs import Operation, identity

RESHAPING = {"ViewBackward0", "ReshapeAliasBackward0", "UnsafeViewBackward0", "SqueezeBackward0", "SqueezeBackward1"}
RESHAPING |= {"CloneBackward0", "UnsqueezeBackward0", "ToCopyBackward0", "TransposeBackward0", "PermuteBackward0"}
OPERATIONS: dict[
    str, Operation
] = {  # name in the graph -> the operation, on outputs whose last dimension holds classes
    "SoftmaxBackward0": lambda z: z.softmax(-1),
    "LogSoftmaxBackward0": lambda z: z.log_softmax(-1),
    "SigmoidBackward0": torch.sigmoid,
    "LogSigmoidBackward0": torch.nn.functional.logsigmoid,
    "TanhBackward0": torch.tanh,
    "HardtanhBackward0": lambda z: z.clamp(-1, 1),
    "HardsigmoidBackward0": torch.nn.functional.hardsigmoid,
    "ClampBackward1": lambda z: z.clamp(0, 1),
    "ReluBackward0": torch.relu,
    "ClampMinBackward0": torch.relu,
    "SoftplusBackward0": torch.nn.functional.softplus,
    "ExpBackward0": torch.exp,
    "AbsBackward0": torch.abs,
    "NormBackward1": lambda z: torch.nn.functional.normalize(z, dim=-1),
}


@dataclass(frozen=True)
class LastOperation:
    """needed: the loss works only on the results of this operation, as BCELoss does on those of a sigmoid."""

    name: str
    apply: Operation
    needed: bool

    @property
    def valid(self) -> Operation:
        """From unconstrained numbers to outputs that the loss accepts."""
        return self.apply if self.needed else identity


def name_in_graph(outputs: Tensor) -> str:
    """The name of the operation that computed the outputs, reshaping left out; "" where there is no graph."""
    node = outputs.grad_fn
    while node is not None and node.name() in RESHAPING:
        node = node.next_functions[0][0]
    name = node.name() if node is not None else ""
    if node is not None and name == "DivBackward0":  # F.normalize, whose divisor is a norm
        clamped = any("Clamp" in (n.name() if n else "") for n, _ in node.next_functions[1:])
        name = "NormBackward1" if clamped else name
    return name


def probabilities(z: Tensor) -> str:
    """Softmax or log-softmax where all rows of the outputs are distributions; else ""."""
    if z.logsumexp(-1).abs().max() < 1e-4:
        return "LogSoftmaxBackward0"
    return "SoftmaxBackward0" if z.min() >= 0 and (z.sum(-1) - 1).abs().max() < 1e-4 else ""
