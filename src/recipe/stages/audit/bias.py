"""Can what stands beside the input (size, brightness, file name, folder, order) alone predict the label, or the split?

Where it can, a net may learn that instead of the subject. One column at a time is read by a histogram classifier, all
together by a forest, out of fold; the gain is over what is answered without looking.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recipe.errors import RecipeError
from recipe.stages.audit.labels import folds

BINS = 32  # of a number's quantiles; as many of the commonest names
PER_BIN = 5  # examples of each class in a bin, on average, before there are more bins
DRAWS = 500  # of the bootstrap
SHUFFLES = 20  # of the targets: what the best column gains by chance
MARGIN = 0.05  # a gain below 5 points is not held for a shortcut
ENOUGH = 400  # groups from which 5 points are two standard errors: with fewer, nothing is denied
MOST = 8_000  # examples that the forest is shown
TREES = 40
TAILS = 0.025, 0.975


@dataclass(frozen=True)
class Gain:
    """What one column, or all of them, say about the target. Shares of 0..1."""

    column: str
    accuracy: float  # out of fold
    always: float  # the share that the commonest answer gets right
    gain: float  # accuracy - always
    low: float  # 95 % interval of the gain, paired, bootstrapped over groups
    high: float
    balanced: float  # mean over classes of the share found, minus 1 / K: a rare class counts as much as a common one
    balanced_low: float
    balanced_high: float
    verdict: str  # yes (it predicts), no (by less than 5 points), undecided (too few examples to say)
    n: int


@dataclass(frozen=True)
class Bias:
    """What a set of columns says about one target."""

    target: str
    commonest: str
    columns: tuple[Gain, ...]  # the largest gain first
    together: Gain
    leans_on: str  # the column without which the forest loses most; empty where it gains nothing
    chance: float  # the largest gain of any column on shuffled targets, and `balanced_chance` the same of `balanced`
    balanced_chance: float


def bias(
    columns: Mapping[str, Sequence], target: str, answers: Sequence, groups: Sequence[str] | None, seed: int
) -> Bias:
    """Predicts `answers` (N class names, split names or numbers) from each column (N numbers or texts) and from all.

    `target` is the word for the answers, as in "label". `groups`: copies of one input share a name and a fold; what the
    source groups by goes among the columns if it is suspected itself. A missing number (NaN) is a value of its own.
    Raises RecipeError for columns of other lengths and for answers that are all the same.
    """
    classes, y = np.unique(np.asarray(answers).astype(str), return_inverse=True)
    _check(columns, y, len(classes), target)
    names = [str(i) for i in range(len(y))] if groups is None else [str(g) for g in groups]
    fold = folds(y, names, seed)
    rng = np.random.default_rng(seed)
    bins = int(np.clip(len(y) // (PER_BIN * len(classes)), 4, BINS))
    coded = {name: codes(np.asarray(values), bins) for name, values in columns.items()}
    weights, count = _resampled(names, rng), len(set(names))
    chance = _chance(coded, y, fold, rng)
    gains = [_gain(name, _histogram(c, y, fold), y, weights, count, chance) for name, c in coded.items()]
    answered, some, leans_on = _forest(columns, coded, y, fold, rng)
    together = _gain("all columns", answered, y[some], weights[:, some], count, chance)
    ranked = sorted(gains, key=lambda g: (-max(g.gain, g.balanced), g.column))
    commonest = str(classes[np.bincount(y).argmax()])
    return Bias(target, commonest, tuple(ranked), together, leans_on if together.verdict == "yes" else "", *chance)


def sentence(gain: Gain, found: Bias) -> str:
    """One for the report; the order of the file is named as such, for it is no property of the inputs."""
    who = {"order": "the place in the file alone", "all columns": "all columns together"}.get(
        gain.column, f"`{gain.column}` alone"
    )
    does = {"yes": "predicts", "no": "does not predict", "undecided": "may predict"}[gain.verdict]
    does = does if gain.column != "all columns" else does.replace("predicts", "predict").replace("does not", "do not")
    text = f"{who} {does} the {found.target}: {_points(gain.gain, gain.low, gain.high)} over always answering"
    text += f" `{found.commonest}`, n = {gain.n:,}"
    if gain.verdict == "undecided":
        text += "; too few examples to say"
    elif gain.verdict == "yes" and gain.low <= found.chance:
        text += f"; {_points(gain.balanced, gain.balanced_low, gain.balanced_high)} where each class counts the same"
    if gain.verdict == "yes" and gain.column == "order":
        text += f". The file is sorted by {found.target}: shuffle it, and never split it into blocks"
    elif gain.verdict == "yes" and gain.column == "all columns" and found.leans_on:
        text += f"; mostly by {found.leans_on}"
    return text


def _points(middle: float, low: float, high: float) -> str:
    return f"{100 * middle:+.0f} points ({100 * low:.0f} to {100 * high:.0f})"


def name_columns(paths: Sequence[str]) -> dict[str, np.ndarray]:
    """(N,) each of folder, extension, length, name without its digits, first and last number in it.

    Empty where they are places in a table or an array (`x.npz, test, row 3`) and no names that somebody gave. Leave out
    `folder` where the folders are the labels.
    """
    import re
    from pathlib import PurePosixPath

    if all(re.search(r"\b(row|line) \d+$", str(path)) for path in paths):
        return {}
    parts = [PurePosixPath(str(p).replace("\\", "/")) for p in paths]
    numbers = [re.findall(r"\d+", p.stem) for p in parts]
    return {
        "folder": np.array([str(p.parent) for p in parts]),
        "extension": np.array([p.suffix for p in parts]),
        "name length": np.array([float(len(p.stem)) for p in parts]),
        "name pattern": np.array([re.sub(r"\d+", "#", p.stem) for p in parts]),
        "first number in the name": np.array([float(found[0]) if found else np.nan for found in numbers]),
        "last number in the name": np.array([float(found[-1]) if found else np.nan for found in numbers]),
    }


def codes(values: np.ndarray, bins: int) -> np.ndarray:
    """(N,) bin numbers: of quantiles for numbers, of the commonest names for the rest; without a look at the target.

    Up to BINS different numbers have a bin each.
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
    place = np.empty(len(names), int)
    place[order] = np.arange(len(names))
    return np.minimum(place, 4 * BINS)[which]  # the rare ones share a bin


def _check(columns: Mapping[str, Sequence], y: np.ndarray, classes: int, target: str) -> None:
    if not columns:
        raise RecipeError(f"There is no column from which to predict the {target}.")
    for name, values in columns.items():
        if np.shape(values) != (len(y),):
            raise RecipeError(f"The column `{name}` is {np.shape(values)}; one value for each of {len(y)} examples.")
    if classes < 2:
        raise RecipeError(f"The {target} is the same for all {len(y)} examples: there is nothing to predict.")


def _histogram(code: np.ndarray, y: np.ndarray, fold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) answers out of fold twice: the commonest class of the bin, and the commonest by its share of its class."""
    bins, classes, count = code.max() + 1, y.max() + 1, fold.max() + 1
    flat = (fold * bins + code) * classes + y
    seen = np.bincount(flat, minlength=count * bins * classes).reshape(count, bins, classes)
    others = seen.sum(0) - seen
    prior = others.sum(1, keepdims=True)
    plain = others + prior / np.maximum(prior.sum(2, keepdims=True), 1)  # one example's worth of the class shares
    return plain.argmax(2)[fold, code], (plain / np.maximum(prior, 1)).argmax(2)[fold, code]


def _resampled(groups: Sequence[str], rng: np.random.Generator) -> np.ndarray:
    """(DRAWS, N) how often each example is in a bootstrap sample of groups."""
    _, which = np.unique(groups, return_inverse=True)
    count = which.max() + 1
    weights = np.empty((DRAWS, len(which)), np.float32)
    for row in weights:
        row[:] = np.bincount(rng.integers(count, size=count), minlength=count)[which]
    return weights


def _gains(answered: tuple[np.ndarray, np.ndarray], y: np.ndarray) -> tuple[float, float]:
    """(gain, balanced gain) of plain and of balanced answers."""
    counts = np.bincount(y)
    found = np.bincount(y, answered[1] == y) / np.maximum(counts, 1)
    return float((answered[0] == y).mean() - counts.max() / len(y)), float(
        found[counts > 0].mean() - 1 / (counts > 0).sum()
    )


def _gain(name: str, answered: tuple, y: np.ndarray, weights: np.ndarray, groups: int, chance: tuple) -> Gain:
    right, present = answered[0] == y, np.unique(y)
    commonest = y == np.bincount(y).argmax()
    one_hot = (y[:, None] == present).astype(np.float32)
    totals = weights @ one_hot  # (DRAWS, K)
    drawn = weights @ (right.astype(np.float32) - commonest) / np.maximum(totals.sum(1), 1)
    shares = weights @ (one_hot * (answered[1] == y)[:, None]) / np.maximum(totals, 1)
    low, high = np.quantile(drawn, TAILS)
    balanced_low, balanced_high = np.quantile(shares.mean(1) - 1 / len(present), TAILS)
    gain, balanced = _gains(answered, y)
    verdict = "undecided"
    if (low > max(chance[0], 0) and high >= MARGIN) or (balanced_low > max(chance[1], 0) and balanced_high >= MARGIN):
        verdict = "yes"
    elif max(high, balanced_high) < MARGIN and groups >= ENOUGH:
        verdict = "no"
    return Gain(
        name, float(right.mean()), float(commonest.mean()), gain, float(low), float(high), balanced,
        float(balanced_low), float(balanced_high), verdict, len(y),
    )  # fmt: skip


def _chance(coded: dict, y: np.ndarray, fold: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """The largest gain that any of the columns has on targets shuffled within folds: many columns, many chances."""
    best = []
    by_fold = np.argsort(fold, kind="stable")
    for _ in range(SHUFFLES):
        order = np.lexsort((rng.random(len(y)), fold))
        shuffled = np.empty_like(y)
        shuffled[by_fold] = y[order]
        best += [_gains(_histogram(code, shuffled, fold), shuffled) for code in coded.values()]
    return float(max(b[0] for b in best)), float(max(b[1] for b in best))


def _forest(columns: Mapping, coded: dict, y: np.ndarray, fold: np.ndarray, rng: np.random.Generator) -> tuple:
    """((plain answers, balanced answers) out of fold of at most MOST examples, which, the column it leans on)."""
    from sklearn.ensemble import ExtraTreesClassifier
    from threadpoolctl import threadpool_limits

    some = np.sort(rng.choice(len(y), MOST, replace=False)) if len(y) > MOST else np.arange(len(y))
    x = np.column_stack([coded[name][some] for name in columns]).astype(np.float32)
    y, fold, leaf = y[some], fold[some], max(5, len(some) // 200)
    plain, even, loss = np.zeros_like(y), np.zeros_like(y), np.zeros(x.shape[1])
    with threadpool_limits(1):
        for held in np.unique(fold):
            asked, known = fold == held, fold != held
            seed = int(rng.integers(2**31))
            trees = ExtraTreesClassifier(TREES, min_samples_leaf=leaf, max_features=None, random_state=seed)
            trees.fit(x[known], y[known])
            said = trees.predict_proba(x[asked])
            plain[asked] = trees.classes_[said.argmax(1)]
            even[asked] = trees.classes_[(said / np.bincount(y[known])[trees.classes_]).argmax(1)]
            for i in range(x.shape[1]):
                mixed = x[asked]
                mixed[:, i] = rng.permutation(mixed[:, i])
                loss[i] += (plain[asked] == y[asked]).sum() - (trees.predict(mixed) == y[asked]).sum()
    return (plain, even), some, list(columns)[int(loss.argmax())]
