"""The most similar pictures by their thumbnails, also rotated or mirrored."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

SIDE = 16  # pixels, the thumbnail that is compared
COMPONENTS = 64
NEIGHBOURS = 10
CELL = 1024  # pictures in a part of the space, on average
PROBES = 8  # parts that are searched
SAMPLE = 20_000  # pictures from which the components and the parts are learned
TURNS = tuple((quarters, mirror) for mirror in (False, True) for quarters in range(4))


@dataclass(frozen=True)
class ThumbnailNeighbours:
    """The nearest pictures of each in one view: (N, k) rows, -1 where there is none, and distances, nearest first."""

    index: np.ndarray
    distance: np.ndarray  # between thumbnails of mean 0 and length 1: 0 the same, 1.41 unrelated
    quarters: int  # rotations of the picture by 90 degrees, counterclockwise,
    mirror: bool  # and whether it is then mirrored left to right, to look like its neighbour


def thumbnail(picture: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE) float32 of mean 0 and length 1; of a constant picture zeros."""
    grey = np.asarray(Image.fromarray(picture).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
    grey = grey - grey.mean()
    length = np.linalg.norm(grey)
    return grey / length if length > 0.5 * SIDE else np.zeros_like(grey)


def turned(thumbnails: np.ndarray, quarters: int, mirror: bool) -> np.ndarray:
    """(N, SIDE, SIDE) rotated by 90 degrees `quarters` times and then mirrored."""
    rotated = np.rot90(thumbnails, quarters, axes=(1, 2))
    return rotated[:, :, ::-1] if mirror else rotated


def nearest_thumbnails(thumbnails: np.ndarray) -> list[ThumbnailNeighbours]:
    """The nearest pictures of each, a list entry per view in TURNS.

    The search is among whitened principal components (which count the same, so that the broad light and dark that many
    pictures share counts little), in the parts of the space nearest to the picture (an inverted file, Jegou et al.
    2011); the distance is that between the thumbnails.
    """
    flat = thumbnails.reshape(len(thumbnails), -1)
    project = _whitening(flat)
    points = flat @ project
    points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9)
    centres = _centres(points)
    cell = _nearest(points @ centres.T, 1)[:, 0]
    order = np.argsort(cell, kind="stable")
    starts = np.searchsorted(cell[order], np.arange(len(centres) + 1))
    neighbours = []
    for quarters, mirror in TURNS:
        view = np.ascontiguousarray(turned(thumbnails, quarters, mirror)).reshape(flat.shape)
        queries = view @ project
        queries /= np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), 1e-9)
        index = _search(queries, points, centres, order, starts)
        distance = _distances(view, flat, index)
        by = np.argsort(distance, axis=1, kind="stable")
        index, distance = np.take_along_axis(index, by, 1), np.take_along_axis(distance, by, 1)
        neighbours.append(ThumbnailNeighbours(index, distance, quarters, mirror))
    return neighbours


def _whitening(flat: np.ndarray) -> np.ndarray:
    """(D, <= COMPONENTS): projects to components of equal variance, except those with hardly any variance."""
    some = flat[:SAMPLE].astype(np.float64)
    values, directions = np.linalg.eigh(some.T @ some / len(some))
    values, directions = values[::-1][:COMPONENTS], directions[:, ::-1][:, :COMPONENTS]
    return (directions / np.sqrt(np.maximum(values, 0) + 0.003 * values[0] + 1e-12)).astype(np.float32)


def _centres(points: np.ndarray) -> np.ndarray:
    """k-means of directions, initialised with the first points, whose order is arbitrary: no random draw is needed."""
    count = max(1, len(points) // CELL)
    some = points[:SAMPLE]
    centres = some[:count].copy()
    for _ in range(6 if count > 1 else 0):
        assigned = (some @ centres.T).argmax(1)
        sums = np.zeros(centres.shape)
        np.add.at(sums, assigned, some)
        filled = np.linalg.norm(sums, axis=1) > 1e-9
        centres[filled] = (sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9))[filled]
    return centres


def _search(
    queries: np.ndarray, points: np.ndarray, centres: np.ndarray, order: np.ndarray, starts: np.ndarray
) -> np.ndarray:
    """(N, NEIGHBOURS) rows of the nearest points, without the picture itself; -1 where there are too few."""
    count, k = len(queries), NEIGHBOURS
    best = np.full((count, 0), -np.inf, np.float32)
    index = np.full((count, 0), -1)
    parts = _nearest(queries @ centres.T, min(PROBES, len(centres)))
    for probe in range(parts.shape[1]):
        score = np.full((count, k), -np.inf, np.float32)
        rows = np.full((count, k), -1)
        by = np.argsort(parts[:, probe], kind="stable")
        ends = np.searchsorted(parts[by, probe], np.arange(len(centres) + 1))
        for part in range(len(centres)):
            members = order[starts[part] : starts[part + 1]]
            for at in range(ends[part], ends[part + 1] if len(members) else 0, 2048):
                chunk = by[at : min(at + 2048, ends[part + 1])]
                near = queries[chunk] @ points[members].T
                near[chunk[:, None] == members] = -np.inf
                top = _nearest(near, min(k, len(members)))
                score[chunk, : top.shape[1]] = np.take_along_axis(near, top, 1)
                rows[chunk, : top.shape[1]] = np.where(np.isinf(score[chunk, : top.shape[1]]), -1, members[top])
        best, index = np.concatenate([best, score], 1), np.concatenate([index, rows], 1)
        keep = _nearest(best, k)
        best, index = np.take_along_axis(best, keep, 1), np.take_along_axis(index, keep, 1)
    return index


def _nearest(score: np.ndarray, k: int) -> np.ndarray:
    """(N, k) columns of the k largest of each row, in any order."""
    if k >= score.shape[1]:
        return np.broadcast_to(np.arange(score.shape[1]), score.shape)
    return np.argpartition(-score, k - 1, axis=1)[:, :k]


def _distances(view: np.ndarray, flat: np.ndarray, index: np.ndarray) -> np.ndarray:
    distance = np.full(index.shape, 2.0)
    for column in range(index.shape[1]):
        for at in range(0, len(view), 8192):
            rows = slice(at, at + 8192)
            difference = view[rows] - flat[index[rows, column]]
            distance[rows, column] = np.sqrt(np.einsum("nd,nd->n", difference, difference))
    distance[index < 0] = 2.0
    return distance


def shift_between(a: np.ndarray, b: np.ndarray) -> tuple[int, int, float]:
    """(x, y, gain): `b` shows at each place what `a` shows at that place plus (x, y), pixels.

    Grey levels (H, W) of one shape. The shift is the peak of the phase correlation (Kuglin and Hines 1975), up to an
    eighth of a side. gain: the distance of the part that both then show, over the distance without a shift.
    """
    height, width = a.shape
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    spectrum = np.fft.fft2((a - a.mean()) * window) * np.conj(np.fft.fft2((b - b.mean()) * window))
    peaks = np.fft.fftshift(np.fft.ifft2(spectrum / np.maximum(np.abs(spectrum), 1e-9)).real)
    reach = height // 8, width // 8
    near = peaks[height // 2 - reach[0] : height // 2 + reach[0] + 1, width // 2 - reach[1] : width // 2 + reach[1] + 1]
    y, x = (int(at) - r for at, r in zip(np.unravel_index(near.argmax(), near.shape), reach, strict=True))
    plain, shifted = _correlation(a, b), _correlation(_cut(a, x, y), _cut(b, -x, -y))
    return x, y, float(np.sqrt(max(1 - shifted, 0) / max(1 - plain, 1e-9)))


def _cut(grey: np.ndarray, x: int, y: int) -> np.ndarray:
    """Without the first x columns and y rows; without the last ones where they are negative."""
    return grey[max(y, 0) : len(grey) + min(y, 0), max(x, 0) : grey.shape[1] + min(x, 0)]


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / max(np.sqrt((a**2).sum() * (b**2).sum()), 1e-9))
