"""What scattering the copies of a table's rows over its splits would have pretended.

`split` keeps copies together. Where they are scattered, as by scikit-learn's train_test_split, a row of validation may
be one that was trained on, and trees look up its target. Both ways are cross-validated with gradient boosting.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from recipe.data.batches import Data
from recipe.data.expected_repeats import row_codes
from recipe.formatting import lowering
from recipe.metrics.scores import gained
from recipe.models.fitted import fit_boosting
from recipe.rng import generator

FOLDS = 5
SHARE = 0.01  # of the rows that are copies of another, below which they hardly matter


def findings(data: Data, seed: int) -> list[str]:
    """A sentence on the effect of scattered copies; none of images, and without copies."""
    if not data.kind.has_columns or not isinstance(data.train.x, Tensor) or not isinstance(data.val.x, Tensor):
        return []
    x, y = (torch.cat([a, b]).cpu() for a, b in ((data.train.x, data.val.x), (data.train.y, data.val.y)))
    _, rows = np.unique(row_codes(x.numpy()), return_inverse=True)
    copies = len(rows) - int(rows.max()) - 1
    if copies < SHARE * len(rows):
        return []
    actual = data.task.actual(y)
    together, scattered = (_predicted(data, x, y, groups, seed) for groups in (rows, np.arange(len(rows))))
    honest, pretended = (data.metric.shown(data.metric.of(p, actual)) for p in (together, scattered))
    effect = lowering(
        *gained(*(data.task.losses(p, actual) for p in (together, scattered))),
        data.task.loss_name, f"{len(rows):,} examples",
    )  # fmt: skip
    return [
        f"{copies:,} of {len(rows):,} rows of train and val have the features of another one, and stay in its split. "
        f"Scattered over the splits they would have pretended {pretended} ({data.metric.title}) of gradient "
        f"boosting in place of {honest}: that {effect}."
    ]


def _predicted(data: Data, x: Tensor, y: Tensor, groups: np.ndarray, seed: int) -> Tensor:
    """(N, K): each row predicted by trees that saw no row of its fold; rows of a group are in one fold."""
    p = torch.zeros(len(y), data.task.width, dtype=torch.float64)
    for held_out in _folds(groups, seed):
        p[held_out] = fit_boosting(data.task, x[~held_out], y[~held_out], seed).predict(x[held_out])
    return p


def _folds(groups: np.ndarray, seed: int) -> Iterator[Tensor]:
    """Which rows are in each fold. groups: (N,) numbers from 0 to the number of groups, less 1."""
    fold = torch.randperm(int(groups.max()) + 1, generator=generator(seed, "copies"))[torch.from_numpy(groups)] % FOLDS
    return (fold == i for i in range(FOLDS))
