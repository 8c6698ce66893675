"""The linear probe: what a linear classifier answers about examples that it was not fitted on, and how surely."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

FOLDS = 3
REPEATS = 6  # divisions into folds, each with codes and shuffles of its own: the luck of one counts for less
PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)  # per example; kernels have a mean diagonal of about 1
RESAMPLES = 1000


@dataclass(frozen=True)
class Examples:
    """n examples of K classes, and who may not be told apart from whom."""

    labels: np.ndarray  # (n,) 0..K-1, none empty
    groups: np.ndarray  # (n,) 0..G-1; a group is whole in a fold and in a resample
    seed: int

    @property
    def classes(self) -> int:
        return int(self.labels.max()) + 1

    @cached_property
    def weights(self) -> np.ndarray:
        """(n,) of mean 1, the same sum for each class: every accuracy here is the mean over classes."""
        counts = np.bincount(self.labels)
        return len(self.labels) / (self.classes * counts[self.labels])

    @cached_property
    def folds(self) -> np.ndarray:
        """(REPEATS, n) number of the fold, groups whole, classes spread as evenly as groups allow."""
        from sklearn.model_selection import StratifiedGroupKFold

        folds = np.empty((REPEATS, len(self.labels)), int)
        for repeat in range(REPEATS):
            divided = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=self.seed + repeat)
            for fold, (_, held_out) in enumerate(divided.split(self.labels, self.labels, self.groups)):
                folds[repeat, held_out] = fold
        return folds

    @cached_property
    def resamples(self) -> np.ndarray:
        """(RESAMPLES, G) how often each group is drawn: the same draws for every estimate."""
        count = int(self.groups.max()) + 1
        rng = np.random.default_rng(self.seed)
        return rng.multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(np.float64)


@dataclass(frozen=True)
class Estimate:
    """In points of a hundred, with a 95 % interval."""

    value: float
    low: float
    high: float

    def verdict(self, margin: float) -> str:
        """Is it above the margin: yes, no, or not enough data to say?"""
        return "yes" if self.low > margin else "no" if self.high < margin else "undecided"


def kernel(*blocks: np.ndarray) -> np.ndarray:
    """(n, n) inner products of features (n, ...), each column standardised, each block of the same total variance."""
    total = np.ones((len(blocks[0]),) * 2, np.float32)  # the intercept
    for block in blocks:
        flat = block.reshape(len(block), -1)
        flat = flat - flat.mean(0)
        flat /= np.maximum(flat.std(0), 1e-6)
        total += (flat @ flat.T) / flat.shape[1]
    return total


def right(products: Sequence[np.ndarray], examples: Examples, fold: np.ndarray) -> np.ndarray:
    """(n,) 1 where a ridge classifier that did not see the example's fold names its class, else 0.

    products: (n, n) inner products of the features; of several, each is a candidate. Least squares on indicators of the
    classes, the classes weighted to count the same. The candidate and penalty of a fold are those with which models of
    one of the other folds answer best about the other: the held-out fold takes no part in the choice.
    """
    answers = np.zeros(len(examples.labels))
    products = [p.astype(np.float64) for p in products]  # a small penalty needs the digits
    parts = [np.flatnonzero(fold == f) for f in range(FOLDS)]
    inner = np.zeros((FOLDS, len(products), len(PENALTIES)))  # accuracy without fold f
    for known, rows in enumerate(parts):
        asked = np.flatnonzero(fold != known)
        for p, product in enumerate(products):
            given = _answers(product, examples, rows, asked, PENALTIES)
            hits = (given == examples.labels[asked]) * examples.weights[asked]
            for b in {*range(FOLDS)} - {known}:
                inner[FOLDS - known - b, p] += hits[:, fold[asked] == b].sum(1)
    for f, rows in enumerate(parts):
        p, best = np.unravel_index(inner[f].argmax(), inner[f].shape)  # of equals, the largest penalty
        given = _answers(products[p], examples, np.flatnonzero(fold != f), rows, PENALTIES[best : best + 1])[0]
        answers[rows] = given == examples.labels[rows]
    return answers


def _answers(product, examples: Examples, rows: np.ndarray, asked: np.ndarray, penalties: tuple) -> np.ndarray:
    """(penalties, asked) classes that a model of `rows` gives."""
    from scipy.linalg import cho_factor, cho_solve

    target = (np.eye(examples.classes) - 1 / examples.classes)[examples.labels[rows]]
    system, towards, given = product[np.ix_(rows, rows)], product[np.ix_(asked, rows)], []
    diagonal, ridge = system.diagonal().copy(), len(rows) / examples.weights[rows]
    for penalty in penalties:
        np.fill_diagonal(system, diagonal + penalty * ridge)
        solved = cho_solve(cho_factor(system, check_finite=False), target, check_finite=False)
        given.append((towards @ solved).argmax(1))
    return np.array(given)


def estimate(values: np.ndarray, examples: Examples) -> Estimate:
    """Mean over repeats, and over classes of the mean over their examples, of values (repeats, n)."""
    n_groups = int(examples.groups.max()) + 1
    counts, sums = np.zeros((n_groups, examples.classes)), np.zeros((n_groups, examples.classes))
    np.add.at(counts, (examples.groups, examples.labels), 1)
    np.add.at(sums, (examples.groups, examples.labels), values.mean(0))
    drawn = examples.resamples
    with np.errstate(invalid="ignore"):
        means = np.nanmean((drawn @ sums) / (drawn @ counts), axis=1)
    each = values @ examples.weights / len(examples.labels)
    return around(float(each.mean()), means, float(each.var(ddof=1)) / len(each) if len(each) > 1 else 0.0, n_groups)


def around(value: float, resamples: np.ndarray, luck: float, n_groups: int) -> Estimate:
    """An interval of 95 % from the values of resamples and the variance that the luck of the repeats leaves.

    The models of the folds share most of their examples, so that resampling the answers alone gives too little: the
    variance is multiplied by 1 + FOLDS * held out / seen (Nadeau and Bengio, *Inference for the generalization error*,
    2003).
    """
    from scipy.stats import t

    variance = float(resamples.var()) * (1 + FOLDS / (FOLDS - 1)) + luck
    half = float(t.ppf(0.975, max(n_groups - 1, 1))) * variance**0.5
    return Estimate(100 * value, 100 * (value - half), 100 * (value + half))
