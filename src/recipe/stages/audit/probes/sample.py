"""The sample of examples for the probes: few, finite, balanced over the classes, small."""

from dataclasses import dataclass

import numpy as np

from recipe.stages.audit.probes.linear_probe import FOLDS, Examples
from recipe.stages.audit.probes.patch_codes import resized

MOST_CLASSES = 16
LARGEST = 64  # pixels on the longer side
BLOCK = 64  # images read at a time


@dataclass(frozen=True)
class Sample:
    images: np.ndarray  # (n, C, H, W) float32, in -1 to 1, at most LARGEST pixels high and wide
    examples: Examples
    side: int  # pixels on the longer side before they were averaged down
    left_out: str  # a sentence about the classes that are left out, or empty


def sample(images: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int, most: int) -> Sample:
    """As `balanced`, of the finite images."""
    whole = np.ones(len(images), bool)
    if not np.issubdtype(images.dtype, np.integer):
        whole = np.array([np.isfinite(image).all() for image in images], bool)
    chosen, examples, text = balanced(labels, groups, whole, seed, most)
    return Sample(_read(images, chosen), examples, max(images.shape[2:]), text)


def balanced(
    labels: np.ndarray, groups: np.ndarray, whole: np.ndarray, seed: int, most: int
) -> tuple[np.ndarray, Examples, str]:
    """(rows, examples, a sentence about the classes that are left out, or empty) of up to `most` of the `whole` rows,
    as balanced over classes as possible; no class of fewer than FOLDS groups."""
    names, labels = np.unique(labels, return_inverse=True)
    numbers = [c for c in range(len(names)) if len(np.unique(groups[whole & (labels == c)])) >= FOLDS]
    numbers.sort(key=lambda c: -int((whole & (labels == c)).sum()))
    kept = sorted(numbers[:MOST_CLASSES])
    rng = np.random.default_rng(seed)
    rows, left = [np.zeros(0, int)], most
    pools = sorted((rng.permutation(np.flatnonzero(whole & (labels == c))) for c in kept), key=len)
    for i, pool in enumerate(pools):  # the smallest class first: the larger ones share what it cannot fill
        rows.append(pool[: left // (len(pools) - i)])
        left -= len(rows[-1])
    chosen = np.sort(np.concatenate(rows))
    number = np.searchsorted(np.array(kept, int), labels[chosen])
    ties = np.unique(groups[chosen], return_inverse=True)[1]
    text = "" if len(kept) == len(names) else f"Only the {len(kept)} largest of {len(names)} classes were used."
    return chosen, Examples(number, ties, seed), text


def _read(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """In blocks, each averaged down at once: large images are never all in memory."""
    starts = range(0, len(rows), BLOCK)
    blocks = [fitted(images[rows[at : at + BLOCK]].astype(np.float32), LARGEST) for at in starts]
    small = np.concatenate(blocks or [np.zeros((0, *images.shape[1:]), np.float32)])
    return small / max(float(np.abs(small).max(initial=0)), 1e-30)


def fitted(images: np.ndarray, side: int) -> np.ndarray:
    """Averaged down so that the longer side has at most so many pixels."""
    longer = max(images.shape[2:])
    if longer <= side:
        return images
    return resized(images, *(max(1, round(size * side / longer)) for size in images.shape[2:]))
