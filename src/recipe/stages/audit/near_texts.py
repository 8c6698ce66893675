"""Pairs of texts that differ a little, by the Jaccard similarity of their character shingles (Broder 1997)."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

SHINGLE = 5  # characters
ALIKE = 0.7  # Jaccard similarity of shingles; one short word changed in a sentence of ten words leaves 0.75 to 0.9
EXACT = 5000  # texts up to which every pair so similar is found
COMMON = 200  # texts that share a shingle or a band, above which it says little
BANDS, ROWS = 24, 4  # of a signature: a pair with a similarity of 0.7 is missed once in 700 times, one of 0.8 never
PRIME = 0x100000001B3  # of the rolling hash of a shingle (FNV)


def near_pairs(plain: Sequence[str]) -> Iterator[tuple[int, int, float]]:
    """(a, b, similarity) with a < b, of texts with a similarity of at least ALIKE that are not equal and not short.

    Compared are texts that share one of their rarest shingles, which finds all (prefix filter, Bayardo et al. 2007); of
    more than EXACT texts, those that share a band of their MinHash signatures (Broder 1997; Indyk and Motwani 1998).
    """
    shingles = [{text[i : i + SHINGLE] for i in range(max(1, len(text) - SHINGLE + 1))} for text in plain]
    compared = _by_rare_shingles(shingles) if len(plain) <= EXACT else _by_minhash(plain)
    for row, others in compared:
        each = shingles[row]
        for other in others:
            least, most = sorted((len(each), len(shingles[other])))
            # short texts are similar by chance
            if plain[other] == plain[row] or least < ALIKE * most or least < 4 * SHINGLE:
                continue
            shared = len(each & shingles[other])
            similarity = shared / (least + most - shared)
            if similarity >= ALIKE:
                yield row, other, similarity


def _by_rare_shingles(shingles: Sequence[set[str]]) -> Iterator[tuple[int, list[int]]]:
    holders: defaultdict[str, list[int]] = defaultdict(list)
    for row, each in enumerate(shingles):
        for shingle in each:
            holders[shingle].append(row)
    for row, each in enumerate(shingles):
        rarest = sorted(each, key=lambda s: (len(holders[s]), s))[: len(each) - int(np.ceil(ALIKE * len(each))) + 1]
        others = {other for shingle in rarest if len(holders[shingle]) <= COMMON for other in holders[shingle]}
        yield row, sorted(other for other in others if other > row)


def _by_minhash(plain: Sequence[str]) -> Iterator[tuple[int, list[int]]]:
    bands = np.stack([signature(text) for text in plain]).reshape(len(plain), BANDS, ROWS)
    others: defaultdict[int, set[int]] = defaultdict(set)
    for band in range(BANDS):
        _, which, counts = np.unique(bands[:, band], axis=0, return_inverse=True, return_counts=True)
        which = which.ravel()
        shared = np.flatnonzero((counts[which] > 1) & (counts[which] <= COMMON))
        order = shared[np.argsort(which[shared], kind="stable")]
        for same in np.split(order, np.flatnonzero(np.diff(which[order])) + 1):
            for place, row in enumerate(same.tolist()):
                others[row].update(same[place + 1 :].tolist())
    return ((row, sorted(others[row])) for row in sorted(others))


def signature(text: str) -> np.ndarray:
    """(BANDS * ROWS,) the smallest value of each of as many hash functions over the shingles of a text."""
    characters = np.frombuffer(text.ljust(SHINGLE).encode("utf-32-le"), np.uint32).astype(np.uint64)
    codes = np.zeros(len(characters) - SHINGLE + 1, np.uint64)
    for i in range(SHINGLE):
        codes = codes * np.uint64(PRIME) + characters[i : i + len(codes)]
    mixed = np.multiply.outer(FACTORS, codes ^ (codes >> np.uint64(29)))
    smallest: np.ndarray = (mixed >> np.uint64(32)).min(1)
    return smallest


# odd 64-bit numbers: multiply-shift is a universal family of hash functions (Dietzfelbinger et al. 1997)
FACTORS = np.random.default_rng(0).integers(0, 2**63, BANDS * ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
