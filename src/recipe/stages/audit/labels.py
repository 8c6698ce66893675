"""Which labels are probably wrong, and how many are.

Each example is judged by cross-validation: the model has seen neither it nor anything of its group, so neither its own
label nor that of a copy takes part. An example whose label contradicts the model is suspect.

Ranking: the mean of two ranks, that of the margin of the probabilities and that of the posterior under a
class-conditional noise model (Dawid and Skene 1979; as in Northcutt et al., Confident Learning, 2021, but by
expectation maximisation). On CIFAR-10's human label noise it ranks better than self-confidence on the same
probabilities, and far better where one class is mistaken for another. Where wrong labels are uniform, the posterior
costs a little. A model that is often wrong misleads the posterior more than the margin, which then gets more weight.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from recipe.data.splits import assign
from recipe.errors import RecipeError
from recipe.metrics.intervals import wilson

FOLDS = 5
FEW = 500  # examples below which there are twice as many folds: each model then learns from 90 % of the examples
MOST = 20_000  # examples that a regression learns from: more add little to its few features
NEIGHBOURS = 10, 20  # below MANY examples, and from MANY on
MANY = 4_000
PENALTY = 1.0  # C of the logistic regression, on features whose variances sum to 1
TRUSTED = 0.5, 0.75  # cross-validated accuracy at which the noise posterior gets its first, and its full weight
FAR = 4.0  # a label is flagged that is so many times less probable than usual
ABOVE = 0.05  # of the way from the majority class rate to 1: with a lower accuracy the features are uninformative
ROUNDS = 8  # of expectation maximisation
TINY = 1e-6  # no probability is smaller
Z = 1.96  # standard errors of a 95 % interval


@dataclass(frozen=True)
class Suspects:
    """How suspect the labels of N examples of K classes are."""

    score: np.ndarray  # (N,) 0..1, the mean of two ranks (or one): 1 is the most suspect; not a probability
    suggested: np.ndarray  # (N,) the most probable class, or the given label where nothing contradicts it
    given: np.ndarray  # (N,) probability of the given label
    wrong: np.ndarray  # (N,) probability that the label is wrong, under the noise model
    flagged: np.ndarray  # (N,) bool: clearly contradicted, to look at first; none where `weak`
    accuracy: float  # share of examples whose most probable class is the given one
    rate: tuple[float, float]  # bounds of the share of wrong labels, outwards to 0.01
    confusion: tuple[np.ndarray, np.ndarray]  # (K, K) twice, [given, true]: bounds of the share of a true class
    weak: bool  # the features separate the classes too badly: ranks are poor, and `rate` is only an upper limit
    method: str


def suspects(features: np.ndarray, labels: np.ndarray, groups: Sequence[str] | None, seed: int) -> Suspects:
    """Judges (N,) class numbers by (N, D) features, by cross-validation.

    `groups`: a name per example; examples of one name (copies, a patient) are in one fold. None: equal rows are one
    group. Neither the order of the rows nor the numbering of the classes matters, up to rounding. An example is not
    judged where no other group has its class. Raises RecipeError where there is nothing to compare.
    """
    features, labels = _checked(features, labels)
    order, names = canonical(features, labels, groups)
    probabilities = np.empty((len(labels), labels.max() + 1))
    probabilities[order] = out_of_fold(features[order], labels[order], [names[i] for i in order], seed)
    return suspects_from(probabilities, labels)


def suspects_from(probabilities: np.ndarray, labels: np.ndarray) -> Suspects:
    """Judges (N,) class numbers by (N, K) probabilities of a model that was not trained on these examples."""
    p, labels = _probabilities(probabilities, labels)
    rows = np.arange(len(labels))
    given = p[rows, labels]
    other = p.copy()
    other[rows, labels] = 0
    margin = np.log(other.max(1)) - np.log(given)
    accuracy = float((margin <= 0).mean())
    commonest = float(np.bincount(labels).max() / len(labels))
    weak = accuracy < TRUSTED[0] or accuracy - commonest < ABOVE * (1 - commonest)
    weight = trust(accuracy)
    posterior = noise_posterior(p, labels)
    wrong = 1 - posterior[rows, labels]
    flagged = (_confident(p, labels) | (wrong > 0.5)) & (not weak)
    suggested = np.where((margin > 0) | flagged, other.argmax(1), labels)
    ranks = (rank(margin) + weight * rank(wrong)) / (1 + weight)
    least = np.stack([posterior[labels == k].sum(0) for k in range(p.shape[1])])
    most = confident_joint(p, labels)
    return Suspects(
        ranks, suggested, given, wrong, flagged, accuracy, _rate(weight * float(wrong.mean()), most),
        (_wilson(least)[0], _wilson(most)[1]), weak, "log-margin" if weak else "log-margin and noise posterior",
    )  # fmt: skip


def trust(accuracy: float) -> float:
    """0 to 1: how much the noise posterior of a model with this cross-validated accuracy counts."""
    return float(np.clip((accuracy - TRUSTED[0]) / (TRUSTED[1] - TRUSTED[0]), 0, 1))


def noise_posterior(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N, K) probability of each true class, given the input and the label, with Q[given, true] by EM.

    Its initial value does not matter; its prior is that most labels are right.
    """
    classes = p.shape[1]
    q = np.eye(classes) * 0.9 + 0.1 / classes
    for _ in range(ROUNDS):
        r = p * q[labels]
        r /= r.sum(1, keepdims=True)
        counts = np.stack([r[labels == k].sum(0) for k in range(classes)]) + 1 / classes + 3 * np.eye(classes)
        q = counts / counts.sum(0)
    r = p * q[labels]
    return r / r.sum(1, keepdims=True)


def confident_joint(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(K, K) examples by [given, true] as confident learning counts them, scaled to the given counts.

    It also counts the errors of the model, so it is an upper limit.
    """
    counts = np.bincount(labels, minlength=p.shape[1])
    sure = np.where(p >= _confidence(p, labels), p, 0)
    some = sure.max(1) > 0
    joint = _counts(labels[some], sure[some].argmax(1), p.shape[1]).astype(float)
    unsure = joint.sum(1) == 0
    joint[unsure] = np.diag(counts)[unsure]
    return joint * (counts / np.maximum(joint.sum(1), TINY))[:, None]


def _confidence(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(K,) mean probability of each class where it is the given one; infinite for a class without examples."""
    counts = np.bincount(labels, minlength=p.shape[1])
    own = np.bincount(labels, p[np.arange(len(labels)), labels], minlength=p.shape[1])
    return np.where(counts > 0, own / np.maximum(counts, 1), np.inf)


def _confident(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N,) bool: another class is as probable as among the examples labelled so, and the given class far less so."""
    usual, rows = _confidence(p, labels), np.arange(len(labels))
    other = p / usual
    other[rows, labels] = 0
    return (other.max(1) >= 1) & (p[rows, labels] < usual[labels] / FAR)


def out_of_fold(features: np.ndarray, labels: np.ndarray, groups: Sequence[str], seed: int) -> np.ndarray:
    """(N, K) cross-validated probabilities: the mean of a logistic regression and of the nearest neighbours.

    The given label has probability 1 where the other folds hold no example of its class.
    """
    fold = folds(labels, groups, seed)
    x, classes = scaled(features), int(labels.max()) + 1
    rng = np.random.default_rng(seed)
    total = np.zeros((len(labels), classes))
    with threadpool_limits(1):
        for held_out in np.unique(fold):
            test, train = np.flatnonzero(fold == held_out), np.flatnonzero(fold != held_out)
            some = np.sort(rng.choice(train, MOST, replace=False)) if len(train) > MOST else train
            total[test] = regression(x[some], labels[some], x[test], classes)
            total[test] += _votes(x[train], labels[train], x[test], classes)
            unknown = test[~np.isin(labels[test], labels[train])]
            total[unknown] = 2 * np.eye(classes)[labels[unknown]]
    return total / 2


def folds(labels: np.ndarray, groups: Sequence[str], seed: int) -> np.ndarray:
    """(N,) fold numbers: groups whole, each class spread evenly. Raises RecipeError for a single group."""
    return folds_of([(label,) for label in labels.tolist()], groups, seed)


def folds_of(strata: Sequence[tuple[int, ...]], groups: Sequence[str], seed: int) -> np.ndarray:
    """The same of several strata an example: see recipe.data.splits.assign."""
    count = min(len(set(groups)), 2 * FOLDS if len(strata) < FEW else FOLDS)
    if count < 2:
        raise RecipeError(
            "Labels are judged by examples of other groups, but all examples are in one group (or are copies of one "
            "input). Give the source finer `groups`, or none."
        )
    return np.array([int(f) for f in assign(strata, groups, {str(i): 1 / count for i in range(count)}, seed)])


def canonical(features: np.ndarray, labels: np.ndarray, groups: Sequence[str] | None) -> tuple[np.ndarray, list[str]]:
    """(an order of the rows that depends on nothing but their contents, the group of each row)."""
    raw = np.ascontiguousarray(features) + np.float32(0)  # -0.0 becomes 0.0: equal numbers must have equal bytes
    _, content = np.unique(raw.view(np.dtype((np.void, raw.shape[1] * raw.itemsize))).ravel(), return_inverse=True)
    names = [str(c) for c in content] if groups is None else [str(g) for g in groups]
    if len(names) != len(labels):
        raise RecipeError(f"There are {len(names)} groups for {len(labels)} labels; give one name per example.")
    return np.lexsort((labels, content, np.array(names))), names


def scaled(features: np.ndarray) -> np.ndarray:
    """Centred, with variances that sum to 1; one factor for all columns, so that distances keep their proportions."""
    x = features - features.mean(0, dtype=np.float64).astype(np.float32)
    return x / np.float32(max(np.sqrt((x.astype(np.float64) ** 2).sum(1).mean()), 1e-12))


def _checked(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    features, labels = np.asarray(features, np.float32), np.asarray(labels)
    if features.ndim != 2 or len(features) != len(labels):
        raise RecipeError(
            f"Features are {features.shape} for {len(labels)} labels; they must be (N, D), a row per label."
        )
    if not np.isfinite(features).all():
        bad = int((~np.isfinite(features).all(1)).sum())
        raise RecipeError(
            f"{bad} of {len(features)} rows of features contain NaN or infinity; drop these rows or fill the values."
        )
    return features, _class_numbers(labels)


def _class_numbers(labels: np.ndarray) -> np.ndarray:
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or (len(labels) and labels.min() < 0):
        raise RecipeError(f"Labels are {labels.dtype} {labels.shape}; they must be class numbers (N,) from 0.")
    if len(np.unique(labels)) < 2:
        raise RecipeError(
            f"All {len(labels)} labels are of one class: a label can only be suspect where there are two."
        )
    return labels.astype(np.int64)


def _probabilities(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p, labels = np.asarray(probabilities, np.float64), _class_numbers(np.asarray(labels))
    if p.ndim != 2 or len(p) != len(labels) or p.shape[1] <= labels.max():
        raise RecipeError(f"Probabilities are {p.shape} for {len(labels)} labels of 0 to {labels.max()}.")
    if not (np.isfinite(p).all() and (p >= 0).all() and np.allclose(p.sum(1), 1, atol=1e-3)):
        raise RecipeError("Probabilities must be at least 0 and each row must sum to 1: these are logits or unscaled.")
    p = np.maximum(p, TINY)
    return p / p.sum(1, keepdims=True), labels


def regression(x: np.ndarray, y: np.ndarray, test: np.ndarray, classes: int) -> np.ndarray:
    """(n, classes) probabilities of the rows `test`."""
    from sklearn.linear_model import LogisticRegression  # takes a second to import

    probabilities, present = np.zeros((len(test), classes)), np.unique(y)
    if len(present) == 1:
        probabilities[:, present] = 1
    else:
        model = LogisticRegression(C=PENALTY, max_iter=100, tol=1e-3).fit(x, y)
        probabilities[:, present] = model.predict_proba(test)
    return probabilities


def neighbour_count(examples: int) -> int:
    return NEIGHBOURS[examples >= MANY]


def _votes(x: np.ndarray, y: np.ndarray, test: np.ndarray, classes: int) -> np.ndarray:
    """(n, classes) shares of the classes among the nearest neighbours of the rows `test`."""
    from sklearn.neighbors import NearestNeighbors  # takes a second to import

    k = min(neighbour_count(len(x)), len(x))
    near = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(x).kneighbors(test, return_distance=False)
    votes = y[near] + np.arange(len(test))[:, None] * classes
    return np.bincount(votes.ravel(), minlength=len(test) * classes).reshape(-1, classes) / k


def rank(values: np.ndarray) -> np.ndarray:
    """0..1; equal values share their mean rank."""
    from scipy.stats import rankdata  # scipy.stats takes a second to import

    return (rankdata(values) - 0.5) / len(values)


def _counts(given: np.ndarray, true: np.ndarray, classes: int) -> np.ndarray:
    return np.bincount(given * classes + true, minlength=classes**2).reshape(classes, classes)


def _rate(low: float, most: np.ndarray) -> tuple[float, float]:
    """From the mean noise posterior, weighted by how far it is trusted, to the confident joint and its error.

    These bounds are empirical: neither holds on every data set, and they are rounded to whole per cents.
    """
    count = most.sum()
    high = wilson(max(count - np.trace(most), 0) / count, count, Z)[1]
    return float(np.floor(100 * low)) / 100, float(np.ceil(100 * max(low, high))) / 100


def _wilson(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of each count as a share of its column."""
    totals = np.maximum(counts.sum(0), 1)
    return wilson(counts / totals, totals, Z)
