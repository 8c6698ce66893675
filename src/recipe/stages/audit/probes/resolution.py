"""The smallest image size that costs no accuracy."""

from dataclasses import dataclass

import numpy as np

from recipe.stages.audit.probes.linear_probe import Examples, ProbeEstimate, correct, estimate, kernel
from recipe.stages.audit.probes.patch_codes import cells, resized, tiled

HALVES_FROM = 24  # pixels; smaller images are also tried at three quarters of each size
SMALLEST = 2
CODE_REPEATS = 2  # of the repeats of the linear probe; the codes of each are learned anew


@dataclass(frozen=True)
class SizeAccuracy:
    pixels: int  # longer side
    accuracy: ProbeEstimate
    change: ProbeEstimate  # accuracy minus that at full size


def codes_of(images: np.ndarray, examples: Examples) -> list[np.ndarray]:
    """The codes of the patches of images (n, C, H, W) in each of the CODE_REPEATS."""
    return [cells(images, [examples.seed, repeat]) for repeat in range(CODE_REPEATS)]


def hits_of(images: np.ndarray, examples: Examples, known: list[np.ndarray] | None = None) -> np.ndarray:
    """(CODE_REPEATS, n) 1 where the linear probe is right about images (n, C, H, W), else 0. known: their `codes_of`.

    Its features are the codes of patches (their mean, and in order), or the pixels, or both: the training folds choose.
    """
    hits, pixels = [], kernel(images)
    for repeat, codes in enumerate(known or codes_of(images, examples)):
        parts = kernel(codes.mean((1, 2)), tiled(codes))
        hits.append(correct([parts, pixels, parts + pixels], examples, examples.folds[repeat]))
    return np.array(hits)


def sizes(longer: int) -> list[int]:
    """Longer sides to compare, in pixels, largest first."""
    steps = [longer]
    while steps[-1] > SMALLEST:
        half = steps[-1] / 2
        if longer < HALVES_FROM:
            steps.append(max(SMALLEST, round(1.5 * half)))
        steps.append(max(SMALLEST, round(half)))
    return sorted(set(steps), reverse=True)


def resolution(images: np.ndarray, examples: Examples, full: np.ndarray) -> list[SizeAccuracy]:
    """Accuracy of the linear probe on images downsampled to each of `sizes`, largest first.

    The pixels are then repeated up to the original size, so that the probe has as many features at each size; it learns
    its patches anew. `full`: `hits_of` the original images.
    """
    height, width = images.shape[2:]
    longer = max(height, width)
    curve = []
    for size in sizes(longer):
        small = [max(1, round(side * size / longer)) for side in (height, width)]
        hits = full if size == longer else hits_of(resized(resized(images, *small), height, width), examples)
        curve.append(SizeAccuracy(size, estimate(hits, examples), estimate(hits - full, examples)))
    return curve


def sufficient_sizes(curve: list[SizeAccuracy], margin: float) -> tuple[int, int, int]:
    """The smallest size less than `margin` points worse than full size: (by value, by upper, by lower end of the CI).

    The lower end proves a size; the upper end excludes none that may suffice. Sizes are tested from large to small, up
    to the first that does not pass: in this fixed sequence the error rate of all tests is that of one (Westfall and
    Krishen 2001). All three are the full size where no smaller one passes.
    """
    changes = [smaller.change for smaller in curve[1:]]

    def smallest(values: list[float]) -> int:
        size = curve[0].pixels
        for smaller, value in zip(curve[1:], values, strict=True):
            if value <= -margin:
                break
            size = smaller.pixels
        return size

    return smallest([c.value for c in changes]), smallest([c.high for c in changes]), smallest([c.low for c in changes])
