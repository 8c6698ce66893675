"""Questions about the columns of a table that a quadratic model answers before any network is trained.

Which columns carry the class? Do columns matter together?
"""

from collections.abc import Callable, Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from recipe.stages.audit.embeddings import of_columns
from recipe.stages.audit.probes.linear_probe import (
    FOLDS,
    PENALTIES,
    Examples,
    ProbeEstimate,
    correct,
    estimate,
)
from recipe.stages.audit.probes.results import (
    FEWEST,
    OF_TABLES,
    TOLERANCE,
    ProbeResult,
    change,
    result,
    too_few,
)
from recipe.stages.audit.probes.sample import balanced

REPEATS = 3  # divisions into folds
SHUFFLES = 5  # of a column in each


def run_table_probes(
    values: np.ndarray, names: Sequence[str], labels: np.ndarray, groups: np.ndarray, seed: int, most: int = 600,
    say: Callable[[str], None] = lambda line: None,
) -> list[ProbeResult]:  # fmt: skip
    """All results about rows (N, F) with labels (N,) and groups (N,), as `run_probes` has them of images.

    The classifier is ridge regression on each column and its square. Importance is by permutation of a column of rows
    that were not trained on (Breiman 2001, Random forests): columns that say the same share it, and each may have none.
    """
    rows, examples, left_out = balanced(np.asarray(labels), np.asarray(groups), np.ones(len(values), bool), seed, most)
    if len(rows) < FEWEST or examples.classes < 2:
        return too_few(OF_TABLES, len(rows), examples)
    say("probes: columns, alone and together")
    with threadpool_limits(1):
        x = of_columns(np.asarray(values)[rows])[:, : len(names)].astype(np.float64)
        features = np.stack([_standard(x), _standard(x**2)], 2)  # (n, F, 2)
        results = _columns(features, names, examples)
        if len(names) > 1:
            results.append(_interaction(x, features, examples))
    return [r.with_note(left_out) for r in results]


def _columns(features: np.ndarray, names: Sequence[str], examples: Examples) -> list[ProbeResult]:
    n, lost = len(features), importances(features, examples)
    results = []
    for name, e in zip(names, lost, strict=True):
        fallen = ProbeEstimate(-e.value, -e.high, -e.low)
        sentence = f"Shuffling the column `{name}` changes the accuracy of a quadratic model by {change(fallen, n)}."
        results.append(result("column", e.verdict(TOLERANCE), e, n, sentence, factor=name))
    return results


def importances(features: np.ndarray, examples: Examples) -> list[ProbeEstimate]:
    """Of each column the accuracy that its permutation costs. features (n, F, 2)."""
    n, count, _ = features.shape
    flat = features.reshape(n, -1) / features[0].size ** 0.5
    products, target = flat @ flat.T + 1, (np.eye(examples.classes) - 1 / examples.classes)[examples.labels]
    lost = np.zeros((count, REPEATS, n))
    for repeat in range(REPEATS):
        fold, rng = examples.folds[repeat], np.random.default_rng([examples.seed, repeat])
        for f in range(FOLDS):
            train, test = np.flatnonzero(fold != f), np.flatnonzero(fold == f)
            weights = flat[train].T @ (dual := _fitted(products[np.ix_(train, train)], target[train], train, examples))
            scores = flat[test] @ weights + dual.sum(0)
            right = scores.argmax(1) == examples.labels[test]
            for j in range(count):
                own, by = flat[test, 2 * j : 2 * j + 2], weights[2 * j : 2 * j + 2]
                for _ in range(SHUFFLES):
                    moved = scores + (rng.permutation(own) - own) @ by
                    lost[j, repeat, test] += (right * 1.0 - (moved.argmax(1) == examples.labels[test])) / SHUFFLES
    return [estimate(each, examples) for each in lost]


def _fitted(products: np.ndarray, target: np.ndarray, rows: np.ndarray, examples: Examples) -> np.ndarray:
    """(n, K) dual weights of the ridge with the lowest leave-one-out error (Golub, Heath and Wahba 1979)."""
    ridge, best = len(rows) / examples.weights[rows], (np.inf, np.zeros_like(target))
    for penalty in PENALTIES:
        inverse = np.linalg.inv(products + np.diag(penalty * ridge))
        dual = inverse @ target
        error = float(((dual / inverse.diagonal()[:, None]) ** 2 * examples.weights[rows][:, None]).sum())
        if error < best[0]:
            best = error, dual
    return best[1]


def _interaction(x: np.ndarray, features: np.ndarray, examples: Examples) -> ProbeResult:
    """Products of two columns are added to columns and squares; in the control each column of them is shuffled."""
    n = len(x)
    flat = features.reshape(n, -1) / features[0].size ** 0.5
    alone, z = flat @ flat.T + 1, _standard(x)
    values = []
    for repeat in range(REPEATS):
        shuffled = np.random.default_rng([examples.seed, repeat]).permuted(z, axis=0)
        real, control = (
            correct([alone, alone + _products(part)], examples, examples.folds[repeat]) for part in (z, shuffled)
        )
        values.append(real - control)
    e = estimate(np.array(values), examples)
    return result(
        "interaction", e.verdict(TOLERANCE), e, n,
        f"Products of two columns, compared with those of shuffled columns, change the accuracy of a quadratic model "
        f"by {change(e, n)}.",
    )  # fmt: skip


def _products(z: np.ndarray) -> np.ndarray:
    """(n, n) inner products of all products of two columns, centred, with a mean diagonal of 1."""
    products = ((z @ z.T) ** 2 - (z**2) @ (z**2).T) / 2
    products += products.mean() - products.mean(0) - products.mean(1)[:, None]
    scaled: np.ndarray = products / max(float(products.diagonal().mean()), 1e-12)
    return scaled


def _standard(x: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = (x - x.mean(0)) / np.maximum(x.std(0), 1e-9)
    return scaled
