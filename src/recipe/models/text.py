"""Networks for texts: (num_classes, vocabulary, ...) -> nn.Module, tokens (B, L) int64, 0 for padding, -> (B, K).

Padding reaches no output: a text has the same one beside a longer text.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PADDING = 0


class Bag(nn.Module):
    """The mean of the vectors of a text's tokens, (B, L) to (B, width); zeros of an empty text."""

    def __init__(self, vocabulary: int, width: int):
        super().__init__()
        self.vectors = nn.Embedding(vocabulary, width, padding_idx=PADDING)

    def forward(self, x: Tensor) -> Tensor:
        present = (x != PADDING).unsqueeze(2)
        return cast(Tensor, (self.vectors(x) * present).sum(1) / present.sum(1).clamp_min(1))


class WindowMax(nn.Module):
    """The highest response of each filter over all windows of a text, (B, L) to (B, width * len(sizes)).

    A window starts at a token and may reach beyond the end, where vectors are 0. Embedding and convolutions of Kim
    2014, Convolutional neural networks for sentence classification.
    """

    def __init__(self, vocabulary: int, vector: int, width: int, sizes: tuple[int, ...] = (3, 4, 5)):
        super().__init__()
        self.vectors = nn.Embedding(vocabulary, vector, padding_idx=PADDING)
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
    """A weight for each word and output, averaged over the text: logistic regression on shares of words."""
    return nn.Sequential(Bag(vocabulary, num_classes), Bias(num_classes))


class Bias(nn.Module):
    """x + bias."""

    def __init__(self, width: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


def bag(num_classes: int, vocabulary: int, width: int = 64, depth: int = 0, dropout: float = 0.0) -> nn.Module:
    """The mean of word vectors, `depth` hidden layers, a matrix (Joulin et al. 2017; Iyyer et al. 2015)."""
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout))]
    return nn.Sequential(Bag(vocabulary, width), nn.Dropout(dropout), *hidden, nn.Linear(width, num_classes))


def textcnn(num_classes: int, vocabulary: int, width: int = 64, dropout: float = 0.0) -> nn.Module:
    """Filters over 3, 4 and 5 tokens, their highest responses, a matrix. width: of vectors, and filters of a size."""
    return nn.Sequential(WindowMax(vocabulary, width, width), nn.Dropout(dropout), nn.Linear(3 * width, num_classes))
