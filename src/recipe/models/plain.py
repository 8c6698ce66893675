"""The reference models: (num_classes, ...) -> nn.Module, (B, C, H, W) -> (B, K) logits, for any size of input."""

from torch import Tensor, nn
from torch.nn import functional as F


class Resize(nn.Module):
    """Downsamples images (B, C, H, W) to `size` pixels on the longer side; the aspect ratio is kept.

    Antialiased: each new pixel is a mean over the area that it covers, so that fine detail is removed and does not
    become false coarse detail (Zhang 2019, Making convolutional networks shift-invariant again).
    """

    def __init__(self, size: int):
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        longer = max(x.shape[-2:])
        sides = [max(1, round(side * self.size / longer)) for side in x.shape[-2:]]
        return F.interpolate(x, size=sides, mode="bilinear", antialias=True)

    def extra_repr(self) -> str:
        return f"{self.size}"


class Centre(nn.Module):
    """The middle of images (B, C, H, W), height x width pixels; images of that size are unchanged."""

    def __init__(self, height: int, width: int):
        super().__init__()
        self.height, self.width = height, width

    def forward(self, x: Tensor) -> Tensor:
        top, left = ((side - inner) // 2 for side, inner in zip(x.shape[-2:], (self.height, self.width), strict=True))
        return x[..., top : top + self.height, left : left + self.width]

    def extra_repr(self) -> str:
        return f"{self.height}, {self.width}"


def linear(num_classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes))


def mlp(num_classes: int, width: int = 64, depth: int = 2, dropout: float = 0.0) -> nn.Module:
    hidden = [layer for _ in range(depth) for layer in (nn.LazyLinear(width), nn.ReLU(), nn.Dropout(dropout))]
    return nn.Sequential(nn.Flatten(), *hidden, nn.LazyLinear(num_classes))


def convnet(num_classes: int, width: int = 16, dropout: float = 0.0, dropout2d: float = 0.0) -> nn.Module:
    """Two 3x3 convolutions, the second at half the size with twice the channels, then a linear layer.

    No pooling over positions: the place of a stroke matters for a digit. dropout2d: of whole channels after the first
    convolution (Tompson et al. 2015); dropout: of single values before the linear layer.
    """
    return nn.Sequential(
        nn.LazyConv2d(width, 3, padding=1),
        nn.ReLU(),
        nn.Dropout2d(dropout2d),
        nn.LazyConv2d(2 * width, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.LazyLinear(num_classes),
    )
