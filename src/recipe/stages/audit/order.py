"""Does the place of an example in the file say anything, apart from its class?

Where it does (writers, patients, films in blocks), a shuffled split puts neighbours from one block on both sides, and
the score promises more than new writers will give.
"""

from dataclasses import dataclass

import numpy as np

from recipe.stages.audit.neighbours import Neighbours

DRAWS = 200
FOLDS = 5
MOST = 6000  # examples for the two scores


@dataclass(frozen=True)
class Order:
    gap: float  # mean distance in the file between look-alikes of a class, over what a shuffled file gives
    spread: float  # standard deviation of that number over shuffled files
    gain: float  # accuracy of a 1-nearest-neighbour on shuffled folds minus on blocks of the file


def order_of(points: np.ndarray, near: Neighbours, labels: np.ndarray, seed: int) -> Order:
    """`points`, `near` and `labels` in the order of the file."""
    rng = np.random.default_rng(seed)
    place = places(labels)
    first, rank = np.nonzero(labels[near.index] == labels[:, None])
    second = near.index[first, rank]
    if not len(first):
        return Order(1.0, float("inf"), 0.0)

    def gap(at: np.ndarray) -> float:
        return float(np.abs(at[first] - at[second]).mean())

    chance = np.array([gap(_shuffled(place, labels, rng)) for _ in range(DRAWS)])
    middle = max(float(chance.mean()), 1e-12)
    return Order(gap(place) / middle, float(chance.std()) / middle, _gain(points, labels, rng))


def places(labels: np.ndarray) -> np.ndarray:
    """0..1, the place among the examples of its own class: a file that is sorted by class says nothing."""
    place = np.zeros(len(labels))
    for label in np.unique(labels):
        mine = labels == label
        place[mine] = (np.arange(mine.sum()) + 0.5) / mine.sum()
    return place


def _shuffled(place: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    other = place.copy()
    for label in np.unique(labels):
        mine = labels == label
        other[mine] = rng.permutation(place[mine])
    return other


def _gain(points: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> float:
    chosen = np.unique(np.linspace(0, len(labels) - 1, min(MOST, len(labels))).astype(int))
    points, labels = points[chosen], labels[chosen]
    place = places(labels)
    shuffled = np.mean([_score(points, labels, _shuffled(place, labels, rng)) for _ in range(3)])
    return float(shuffled - _score(points, labels, place))


def _score(points: np.ndarray, labels: np.ndarray, place: np.ndarray) -> float:
    """Share of examples whose nearest neighbour outside their fold has their label; folds are stretches of `place`."""
    from sklearn.neighbors import NearestNeighbors

    fold = (place * FOLDS).astype(int)
    right = 0
    for held in range(FOLDS):
        known, asked = np.flatnonzero(fold != held), np.flatnonzero(fold == held)
        if not len(known) or not len(asked):
            continue
        model = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(points[known])
        found = model.kneighbors(points[asked], return_distance=False)[:, 0]
        right += int((labels[known[found]] == labels[asked]).sum())
    return right / len(labels)
