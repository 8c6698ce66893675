"""The linear probe: cross-validated accuracy of a linear classifier, with its confidence interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

FOLDS = 3
REPEATS = 6  # divisions into folds, each with new codes and shuffles, whose randomness is averaged out
PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)  # per example; kernels have a mean diagonal of about 1
RESAMPLES = 1000


@dataclass(frozen=True)
class Examples:
    """n examples of K classes, with group ids that must stay within one fold."""

    labels: np.ndarray  # (n,) 0..K-1, none empty
    groups: np.ndarray  # (n,) 0..G-1; a group stays whole in a fold and in a resample
    seed: int

    @property
    def classes(self) -> int:
        return int(self.labels.max(initial=-1)) + 1

    @cached_property
    def weights(self) -> np.ndarray:
        """(n,) of mean 1, the same sum for each class: every accuracy here is a balanced accuracy."""
        counts = np.bincount(self.labels)
        return len(self.labels) / (self.classes * counts[self.labels])

    @cached_property
    def folds(self) -> np.ndarray:
        """(REPEATS, n) number of the fold; groups stay whole, classes are as even as groups allow."""
        counts = np.zeros((int(self.groups.max()) + 1, self.classes))
        np.add.at(counts, (self.groups, self.labels), 1)
        return np.stack([_divided(counts, self.seed + repeat)[self.groups] for repeat in range(REPEATS)])

    @cached_property
    def resamples(self) -> np.ndarray:
        """(RESAMPLES, G) how often each group is drawn: the same draws for every estimate."""
        count = int(self.groups.max()) + 1
        rng = np.random.default_rng(self.seed)
        return rng.multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(np.float64)


def _divided(counts: np.ndarray, seed: int) -> np.ndarray:
    """(G,) fold of each group, from its number of examples of each class (G, K).

    The folds of scikit-learn's `StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)`, which takes several
    times as long: group by group, in random order but the most uneven first, into the fold that leaves the shares of
    the classes most even over the folds; among equals, into the smallest.
    """
    order = np.arange(len(counts))
    np.random.RandomState(seed).shuffle(order)
    order = order[np.argsort(-counts[order].std(1), kind="stable")]
    folds, sums, sizes = np.empty(len(counts), int), np.zeros((FOLDS, counts.shape[1])), [0.0] * FOLDS
    own, totals = np.eye(FOLDS)[:, :, None], counts.sum(0)
    for group in order:
        unevenness = ((sums + own * counts[group]) / totals).std(1).mean(1).tolist()
        best = 0
        for fold in range(1, FOLDS):
            close = abs(unevenness[fold] - unevenness[best]) <= 1e-8 + 1e-5 * unevenness[best]
            if unevenness[fold] < unevenness[best] or (close and sizes[fold] < sizes[best]):
                best = fold
        folds[group] = best
        sums[best] += counts[group]
        sizes[best] += counts[group].sum()
    return folds


@dataclass(frozen=True)
class ProbeEstimate:
    """In percentage points, with a 95 % CI."""

    value: float
    low: float
    high: float

    def verdict(self, margin: float) -> str:
        """Whether it is above the margin: yes, no, or undecided where the interval contains the margin."""
        return "yes" if self.low > margin else "no" if self.high < margin else "undecided"


def kernel(*blocks: np.ndarray) -> np.ndarray:
    """(n, n) inner products of features (n, ...); columns are standardised, each block has the same total variance."""
    total = np.ones((len(blocks[0]),) * 2, np.float32)  # the intercept
    for block in blocks:
        flat = block.reshape(len(block), -1)
        flat = flat - flat.mean(0)
        flat /= np.maximum(flat.std(0), 1e-6)
        total += (flat @ flat.T) / flat.shape[1]
    return total


def correct(products: Sequence[np.ndarray], examples: Examples, fold: np.ndarray) -> np.ndarray:
    """(n,) 1 where the cross-validated ridge classifier predicts the label of an example, else 0.

    products: (n, n) inner products of the features; if there are several, each is a candidate. Least squares on class
    indicators, with the classes weighted equally. The candidate and penalty of a fold are chosen by cross-validation
    within the other folds (nested cross-validation): the held-out fold takes no part in the choice.
    """
    hits = np.zeros(len(examples.labels))
    products = [p.astype(np.float64) for p in products]  # a small penalty needs the precision
    parts = [np.flatnonzero(fold == f) for f in range(FOLDS)]
    inner = np.zeros((FOLDS, len(products), len(PENALTIES)))  # accuracy without fold f
    for trained_on, rows in enumerate(parts):
        test = np.flatnonzero(fold != trained_on)
        for p, product in enumerate(products):
            predicted = _predict(product, examples, rows, test, PENALTIES)
            weighted = (predicted == examples.labels[test]) * examples.weights[test]
            for b in {*range(FOLDS)} - {trained_on}:
                inner[FOLDS - trained_on - b, p] += weighted[:, fold[test] == b].sum(1)
    for f, rows in enumerate(parts):
        p, best = np.unravel_index(inner[f].argmax(), inner[f].shape)  # among equals, the largest penalty
        predicted = _predict(products[p], examples, np.flatnonzero(fold != f), rows, PENALTIES[best : best + 1])[0]
        hits[rows] = predicted == examples.labels[rows]
    return hits


def _predict(
    product: np.ndarray, examples: Examples, rows: np.ndarray, test: np.ndarray, penalties: tuple[float, ...]
) -> np.ndarray:
    """(penalties, test) classes that a model fitted on `rows` predicts."""
    from scipy.linalg import cho_factor, cho_solve  # takes a while to import

    target = (np.eye(examples.classes) - 1 / examples.classes)[examples.labels[rows]]
    system, towards, predicted = product[np.ix_(rows, rows)], product[np.ix_(test, rows)], []
    diagonal, ridge = system.diagonal().copy(), len(rows) / examples.weights[rows]
    for penalty in penalties:
        np.fill_diagonal(system, diagonal + penalty * ridge)
        factor = cho_factor(system.T, lower=True, check_finite=False)  # it is symmetric; LAPACK wants it by columns
        solved = cho_solve(factor, target, check_finite=False)
        predicted.append((towards @ solved).argmax(1))
    return np.array(predicted)


def estimate(values: np.ndarray, examples: Examples) -> ProbeEstimate:
    """Mean over repeats, and over classes of the mean over their examples, of values (repeats, n)."""
    n_groups = int(examples.groups.max()) + 1
    counts, sums = np.zeros((n_groups, examples.classes)), np.zeros((n_groups, examples.classes))
    np.add.at(counts, (examples.groups, examples.labels), 1)
    np.add.at(sums, (examples.groups, examples.labels), values.mean(0))
    drawn = examples.resamples
    with np.errstate(invalid="ignore"):
        means = np.nanmean((drawn @ sums) / (drawn @ counts), axis=1)
    each = values @ examples.weights / len(examples.labels)
    return interval_around(
        float(each.mean()), means, float(each.var(ddof=1)) / len(each) if len(each) > 1 else 0.0, n_groups
    )


def interval_around(value: float, resamples: np.ndarray, repeat_variance: float, n_groups: int) -> ProbeEstimate:
    """The 95 % CI from the values of bootstrap resamples and the variance of the mean over repeats (`repeat_variance`).

    The models of the folds share most of their training examples, so resampling their answers underestimates the
    variance: it is multiplied by 1 + FOLDS * held out / trained on (Nadeau and Bengio, *Inference for the
    generalization error*, 2003).
    """
    from scipy.stats import t  # scipy.stats takes a second to import

    variance = float(resamples.var()) * (1 + FOLDS / (FOLDS - 1)) + repeat_variance
    half = float(t.ppf(0.975, max(n_groups - 1, 1))) * variance**0.5
    return ProbeEstimate(100 * value, 100 * (value - half), 100 * (value + half))
