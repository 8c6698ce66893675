"""A head on the features of a pretrained network, which the stage `embed` computes once for all trainings."""

from torch import nn


def pretrained(
    num_classes: int, backbone: str = "", weights: str = "", unfreeze: str = "none", probe: float = 0.0,
    width: int = 64, depth: int = 0, dropout: float = 0.0,
) -> nn.Module:  # fmt: skip
    """(B, D) features -> (B, K): `depth` hidden layers of `width` units with ReLU, and one matrix; dropout before each.

    backbone, weights: of the network that the features are from (recipe.models.backbone); unfreeze, probe: what of it
    is trained too, and after how many passes of the head alone (recipe.experiment.build). The head does not use them.
    """
    hidden = [layer for _ in range(depth) for layer in (nn.Dropout(dropout), nn.LazyLinear(width), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Dropout(dropout), nn.LazyLinear(num_classes))
