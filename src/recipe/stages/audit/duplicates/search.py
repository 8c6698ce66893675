"""Pairs of examples that show the same picture: equal, or made from each other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image
from threadpoolctl import threadpool_limits

from recipe.stages.audit.duplicates.keypoints import MOST, Keypoints, keypoints, pattern
from recipe.stages.audit.duplicates.registration import Registration, candidate_pairs, register
from recipe.stages.audit.duplicates.thumbnails import (
    TURNS,
    ThumbnailNeighbours,
    nearest_thumbnails,
    shift_between,
    thumbnail,
    turned,
)
from recipe.stages.audit.duplicates.transformations import compare, quarter_turned

LOCAL_FROM = 48  # pixels; a smaller picture has too few corners, so only its thumbnail is compared
CORNERS = 5_000_000  # in memory at once
ENOUGH = 14  # inliers; two different pictures have fewer
CLOSE = 0.25  # of the distance to the 10th nearest; two different pictures are farther apart
BY_CHANCE = 1.15  # the factor by which the best of many shifts brings two pictures closer by chance
CANDIDATE = 0.6  # of the distance to the 10th nearest; the corners of closer pairs are compared too


@dataclass(frozen=True)
class Pair:
    """Two examples that show the same."""

    a: int  # row
    b: int  # row, larger
    similarity: float  # correlation of the part that both show, 0 to 1
    inliers: int  # matched corners that agree on one transformation; 0 where thumbnails were compared
    kind: str  # the change from a to b: exact, or one of transformations.compare
    evidence: float  # over the least that is enough, so at least 1; infinite for equal inputs


@dataclass(frozen=True)
class Match:
    """Two pictures with similar thumbnails. The turn makes the first look like the second."""

    ratio: float  # distance over that of the 10th nearest picture
    quarters: int = 0  # rotations by 90 degrees
    mirror: bool = False
    shift: tuple[float, float] = (0.0, 0.0)  # right and down, shares of a side


Say = Callable[[str], None]
Picture = Callable[[int], np.ndarray]
Rows = tuple[int, int]  # of two pictures, the smaller first


def exact_pairs(hashes: Sequence[str]) -> list[Pair]:
    """Each copy with the first example of the same content, by rows."""
    first: dict[str, int] = {}
    pairs = []
    for row, content in enumerate(hashes):
        if first.setdefault(content, row) != row:
            pairs.append(Pair(first[content], row, 1.0, 0, "exact", np.inf))
    return pairs


def find_pairs(
    picture: Picture,
    hashes: Sequence[str],
    sizes: Sequence[Sequence[int]],
    seed: int,
    say: Say = lambda line: None,
) -> list[Pair]:
    """Every pair of copies, by rows. Of k equal inputs there are k - 1 pairs, each with the first.

    Two methods, with numpy, scipy and Pillow alone. Pictures that share local features are a pair if enough of these
    agree on one transformation, whatever was cropped, rotated, covered or mirrored. By thumbnails, in eight turns, a
    pair is far nearer than the 10th nearest of either: this finds small pictures and those with little detail, but at
    most nine copies of one. The data set's own pictures set that scale, so digits that look alike are not copies.

    `picture(row)` is (H, W, 3) uint8, up to some 256 pixels; it is called once for each distinct input, and again for
    each in a pair. `sizes` are the original (H, W) of the examples. The order of the rows has no effect: everything is
    computed in the order of the hashes.
    """
    first = {content: row for row, content in reversed(list(enumerate(hashes)))}
    rows = [first[content] for content in sorted(first)]
    if len(rows) < 2:
        return exact_pairs(hashes)
    with threadpool_limits(1):  # sums in one order: the same bits whatever the number of threads
        thumbnails, corners = _describe(picture, rows, seed, say)
        blank = ~thumbnails.any((1, 2)).astype(bool)
        matches = _match_thumbnails(nearest_thumbnails(thumbnails), blank, CANDIDATE)
        say(f"{len(rows):,} thumbnails compared, {len(matches):,} candidate pairs")
        registrations = _match_corners(matches, corners, seed)
        for (i, j), match in matches.items():
            if match.ratio >= CLOSE and (corners[i] is None or corners[j] is None):
                matches[i, j] = _shifted(picture(rows[i]), picture(rows[j]), match)
        pairs = sorted({pair for pair, match in matches.items() if match.ratio < CLOSE} | set(registrations))
        say(f"{len(pairs):,} pairs of different inputs show the same")
        near = [
            _pair(picture, sizes, (rows[i], rows[j]), matches.get((i, j), Match(np.inf)), registrations.get((i, j)))
            for i, j in pairs
        ]
    return sorted([*exact_pairs(hashes), *near], key=lambda pair: (pair.a, pair.b))


def _describe(picture: Picture, rows: list[int], seed: int, say: Say) -> tuple[np.ndarray, list[Keypoints | None]]:
    """The (N, h, w) thumbnails, and the corners of those pictures that are large enough."""
    points = pattern(seed)
    most = min(MOST, max(50, CORNERS // max(len(rows), 1)))
    thumbnails, corners = [], []
    for count, row in enumerate(rows):
        image = picture(row)
        thumbnails.append(thumbnail(image))
        corners.append(keypoints(image, points, most) if min(image.shape[:2]) >= LOCAL_FROM else None)
        if count % 5000 == 4999:
            say(f"thumbnails and corners of {count + 1:,} of {len(rows):,} pictures")
    return np.stack(thumbnails), corners


def _ratios(views: list[ThumbnailNeighbours], place: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) distance to the nearest in one view over that of the 10th nearest, of either picture; (N,) the nearest."""
    view = views[place]
    inverse = TURNS.index((view.quarters, True) if view.mirror else (-view.quarters % 4, False))
    nearest = view.index[:, 0]
    far = np.minimum(view.distance[:, -1], views[inverse].distance[nearest, -1])
    return np.where(nearest < 0, 2.0, view.distance[:, 0] / np.maximum(far, 1e-9)), nearest


def _match_thumbnails(views: list[ThumbnailNeighbours], blank: np.ndarray, closest: float) -> dict[Rows, Match]:
    """{(i, j): Match} with i < j, of pairs nearer than `closest`."""
    matches: dict[Rows, Match] = {}
    for place, view in enumerate(views):
        ratio, nearest = _ratios(views, place)
        for at in np.flatnonzero((ratio < closest) & ~blank & ~blank[nearest]):
            i, j = int(at), int(nearest[at])
            quarters = view.quarters if i < j or view.mirror else -view.quarters % 4
            pair, match = (min(i, j), max(i, j)), Match(float(ratio[i]), quarters, view.mirror)
            known = matches.get(pair, Match(np.inf))
            matches[pair] = min(known, match, key=lambda m: (m.ratio, m.quarters, m.mirror))
    return matches


def _shifted(a: np.ndarray, b: np.ndarray, match: Match) -> Match:
    """The match once the best shift between the pictures is taken into account."""
    side = min(LOCAL_FROM, *a.shape[:2], *b.shape[:2])
    if side < 8:
        return match
    greys = (Image.fromarray(p).convert("L").resize((side, side), Image.Resampling.BOX) for p in (a, b))
    first, second = (np.asarray(grey, float) for grey in greys)
    x, y, gain = shift_between(turned(first[None], match.quarters, match.mirror)[0], second)
    return replace(match, ratio=match.ratio * min(1.0, BY_CHANCE * gain), shift=(x / side, y / side))


def _match_corners(matches: dict[Rows, Match], corners: list[Keypoints | None], seed: int) -> dict[Rows, Registration]:
    """{(i, j): Registration} with i < j, of pairs with enough inliers."""
    large = [(i, keys) for i, keys in enumerate(corners) if keys is not None]
    pairs, mirrors = candidate_pairs([keys for _, keys in large], seed)
    candidates = {
        (large[i][0], large[j][0], bool(mirror)) for (i, j), mirror in zip(pairs.tolist(), mirrors, strict=True)
    }
    candidates |= {(i, j, match.mirror) for (i, j), match in matches.items()}
    registrations: dict[Rows, Registration] = {}
    for i, j, mirror in sorted(candidates):
        a, b = corners[i], corners[j]
        if a is None or b is None:
            continue
        registration = register(a, b, mirror)
        best = registrations.get((i, j))
        if registration and registration.inliers >= ENOUGH and (best is None or registration.inliers > best.inliers):
            registrations[i, j] = registration
    return registrations


def _pair(
    picture: Picture, sizes: Sequence[Sequence[int]], rows: Rows, match: Match, registration: Registration | None
) -> Pair:
    """Two different inputs, at `rows`, described in the given order: which row is larger has no effect."""
    a, b = (picture(row) for row in rows)
    evidence = CLOSE / max(match.ratio, 1e-3)
    if registration:
        evidence = max(evidence, registration.inliers / ENOUGH)
    else:
        of_a, of_b = ((image.shape[0], image.shape[1]) for image in (a, b))
        registration = quarter_turned(match.quarters, match.mirror, of_a, of_b, match.shift)
    similarity, kind = compare(a, b, [sizes[row] for row in rows], registration)
    if rows[0] > rows[1]:
        kind = {"brighter": "darker", "darker": "brighter"}.get(kind, kind)
    return Pair(min(rows), max(rows), similarity, registration.inliers, kind, evidence)
