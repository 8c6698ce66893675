"""Input drift: is an input like the training examples? One on another scale raises no error, but is predicted wrongly.

Of an image the contrast is compared: the standard deviation over a channel's pixels, mean over channels. It must lie
between the 1st and 99th percentile of training images, with a factor of 2 either way. Of 32,761 held-out digits,
Fashion-MNIST, CIFAR-10, ants and bees one is outside; all are where the values are divided by 16 or multiplied by 255,
a fifth to all where they are divided by 4, and nearly none where they are halved.
Of a row of features each column is compared with its minimum and maximum in training, and may exceed them by the
difference of the two: this detects a year in place of an age, or grams in place of kilograms.
Of a text the share of unknown words is compared with the 99th percentile of training texts: another language.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from recipe.data.batches import Data
from recipe.data.streaming import rows_per_chunk
from recipe.data.tokens import PADDING, UNKNOWN

IMAGES = 1000  # training images that are measured, evenly spread
FACTOR = 2.0
ROUNDING = 1e-5  # tolerance of a column with one value in training, and of an image without contrast


@dataclass(frozen=True)
class TrainingRange:
    """Of rows of features each column's minimum and maximum; of images one pair, the contrast's percentiles (0..1); of
    texts one, of the share of unknown words."""

    low: list[float]
    high: list[float]


def training_range(data: Data) -> TrainingRange:
    x, count = data.train.x, len(data.train)
    if data.tokenizer:
        most = unknown_shares(cast(Tensor, x)).quantile(0.99).item()
        return TrainingRange([0.0], [most])
    if data.features and not data.train.pictures:
        return TrainingRange([], [])  # of texts that a frozen network reads: its tokenizer knows every word
    if data.kind.has_columns:
        ends = [torch.stack([part.amin(0), part.amax(0)]) for part in x.split(rows_per_chunk(x.shape))]
        low, high = torch.cat(ends).amin(0), torch.cat(ends).amax(0)
        return TrainingRange(*((end.cpu() * data.std + data.mean).tolist() for end in (low, high)))
    rows = torch.linspace(0, count - 1, min(count, IMAGES), dtype=torch.float64).long()
    shape = (data.train.pictures or x).shape
    contrasts = torch.cat([contrast(_pixels(data, batch)) for batch in rows.split(rows_per_chunk(shape))])
    low, high = contrasts.quantile(torch.tensor([0.01, 0.99])).tolist()
    return TrainingRange([low], [high])


def _pixels(data: Data, rows: Tensor) -> Tensor:
    """Training images in 0..1, but for the mean, which does not change a standard deviation; on the CPU."""
    if data.train.pictures:
        return data.train.pictures[rows]
    return data.train.x[rows.to(data.train.y.device)].cpu() * data.std


def unknown_shares(tokens: Tensor) -> Tensor:
    """(N,) the share of unknown words in each text (N, L); 1 of an empty one, which says nothing."""
    words = (tokens != PADDING).sum(1)
    return torch.where(words > 0, (tokens == UNKNOWN).sum(1) / words.clamp_min(1), 1.0)


def drift_of_texts(expected: TrainingRange, tokens: Tensor) -> list[str]:
    """As `drift`: texts of which more words are unknown than of nearly all training texts."""
    (most,) = expected.high
    return [
        f"{share:.0%} of its words are in hardly any training text, there {most:.0%} at most" if share > most else ""
        for share in unknown_shares(tokens).tolist()
    ]


def contrast(images: Tensor) -> Tensor:
    """(N,) of (N, C, H, W)."""
    return images.flatten(2).std(2, correction=0).mean(1)


def drift(expected: TrainingRange, inputs: Tensor, columns: tuple[str, ...]) -> list[str]:
    """How each input differs from the training examples, in a phrase; empty where it does not.

    inputs: as `prepare` stores them, bytes as 0..1. columns: names of the columns of rows of features, if any.
    """
    low, high = torch.tensor(expected.low), torch.tensor(expected.high)
    if inputs.ndim == 2:
        names = [f"`{name}`" for name in columns] or [f"column {at}" for at in range(inputs.shape[1])]
        room = (high - low).maximum(ROUNDING * high.abs())
        below, above = low - room, high + room
    else:
        inputs, names = contrast(inputs)[:, None], ["its contrast"]
        below, above = low / FACTOR - ROUNDING, high * FACTOR + ROUNDING
    outside = (inputs < below) | (inputs > above)  # NaN, a missing value, is neither
    messages = [""] * len(inputs)
    for row in outside.any(1).nonzero()[:, 0].tolist():
        at, *more = outside[row].nonzero()[:, 0].tolist()
        message = f"{names[at]} is {inputs[row, at]:.5g}, in training {expected.low[at]:.5g} to {expected.high[at]:.5g}"
        messages[row] = message + (f"; and {len(more)} more" if more else "")
    return messages
