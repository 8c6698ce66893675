"""Pairs of examples that show the same picture: equal, or made from each other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from recipe.stages.audit.duplicates.keypoints import MOST, Keypoints, keypoints, pattern
from recipe.stages.audit.duplicates.registration import Registration, registered, shared
from recipe.stages.audit.duplicates.thumbnails import TURNS, Alike, alike, seen, slid, thumbnail
from recipe.stages.audit.duplicates.transformations import compared, quarter_turned

LOCAL_FROM = 48  # pixels: a smaller picture has too few corners, and is compared as a whole only
CORNERS = 5_000_000  # in memory at once
ENOUGH = 14  # corners that lie alike in two different pictures are fewer
CLOSE = 0.25  # of the distance to the 10th nearest: two different pictures are farther
SOUGHT = 1.15  # what the best of many places is nearer by chance
WORTH = 0.6  # of that distance: what is nearer is worth a look at its corners


@dataclass(frozen=True)
class Pair:
    """Two examples that show the same."""

    a: int  # row
    b: int  # row, larger
    similarity: float  # correlation of the part that both show, 0 to 1
    inliers: int  # corners that lie alike; 0 where the pictures are compared as a whole
    kind: str  # what was done to a to make b: exact, or one of transformations.compared
    evidence: float  # over the least that is enough, so at least 1; infinite for equal inputs


def exact(hashes: Sequence[str]) -> list[Pair]:
    """Each copy with the first of its content, by rows."""
    first, pairs = {}, []
    for row, content in enumerate(hashes):
        if first.setdefault(content, row) != row:
            pairs.append(Pair(first[content], row, 1.0, 0, "exact", np.inf))
    return pairs


def find(
    picture: Callable[[int], np.ndarray],
    hashes: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    seed: int,
    say: Callable[[str], None] = lambda line: None,
) -> list[Pair]:
    """Every pair found, by rows. Of k equal inputs k - 1 pairs are named, each with the first.

    Two ways, with numpy, scipy and Pillow alone. Pictures that share local features are a pair if enough of these lie
    alike in both, whatever was cropped, turned, covered or mirrored. As a whole, in eight turns, a pair is far nearer
    than the 10th nearest of either: so small pictures are found, and those with little detail, but no more than nine
    copies of one. A data set's own pictures set that scale, so digits that look alike are no copies.

    `picture(row)` is (H, W, 3) uint8, up to some 256 pixels; it is asked for once for each different input, and again
    for each in a pair. `sizes` are the (H, W) the examples came with. The rows' order changes no pair: all is done
    in the order of the hashes.
    """
    from threadpoolctl import threadpool_limits

    first = {content: row for row, content in reversed(list(enumerate(hashes)))}
    rows = [first[content] for content in sorted(first)]
    if len(rows) < 2:
        return exact(hashes)
    with threadpool_limits(1):  # sums in one order: the same bits whatever the number of threads
        thumbnails, corners = _looked_at(picture, rows, seed, say)
        whole = _as_a_whole(alike(thumbnails), ~thumbnails.any((1, 2)), WORTH)
        say(f"{len(rows):,} pictures compared as a whole, {len(whole):,} pairs worth a closer look")
        laid = _by_corners(whole, corners, seed)
        unclear = [
            pair for pair, (ratio, *_) in whole.items() if ratio >= CLOSE and None in map(corners.__getitem__, pair)
        ]
        for i, j in unclear:
            whole[i, j] = _moved(picture(rows[i]), picture(rows[j]), *whole[i, j])
        found = sorted({pair for pair, (ratio, *_) in whole.items() if ratio < CLOSE} | set(laid))
        say(f"{len(found):,} pairs of different inputs show the same")
        near = [
            _pair(picture, sizes, (rows[i], rows[j]), whole.get((i, j), (np.inf, 0, False)), laid.get((i, j)))
            for i, j in found
        ]
    return sorted([*exact(hashes), *near], key=lambda pair: (pair.a, pair.b))


def _looked_at(
    picture: Callable, rows: list[int], seed: int, say: Callable
) -> tuple[np.ndarray, list[Keypoints | None]]:
    """The (N, h, w) thumbnails, and the corners of those pictures that are large enough."""
    points = pattern(seed)
    most = min(MOST, max(50, CORNERS // max(len(rows), 1)))
    thumbnails, corners = [], []
    for count, row in enumerate(rows):
        shown = picture(row)
        thumbnails.append(thumbnail(shown))
        corners.append(keypoints(shown, points, most) if min(shown.shape[:2]) >= LOCAL_FROM else None)
        if count % 5000 == 4999:
            say(f"{count + 1:,} of {len(rows):,} pictures seen")
    return np.stack(thumbnails), corners


def _ratios(views: list[Alike], place: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) distance to the nearest in one view over that of the 10th nearest, of either picture; (N,) the nearest."""
    view = views[place]
    back = TURNS.index((view.quarters, True) if view.mirror else (-view.quarters % 4, False))
    nearest = view.index[:, 0]
    far = np.minimum(view.distance[:, -1], views[back].distance[nearest, -1])
    return np.where(nearest < 0, 2.0, view.distance[:, 0] / np.maximum(far, 1e-9)), nearest


def _as_a_whole(views: list[Alike], blank: np.ndarray, closest: float) -> dict[tuple[int, int], tuple]:
    """{(i, j): (ratio, quarters, mirror)} with i < j, of pairs nearer than `closest`; what turns i into j."""
    found = {}
    for place, view in enumerate(views):
        ratio, nearest = _ratios(views, place)
        for i in np.flatnonzero((ratio < closest) & ~blank & ~blank[nearest]):
            i, j = int(i), int(nearest[i])
            quarters = view.quarters if i < j or view.mirror else -view.quarters % 4
            pair = (min(i, j), max(i, j))
            found[pair] = min(found.get(pair, (np.inf,)), (float(ratio[i]), quarters, view.mirror))
    return found


def _moved(a: np.ndarray, b: np.ndarray, ratio: float, quarters: int, mirror: bool) -> tuple:
    """(ratio, quarters, mirror, (x, y)): the ratio as it is once the pictures are shifted, by shares of a side."""
    from PIL import Image

    side = min(LOCAL_FROM, *a.shape[:2], *b.shape[:2])
    if side < 8:
        return ratio, quarters, mirror, (0.0, 0.0)
    greys = (Image.fromarray(p).convert("L").resize((side, side), Image.Resampling.BOX) for p in (a, b))
    first, second = (np.asarray(grey, float) for grey in greys)
    x, y, gain = slid(seen(first[None], quarters, mirror)[0], second)
    return ratio * min(1.0, SOUGHT * gain), quarters, mirror, (x / side, y / side)


def _by_corners(whole: dict, corners: list[Keypoints | None], seed: int) -> dict[tuple[int, int], Registration]:
    """{(i, j): Registration} with i < j, of pairs with enough corners that lie alike."""
    large = np.array([i for i, keys in enumerate(corners) if keys is not None], int)
    pairs, mirrors = shared([corners[i] for i in large], seed)
    asked = {(int(large[i]), int(large[j]), bool(mirror)) for (i, j), mirror in zip(pairs, mirrors, strict=True)}
    asked |= {(i, j, mirror) for (i, j), (_, _, mirror) in whole.items() if corners[i] and corners[j]}
    found = {}
    for i, j, mirror in sorted(asked):
        laid = registered(corners[i], corners[j], mirror)
        if laid and laid.inliers >= ENOUGH and ((i, j) not in found or laid.inliers > found[i, j].inliers):
            found[i, j] = laid
    return found


def _pair(picture: Callable, sizes: Sequence, rows: tuple[int, int], whole: tuple, laid: Registration | None) -> Pair:
    """Two different inputs, at `rows`: described in the given order, so that which row is larger plays no part."""
    a, b = (picture(row) for row in rows)
    ratio, quarters, mirror, *shift = whole
    evidence = CLOSE / max(ratio, 1e-3)
    if laid:
        evidence = max(evidence, laid.inliers / ENOUGH)
    else:
        laid = quarter_turned(quarters, mirror, a.shape[:2], b.shape[:2], *shift)
    similarity, kind = compared(a, b, [sizes[row] for row in rows], laid)
    if rows[0] > rows[1]:
        kind = {"brighter": "darker", "darker": "brighter"}.get(kind, kind)
    return Pair(min(rows), max(rows), similarity, laid.inliers, kind, evidence)
