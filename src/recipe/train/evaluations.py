"""When lanes are evaluated in training, and on which of their training examples.

Validation is always evaluated as a whole, for a decision needs all of its examples; how often follows from what it
costs, in examples that pass through the network and never by a clock, so that reruns and lanes agree on the moments.
"""

import numpy as np
import torch

from recipe.data.batches import Split
from recipe.data.streaming import StreamedInputs

SHARE = 0.1  # of a training's time that evaluations may take
BACKWARD = 3  # a training example costs as much as so many evaluated ones: forward, and twice as much backward
SAMPLE = 2000  # training examples of an evaluation, at most: 95 % of 2000 are known to within 1 point
FEW = 500  # training examples of an evaluation where val has fewer


def sample_size(train: int, val: int) -> int:
    """Training examples that are evaluated beside `val` validation examples."""
    return min(train, SAMPLE, max(val, FEW))


def usual_eval_every(train: int, val: int) -> float:
    """Passes over `train` examples between two evaluations that take a tenth of a training's time, rounded up to a
    tenth of a pass."""
    exact = (val + sample_size(train, val)) / (SHARE * BACKWARD * train)
    return float(np.ceil(10 * exact - 1e-9) / 10)


def step_of(number: int, every: float) -> int:
    """The steps after which an evaluation takes place; evaluation 0 is that of the untrained model."""
    return round(number * every)


def fixed_sample(part: Split, size: int) -> Split:
    """`size` examples of a split, the same at each call, in which targets are as frequent as in all of it.

    Evenly spaced in the order of the targets, which is systematic sampling within strata (Cochran 1977, section 8.4).
    """
    if size >= len(part):
        return part
    keys = part.y.reshape(len(part), -1).cpu().numpy()
    order = np.lexsort((np.arange(len(part)), *keys.T[::-1]))
    rows = torch.from_numpy(np.sort(order[np.arange(size) * len(part) // size]))
    there = rows.to(part.y.device)
    x = part.x.subset(rows) if isinstance(part.x, StreamedInputs) else part.x[there]
    return Split(x, part.y[there], [part.ids[int(i)] for i in rows] if part.ids else [])
