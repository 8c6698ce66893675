import numpy as np
from torch import nn


class Stripes:
    """Noisy images with bright rows or bright columns: len(d), d[i] -> (image, int), d.classes."""

    classes = ("rows", "columns")

    def __init__(self, examples: int = 600):
        self.examples = examples

    def __len__(self):
        return self.examples

    def __getitem__(self, i):
        rng = np.random.default_rng(i)  # the same image every time it is read
        image = rng.integers(0, 100, (8, 8), dtype=np.uint8)
        image[rng.integers(2) :: 2] += 100
        return (image, 0) if i % 2 else (image.T, 1)


def pooled(num_classes: int, width: int = 8) -> nn.Module:
    """The position of a stripe does not matter: a convolution, then the mean over all positions."""
    return nn.Sequential(
        nn.LazyConv2d(width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(num_classes)
    )
