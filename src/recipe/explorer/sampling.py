"""Which examples are on a page: all, or the flagged ones and a sample, and the neighbours shown beside them."""

import numpy as np

MAX_EXAMPLES = 5000  # in the gallery
# Neighbours that are not in the gallery are on the page too: at most the number of its examples over this, or as many
# as fill the page up to its limit
NEIGHBOUR_SHARE = 4


def sample_rows(flagged: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """The rows to show, in ascending order: all, or all flagged and an evenly drawn sample of the others."""
    if len(flagged) <= limit:
        return np.arange(len(flagged))
    certain, others = np.flatnonzero(flagged), np.flatnonzero(~flagged)
    count = min(len(others), max(limit - len(certain), limit // 5))
    sample = np.random.default_rng(seed).choice(others, count, replace=False)
    return np.sort(np.concatenate([certain, sample]))


def add_neighbours(
    rows: np.ndarray, flagged: np.ndarray, neighbours: np.ndarray, limit: int, of_all: bool
) -> np.ndarray:
    """`rows`, then neighbours that are not among them: those of flagged rows; of the other rows too where `of_all`."""
    sources = [rows[flagged[rows]], *([rows[~flagged[rows]]] if of_all else [])]
    # every nearest neighbour, then every second nearest, ...
    candidates = np.concatenate([neighbours[source].T.ravel() for source in sources])
    candidates = candidates[(candidates >= 0) & ~np.isin(candidates, rows)]
    _, first = np.unique(candidates, return_index=True)
    added = candidates[np.sort(first)].astype(np.int64)
    return np.concatenate([rows, added[: max(limit - len(rows), len(rows) // NEIGHBOUR_SHARE)]])
