"""Real digits and a small net, for tests that need a real training."""

from functools import cache

import numpy as np
import torch
from torch import nn

from recipe.sources.digits import Digits

torch.set_num_threads(1)


@cache
def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """(inputs (1797, 1, 8, 8), standardised; labels), in a fixed random order."""
    source = Digits()
    x = torch.tensor(np.asarray(source.images)).float()[:, None] / 255
    y = torch.tensor(source.targets).long()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return ((x - x.mean()) / x.std())[order], y[order]


class Net(nn.Module):
    """Convolution, batch norm, ReLU, dropout, linear."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, width, 3, padding=1, stride=2), nn.BatchNorm2d(width), nn.ReLU())
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(width * 16, 10))

    def forward(self, x):
        return self.head(self.body(x))
