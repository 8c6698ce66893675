"""What was done to a picture: one laid over the other, and the difference named."""

import numpy as np

from recipe.stages.audit.duplicates.registration import Registration

SIDE = 64  # pixels, the longest side on which two pictures are laid over each other
TILT = 2.0  # degrees
INSIDE = 0.94  # of a picture's area
TONE, GAIN = 6.0, 0.1  # grey levels; slope against 1
COLOURFUL, COLOURLESS = 8.0, 2.0  # mean difference of the largest and the smallest channel, grey levels
SAME = 4.0  # mean difference of grey levels that compression makes


def quarter_turned(
    quarters: int, mirror: bool, a: tuple[int, int], b: tuple[int, int], shift: tuple[float, float] = (0.0, 0.0)
) -> Registration:
    """How `b` lies in `a`, (H, W) each, if `a` turned by 90 degrees `quarters` times, then mirrored, looks like `b`.

    `shift`: what `b` shows at a place, `a` so turned shows that much farther right and down; shares of the sides.
    """
    height, width = b
    matrix = np.eye(3)
    matrix[:2, 2] = shift[0] * width * (-1 if mirror else 1), shift[1] * height
    for _ in range(quarters):  # back, with the clock
        matrix = np.array([[0, -1, height], [1, 0, 0], [0, 0, 1]]) @ matrix
        height, width = width, height
    matrix = np.diag([a[1] / width, a[0] / height, 1]) @ matrix
    return Registration(0, matrix[:2], mirror)


def compared(a: np.ndarray, b: np.ndarray, sizes: tuple, found: Registration) -> tuple[float, str]:
    """(correlation of what both show, 0 to 1; what was done to `a` to make `b`, by name).

    Pictures are (H, W, 3) uint8, `sizes` their (H, W) as they came. Of several changes the first in this order is
    named: flipped, rotated, cropped (one lies within the other), shifted, grey, resized, contrast, brighter or darker,
    recompressed; near for what is none of them.
    """
    over, here = _overlaid(a, b, found)
    x, y = over[0][here], over[1][here]
    if len(x) < 16 or min(x.std(), y.std()) < 1e-3:
        return 0.0, "near"
    similarity = float(np.clip(np.corrcoef(x, y)[0, 1], 0, 1))
    shape = _moved(a, b, found, here.mean())
    if shape:
        return similarity, shape
    colour = [np.ptp(picture.astype(np.int16), axis=2).mean() for picture in (a, b)]
    if min(colour) < COLOURLESS and max(colour) > COLOURFUL:
        return similarity, "grey"
    if tuple(sizes[0]) != tuple(sizes[1]):
        return similarity, "resized"
    return similarity, _toned(x, y)


def _moved(a: np.ndarray, b: np.ndarray, found: Registration, covered: float) -> str:
    """The change of place, or nothing. `covered` is the share of `a` that `b` shows."""
    if found.mirror:
        return "flipped"
    linear = found.matrix[:, :2]
    turn = np.degrees(np.arctan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1]))
    if abs(turn) > TILT:
        return "rotated"
    area = abs(np.linalg.det(linear)) * b.shape[0] * b.shape[1] / (a.shape[0] * a.shape[1])  # of b, in that of a
    shares = covered, covered / max(area, 1e-9)
    if min(shares) >= INSIDE:
        return ""
    return "cropped" if max(shares) >= INSIDE else "shifted"


def _toned(x: np.ndarray, y: np.ndarray) -> str:
    """The change of brightness from grey levels `x` to `y`."""
    slope = float(y.std() / x.std())
    offset = float(y.mean() - slope * x.mean())
    if abs(slope - 1) > GAIN and 60 < offset / (1 - slope) < 195:  # the level that stays is in the middle
        return "contrast"
    if abs(y.mean() - x.mean()) > TONE:
        return "brighter" if y.mean() > x.mean() else "darker"
    return "recompressed" if np.abs(x - y).mean() < SAME else "near"


def _overlaid(a: np.ndarray, b: np.ndarray, found: Registration) -> tuple[np.ndarray, np.ndarray]:
    """((2, h, w) grey levels of `a` and of `b` laid over it, (h, w) where both show something)."""
    from PIL import Image
    from scipy import ndimage

    small, scale = [], []
    for picture in (a, b):
        k = min(1.0, SIDE / max(picture.shape[:2]))
        height, width = (max(2, round(side * k)) for side in picture.shape[:2])
        grey = Image.fromarray(picture).convert("L").resize((width, height), Image.Resampling.BOX)
        small.append(np.asarray(grey, np.float32))
        scale.append([width / picture.shape[1], height / picture.shape[0]])
    if found.mirror:
        small[1] = small[1][:, ::-1]
    height, width = small[0].shape
    y, x = np.mgrid[:height, :width] + 0.5
    inverse = np.linalg.inv(found.matrix[:, :2])
    place = np.stack([x / scale[0][0], y / scale[0][1]]).reshape(2, -1) - found.matrix[:, 2:]
    u, v = (inverse @ place) * np.array(scale[1])[:, None]
    here = (u > 0) & (u < small[1].shape[1]) & (v > 0) & (v < small[1].shape[0])
    laid = ndimage.map_coordinates(small[1], [v - 0.5, u - 0.5], order=1, mode="nearest")
    return np.stack([small[0], laid.reshape(height, width)]), here.reshape(height, width)
