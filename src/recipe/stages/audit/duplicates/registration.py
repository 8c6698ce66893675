"""Pairs of pictures that share local features, and the transformation on which these features agree."""

from dataclasses import dataclass

import numpy as np

from recipe.stages.audit.duplicates.keypoints import BITS, Keypoints

TABLES = 8
COMMON = 24  # corners; a word that more of them share is ignored
VOTES = 3  # of words, for a pair to become a candidate
PARTNERS = 4  # candidate pairs of one picture, those with the most votes
ANGLES, SIZES = 8, 8  # bins of the differences between two corners, of 45 degrees and half an octave
BLOCK = 32  # pictures processed together
FAR = 72  # bits; descriptors that differ in more do not match
AROUND = 0.03  # of the longer side; corners that fall this near each other agree


@dataclass(frozen=True)
class Registration:
    """The transformation that maps one picture onto another."""

    inliers: int  # matched corners that agree on it
    matrix: np.ndarray  # (2, 3): from pixels of the second picture, mirrored first if `mirror`, to pixels of the first
    mirror: bool


def candidate_pairs(keys: list[Keypoints], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of pictures that share local features: (P, 2) rows with a < b, and (P,) whether one of them is mirrored.

    Descriptors that agree in some bits drawn at random are one word (LSH, Indyk and Motwani 1998). A word in both
    pictures votes for the difference of the two corners' angles and sizes, and a pair has the votes of its best
    difference (weak geometric consistency, Jegou et al. 2008).
    """
    owner = np.repeat(np.arange(len(keys)), [len(k.angle) for k in keys])
    if not len(owner):
        return np.zeros((0, 2), int), np.zeros(0, bool)
    words = _Words(owner, keys, seed)
    blocks = [words.votes(at, min(at + BLOCK, len(keys))) for at in range(0, len(keys), BLOCK)]
    pair, mirror, votes = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    side = np.concatenate([pair[:, 0], pair[:, 1]])
    which = np.tile(np.arange(len(pair)), 2)
    order = np.lexsort((which, -votes[which], side))
    rank = np.arange(len(side)) - np.searchsorted(side[order], side[order], "left")
    best = np.unique(which[order][rank < PARTNERS])
    return pair[best], mirror[best]


class _Words:
    """Every corner of every picture, sorted by its word in each of the tables."""

    def __init__(self, owner: np.ndarray, keys: list[Keypoints], seed: int):
        self.owner, self.count = owner, len(keys)
        self.turn = np.concatenate([k.angle for k in keys]) * (ANGLES / (2 * np.pi))
        self.size = np.log2(np.concatenate([k.size for k in keys])) * 2
        self.mirrored = np.concatenate([k.mirrored for k in keys])
        bits = np.concatenate([k.bits for k in keys])
        rng = np.random.default_rng(seed)
        length = min(30, int(np.ceil(np.log2(len(owner)))) + 1)  # longer words for more corners, so that few share one
        self.chosen = [rng.choice(BITS, length, replace=False) for _ in range(TABLES)]
        self.plain = [_read(bits, chosen) for chosen in self.chosen]
        self.order = [np.argsort(words, kind="stable").astype(np.int32) for words in self.plain]
        self.ranked = [words[order] for words, order in zip(self.plain, self.order, strict=True)]

    def votes(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(pair, mirror, votes) of the pictures from `start` to `stop` with later ones, where the votes are enough."""
        corners = np.arange(*np.searchsorted(self.owner, [start, stop]))
        packed = [
            self._packed(corners, table, words, mirror)
            for table, chosen in enumerate(self.chosen)
            for mirror, words in enumerate((self.plain[table][corners], _read(self.mirrored[corners], chosen)))
        ]
        names, votes = np.unique(np.concatenate(packed), return_counts=True)
        pair = names // (2 * ANGLES * SIZES)
        first = np.flatnonzero(np.r_[True, pair[1:] != pair[:-1]][: len(pair)])
        votes = np.maximum.reduceat(votes, first) if len(first) else votes
        enough = votes >= VOTES
        pair, votes = pair[first][enough], votes[enough]
        mirror, pair = (pair % 2).astype(bool), pair // 2
        return np.stack([pair // self.count, pair % self.count], 1), mirror, votes

    def _packed(self, corners: np.ndarray, table: int, words: np.ndarray, mirror: int) -> np.ndarray:
        """A number for each vote: the two pictures, whether mirrored, and the bin of the difference, in two grids."""
        start = np.searchsorted(self.ranked[table], words, "left")
        stop = np.searchsorted(self.ranked[table], words, "right")
        width = np.where(stop - start > COMMON, 0, stop - start)
        left = np.repeat(corners, width)
        right = self.order[table][np.arange(width.sum()) + np.repeat(start - np.cumsum(width) + width, width)]
        later = self.owner[left] < self.owner[right]
        left, right = left[later], right[later]
        pair = (self.owner[left] * self.count + self.owner[right]) * 2 + mirror
        turn = (ANGLES / 2 - self.turn[left] if mirror else self.turn[left]) - self.turn[right]
        size = self.size[left] - self.size[right] + SIZES / 2
        bins = []
        for grid, offset in enumerate((0, 0.5)):  # half a bin apart, so that no difference is at an edge of both
            column = np.floor(turn + offset).astype(np.int64) % ANGLES
            row = np.clip(np.floor(size + offset).astype(np.int64), 0, SIZES - 1)
            bins.append(((pair * 2 + grid) * ANGLES + column) * SIZES + row)
        return np.concatenate(bins)


def _read(bits: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(M,) int32: the chosen bits of each descriptor as a number."""
    octets, number = bits.view(np.uint8), np.zeros(len(bits), np.int32)
    for bit in chosen:
        number = number * 2 + (octets[:, bit >> 3] >> (bit & 7) & 1)
    return number


def register(a: Keypoints, b: Keypoints, mirror: bool) -> Registration | None:
    """The transformation from `b` (its mirror image, if `mirror`) to `a`; None where fewer than four corners agree.

    Corners whose descriptors are each other's nearest are matched. Every match proposes a similarity transformation by
    its places, sizes and angles, as in Lowe (2004); the one with the most inliers is refined by least squares to an
    affine one.
    """
    in_a, in_b = _matches(a.bits, b.mirrored if mirror else b.bits)
    if len(in_a) < 4:
        return None
    to, turn = a.place[in_a].astype(float), a.angle[in_a]
    start, angle = b.place[in_b].astype(float), b.angle[in_b]
    if mirror:
        start = start * [-1, 1] + [b.shape[1], 0]
        angle = np.pi - angle
    size, turn = a.size[in_a] / b.size[in_b], turn - angle
    c, s = size * np.cos(turn), size * np.sin(turn)
    linear = np.stack([np.stack([c, -s], 1), np.stack([s, c], 1)], 1)  # (M, 2, 2)
    moved = np.einsum("mij,nj->mni", linear, start)
    moved += (to - np.einsum("mij,mj->mi", linear, start))[:, None]
    near = max(a.shape) * AROUND
    inside = np.linalg.norm(moved - to, axis=-1) < 2 * near
    inside = inside[inside.sum(1).argmax()]
    known = np.concatenate([start, np.ones((len(start), 1))], 1)
    fit = np.zeros((3, 2))
    for _ in range(3):
        if inside.sum() < 4:
            return None
        fit = np.linalg.lstsq(known[inside], to[inside], rcond=None)[0]
        inside = np.linalg.norm(known @ fit - to, axis=1) < near
    stretch = np.linalg.svd(fit[:2], compute_uv=False)
    if stretch[1] < 0.1 or stretch[0] > 10 or stretch[0] > 2 * stretch[1] or np.linalg.det(fit[:2]) < 0:
        return None  # no change of view distorts a picture so much
    return Registration(int(inside.sum()), fit.T, mirror)


def _matches(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `a` and `b` whose descriptors are each other's nearest and differ in at most FAR bits."""
    if not len(a) or not len(b):
        return np.zeros(0, int), np.zeros(0, int)
    distance = np.zeros((len(a), len(b)), np.uint16)
    for word in range(a.shape[1]):
        distance += np.bitwise_count(a[:, None, word] ^ b[None, :, word])
    nearest, rows = distance.argmin(1), np.arange(len(a))
    mutual = (distance.argmin(0)[nearest] == rows) & (distance[rows, nearest] <= FAR)
    return rows[mutual], nearest[mutual]
