"""Ways in which images vary (brightness, colour, place, ...): how much, and what they tell of the class."""

import numpy as np

from recipe.stages.audit.probes.linear_probe import FOLDS, Estimate, Examples, around, estimate

BINS = 10  # of a factor, with equally many examples in each


def factors(images: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics (n,) of images (n, C, H, W); those of colour only where there are three channels."""
    grey = images.mean(1)
    down, right = _slope(grey, 1), _slope(grey, 2)
    curved = _slope(down, 1) + _slope(right, 2)
    spread = grey.var((1, 2)) + 1e-9
    upright, level = (right**2).mean((1, 2)), (down**2).mean((1, 2))
    weights, y, x = _mass(grey)
    found = {
        "brightness": images.mean((1, 2, 3)),
        "contrast": images.std((1, 2, 3)),
        "sharpness": np.log(curved.var((1, 2)) / spread + 1e-9),
        "orientation": (upright - level) / (upright + level + 1e-9),
        "border": np.stack(
            [grey[:, 0].mean(1), grey[:, -1].mean(1), grey[:, :, 0].mean(1), grey[:, :, -1].mean(1)]
        ).mean(0),
        "centre x": (weights * x).sum((1, 2)),
        "centre y": (weights * y).sum((1, 2)),
    }
    apart = (y - found["centre y"][:, None, None]) ** 2 + (x - found["centre x"][:, None, None]) ** 2
    found["extent"] = np.sqrt((weights * apart).sum((1, 2)))
    if images.shape[1] == 3:
        red, green, blue = images.mean((2, 3)).T
        found["saturation"] = np.ptp(images, axis=1).mean((1, 2))
        found["red-green"] = red - green
        found["blue-yellow"] = blue - (red + green) / 2
    return {name: values.astype(np.float64) for name, values in found.items()}


def _slope(grey: np.ndarray, axis: int) -> np.ndarray:
    return np.gradient(grey, axis=axis) if grey.shape[axis] > 1 else np.zeros_like(grey)


def _mass(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n, H, W) shares of each pixel in the difference from the border's median, and (H, W) places, -0.5 to 0.5."""
    rim = np.concatenate([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], axis=1)
    weights = np.abs(grey - np.median(rim, axis=1)[:, None, None]) ** 2 + 1e-9
    y, x = np.meshgrid(*((np.arange(side) + 0.5) / side - 0.5 for side in grey.shape[1:]), indexing="ij")
    return weights / weights.sum((1, 2), keepdims=True), y, x


def label_gain(factor: np.ndarray, examples: Examples) -> Estimate:
    """Accuracy of the likeliest class given the factor alone (n,), minus chance.

    A histogram of each class over BINS quantiles of the factor, of the examples outside the fold. The control, the same
    with a factor that has nothing to do with the classes, is right once in as many times as there are classes.
    """
    answers = np.zeros((len(examples.folds), len(factor)))
    for answer, fold in zip(answers, examples.folds, strict=True):
        for f in range(FOLDS):
            rest, held_out = fold != f, fold == f
            edges = np.quantile(factor[rest], np.linspace(0, 1, BINS + 1)[1:-1])
            place = np.searchsorted(edges, factor, side="right")
            counts = np.ones((BINS, examples.classes)) * 0.5
            np.add.at(counts, (place[rest], examples.labels[rest]), examples.weights[rest])
            answer[held_out] = (counts.argmax(1)[place] == examples.labels)[held_out]
    return estimate(answers - 1 / examples.classes, examples)


def variance_share(factor: np.ndarray, images: np.ndarray, examples: Examples) -> Estimate:
    """Per cent of the variance of the pixels of other examples that a quadratic in the factor explains."""
    pixels = images.reshape(len(images), -1).astype(np.float64)
    scaled = (factor - factor.mean()) / max(float(factor.std()), 1e-12)
    powers = np.stack([np.ones_like(scaled), scaled, scaled**2], 1)
    error, whole = np.zeros(len(pixels)), np.zeros(len(pixels))
    for f in range(FOLDS):
        rest, held_out = examples.folds[0] != f, examples.folds[0] == f
        fitted = np.linalg.pinv(powers[rest]) @ pixels[rest]
        error[held_out] = ((pixels[held_out] - powers[held_out] @ fitted) ** 2).sum(1)
        whole[held_out] = ((pixels[held_out] - pixels[rest].mean(0)) ** 2).sum(1)
    n_groups = int(examples.groups.max()) + 1
    sums = np.zeros((n_groups, 2))
    np.add.at(sums, examples.groups, np.stack([error, whole], 1))
    drawn = examples.resamples @ sums
    shares = 1 - drawn[:, 0] / np.maximum(drawn[:, 1], 1e-12)
    return around(1 - error.sum() / max(whole.sum(), 1e-12), shares, 0.0, n_groups)


def between_classes(factor: np.ndarray, labels: np.ndarray) -> float:
    """Per cent of the factor's variance that lies between the classes (eta squared)."""
    means = np.bincount(labels, factor) / np.bincount(labels)
    return float(100 * ((means[labels] - factor.mean()) ** 2).sum() / max(((factor - factor.mean()) ** 2).sum(), 1e-12))


# ---- taking a factor out -----------------------------------------------------------------------------------------


def without(name: str, images: np.ndarray) -> np.ndarray:
    """The images (n, C, H, W) with one of REMOVALS made equal in all of them."""
    return REMOVALS[name](images)


def _even_brightness(images: np.ndarray) -> np.ndarray:
    return images - images.mean((1, 2, 3), keepdims=True) + images.mean()


def _even_contrast(images: np.ndarray) -> np.ndarray:
    mean, spread = images.mean((1, 2, 3), keepdims=True), images.std((1, 2, 3), keepdims=True)
    usual = float(np.median(spread))
    return (images - mean) / np.maximum(spread, 0.05 * usual + 1e-9) * usual + mean


def _no_colour(images: np.ndarray) -> np.ndarray:
    return np.repeat(images.mean(1, keepdims=True), images.shape[1], 1)


def _centred(images: np.ndarray) -> np.ndarray:
    """Shifted round by whole pixels, so that what differs most from the border has its centre in the middle."""
    weights, y, x = _mass(images.mean(1))
    weights = weights**2 / (weights**2).sum((1, 2), keepdims=True)  # even noise would draw the centre to the middle
    height, width = images.shape[2:]
    down = np.rint((weights * y).sum((1, 2)) * height).astype(int)
    right = np.rint((weights * x).sum((1, 2)) * width).astype(int)
    rows = (np.arange(height) + down[:, None]) % height
    columns = (np.arange(width) + right[:, None]) % width
    moved = np.take_along_axis(images, rows[:, None, :, None], 2)
    return np.take_along_axis(moved, columns[:, None, None, :], 3)


REMOVALS = {
    "brightness": _even_brightness,
    "contrast": _even_contrast,
    "colour": _no_colour,
    "position": _centred,
}
