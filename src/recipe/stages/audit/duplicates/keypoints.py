"""Local features of a picture: corners with binary descriptors, and those of its mirror image."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

SIDE = 160  # pixels, the longest side on which corners are detected
MOST = 250  # corners of a picture
STEP = 1.25  # between two sizes of the picture
SMALLEST = 28  # pixels, the shortest side of the smallest size
REACH = 15  # pixels, radius of the patch that a descriptor covers
ANGLES = 36  # bins of the angle of a corner
BITS = 256


@dataclass(frozen=True)
class Keypoints:
    """M corners of one picture, strongest first."""

    place: np.ndarray  # (M, 2) x and y in pixels of the picture, float32
    size: np.ndarray  # (M,) pixels of the picture per pixel of the scale at which it was detected
    angle: np.ndarray  # (M,) radians, the direction of the patch's brighter side
    bits: np.ndarray  # (M, BITS / 64) uint64, the descriptors
    mirrored: np.ndarray  # the descriptors of the same corners in the mirror image
    shape: tuple[int, int]  # H and W of the picture


def pattern(seed: int) -> np.ndarray:
    """(2, ANGLES, BITS, 2, 2) int: pairs of points to compare, x and y, at every angle; plain and mirrored.

    BRIEF (Calonder et al. 2010): pairs from a Gaussian around the corner, rotated with it as in ORB (Rublee 2011).
    """
    rng = np.random.default_rng(seed)
    pairs = np.clip(rng.normal(0, REACH / 2.5, (BITS, 2, 2)), -REACH * 0.7, REACH * 0.7)
    angles = np.arange(ANGLES) * (2 * np.pi / ANGLES)
    turn = np.stack([np.stack([np.cos(angles), np.sin(angles)], 1), np.stack([-np.sin(angles), np.cos(angles)], 1)], 1)
    # the patch of a mirrored picture, turned upright, is the patch turned upright and flipped top to bottom
    return np.stack([np.rint(np.einsum("bpi,tij->tbpj", p, turn)) for p in (pairs, pairs * [1, -1])]).astype(np.int32)


def keypoints(picture: np.ndarray, points: np.ndarray, most: int = MOST) -> Keypoints:
    """The `most` strongest Harris corners (1988) of a picture (H, W, 3) uint8, at several scales.

    `points` is from `pattern`. A picture with a side below SMALLEST has none.
    """
    grey = Image.fromarray(picture).convert("L")
    shape = picture.shape[0], picture.shape[1]
    whole = scale = min(1.0, SIDE / max(grey.size))
    corners: list[tuple[np.ndarray, ...]] = []
    while min(grey.size) * scale >= SMALLEST and len(corners) < 8:
        size = round(grey.width * scale), round(grey.height * scale)
        level = np.asarray(grey.resize(size, Image.Resampling.BOX), np.float32)
        corners.append(_corners(level, scale, points, int(most * 0.5 * scale / whole) + 8))
        scale /= STEP
    if not corners:
        none, words = np.zeros(0, np.float32), np.zeros((0, BITS // 64), np.uint64)
        return Keypoints(np.zeros((0, 2), np.float32), none, none, words, words, shape)
    strength, *rest = (np.concatenate(parts) for parts in zip(*corners, strict=True))
    best = np.argsort(-strength, kind="stable")[:most]
    place, sizes, angle, bits, mirrored = (values[best] for values in rest)
    return Keypoints(place, sizes, angle, bits, mirrored, shape)


def _corners(level: np.ndarray, scale: float, points: np.ndarray, quota: int) -> tuple[np.ndarray, ...]:
    """(strength, place, size, angle, bits, mirrored) of the corners at one scale of the picture."""
    from scipy import ndimage  # takes a while to import

    soft = ndimage.gaussian_filter(level, 1.0, truncate=3)
    dy, dx = np.gradient(soft)
    xx, yy, xy = (ndimage.gaussian_filter(p, 1.5, truncate=2.5) for p in (dx * dx, dy * dy, dx * dy))
    strength = xx * yy - xy**2 - 0.05 * (xx + yy) ** 2
    peak = (strength == ndimage.maximum_filter(strength, 5)) & (strength > 1.0)
    edge = 7
    peak[:edge], peak[-edge:], peak[:, :edge], peak[:, -edge:] = False, False, False, False
    y, x = np.nonzero(peak)
    best = np.argsort(-strength[y, x], kind="stable")[:quota]
    y, x = y[best], x[best]
    # the centre of a Gaussian patch's brightness lies along the gradient of the smoothed picture
    coarse = ndimage.gaussian_filter(level, 4.0, truncate=3)
    angle = np.arctan2(coarse[y + 1, x] - coarse[y - 1, x], coarse[y, x + 1] - coarse[y, x - 1])
    padded = np.pad(ndimage.gaussian_filter(level, 1.6, truncate=2.5), REACH, mode="edge")
    width = padded.shape[1]
    turn = np.rint(angle * (ANGLES / (2 * np.pi))).astype(int) % ANGLES
    centre = ((y + REACH) * width + x + REACH).astype(np.int32)
    flat = padded.ravel()
    bits = []
    for which in points:
        offsets = which[..., 1] * width + which[..., 0]  # (ANGLES, BITS, 2)
        values = flat[centre[:, None, None] + offsets[turn]]
        bits.append(np.packbits(values[..., 0] < values[..., 1], axis=1).view(np.uint64))
    place = np.stack([(x + 0.5) / scale, (y + 0.5) / scale], 1).astype(np.float32)
    return strength[y, x], place, np.full(len(x), 1 / scale, np.float32), angle, *bits
