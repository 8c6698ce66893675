"""Do metadata or simple statistics (file size, brightness, file name, folder, order) predict the label, or the split?

Where they do, a net may learn them in place of the subject. One column at a time is used by a histogram classifier, all
together by a forest, cross-validated; the gain is over the accuracy of always answering the majority class.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from recipe.errors import RecipeError
from recipe.stages.audit.labels import folds

BINS = 32  # of a number's quantiles; as many of the commonest names
PER_BIN = 5  # examples of each class in a bin, on average, before there are more bins
DRAWS = 500  # of the bootstrap
SHUFFLES = 20  # of the targets: what the best column gains by chance
MARGIN = 0.05  # a gain below 5 points does not count as a shortcut
ENOUGH = 400  # groups, with which 5 points are two standard errors; with fewer, no gain is ruled out
MOST = 8_000  # examples for the forest
TREES = 40
TAILS = 0.025, 0.975
ALL = "all columns"
ORDER = "order"  # the column that holds the position in the file


@dataclass(frozen=True)
class ColumnGain:
    """How well one column, or all of them, predict the target. Shares of 0..1."""

    column: str
    accuracy: float  # cross-validated
    always: float  # share of the majority class: the accuracy of always answering it
    gain: float  # accuracy - always
    low: float  # 95 % CI of the gain, paired bootstrap over groups
    high: float
    balanced: float  # balanced accuracy (the mean recall over classes) minus 1 / K, so that rare classes count as much
    balanced_low: float
    balanced_high: float
    verdict: str  # yes (it predicts), no (by less than 5 points), undecided (too few examples to decide)
    n: int

    @property
    def shown(self) -> str:
        return f"{self.gain:+.3f} ({self.column})"

    @property
    def effect(self) -> str:
        """Of the gain in accuracy, or in balanced accuracy where that is the larger one."""
        plain = self.gain >= self.balanced
        value, low, high = self._of(plain)
        measure, reference = (
            ("accuracy", "always answering the majority class") if plain else ("balanced accuracy", "chance")
        )
        return (
            f"it changes {measure} by {100 * value:+.0f} points relative to {reference} (95 % CI {100 * low:.0f} to "
            f"{100 * high:.0f}, n = {self.n:,})"
        )

    @property
    def open(self) -> tuple[str, float, float, float]:
        """Which of the two gains is not decided, with its 95 % CI."""
        plain = self.high >= MARGIN or self.balanced_high < MARGIN
        return f"gain in {'accuracy' if plain else 'balanced accuracy'}", *self._of(plain)

    def _of(self, plain: bool) -> tuple[float, float, float]:
        return (self.gain, self.low, self.high) if plain else (self.balanced, self.balanced_low, self.balanced_high)


@dataclass(frozen=True)
class Bias:
    """How well a set of columns predicts one target."""

    target: str
    majority: str  # the commonest value of the target
    columns: tuple[ColumnGain, ...]  # the largest gain first
    together: ColumnGain
    main_column: str  # the column without which the forest loses most; empty where the forest gains nothing
    chance: float  # the largest gain of any column on shuffled targets
    balanced_chance: float  # the same of `balanced`

    @property
    def gains(self) -> tuple[ColumnGain, ...]:
        return (*self.columns, self.together)

    def predictive(self) -> list[str]:
        """A sentence on each column that predicts, without a full stop."""
        return [sentence(gain, self) for gain in self.columns if gain.verdict == "yes"]


def bias(
    columns: Mapping[str, Any], target: str, values: Sequence[Any], groups: Sequence[str] | None, seed: int
) -> Bias:
    """Predicts `values` (N class names, split names or numbers) from each column (N numbers or texts) and from all.

    `target` is the word for the values, such as "label". `groups`: examples of one name (copies of one input) are in
    one fold. If the source's own groups are suspected, pass them as a column too. A missing number (NaN) is a value
    like any other. Raises RecipeError for columns of other lengths and for values that are all the same.
    """
    classes, y = np.unique(np.asarray(values).astype(str), return_inverse=True)
    _check(columns, y, len(classes), target)
    names = [str(i) for i in range(len(y))] if groups is None else [str(g) for g in groups]
    fold = folds(y, names, seed)
    rng = np.random.default_rng(seed)
    bins = int(np.clip(len(y) // (PER_BIN * len(classes)), 4, BINS))
    coded = {name: codes(np.asarray(column), bins) for name, column in columns.items()}
    weights, count = resampled(names, rng), len(set(names))
    chance = _chance(coded, y, fold, rng)
    gains = [_gain(name, _histogram(c, y, fold), y, weights, count, chance) for name, c in coded.items()]
    answers, rows, main_column = _forest(columns, coded, y, fold, rng)
    together = _gain(ALL, answers, y[rows], weights[:, rows], count, chance)
    ranked = sorted(gains, key=lambda g: (-max(g.gain, g.balanced), g.column))
    majority = str(classes[np.bincount(y).argmax()])
    return Bias(target, majority, tuple(ranked), together, main_column if together.verdict == "yes" else "", *chance)


def sentence(gain: ColumnGain, bias: Bias) -> str:
    """One for the report, without a full stop."""
    plural = gain.column == ALL
    subject = {ALL: "all columns together", ORDER: "the position in the file alone"}.get(
        gain.column, f"`{gain.column}` alone"
    )
    verb = {
        "yes": "predict" if plural else "predicts",
        "no": "do not predict" if plural else "does not predict",
        "undecided": "may predict",
    }[gain.verdict]
    text = f"{subject} {verb} the {bias.target}: {_points(gain.gain)} of accuracy relative to always answering"
    text += f" `{bias.majority}` ({_interval(gain.low, gain.high)}, n = {gain.n:,})"
    if gain.verdict == "undecided":
        text += "; more examples are needed to decide"
    elif gain.verdict == "yes" and gain.low <= bias.chance:
        text += f"; {_points(gain.balanced)} of balanced accuracy relative to chance"
        text += f" ({_interval(gain.balanced_low, gain.balanced_high)})"
    if gain.verdict == "yes" and gain.column == ORDER:
        text += f". The order of the file depends on the {bias.target}: shuffle it, and never split it into blocks"
    elif gain.verdict == "yes" and plural and bias.main_column:
        text += f"; most of it comes from `{bias.main_column}`"
    return text


def _points(share: float) -> str:
    return f"{100 * share:+.0f} points"


def _interval(low: float, high: float) -> str:
    return f"95 % CI {100 * low:.0f} to {100 * high:.0f}"


def name_columns(paths: Sequence[str]) -> dict[str, np.ndarray]:
    """(N,) each of folder, extension, length, name without its digits, first and last number in it.

    Empty where the paths are positions in a table or an array (`x.npz, test, row 3`) and not names that somebody gave.
    Leave out `folder` where the folders are the labels.
    """
    if all(re.search(r"\b(row|line) \d+$", str(path)) for path in paths):
        return {}
    parts = [PurePosixPath(str(p).replace("\\", "/")) for p in paths]
    numbers = [re.findall(r"\d+", p.stem) for p in parts]
    return {
        "folder": np.array([str(p.parent) for p in parts]),
        "extension": np.array([p.suffix for p in parts]),
        "name length": np.array([float(len(p.stem)) for p in parts]),
        "name pattern": np.array([re.sub(r"\d+", "#", p.stem) for p in parts]),
        "first number in the name": np.array([float(n[0]) if n else np.nan for n in numbers]),
        "last number in the name": np.array([float(n[-1]) if n else np.nan for n in numbers]),
    }


def codes(values: np.ndarray, bins: int) -> np.ndarray:
    """(N,) bin numbers: of quantiles for numbers, of the commonest names for the rest; the target plays no part.

    Up to BINS distinct numbers have a bin each.
    """
    if values.dtype.kind in "biuf":
        numbers = values.astype(np.float64)
        known = np.isfinite(numbers)
        edges = np.unique(numbers[known])
        if len(edges) > BINS:
            edges = np.unique(np.quantile(numbers[known], np.arange(1, bins) / bins))
        return np.where(known, 1 + np.searchsorted(edges, numbers, side="right"), 0)
    names, which, counts = np.unique(values.astype(str), return_inverse=True, return_counts=True)
    order = np.lexsort((names, -counts))
    rank = np.empty(len(names), int)
    rank[order] = np.arange(len(names))
    return np.minimum(rank, 4 * BINS)[which]  # the rare ones share a bin


def _check(columns: Mapping[str, Any], y: np.ndarray, classes: int, target: str) -> None:
    if not columns:
        raise RecipeError(f"There are no columns from which to predict the {target}.")
    for name, values in columns.items():
        if np.shape(values) != (len(y),):
            raise RecipeError(
                f"The column `{name}` has shape {np.shape(values)}; it needs one value for each of {len(y)} examples."
            )
    if classes < 2:
        raise RecipeError(f"The {target} is the same for all {len(y)} examples: there is nothing to predict.")


def _histogram(code: np.ndarray, y: np.ndarray, fold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) cross-validated answers, twice: the commonest class of the bin, and that with the largest class share."""
    bins, classes, count = code.max() + 1, y.max() + 1, fold.max() + 1
    flat = (fold * bins + code) * classes + y
    counts = np.bincount(flat, minlength=count * bins * classes).reshape(count, bins, classes)
    others = counts.sum(0) - counts
    prior = others.sum(1, keepdims=True)
    plain = others + prior / np.maximum(prior.sum(2, keepdims=True), 1)  # one example's worth of the class shares
    return plain.argmax(2)[fold, code], (plain / np.maximum(prior, 1)).argmax(2)[fold, code]


def resampled(groups: Sequence[str], rng: np.random.Generator) -> np.ndarray:
    """(DRAWS, N) how often each example is in a bootstrap sample of groups."""
    _, which = np.unique(groups, return_inverse=True)
    count = which.max() + 1
    weights = np.empty((DRAWS, len(which)), np.float32)
    for row in weights:
        row[:] = np.bincount(rng.integers(count, size=count), minlength=count)[which]
    return weights


def _gains(answers: tuple[np.ndarray, np.ndarray], y: np.ndarray) -> tuple[float, float]:
    """(gain, balanced gain) of plain and of balanced answers."""
    counts = np.bincount(y)
    recall = np.bincount(y, answers[1] == y) / np.maximum(counts, 1)
    return float((answers[0] == y).mean() - counts.max() / len(y)), float(
        recall[counts > 0].mean() - 1 / (counts > 0).sum()
    )


def _gain(
    name: str,
    answers: tuple[np.ndarray, np.ndarray],
    y: np.ndarray,
    weights: np.ndarray,
    groups: int,
    chance: tuple[float, float],
) -> ColumnGain:
    right, present = answers[0] == y, np.unique(y)
    majority = y == np.bincount(y).argmax()
    one_hot = (y[:, None] == present).astype(np.float32)
    totals = weights @ one_hot  # (DRAWS, K)
    drawn = weights @ (right.astype(np.float32) - majority) / np.maximum(totals.sum(1), 1)
    shares = weights @ (one_hot * (answers[1] == y)[:, None]) / np.maximum(totals, 1)
    low, high = np.quantile(drawn, TAILS)
    balanced_low, balanced_high = np.quantile(shares.mean(1) - 1 / len(present), TAILS)
    gain, balanced = _gains(answers, y)
    verdict = "undecided"
    if (low > max(chance[0], 0) and high >= MARGIN) or (balanced_low > max(chance[1], 0) and balanced_high >= MARGIN):
        verdict = "yes"
    elif max(high, balanced_high) < MARGIN and groups >= ENOUGH:
        verdict = "no"
    return ColumnGain(
        name, float(right.mean()), float(majority.mean()), gain, float(low), float(high), balanced,
        float(balanced_low), float(balanced_high), verdict, len(y),
    )  # fmt: skip


def _chance(
    coded: Mapping[str, np.ndarray], y: np.ndarray, fold: np.ndarray, rng: np.random.Generator
) -> tuple[float, float]:
    """(gain, balanced gain): the largest of any column on targets shuffled within folds, so by chance."""
    best = []
    by_fold = np.argsort(fold, kind="stable")
    for _ in range(SHUFFLES):
        order = np.lexsort((rng.random(len(y)), fold))
        shuffled = np.empty_like(y)
        shuffled[by_fold] = y[order]
        best += [_gains(_histogram(code, shuffled, fold), shuffled) for code in coded.values()]
    return float(max(b[0] for b in best)), float(max(b[1] for b in best))


def _forest(
    columns: Mapping[str, Any],
    coded: Mapping[str, np.ndarray],
    y: np.ndarray,
    fold: np.ndarray,
    rng: np.random.Generator,
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray, str]:
    """((plain answers, balanced answers), rows, main column): cross-validated on at most MOST examples, at `rows`."""
    from sklearn.ensemble import ExtraTreesClassifier  # takes a second to import

    rows = np.sort(rng.choice(len(y), MOST, replace=False)) if len(y) > MOST else np.arange(len(y))
    x = np.column_stack([coded[name][rows] for name in columns]).astype(np.float32)
    y, fold, leaf = y[rows], fold[rows], max(5, len(rows) // 200)
    plain, balanced, loss = np.zeros_like(y), np.zeros_like(y), np.zeros(x.shape[1])
    with threadpool_limits(1):
        for held_out in np.unique(fold):
            test, train = fold == held_out, fold != held_out
            seed = int(rng.integers(2**31))
            trees = ExtraTreesClassifier(TREES, min_samples_leaf=leaf, max_features=None, random_state=seed)
            trees.fit(x[train], y[train])
            probabilities = trees.predict_proba(x[test])
            plain[test] = trees.classes_[probabilities.argmax(1)]
            balanced[test] = trees.classes_[(probabilities / np.bincount(y[train])[trees.classes_]).argmax(1)]
            for i in range(x.shape[1]):
                permuted = x[test]
                permuted[:, i] = rng.permutation(permuted[:, i])
                loss[i] += (plain[test] == y[test]).sum() - (trees.predict(permuted) == y[test]).sum()
    return (plain, balanced), rows, list(columns)[int(loss.argmax())]
