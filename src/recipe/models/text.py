"""Networks for texts: (num_classes, vocabulary, ...) -> nn.Module, tokens (B, L) int64, 0 for padding, -> (B, K).

Padding reaches no output: a text has the same one beside a longer text.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PADDING = 0
SCALE = 8.0  # the root of the usual width of a vector, 64


class Vectors(nn.Embedding):
    """A vector for each token, (B, L) to (B, L, width): small weights, which enter the network times SCALE.

    Vaswani et al. 2017, section 3.4. A step of Adam is as large for a rare word as for a bias: without
    the factor a rate that suits all other layers hardly moves the words.
    """

    def __init__(self, vocabulary: int, width: int, spread: float = 1.0):
        super().__init__(vocabulary, width, padding_idx=PADDING)
        with torch.no_grad():
            self.weight.mul_(spread / SCALE)

    def forward(self, x: Tensor) -> Tensor:
        return SCALE * super().forward(x)


class Bag(nn.Module):
    """The sum of the vectors of a text's tokens over the root of their number, (B, L) to (B, width); zeros of an empty
    text. Unlike their mean it has the scale of one vector at any length."""

    def __init__(self, vocabulary: int, width: int, spread: float = 1.0):
        super().__init__()
        self.vectors = Vectors(vocabulary, width, spread)

    def forward(self, x: Tensor) -> Tensor:
        present = (x != PADDING).unsqueeze(2)
        return cast(Tensor, (self.vectors(x) * present).sum(1) / present.sum(1).clamp_min(1).sqrt())


class WindowMax(nn.Module):
    """The highest response of each filter over all windows of a text, (B, L) to (B, width * len(sizes)).

    A window starts at a token and may reach beyond the end, where vectors are 0. Embedding and convolutions of Kim
    2014, Convolutional neural networks for sentence classification.
    """

    def __init__(self, vocabulary: int, vector: int, width: int, sizes: tuple[int, ...] = (3, 4, 5)):
        super().__init__()
        self.vectors = Vectors(vocabulary, vector)
        self.filters = nn.ModuleList(nn.Conv1d(vector, width, size) for size in sizes)

    def forward(self, x: Tensor) -> Tensor:
        present = (x != PADDING).unsqueeze(1)
        vectors = self.vectors(x).transpose(1, 2) * present
        highest = []
        for one in cast(list[nn.Conv1d], list(self.filters)):
            responses = F.relu(one(F.pad(vectors, (0, one.kernel_size[0] - 1))))
            highest.append((responses * present).amax(2))  # of an empty text 0, the lowest that ReLU gives
        return torch.cat(highest, 1)


def linear(num_classes: int, vocabulary: int) -> nn.Module:
    """A weight for each word and output, 0 before training, summed over the text: logistic regression on words."""
    return nn.Sequential(Bag(vocabulary, num_classes, spread=0.0), Bias(num_classes))


class Bias(nn.Module):
    """x + bias."""

    def __init__(self, width: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


def bag(num_classes: int, vocabulary: int, width: int = 64, depth: int = 0, dropout: float = 0.0) -> nn.Module:
    """The sum of word vectors, `depth` hidden layers, a matrix (Joulin et al. 2017; Iyyer et al. 2015)."""
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout))]
    return nn.Sequential(Bag(vocabulary, width), nn.Dropout(dropout), *hidden, nn.Linear(width, num_classes))


def textcnn(num_classes: int, vocabulary: int, width: int = 64, dropout: float = 0.0) -> nn.Module:
    """Filters over 3, 4 and 5 tokens, their highest responses, a matrix. width: of vectors, and filters of a size."""
    return nn.Sequential(WindowMax(vocabulary, width, width), nn.Dropout(dropout), nn.Linear(3 * width, num_classes))
