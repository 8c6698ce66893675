"""A head on the features of a pretrained network, which the stage `embed` computes once for all trainings."""

from torch import nn


def pretrained(
    num_classes: int, backbone: str = "", weights: str = "", width: int = 64, depth: int = 0, dropout: float = 0.0
) -> nn.Module:
    """(B, D) features -> (B, K): `depth` hidden layers of `width` units with ReLU, and one matrix; dropout before each.

    backbone, weights: of the frozen network that the features are from (recipe.models.backbone); the head does not use
    them.
    """
    hidden = [layer for _ in range(depth) for layer in (nn.Dropout(dropout), nn.LazyLinear(width), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Dropout(dropout), nn.LazyLinear(num_classes))
