"""Does an example's position in the file depend on what it shows, apart from its class?

Where it does (the file is in blocks of one writer, patient or film), a shuffled split puts neighbours from one block
into both train and validation, and the score is better than it will be on new writers.
"""

from dataclasses import dataclass

import numpy as np

from recipe.stages.audit.neighbours import Neighbours

SHUFFLES = 200
FOLDS = 5
MOST = 6000  # examples for the two scores


@dataclass(frozen=True)
class Order:
    gap: float  # mean distance in the file between nearest neighbours of one class, over that in shuffled files
    spread: float  # standard deviation of that ratio over shuffled files
    gain: float  # accuracy of a 1-nearest-neighbour rule on shuffled folds minus that on blocks of the file


def order_of(points: np.ndarray, near: Neighbours, labels: np.ndarray, seed: int) -> Order:
    """`points`, `near` and `labels` in the order of the file."""
    rng = np.random.default_rng(seed)
    position = position_in_class(labels)
    first, rank = np.nonzero(labels[near.index] == labels[:, None])
    second = near.index[first, rank]
    if not len(first):
        return Order(1.0, float("inf"), 0.0)

    def gap(at: np.ndarray) -> float:
        return float(np.abs(at[first] - at[second]).mean())

    shuffled = np.array([gap(_shuffled(position, labels, rng)) for _ in range(SHUFFLES)])
    middle = max(float(shuffled.mean()), 1e-12)
    return Order(gap(position) / middle, float(shuffled.std()) / middle, _gain(points, labels, rng))


def position_in_class(labels: np.ndarray) -> np.ndarray:
    """(N,) 0..1, the position among the examples of the same class, so that sorting by class has no effect."""
    position = np.zeros(len(labels))
    for label in np.unique(labels):
        rows = labels == label
        position[rows] = (np.arange(rows.sum()) + 0.5) / rows.sum()
    return position


def _shuffled(position: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The positions, shuffled within each class."""
    shuffled = position.copy()
    for label in np.unique(labels):
        rows = labels == label
        shuffled[rows] = rng.permutation(position[rows])
    return shuffled


def _gain(points: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> float:
    chosen = np.unique(np.linspace(0, len(labels) - 1, min(MOST, len(labels))).astype(int))
    points, labels = points[chosen], labels[chosen]
    position = position_in_class(labels)
    shuffled = np.mean([_score(points, labels, _shuffled(position, labels, rng)) for _ in range(3)])
    return float(shuffled - _score(points, labels, position))


def _score(points: np.ndarray, labels: np.ndarray, position: np.ndarray) -> float:
    """Cross-validated accuracy of the 1-nearest-neighbour rule; folds are stretches of `position`."""
    from sklearn.neighbors import NearestNeighbors  # takes a second to import

    fold = (position * FOLDS).astype(int)
    right = 0
    for held_out in range(FOLDS):
        train, test = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
        if not len(train) or not len(test):
            continue
        model = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(points[train])
        neighbour = model.kneighbors(points[test], return_distance=False)[:, 0]
        right += int((labels[train[neighbour]] == labels[test]).sum())
    return right / len(labels)
