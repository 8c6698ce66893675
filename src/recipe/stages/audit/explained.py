"""Do metadata or simple statistics predict a quantity, or a label of several? The twin of `bias`, which is for classes.

One column at a time: its cross-validated bin means explain a share of the target's variance (R2, against the mean of
the other folds). Of a quantity the ranks are taken, so that neither its skewness nor a wild value decides. Chance is
the largest share that any column explains of targets shuffled within folds (a permutation test with the maximum over
columns; Westfall and Young 1993, Resampling-based multiple testing).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recipe.stages.audit.bias import BINS, ENOUGH, MARGIN, ORDER, SHUFFLES, TAILS, codes, resampled
from recipe.stages.audit.labels import folds_of

PER_BIN = 50  # examples in a bin, on average, before there are more bins: a bin costs the variance of its mean
FEWEST_BINS = 4


@dataclass(frozen=True)
class ShareExplained:
    """How well one column predicts the target that it predicts best. Shares of 0..1."""

    column: str
    of: str  # that target, by name
    share: float  # of its variance, cross-validated; below 0 where the mean is the better prediction
    low: float  # 95 % CI, bootstrap over groups
    high: float
    verdict: str  # yes (it predicts), no (less than 5 %), undecided (too few examples to decide)
    n: int

    @property
    def shown(self) -> str:
        return f"{self.share:.3f} ({self.column})"

    @property
    def effect(self) -> str:
        return f"it {self.explains}"

    @property
    def explains(self) -> str:
        return (
            f"explains {100 * max(self.share, 0):.0f} % of the variance of `{self.of}` (95 % CI {100 * self.low:.0f} "
            f"to {100 * self.high:.0f} %, n = {self.n:,})"
        )

    @property
    def open(self) -> tuple[str, float, float, float]:
        """What is not decided, with its 95 % CI."""
        return "share of the variance that it explains", self.share, self.low, self.high


@dataclass(frozen=True)
class Explained:
    """How well columns predict the targets."""

    columns: tuple[ShareExplained, ...]  # the largest share first
    chance: float  # the largest share of any column and target that are shuffled
    target = "target"

    @property
    def gains(self) -> tuple[ShareExplained, ...]:
        return self.columns

    def predictive(self) -> list[str]:
        """A sentence on each column that predicts, without a full stop."""
        return [_sentence(gain) for gain in self.columns if gain.verdict == "yes"]


def _sentence(gain: ShareExplained) -> str:
    subject = "the position in the file alone" if gain.column == ORDER else f"`{gain.column}` alone"
    text = f"{subject} {gain.explains}"
    if gain.column == ORDER:
        text += ". The file is in an order: shuffle it, and never split it into blocks"
    return text


def explained(
    columns: Mapping[str, np.ndarray], targets: Mapping[str, np.ndarray], strata: Sequence[tuple[int, ...]],
    groups: Sequence[str], seed: int,
) -> Explained | None:  # fmt: skip
    """Of targets (N,) by name from each column (N,); None where no target or no column varies.

    strata: of each example, for folds that are alike. groups: examples of one name (copies of one input) are in one
    fold.
    """
    varied = {name: y.astype(np.float64) for name, y in targets.items() if np.ptp(y) > 0}
    if not varied or not columns:
        return None
    fold, n = folds_of(strata, groups, seed), len(strata)
    rng = np.random.default_rng(seed)
    bins = int(np.clip(n // PER_BIN, FEWEST_BINS, BINS))
    coded = {name: codes(np.asarray(column), bins) for name, column in columns.items()}
    names = np.array(list(varied))
    y = np.stack(list(varied.values()), 1)
    weights, count = resampled(groups, rng), len(set(groups))
    baseline = _squared_errors(np.zeros(n, int), y, fold)
    chance = _chance(coded, y, fold, rng)
    found = []
    for name, code in coded.items():
        errors = _squared_errors(code, y, fold)
        shares = 1 - errors.sum(0) / baseline.sum(0)
        best = int(shares.argmax())
        drawn = 1 - weights @ errors[:, best] / np.maximum(weights @ baseline[:, best], 1e-300)
        low, high = (float(end) for end in np.quantile(drawn, TAILS))
        verdict = "undecided"
        if low > max(chance, 0) and high >= MARGIN:
            verdict = "yes"
        elif high < MARGIN and count >= ENOUGH:
            verdict = "no"
        found.append(ShareExplained(name, str(names[best]), float(shares[best]), low, high, verdict, n))
    return Explained(tuple(sorted(found, key=lambda g: (-g.share, g.column))), chance)


def _squared_errors(code: np.ndarray, y: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """(N, T) of the mean of the bin in the other folds, to which the mean of all of them adds one example."""
    bins, count = code.max() + 1, fold.max() + 1
    cell = fold * bins + code
    sizes = np.bincount(cell, minlength=count * bins).reshape(count, bins)
    others = sizes.sum(0) - sizes
    errors = np.empty(y.shape)
    for t, column in enumerate(y.T):
        sums = np.bincount(cell, column, minlength=count * bins).reshape(count, bins)
        rest = sums.sum(0) - sums
        mean = rest.sum(1, keepdims=True) / np.maximum(others.sum(1, keepdims=True), 1)
        errors[:, t] = (column - ((rest + mean) / (others + 1))[fold, code]) ** 2
    return errors


def _chance(coded: Mapping[str, np.ndarray], y: np.ndarray, fold: np.ndarray, rng: np.random.Generator) -> float:
    by_fold = np.argsort(fold, kind="stable")
    best = -np.inf
    for _ in range(SHUFFLES):
        shuffled = np.empty_like(y)
        shuffled[by_fold] = y[np.lexsort((rng.random(len(y)), fold))]
        baseline = _squared_errors(np.zeros(len(y), int), shuffled, fold).sum(0)
        for code in coded.values():
            best = max(best, float((1 - _squared_errors(code, shuffled, fold).sum(0) / baseline).max()))
    return best
