"""The change between two pictures, named after one is registered onto the other."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from recipe.stages.audit.duplicates.registration import Registration

SIDE = 64  # pixels, the longest side at which two pictures are compared
TILT = 2.0  # degrees
INSIDE = 0.94  # share of a picture's area from which it counts as contained in the other
TONE, GAIN = 6.0, 0.1  # grey levels; slope against 1
COLOURFUL, COLOURLESS = 8.0, 2.0  # mean difference of the largest and the smallest channel, grey levels
SAME = 4.0  # mean difference of grey levels that compression causes


def quarter_turned(
    quarters: int, mirror: bool, a: tuple[int, int], b: tuple[int, int], shift: tuple[float, float] = (0.0, 0.0)
) -> Registration:
    """The registration of `b` to `a`, (H, W) each, if `a` rotated by `quarters` * 90 degrees, then mirrored, is `b`.

    `shift`: how much farther right and down the rotated `a` shows what `b` shows; shares of the sides.
    """
    height, width = b
    matrix = np.eye(3)
    matrix[:2, 2] = shift[0] * width * (-1 if mirror else 1), shift[1] * height
    for _ in range(quarters):  # back, clockwise
        matrix = np.array([[0, -1, height], [1, 0, 0], [0, 0, 1]]) @ matrix
        height, width = width, height
    matrix = np.diag([a[1] / width, a[0] / height, 1]) @ matrix
    return Registration(0, matrix[:2], mirror)


def compare(
    a: np.ndarray, b: np.ndarray, sizes: Sequence[Sequence[int]], registration: Registration
) -> tuple[float, str]:
    """(correlation of the part that both show, 0 to 1; the name of the change from `a` to `b`).

    Pictures are (H, W, 3) uint8, `sizes` their original (H, W). Of several changes the first in this order is named:
    flipped, rotated, cropped (one is contained in the other), shifted, grey, resized, contrast, brighter or darker,
    recompressed; near for any other.
    """
    over, here = _overlay(a, b, registration)
    x, y = over[0][here], over[1][here]
    if len(x) < 16 or min(x.std(), y.std()) < 1e-3:
        return 0.0, "near"
    similarity = float(np.clip(np.corrcoef(x, y)[0, 1], 0, 1))
    shape = _geometric_change(a, b, registration, here.mean())
    if shape:
        return similarity, shape
    colour = [np.ptp(picture.astype(np.int16), axis=2).mean() for picture in (a, b)]
    if min(colour) < COLOURLESS and max(colour) > COLOURFUL:
        return similarity, "grey"
    if tuple(sizes[0]) != tuple(sizes[1]):
        return similarity, "resized"
    return similarity, _tonal_change(x, y)


def _geometric_change(a: np.ndarray, b: np.ndarray, registration: Registration, covered: float) -> str:
    """flipped, rotated, cropped, shifted, or empty. `covered` is the share of `a` that `b` shows."""
    if registration.mirror:
        return "flipped"
    linear = registration.matrix[:, :2]
    turn = np.degrees(np.arctan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1]))
    if abs(turn) > TILT:
        return "rotated"
    area = abs(np.linalg.det(linear)) * b.shape[0] * b.shape[1] / (a.shape[0] * a.shape[1])  # of b, in that of a
    shares = covered, covered / max(area, 1e-9)
    if min(shares) >= INSIDE:
        return ""
    return "cropped" if max(shares) >= INSIDE else "shifted"


def _tonal_change(x: np.ndarray, y: np.ndarray) -> str:
    """The change of brightness from grey levels `x` to `y`."""
    slope = float(y.std() / x.std())
    offset = float(y.mean() - slope * x.mean())
    if abs(slope - 1) > GAIN and 60 < offset / (1 - slope) < 195:  # the unchanged grey level is in the middle
        return "contrast"
    if abs(y.mean() - x.mean()) > TONE:
        return "brighter" if y.mean() > x.mean() else "darker"
    return "recompressed" if np.abs(x - y).mean() < SAME else "near"


def _overlay(a: np.ndarray, b: np.ndarray, registration: Registration) -> tuple[np.ndarray, np.ndarray]:
    """((2, h, w) grey levels of `a` and of `b` mapped onto it, (h, w) where both show something)."""
    from scipy import ndimage  # takes a while to import

    small, scale = [], []
    for picture in (a, b):
        k = min(1.0, SIDE / max(picture.shape[:2]))
        height, width = (max(2, round(side * k)) for side in picture.shape[:2])
        grey = Image.fromarray(picture).convert("L").resize((width, height), Image.Resampling.BOX)
        small.append(np.asarray(grey, np.float32))
        scale.append([width / picture.shape[1], height / picture.shape[0]])
    if registration.mirror:
        small[1] = small[1][:, ::-1]
    height, width = small[0].shape
    y, x = np.mgrid[:height, :width] + 0.5
    inverse = np.linalg.inv(registration.matrix[:, :2])
    place = np.stack([x / scale[0][0], y / scale[0][1]]).reshape(2, -1) - registration.matrix[:, 2:]
    u, v = (inverse @ place) * np.array(scale[1])[:, None]
    here = (u > 0) & (u < small[1].shape[1]) & (v > 0) & (v < small[1].shape[0])
    mapped = ndimage.map_coordinates(small[1], [v - 0.5, u - 0.5], order=1, mode="nearest")
    return np.stack([small[0], mapped.reshape(height, width)]), here.reshape(height, width)
