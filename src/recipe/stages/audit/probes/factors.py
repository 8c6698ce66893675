"""Factors of variation (brightness, colour, position, ...): their share of the variance, and their label gain."""

import numpy as np

from recipe.stages.audit.probes.linear_probe import FOLDS, Examples, ProbeEstimate, estimate, interval_around

BINS = 10  # of a factor, with equally many examples in each


def factors(images: np.ndarray) -> dict[str, np.ndarray]:
    """{name: (n,) statistic} of images (n, C, H, W); those of colour only where there are three channels."""
    grey = images.mean(1)
    down, right = _slope(grey, 1), _slope(grey, 2)
    curved = _slope(down, 1) + _slope(right, 2)
    variance = grey.var((1, 2)) + 1e-9
    upright, level = (right**2).mean((1, 2)), (down**2).mean((1, 2))
    weights, y, x = _mass(grey)
    statistics = {
        "brightness": images.mean((1, 2, 3)),
        "contrast": images.std((1, 2, 3)),
        "sharpness": np.log(curved.var((1, 2)) / variance + 1e-9),
        "orientation": (upright - level) / (upright + level + 1e-9),
        "border": np.stack(
            [grey[:, 0].mean(1), grey[:, -1].mean(1), grey[:, :, 0].mean(1), grey[:, :, -1].mean(1)]
        ).mean(0),
        "centre x": (weights * x).sum((1, 2)),
        "centre y": (weights * y).sum((1, 2)),
    }
    distance = (y - statistics["centre y"][:, None, None]) ** 2 + (x - statistics["centre x"][:, None, None]) ** 2
    statistics["spread"] = np.sqrt((weights * distance).sum((1, 2)))
    if images.shape[1] == 3:
        red, green, blue = images.mean((2, 3)).T
        statistics["saturation"] = np.ptp(images, axis=1).mean((1, 2))
        statistics["red-green"] = red - green
        statistics["blue-yellow"] = blue - (red + green) / 2
    return {name: values.astype(np.float64) for name, values in statistics.items()}


def _slope(grey: np.ndarray, axis: int) -> np.ndarray:
    return np.gradient(grey, axis=axis) if grey.shape[axis] > 1 else np.zeros_like(grey)


def _mass(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n, H, W) shares of each pixel in the difference from the border's median; (H, W) coordinates, -0.5 to 0.5."""
    rim = np.concatenate([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], axis=1)
    weights = np.abs(grey - np.median(rim, axis=1)[:, None, None]) ** 2 + 1e-9
    y, x = np.meshgrid(*((np.arange(side) + 0.5) / side - 0.5 for side in grey.shape[1:]), indexing="ij")
    return weights / weights.sum((1, 2), keepdims=True), y, x


def label_gain(factor: np.ndarray, examples: Examples) -> ProbeEstimate:
    """Balanced accuracy of predicting the class from one factor (n,), minus chance (one over the number of classes).

    The prediction is the most frequent class in the bin, by a cross-validated histogram over BINS quantiles.
    """
    hits = np.zeros((len(examples.folds), len(factor)))
    for hit, fold in zip(hits, examples.folds, strict=True):
        for f in range(FOLDS):
            rest, held_out = fold != f, fold == f
            edges = np.quantile(factor[rest], np.linspace(0, 1, BINS + 1)[1:-1])
            bins = np.searchsorted(edges, factor, side="right")
            counts = np.ones((BINS, examples.classes)) * 0.5
            np.add.at(counts, (bins[rest], examples.labels[rest]), examples.weights[rest])
            hit[held_out] = (counts.argmax(1)[bins] == examples.labels)[held_out]
    return estimate(hits - 1 / examples.classes, examples)


def variance_share(factor: np.ndarray, images: np.ndarray, examples: Examples) -> ProbeEstimate:
    """Per cent of the variance of the pixels that a quadratic in the factor explains, cross-validated."""
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
    return interval_around(1 - error.sum() / max(whole.sum(), 1e-12), shares, 0.0, n_groups)


def between_classes(factor: np.ndarray, labels: np.ndarray) -> float:
    """Per cent of the factor's variance that is between the classes (eta squared)."""
    means = np.bincount(labels, factor) / np.bincount(labels)
    return float(100 * ((means[labels] - factor.mean()) ** 2).sum() / max(((factor - factor.mean()) ** 2).sum(), 1e-12))


# ---- removing a factor --------------------------------------------------------------------------------------------


def remove(name: str, images: np.ndarray) -> np.ndarray:
    """The images (n, C, H, W) after one of REMOVALS, which makes a factor equal in all of them."""
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
    """Shifted cyclically by whole pixels, so that what differs most from the border is centred."""
    weights, y, x = _mass(images.mean(1))
    weights = weights**2 / (weights**2).sum(
        (1, 2), keepdims=True
    )  # squared again, so that uniform noise does not pull the centre
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
