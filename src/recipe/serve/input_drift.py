"""Is an input like those that a system learned from? One on another scale throws nothing, and its answer is just wrong.

Of an image the contrast is compared: the standard deviation over a channel's pixels, mean over channels. It is read
against the 1st and 99th percentile of training images, with a factor of 2 either way. Of 32,761 held-out digits,
Fashion-MNIST, CIFAR-10, ants and bees one is outside; all are where the values are divided by 16 or multiplied by 255,
a fifth to all where they are divided by 4, and next to none at half of them.
Of a row of features each column is compared with the least and the largest value in training, and may go beyond them
by as much as these are apart: a year for an age, grams for kilograms.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from recipe.data.batches import Data
from recipe.data.streaming import rows_per_chunk

IMAGES = 1000  # training images that are looked at, evenly spread over them
FACTOR = 2.0
ROUNDING = 1e-5  # of a column that has one value in training, and of the contrast of an image that has none


@dataclass(frozen=True)
class Seen:
    """Of rows of features the ends of each column; of images one pair: the contrast's percentiles, of bytes as 0..1."""

    low: list[float]
    high: list[float]


def seen(data: Data) -> Seen:
    """What the training examples are like."""
    x, count = data.train.x, len(data.train)
    if x.ndim == 2:
        ends = [torch.stack([part.amin(0), part.amax(0)]) for part in x.split(rows_per_chunk(x.shape))]
        low, high = torch.cat(ends).amin(0), torch.cat(ends).amax(0)
        return Seen(*((end.cpu() * data.std + data.mean).tolist() for end in (low, high)))
    rows = torch.linspace(0, count - 1, min(count, IMAGES), dtype=torch.float64).long()
    # the mean moves no deviation
    found = torch.cat(
        [contrast(x[some.to(data.train.y.device)].cpu() * data.std) for some in rows.split(rows_per_chunk(x.shape))]
    )
    low, high = found.quantile(torch.tensor([0.01, 0.99])).tolist()
    return Seen([low], [high])


def contrast(images: Tensor) -> Tensor:
    """(N,) of (N, C, H, W)."""
    return images.flatten(2).std(2, correction=0).mean(1)


def unlike(known: Seen, inputs: Tensor, columns: tuple[str, ...]) -> list[str]:
    """For each of the inputs, as `prepare` stores them (bytes as 0..1), in what it is unlike; empty where in nothing.

    columns: names of the columns of rows of features, where they have names.
    """
    low, high = torch.tensor(known.low), torch.tensor(known.high)
    if inputs.ndim == 2:
        names = [f"`{name}`" for name in columns] or [f"column {at}" for at in range(inputs.shape[1])]
        room = (high - low).maximum(ROUNDING * high.abs())
        below, above = low - room, high + room
    else:
        inputs, names = contrast(inputs)[:, None], ["its contrast"]
        below, above = low / FACTOR - ROUNDING, high * FACTOR + ROUNDING
    odd = (inputs < below) | (inputs > above)  # NaN, a missing value, is neither
    found = [""] * len(inputs)
    for row in odd.any(1).nonzero()[:, 0].tolist():
        at, *more = odd[row].nonzero()[:, 0].tolist()
        found[row] = f"{names[at]} is {inputs[row, at]:.5g}, in training {known.low[at]:.5g} to {known.high[at]:.5g}"
        found[row] += f"; and {len(more)} more" if more else ""
    return found
