"""Copies of a model in use."""

import copy

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves


def copied(model: nn.Module) -> nn.Module:
    """A deep copy. What a forward pass left in an attribute, as a term for the loss, is copied without its graph:
    copy.deepcopy refuses such a tensor."""
    left = [value for module in model.modules() for value in tree_leaves(list(vars(module).values()))]
    return copy.deepcopy(model, {id(t): t.detach().clone() for t in left if isinstance(t, Tensor) and not t.is_leaf})
