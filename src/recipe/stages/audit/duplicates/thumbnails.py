"""Which pictures look alike as a whole, also turned or mirrored."""

from dataclasses import dataclass

import numpy as np

SIDE = 16  # pixels, the thumbnail that is compared
COMPONENTS = 64
NEIGHBOURS = 10
CELL = 1024  # pictures in a part of the space, on average
PROBES = 8  # parts looked at
SAMPLE = 20_000  # pictures that the components and the parts are learned from
TURNS = tuple((quarters, mirror) for mirror in (False, True) for quarters in range(4))


@dataclass(frozen=True)
class Alike:
    """The nearest of each picture in one view: (N, k) rows, -1 where there is none, and distances, nearest first."""

    index: np.ndarray
    distance: np.ndarray  # between thumbnails of mean 0 and length 1: 0 the same, 1.41 unrelated
    quarters: int  # turns by 90 degrees, against the clock, and then
    mirror: bool  # left to right, that make the picture like its neighbour


def thumbnail(picture: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE) float32 of mean 0 and length 1; of a constant picture zeros."""
    from PIL import Image

    grey = np.asarray(Image.fromarray(picture).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
    grey = grey - grey.mean()
    length = np.linalg.norm(grey)
    return grey / length if length > 0.5 * SIDE else np.zeros_like(grey)


def seen(thumbnails: np.ndarray, quarters: int, mirror: bool) -> np.ndarray:
    """(N, SIDE, SIDE) turned by 90 degrees `quarters` times and then mirrored."""
    turned = np.rot90(thumbnails, quarters, axes=(1, 2))
    return turned[:, :, ::-1] if mirror else turned


def alike(thumbnails: np.ndarray) -> list[Alike]:
    """The nearest pictures of each, a list entry per view in TURNS.

    Sought among whitened principal components (each says as much as any other, so that the broad light and dark that
    many pictures share counts little), in the parts of the space nearest to the picture (an inverted file, Jegou et
    al. 2011); measured between the thumbnails.
    """
    flat = thumbnails.reshape(len(thumbnails), -1)
    project = _whitening(flat)
    points = flat @ project
    points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9)
    centres = _centres(points)
    cell = _nearest(points @ centres.T, 1)[:, 0]
    order = np.argsort(cell, kind="stable")
    starts = np.searchsorted(cell[order], np.arange(len(centres) + 1))
    found = []
    for quarters, mirror in TURNS:
        view = np.ascontiguousarray(seen(thumbnails, quarters, mirror)).reshape(flat.shape)
        asked = view @ project
        asked /= np.maximum(np.linalg.norm(asked, axis=1, keepdims=True), 1e-9)
        index = _search(asked, points, centres, order, starts)
        distance = _distances(view, flat, index)
        by = np.argsort(distance, axis=1, kind="stable")
        found.append(Alike(np.take_along_axis(index, by, 1), np.take_along_axis(distance, by, 1), quarters, mirror))
    return found


def _whitening(flat: np.ndarray) -> np.ndarray:
    """(D, <= COMPONENTS): to components of equal variance, but for those with hardly any."""
    some = flat[:SAMPLE].astype(np.float64)
    values, directions = np.linalg.eigh(some.T @ some / len(some))
    values, directions = values[::-1][:COMPONENTS], directions[:, ::-1][:, :COMPONENTS]
    return (directions / np.sqrt(np.maximum(values, 0) + 0.003 * values[0] + 1e-12)).astype(np.float32)


def _centres(points: np.ndarray) -> np.ndarray:
    """k-means of directions, from the first points; their order says nothing, so no chance is needed."""
    count = max(1, len(points) // CELL)
    some = points[:SAMPLE]
    centres = some[:count].copy()
    for _ in range(6 if count > 1 else 0):
        mine = (some @ centres.T).argmax(1)
        sums = np.zeros(centres.shape)
        np.add.at(sums, mine, some)
        filled = np.linalg.norm(sums, axis=1) > 1e-9
        centres[filled] = (sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9))[filled]
    return centres


def _search(asked: np.ndarray, points: np.ndarray, centres: np.ndarray, order: np.ndarray, starts) -> np.ndarray:
    """(N, NEIGHBOURS) rows of the nearest points but the picture itself; -1 where there are too few."""
    count, k = len(asked), NEIGHBOURS
    best = np.full((count, 0), -np.inf, np.float32)
    index = np.full((count, 0), -1)
    parts = _nearest(asked @ centres.T, min(PROBES, len(centres)))
    for probe in range(parts.shape[1]):
        score = np.full((count, k), -np.inf, np.float32)
        rows = np.full((count, k), -1)
        by = np.argsort(parts[:, probe], kind="stable")
        ends = np.searchsorted(parts[by, probe], np.arange(len(centres) + 1))
        for part in range(len(centres)):
            members = order[starts[part] : starts[part + 1]]
            for at in range(ends[part], ends[part + 1] if len(members) else 0, 2048):
                mine = by[at : min(at + 2048, ends[part + 1])]
                near = asked[mine] @ points[members].T
                near[mine[:, None] == members] = -np.inf
                top = _nearest(near, min(k, len(members)))
                score[mine, : top.shape[1]] = np.take_along_axis(near, top, 1)
                rows[mine, : top.shape[1]] = np.where(np.isinf(score[mine, : top.shape[1]]), -1, members[top])
        best, index = np.concatenate([best, score], 1), np.concatenate([index, rows], 1)
        keep = _nearest(best, k)
        best, index = np.take_along_axis(best, keep, 1), np.take_along_axis(index, keep, 1)
    return index


def _nearest(score: np.ndarray, k: int) -> np.ndarray:
    """(N, k) columns of the k largest of each row, in no order."""
    if k >= score.shape[1]:
        return np.broadcast_to(np.arange(score.shape[1]), score.shape)
    return np.argpartition(-score, k - 1, axis=1)[:, :k]


def _distances(view: np.ndarray, flat: np.ndarray, index: np.ndarray) -> np.ndarray:
    distance = np.full(index.shape, 2.0)
    for column in range(index.shape[1]):
        for at in range(0, len(view), 8192):
            rows = slice(at, at + 8192)
            apart = view[rows] - flat[index[rows, column]]
            distance[rows, column] = np.sqrt(np.einsum("nd,nd->n", apart, apart))
    distance[index < 0] = 2.0
    return distance


def slid(a: np.ndarray, b: np.ndarray) -> tuple[int, int, float]:
    """(x, y, gain): `b` shows at a place what `a` shows at that place plus (x, y); how much nearer that makes them.

    Grey levels (H, W) of one shape. The place is the peak of the phase correlation (Kuglin and Hines 1975), up to an
    eighth of a side. The gain is the distance there, over what both show, to that without moving: 1 is none.
    """
    height, width = a.shape
    fade = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    spectrum = np.fft.fft2((a - a.mean()) * fade) * np.conj(np.fft.fft2((b - b.mean()) * fade))
    peaks = np.fft.fftshift(np.fft.ifft2(spectrum / np.maximum(np.abs(spectrum), 1e-9)).real)
    reach = height // 8, width // 8
    near = peaks[height // 2 - reach[0] : height // 2 + reach[0] + 1, width // 2 - reach[1] : width // 2 + reach[1] + 1]
    y, x = (int(at) - r for at, r in zip(np.unravel_index(near.argmax(), near.shape), reach, strict=True))
    whole, moved = _correlation(a, b), _correlation(_cut(a, x, y), _cut(b, -x, -y))
    return x, y, float(np.sqrt(max(1 - moved, 0) / max(1 - whole, 1e-9)))


def _cut(grey: np.ndarray, x: int, y: int) -> np.ndarray:
    """Without the first x columns and y rows; without the last ones where they are negative."""
    return grey[max(y, 0) : len(grey) + min(y, 0), max(x, 0) : grey.shape[1] + min(x, 0)]


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / max(np.sqrt((a**2).sum() * (b**2).sum()), 1e-9))
