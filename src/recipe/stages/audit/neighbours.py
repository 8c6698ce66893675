"""The nearest neighbours of each input, and how far away they are."""

from dataclasses import dataclass

import numpy as np

from recipe.stages.audit.statistics import blocks

SIDE = 16  # pixels; larger images are averaged down to at most this: near copies agree in the coarse
COMPONENTS = 64
K = 10  # neighbours of each input
# Dimensions up to which a tree is faster: of 20,000 normal rows it takes 0.2 s in 4, 0.6 in 6, 1.7 in 8; brute force 1
TREE = 6


@dataclass(frozen=True)
class Neighbours:
    """The K nearest neighbours of each of M distinct inputs; (M, K) each, nearest first."""

    index: np.ndarray
    distance: np.ndarray  # between images of length 1: 0 the same, 1.41 unrelated, 2 the negative
    residual: np.ndarray  # (M,) length of what the principal components leave out of each input, such as noise

    @property
    def ratio(self) -> np.ndarray:
        """(M,) nearest over farthest of the K distances: far below 1 for a copy, whatever the scale of the data set."""
        return self.distance[:, 0] / np.maximum(self.distance[:, -1], 1e-9)


def pixel_components(inputs: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(components, residual) of the inputs at `rows`, averaged down, centred and scaled to length 1.

    components: (M, <= COMPONENTS) principal components; residual: (M,) the length of what they leave out. Because each
    input is centred and of one length, a brighter or paler copy is the same picture. Values that are not finite count
    as zeros.
    """
    chosen = np.zeros(len(inputs), bool)
    chosen[rows] = True
    small = np.concatenate([_normalised(block[chosen[at : at + len(block)]]) for at, block in blocks(inputs)])
    small -= small.mean(0)
    scatter = np.zeros((small.shape[1],) * 2)
    for at in range(0, len(small), 4096):  # in float64 without a float64 copy of everything
        part = small[at : at + 4096].astype(np.float64)
        scatter += part.T @ part
    _, directions = np.linalg.eigh(scatter)
    points = small @ directions[:, ::-1][:, :COMPONENTS].astype(np.float32)
    return points, np.sqrt(np.maximum((small**2).sum(1) - (points**2).sum(1), 0))


def _normalised(block: np.ndarray) -> np.ndarray:
    """(n, D) of (n, C, H, W): averaged down to SIDE, each image centred and of length 1."""
    block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
    for axis in (2, 3):
        edges = np.linspace(0, block.shape[axis], min(SIDE, block.shape[axis]) + 1).astype(int)
        sums = np.add.reduceat(block, edges[:-1], axis=axis)
        block = sums / np.diff(edges).reshape([-1 if a == axis else 1 for a in range(4)])
    flat = block.reshape(len(block), -1)
    flat = flat - flat.mean(1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return (flat / np.maximum(length, 1e-6)).astype(np.float32)


def nearest(points: np.ndarray, residual: np.ndarray) -> Neighbours:
    """Exact nearest neighbours: by a tree in few dimensions, else by brute force, in blocks."""
    from sklearn.neighbors import NearestNeighbors  # takes a second to import

    k = min(K, len(points) - 1)
    if k < 1:
        return Neighbours(np.zeros((len(points), 1), int), np.ones((len(points), 1)), residual)
    algorithm = "kd_tree" if points.shape[1] <= TREE else "brute"
    index = NearestNeighbors(n_neighbors=k, algorithm=algorithm).fit(points).kneighbors(return_distance=False)
    distance = np.empty(index.shape)
    for at in range(0, len(points), 4096):  # again, pair by pair: the fast formula is inexact near zero
        part = points[at : at + 4096, None].astype(np.float64) - points[index[at : at + 4096]]
        distance[at : at + 4096] = np.sqrt((part**2).sum(-1))
    order = np.lexsort((index, distance), axis=1)
    return Neighbours(np.take_along_axis(index, order, 1), np.take_along_axis(distance, order, 1), residual)
