"""How well outputs and targets agree, for a loss of any kind."""

import torch
from torch import Tensor

from recipe.checks import target_kinds
from recipe.checks.parts import Rows, main
from recipe.checks.setup import Setup


def agreement(s: Setup, outputs: Rows, y: Rows) -> float:
    """Accuracy; for regression the rank correlation, because a loss may be defined on the logarithm of the target."""
    outputs, y = main(outputs), main(y)
    return target_kinds.ranks_agree(outputs, y) if s.kind == "regression" else s.score(outputs, y)


def probabilities(s: Setup, outputs: Tensor) -> Tensor:
    """(N, classes) from the outputs of a classifier, whether they are logits or probabilities already."""
    needed = s.last_operation.needed
    if s.kind == "binary":
        p = outputs.reshape(len(outputs)) if needed else outputs.reshape(len(outputs)).sigmoid()
        return torch.stack([1 - p, p], 1)
    return (outputs.log().clamp_min(-50) if needed and outputs.min() >= 0 else outputs).softmax(1)
