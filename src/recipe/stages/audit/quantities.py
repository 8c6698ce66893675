"""Which quantities are probably wrong: far from what similar examples have, or far from all others.

Each example is judged by cross-validation, as labels are: by its nearest neighbours and by a ridge regression that have
seen neither it nor anything of its group. Which share of the prediction comes from which of the two, and how strong the
ridge is, follow from the smallest absolute error.

Residuals are judged on the quantity's own scale, or on a logarithmic one where they are less skewed there, as those of
prices and counts are. Values far from all others are pulled in before anything is fitted. The scale of the residuals is
robust (Rousseeuw and Croux 1993, Alternatives to the median absolute deviation) and has two sides, as in the adjusted
boxplot for skewed distributions (Hubert and Vandervieren 2008): on each side the larger of what the median of the
deviations and their 95th percentile give. If more than 5 % of the values are wrong on one side, they set its scale.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from recipe.sources.columns import missing_codes
from recipe.stages.audit.labels import MOST, folds_of, rank, scaled

NEIGHBOURS = 20
QUARTER = NEIGHBOURS // 4  # of the neighbours, the highest and the lowest do not count
PENALTIES = 0.001, 0.01, 0.1, 1.0  # of the ridge, for each example, on features with a mean variance of 1
WEIGHTS = 0.0, 0.25, 0.5, 0.75, 1.0  # of the neighbours in the prediction
FAR, ODD = 4.0, 5.0  # robust standard deviations of the residuals, and of the values, from which one is flagged
PULLED = 3.0  # robust standard deviations to which values are pulled in before a model is fitted
TAIL, TAIL_Z = 0.95, 1.6449  # a quantile of all deviations, and its place in a normal distribution
MIDDLE_Z = 0.6745  # the median of the deviations on one side in a normal distribution
LEAST = 0.01  # of the interquartile range of the quantity: smaller residuals do not count
LARGEST = 1e6  # robust standard deviations: larger distances say no more
LESS_SKEWED = 0.05  # by how much the skewness must fall for the logarithmic scale
NEGATIVE = 0.1  # share of negative values above which no logarithmic scale is tried
SLIPS = {  # what may have happened: by what the value was multiplied
    "10 times too large": 10.0, "100 times too large": 100.0, "1,000 times too large": 1000.0,
    "10 times too small": 0.1, "100 times too small": 0.01, "1,000 times too small": 0.001, "of the wrong sign": -1.0,
}  # fmt: skip
FITS = 1.5  # robust standard deviations within which a corrected value fits the prediction


@dataclass(frozen=True)
class Residuals:
    """How suspect the values of one quantity of N examples are."""

    score: np.ndarray  # (N,) 0..1, the rank of `z`: 1 is the most suspect; not a probability
    predicted: np.ndarray  # (N,) by a model that was trained neither on the example nor on its copies, in the unit
    z: np.ndarray  # (N,) distance from the prediction in robust standard deviations of the residuals, of its side
    outlier: np.ndarray  # (N,) distance from the median of the quantity, in its own robust standard deviations
    slip: np.ndarray  # (N,) of flagged values, a slip that would explain them (a key of SLIPS); else empty
    explained: float  # share of the variance of the quantity, wild values pulled in, that the model explains
    codes: dict[float, int]  # values that often stand for a missing one, and how often each occurs

    @property
    def flagged(self) -> np.ndarray:
        """(N,) bool: far from what similar examples have."""
        return self.z > FAR

    @property
    def odd(self) -> np.ndarray:
        """(N,) bool: far from all other values."""
        return self.outlier > ODD


@dataclass(frozen=True)
class Scale:
    """unit 0: the quantity itself; else its inverse hyperbolic sine, which is logarithmic far above the unit."""

    unit: float = 0.0

    def of(self, values: np.ndarray) -> np.ndarray:
        return np.arcsinh(values / self.unit) if self.unit else values

    def back(self, transformed: np.ndarray) -> np.ndarray:
        return self.unit * np.sinh(transformed) if self.unit else transformed


def residuals(
    features: np.ndarray, values: np.ndarray, strata: Sequence[tuple[int, ...]], groups: Sequence[str], seed: int
) -> list[Residuals]:
    """Judges the columns of values (N, T) by features (N, D).

    strata: of each example, such as its tenth of a quantity, for folds that are alike. groups: a name per example,
    equal where examples (copies, a patient) must be in one fold.
    """
    fold = folds_of(strata, groups, seed)
    x = scaled(features.astype(np.float32)).astype(np.float64) * features.shape[1] ** 0.5
    with threadpool_limits(1):
        near = neighbours_of_other_folds(x, fold, seed)
        return [_judged(x, fold, near, column) for column in values.T]


def neighbours_of_other_folds(x: np.ndarray, fold: np.ndarray, seed: int) -> np.ndarray:
    """(N, NEIGHBOURS or fewer) rows of the nearest of at most MOST examples in the other folds: linear in N."""
    from sklearn.neighbors import NearestNeighbors  # takes a second to import

    rng = np.random.default_rng(seed)
    least = min(len(fold) - np.bincount(fold))
    near = np.empty((len(x), min(NEIGHBOURS, least)), int)
    for held_out in np.unique(fold):
        test, train = np.flatnonzero(fold == held_out), np.flatnonzero(fold != held_out)
        some = np.sort(rng.choice(train, MOST, replace=False)) if len(train) > MOST else train
        model = NearestNeighbors(n_neighbors=near.shape[1], algorithm="brute").fit(x[some])
        near[test] = some[model.kneighbors(x[test], return_distance=False)]
    return near


def _judged(x: np.ndarray, fold: np.ndarray, near: np.ndarray, values: np.ndarray) -> Residuals:
    codes = missing_codes(values)
    known = ~np.isin(values, [*codes])
    scales = _scales(values[known])
    fits = [_fitted(x, fold, near, scale.of(values), known) for scale in scales]
    skews = [_skewness((scale.of(values) - p)[known]) for scale, (p, _) in zip(scales, fits, strict=True)]
    best = len(scales) - 1 if skews[-1] < skews[0] - LESS_SKEWED else 0
    scale, (predicted, explained) = scales[best], fits[best]
    transformed = scale.of(values)
    least = LEAST * max(float(np.subtract(*np.quantile(transformed[known], (0.75, 0.25)))), 1e-12)
    away = _Sides(transformed[known] - predicted[known], least)
    z = np.where(known, away.z(transformed - predicted), LARGEST)
    slip = np.full(len(values), "", dtype=np.array(list(SLIPS)).dtype)
    for words, factor in SLIPS.items():
        fits_well = away.z(scale.of(values / factor) - predicted) < FITS
        slip[(z > FAR) & known & fits_well & (slip == "")] = words
    outlier = np.where(known, _Sides(transformed[known], least).z(transformed), LARGEST)
    return Residuals(rank(z), scale.back(predicted), z, outlier, slip, explained, codes)


def _scales(values: np.ndarray) -> list[Scale]:
    """The scales to choose from: a quantity that is often negative has no logarithmic one."""
    nonzero = np.abs(values[values != 0])
    if not len(nonzero) or (values < 0).mean() > NEGATIVE:
        return [Scale()]
    return [Scale(), Scale(float(np.median(nonzero)) / 3)]


class _Sides:
    """Robust standard deviations of deviations from their median, one for those above and one for those below."""

    def __init__(self, deviations: np.ndarray, least: float):
        self.middle = float(np.median(deviations))
        self.above, self.below = (self._size(sign * (deviations - self.middle), least) for sign in (1, -1))

    @staticmethod
    def _size(deviations: np.ndarray, least: float) -> float:
        beyond = deviations[deviations > 0]
        if not len(beyond):
            return least
        tail = float(np.quantile(deviations, TAIL, method="lower")) / TAIL_Z
        return max(float(np.median(beyond)) / MIDDLE_Z, tail, least)

    def z(self, deviations: np.ndarray) -> np.ndarray:
        away = deviations - self.middle
        return np.minimum(np.where(away > 0, away / self.above, -away / self.below), LARGEST)


def _skewness(deviations: np.ndarray) -> float:
    """0 (symmetric) to 1, by the 5th, 50th and 95th percentile (Kelley's coefficient, with more of the tails)."""
    low, middle, high = np.quantile(deviations, (0.05, 0.5, 0.95))
    return float(abs(high + low - 2 * middle) / max(high - low, 1e-12))


def _fitted(
    x: np.ndarray, fold: np.ndarray, near: np.ndarray, transformed: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, float]:
    """(predictions out of fold (N,), the share of the variance that they explain), wild values pulled in."""
    sides, middle = _Sides(transformed[known], 0.0), float(np.median(transformed[known]))
    pulled = np.clip(transformed, middle - PULLED * sides.below, middle + PULLED * sides.above)
    pulled = np.where(known, pulled, middle)
    ordered = np.sort(pulled[near], axis=1)
    inner = ordered[:, QUARTER : near.shape[1] - QUARTER] if near.shape[1] == NEIGHBOURS else ordered
    by_neighbours = inner.mean(1)
    ridge = min(_ridges(x, fold, pulled), key=lambda p: float(np.abs(pulled - p).mean()))
    mixed = [weight * by_neighbours + (1 - weight) * ridge for weight in WEIGHTS]
    best = min(mixed, key=lambda p: float(np.abs(pulled - p).mean()))
    variance = float(((pulled - pulled.mean()) ** 2).mean())
    return best, 1 - float(((pulled - best) ** 2).mean()) / max(variance, 1e-300)


def _ridges(x: np.ndarray, fold: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """(N,) predictions out of fold for each of PENALTIES, by the eigenvectors of the features' covariance."""
    predicted = [np.empty(len(y)) for _ in PENALTIES]
    for held_out in np.unique(fold):
        test, train = fold == held_out, fold != held_out
        centre, mean = x[train].mean(0), float(y[train].mean())
        a = x[train] - centre
        sizes, axes = np.linalg.eigh(a.T @ a / len(a))
        target, rows = axes.T @ (a.T @ (y[train] - mean)) / len(a), (x[test] - centre) @ axes
        for values, penalty in zip(predicted, PENALTIES, strict=True):
            values[test] = rows @ (target / (np.maximum(sizes, 0) + penalty)) + mean
    return predicted
