"""How small may the images be?"""

from dataclasses import dataclass

import numpy as np

from recipe.stages.audit.probes.linear_probe import Estimate, Examples, estimate, kernel, right
from recipe.stages.audit.probes.patch_codes import cells, resized, tiled

HALVES_FROM = 24  # pixels; smaller images are also tried at three quarters of each size
SMALLEST = 2
SIGHTS = 2  # of the repeats; the codes of each are learned anew


@dataclass(frozen=True)
class Size:
    pixels: int  # longer side
    accuracy: Estimate
    loss: Estimate  # accuracy minus that at full size


def seen(images: np.ndarray, examples: Examples) -> np.ndarray:
    """(SIGHTS, n) 1 where the linear probe is right about images (n, C, H, W), else 0.

    It sees the codes of patches, on average and in order, or the pixels, or both: the training folds choose.
    """
    answers = []
    for repeat in range(SIGHTS):
        codes = cells(images, [examples.seed, repeat])
        parts, pixels = kernel(codes.mean((1, 2)), tiled(codes)), kernel(images)
        answers.append(right([parts, pixels, parts + pixels], examples, examples.folds[repeat]))
    return np.array(answers)


def sizes(longer: int) -> list[int]:
    """Longer sides to try, in pixels, largest first."""
    steps = [longer]
    while steps[-1] > SMALLEST:
        half = steps[-1] / 2
        if longer < HALVES_FROM:
            steps.append(max(SMALLEST, round(1.5 * half)))
        steps.append(max(SMALLEST, round(half)))
    return sorted(set(steps), reverse=True)


def resolution(images: np.ndarray, examples: Examples, full: np.ndarray) -> list[Size]:
    """Accuracy of the linear probe on images averaged down to each of `sizes` and repeated up to their own size again.

    Largest first; the probe has as many features at each size, and learns its patches anew. `full`: what is `seen` of
    the images as they are.
    """
    height, width = images.shape[2:]
    longer = max(height, width)
    found = []
    for size in sizes(longer):
        small = [max(1, round(side * size / longer)) for side in (height, width)]
        answers = full if size == longer else seen(resized(resized(images, *small), height, width), examples)
        found.append(Size(size, estimate(answers, examples), estimate(answers - full, examples)))
    return found


def enough(found: list[Size], margin: float) -> tuple[int, int, int]:
    """(smallest size by its value, smallest not excluded, smallest proven) not worse than full size by the margin.

    From large to small, ending at the first that does not pass: so tested, the chance that any of the proven sizes is
    wrong is that of one test (Westfall and Krishen 2001). All three are the full size where no smaller one passes.
    """
    ends = []
    for passes in (lambda s: s.loss.value, lambda s: s.loss.high, lambda s: s.loss.low):
        size = found[0].pixels
        for one in found[1:]:
            if passes(one) <= -margin:
                break
            size = one.pixels
        ends.append(size)
    return ends[0], ends[1], ends[2]
