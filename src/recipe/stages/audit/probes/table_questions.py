"""Questions about the columns of a table that gradient boosting answers before any network is trained.

On which columns do predictions rely? Does an interaction of columns matter? The first is
permutation importance (Breiman 2001, Random forests, section 10) on held-out folds; the second compares trees with
trees that may not split two columns after each other (Lou, Caruana and Gehrke 2012, Intelligible models).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from recipe.models.fitted import fit_boosting
from recipe.stages.audit.bias import TAILS, resampled
from recipe.stages.audit.labels import folds_of
from recipe.stages.audit.probes.linear_probe import ProbeEstimate
from recipe.stages.audit.probes.results import FEWEST, OF_TABLES, ProbeResult, change, result, unmeasured
from recipe.tasks.task import Task

MOST = 4000  # examples that are looked at
COLUMNS = 60  # more are not shuffled one by one
SHUFFLES = 3  # of each column, whose effects are averaged
MARGIN = 1.0  # points; what a column, or interactions, may be worth without being worth a decision
FOLDS = 5


@dataclass(frozen=True)
class _Rows:
    """x (N, F) float32, with NaN; actual: targets as metrics take them; fold (N,); weights (N,) of each example."""

    x: np.ndarray
    actual: torch.Tensor
    fold: np.ndarray
    weights: np.ndarray
    draws: np.ndarray  # (DRAWS, N) how often an example is in a resample of groups
    task: Task


def run_column_probes(
    x: np.ndarray, actual: np.ndarray, strata: Sequence[int], groups: Sequence[str], names: Sequence[str], task: Task,
    seed: int, say: Callable[[str], None] = lambda line: None,
) -> list[ProbeResult]:  # fmt: skip
    """All results about rows x (N, F) with columns `names`, of which `name=value` are one column of names.

    actual: (N,) class numbers, or (N, K) labels or quantities. strata: a number per example, for folds that are alike.
    Examples of a group are in one fold. Scores are balanced accuracy, accuracy over all labels, or the share of the
    variance that is explained. A sample of at most MOST rows is looked at; `seed` determines every bit.
    """
    chosen = np.sort(np.random.default_rng(seed).permutation(len(x))[:MOST])
    groups = [groups[i] for i in chosen]
    n = len(chosen)
    if n < FEWEST or len(set(groups)) < FOLDS or not len(names):
        reason = f"Not enough data: there are {n:,} examples in {len(set(groups)):,} groups, and {FEWEST} are needed."
        return [unmeasured(name, n, reason) for name in OF_TABLES]
    rows = _rows(np.asarray(x)[chosen], actual[chosen], [strata[i] for i in chosen], groups, task, seed)
    say("probes: columns and their interactions")
    errors, additive, shuffled, constant = _errors(rows, _grouped(names), seed)
    gain = _estimate(rows, constant - errors)
    score = task.choose(
        classes="the balanced accuracy", labels="the accuracy", quantities="the explained variance",
    )  # fmt: skip
    predicts, e = gain.low > 0, _estimate(rows, additive - errors)
    results = [
        result(
            "interaction", e.verdict(MARGIN) if predicts else "undecided", e, n,
            f"Interactions of columns change {score} of gradient boosting by {change(e, n)}, against trees that add up "
            f"single columns; altogether boosting is worth {change(gain, n)}.",
        )
    ]  # fmt: skip
    for name, worse in shuffled.items():
        e = _estimate(rows, worse - errors)
        verdict = ("yes" if e.low > 0 else "no" if e.high < MARGIN else "undecided") if predicts else "undecided"
        sentence = f"Shuffling `{name}` costs gradient boosting {change(e, n)} of {score}."
        results.append(result("column", verdict, e, n, sentence, factor=name))
    return results


def _grouped(names: Sequence[str]) -> dict[str, list[int]]:
    """{column of the file: its columns here}, at most COLUMNS of them."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name.split("=")[0], []).append(place)
    return dict(list(places.items())[:COLUMNS])


def _rows(
    x: np.ndarray, actual: np.ndarray, strata: Sequence[int], groups: Sequence[str], task: Task, seed: int
) -> _Rows:
    given = torch.from_numpy(np.ascontiguousarray(actual))
    weights = np.ones(len(x))
    if task.classes:
        counts = np.bincount(actual, minlength=len(task.names))
        weights = len(x) / (np.maximum((counts > 0).sum(), 1) * counts[actual])
    fold = folds_of([(int(s),) for s in strata], groups, seed)
    draws = resampled(groups, np.random.default_rng(seed))
    return _Rows(x, given, fold, weights, draws, task.scaled(given))


def _errors(
    rows: _Rows, places: dict[str, list[int]], seed: int
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """(N,) errors of held-out examples: of boosting, of boosting without interactions, with each column shuffled, and
    of the best constant."""
    n, rng = len(rows.x), np.random.default_rng(seed)
    full, additive, constant = np.zeros(n), np.zeros(n), np.zeros(n)
    shuffled = {name: np.zeros(n) for name in places}
    y = rows.task.targets(rows.actual)
    for held_out in (rows.fold == f for f in np.unique(rows.fold)):
        rest = ~held_out
        x, at = torch.from_numpy(rows.x[rest]), np.flatnonzero(held_out)
        trees = fit_boosting(rows.task, x, y[rest], seed)
        alone = fit_boosting(rows.task, x, y[rest], seed, interactions=False)
        full[at] = _wrong(rows, trees.predict(torch.from_numpy(rows.x[at])), at)
        additive[at] = _wrong(rows, alone.predict(torch.from_numpy(rows.x[at])), at)
        best = rows.task.predict(rows.task.constant(y[rest])[None]).expand(len(at), -1)
        constant[at] = _wrong(rows, best, at)
        for name, columns in places.items():
            for _ in range(SHUFFLES):
                mixed = rows.x[at].copy()
                mixed[:, columns] = mixed[rng.permutation(len(at))][:, columns]
                shuffled[name][at] += _wrong(rows, trees.predict(torch.from_numpy(mixed)), at) / SHUFFLES
    return full, additive, shuffled, constant


def _wrong(rows: _Rows, p: torch.Tensor, at: np.ndarray) -> np.ndarray:
    """(n,) error of each example: 1 of a wrong class, the share of wrong labels, the share of the variance missed."""
    actual = rows.actual[at]
    errors = rows.task.choose(
        classes=lambda: p.argmax(1) != actual,
        labels=lambda: ((p >= 0.5) != (actual > 0.5)).double().mean(1),
        quantities=lambda: rows.task.losses(p, actual),
    )()
    return np.asarray(errors.double())


def _estimate(rows: _Rows, difference: np.ndarray) -> ProbeEstimate:
    """The weighted mean in points, with its 95 % bootstrap interval over groups."""
    weighted = 100 * rows.weights * difference
    drawn = rows.draws @ weighted / np.maximum(rows.draws @ rows.weights, 1e-300)
    low, high = np.quantile(drawn, TAILS)
    return ProbeEstimate(float(weighted.sum() / rows.weights.sum()), float(low), float(high))
