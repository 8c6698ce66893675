"""Several labels: which are probably missing or wrong, which occur together, which say the same.

Each label is judged as if it were the only one, present or not, as `labels` judges classes. The entries of all labels
are then ranked together, and an example is as suspect as its most suspect entry.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from recipe.stages.audit.labels import (
    MOST,
    Suspects,
    folds_of,
    neighbour_count,
    rank,
    regression,
    scaled,
    suspects_from,
    trust,
)
from recipe.stages.audit.quantities import neighbours_of_other_folds

ENTRIES = 4 * MOST  # examples times labels that the regressions of one fold learn from
FEWEST = 1_000  # examples for each of them at least
# Share of the errors of always answering the commoner of yes and no that a model must avoid for a label to be flagged.
# Below it, examples that could be either way look the same as wrong labels: of the healthy ones of a set of overlapping
# labels 10 % would be flagged (benchmarks/audit_targets.py).
CLEAR = 0.5
SURELY = 10.0  # examples that two labels would share by chance from which it means something that they share none


@dataclass(frozen=True)
class LabelSuspects:
    """How suspect L labels of N examples are."""

    score: np.ndarray  # (N,) 0..1, the rank of the most suspect entry: 1 is the most suspect; not a probability
    probability: np.ndarray  # (N, L) of each label, by a model trained neither on the example nor on its copies
    missing: np.ndarray  # (N, L) bool: not given, and clearly suggested
    surplus: np.ndarray  # (N, L) bool: given, and clearly contradicted
    suggested: np.ndarray  # (N, L) 0 or 1: the given labels, changed where they are contradicted
    by_label: list[Suspects | None]  # None of a label that all examples or none have
    accuracy: float  # share of the entries that are the more probable ones
    rate: tuple[float, float]  # bounds of the share of wrong entries, outwards to 0.01

    @property
    def flagged(self) -> np.ndarray:
        """(N,) bool"""
        return (self.missing | self.surplus).any(1)

    @property
    def weak(self) -> bool:
        """The features separate no label well enough to judge by."""
        return all(s is None or s.weak for s in self.by_label)


def label_suspects(
    features: np.ndarray, actual: np.ndarray, strata: Sequence[tuple[int, ...]], groups: Sequence[str], seed: int
) -> LabelSuspects:
    """Judges labels (N, L) of 0 and 1 by features (N, D). strata: of each example, for folds that hold every label."""
    given = actual.astype(int)
    p = out_of_fold(features, given, strata, groups, seed)
    varied = [len(np.unique(column)) > 1 for column in given.T]
    judged = [_judged(q, column) if both else None for q, column, both in zip(p.T, given.T, varied, strict=True)]
    kept = [s for s in judged if s is not None]
    margin = np.stack([np.log1p(-s.given) - np.log(s.given) for s in kept], 1)
    wrong = np.stack([s.wrong for s in kept], 1)
    weight = np.array([trust(s.accuracy) for s in kept])
    ranks = (rank(margin.ravel()).reshape(margin.shape) + weight * rank(wrong.ravel()).reshape(wrong.shape)) / (
        1 + weight
    )
    flagged, suggested = np.zeros(given.shape, bool), given.copy()
    flagged[:, varied] = np.stack([s.flagged for s in kept], 1)
    suggested[:, varied] = np.stack([s.suggested for s in kept], 1)
    low, high = np.mean([s.rate for s in kept], axis=0).tolist()
    return LabelSuspects(
        rank(ranks.max(1)), p, flagged & (given == 0), flagged & (given == 1), suggested, judged,
        float(np.mean([s.accuracy for s in kept])), (math.floor(100 * low) / 100, math.ceil(100 * high) / 100),
    )  # fmt: skip


def _judged(p: np.ndarray, given: np.ndarray) -> Suspects:
    """One label by its probability (N,). Where too little is known of it, examples are ranked and none is flagged."""
    found, commoner = suspects_from(np.stack([1 - p, p], 1), given), max(given.mean(), 1 - given.mean())
    if found.accuracy - commoner >= CLEAR * (1 - commoner):
        return found
    return replace(found, weak=True, flagged=np.zeros(len(given), bool), suggested=given)


def out_of_fold(
    features: np.ndarray, given: np.ndarray, strata: Sequence[tuple[int, ...]], groups: Sequence[str], seed: int
) -> np.ndarray:
    """(N, L) cross-validated probabilities: the mean of a logistic regression and of the nearest neighbours.

    What is given has probability 1 where the other folds hold no example of it.
    """
    fold = folds_of(strata, groups, seed)
    x, rng = scaled(np.asarray(features, np.float32)), np.random.default_rng(seed)
    most = max(FEWEST, ENTRIES // given.shape[1])
    with threadpool_limits(1):
        near = neighbours_of_other_folds(x, fold, seed)[:, : neighbour_count(len(x))]
        p = given[near].mean(1)
        for held_out in np.unique(fold):
            test, train = np.flatnonzero(fold == held_out), np.flatnonzero(fold != held_out)
            some = np.sort(rng.choice(train, most, replace=False)) if len(train) > most else train
            for label, column in enumerate(given.T):
                p[test, label] += regression(x[some], column[some], x[test], 2)[:, 1]
                unknown = test[~np.isin(column[test], column[train])]
                p[unknown, label] = 2 * column[unknown]
    return p / 2


# ---- labels and their pairs ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cooccurrence:
    """counts: (L, L) examples that have both labels, and in the diagonal those that have one; n: all examples."""

    counts: np.ndarray
    n: int

    @property
    def each(self) -> np.ndarray:
        """(L,) examples with each label."""
        return np.diag(self.counts)

    @property
    def conditional(self) -> np.ndarray:
        """(L, L) share of the examples with the label of the row that also have that of the column; NaN of none."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.counts / self.each[:, None].astype(float)

    @property
    def lift(self) -> np.ndarray:
        """(L, L) how many times as often two labels occur together as they would if they were independent."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.counts * float(self.n) / np.outer(self.each, self.each)

    def equal(self) -> list[tuple[int, int]]:
        """Pairs of labels that are on the same examples."""
        return [(a, b) for a, b in self._pairs() if self.counts[a, b] == self.each[a] == self.each[b]]

    def opposite(self) -> list[tuple[int, int]]:
        """Pairs of which each example has exactly one."""
        return [(a, b) for a, b in self._pairs() if not self.counts[a, b] and self.each[a] + self.each[b] == self.n]

    def excluding(self) -> list[tuple[int, int]]:
        """Pairs that never occur together, although chance would bring them together SURELY times or more."""
        expected = np.outer(self.each, self.each) / max(self.n, 1)
        apart = [(a, b) for a, b in self._pairs() if not self.counts[a, b] and expected[a, b] >= SURELY]
        opposite = self.opposite()
        return [pair for pair in apart if pair not in opposite]

    def implied(self) -> list[tuple[int, int]]:
        """(a, b): every example with a has b, and b is also on others, but not on all."""
        each, count = self.each, len(self.counts)
        pairs = [(a, b) for a in range(count) for b in range(count) if a != b]
        often = [(a, b) for a, b in pairs if each[a] * (1 - each[b] / max(self.n, 1)) >= SURELY]
        return [(a, b) for a, b in often if self.counts[a, b] == each[a] < each[b] < self.n]

    def _pairs(self) -> list[tuple[int, int]]:
        """Of labels that some examples have and others do not."""
        varied = [label for label, times in enumerate(self.each.tolist()) if 0 < times < self.n]
        return [(a, b) for i, a in enumerate(varied) for b in varied[i + 1 :]]


def cooccurrence(actual: np.ndarray) -> Cooccurrence:
    """Of labels (N, L) of 0 and 1."""
    given = actual.astype(np.float64)
    return Cooccurrence((given.T @ given).round().astype(int), len(given))
