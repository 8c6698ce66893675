"""Residual networks for images: (num_classes, ...) -> nn.Module, (B, C, H, W) -> (B, K).

Any number of channels and any size from 8 pixels on: the first layer is lazy, and the last one sees a pooled map.
"""

from typing import cast

import torch
from torch import Tensor, nn


def _layer(channels: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution and batch norm; no bias, which batch norm would remove."""
    convolution = nn.LazyConv2d(channels, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels))


class Residual(nn.Module):
    """x + body(x); where the body changes size or channels, x goes through a 1x1 convolution with its stride."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None):
        super().__init__()
        self.body, self.shortcut, self.activation = body, shortcut or nn.Identity(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.activation(self.shortcut(x) + self.body(x)))


def resnet9(num_classes: int, width: int = 64, dropout: float = 0.0) -> nn.Module:
    """Eight 3x3 convolutions, two residual blocks and a linear layer: the network of DAWNBench's fast trainings on
    CIFAR-10 (Page 2018, How to train your ResNet).

    width: channels of the first layer; the last ones have eight times as many. dropout: before the linear layer, whose
    weights start at an eighth of the usual size, as there: the largest values of a map are large, and the loss would
    start at twice that of equal answers.
    """

    def layer(channels: int) -> nn.Sequential:
        return nn.Sequential(_layer(channels), nn.ReLU())

    def halved(channels: int) -> nn.Sequential:
        return nn.Sequential(layer(channels), nn.MaxPool2d(2))

    def block(channels: int) -> Residual:
        return Residual(nn.Sequential(layer(channels), _layer(channels)))

    head = nn.Linear(8 * width, num_classes)
    with torch.no_grad():
        head.weight.mul_(0.125)
    return nn.Sequential(
        layer(width), halved(2 * width), block(2 * width), halved(4 * width), halved(8 * width), block(8 * width),
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Dropout(dropout), head,
    )  # fmt: skip


def resnet18(num_classes: int, width: int = 64, dropout: float = 0.0, large: bool = False) -> nn.Module:
    """Four groups of two residual blocks, mean pooling and a linear layer (He et al. 2016, Deep residual learning).

    width: channels of the first group; each further one has twice as many at half the size. large: for images of
    about 100 pixels and more, 7x7 convolutions of stride 2 and a pooling come first, as on ImageNet; else one 3x3
    convolution, as for CIFAR-10. dropout: before the linear layer.
    """

    def block(channels: int, stride: int = 1, wider: bool = False) -> Residual:
        body = nn.Sequential(_layer(channels, 3, stride), nn.ReLU(), _layer(channels))
        return Residual(body, _layer(channels, 1, stride) if wider else None)

    if large:
        stem = nn.Sequential(_layer(width, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1))
    else:
        stem = nn.Sequential(_layer(width), nn.ReLU())
    groups = [block(width), block(width)]
    for channels in (2 * width, 4 * width, 8 * width):
        groups += [block(channels, 2, wider=True), block(channels)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(8 * width, num_classes)]
    return nn.Sequential(stem, *groups, *head)
