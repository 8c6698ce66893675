"""More data: the error against the size of the training set, and the expected effect of twice the data.

A power law a + b n^-c (Hestness et al. 2017, Deep learning scaling is predictable, empirically; Rosenfeld et al. 2020)
is fitted to the mean over seeds at each share. Every training has the same number of steps, and is read at the step of
early stopping, cross-validated between the two halves of val: with equal epochs a small share would be cut off before
it has learned; at the last step it would have been overfitted for longer than the whole.

With folds, the trainings are spread over them, and only the loss is extrapolated: their validation examples differ, so
there is no bootstrap over them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from omegaconf import DictConfig

from recipe.data.batches import Data
from recipe.experiment.arms import Arm, best_rows_by_half, cross_validated, overlap, paired_gain, train_arms
from recipe.formatting import interval
from recipe.metrics.objective import LOSS
from recipe.stages.regularize.ablation import BASE
from recipe.stages.runner import Run
from recipe.train.lane import Trained

SIZES = 4  # a power law has three parameters
SEEDS = 3
EXPONENTS = np.geomspace(0.05, 3.0, 240)  # a steeper or flatter law could not be distinguished from a constant
DRAWS = 1000
MISFIT = 0.01  # p-value of the fit below which there is no extrapolation


@dataclass(frozen=True)
class Law:
    """a + b n^-c, with a, b >= 0."""

    a: float
    b: float
    c: float

    def at(self, n: Any) -> Any:
        return self.a + self.b * np.asarray(n, float) ** -self.c


@dataclass(frozen=True)
class Extrapolation:
    """reduction: by how much twice the data lowers the metric, with its interval low..high.
    band: rows (n, low, high) of the law, from the smallest size to twice the largest."""

    law: Law
    reduction: float
    low: float
    high: float
    band: np.ndarray


@dataclass(frozen=True)
class LearningCurve:
    """values: (seeds, sizes), by rising size. refused: why nothing is extrapolated."""

    metric: str
    sizes: list[int]
    values: np.ndarray
    extrapolation: Extrapolation | None = None
    refused: str = ""


def train_shares(cfg: DictConfig, data: Data, start: dict, run: Run) -> tuple[Arm, list[LearningCurve]]:
    """The base arm, and the curves of error and loss over it and smaller shares of the training set."""
    shares = sorted({float(s) for s in cfg.shares if s < 1})
    changes = {BASE: start} | {f"{s:.1%} of the training set": start | {"train.share": s} for s in shares}
    watch = 0 if data.folds else len(data.val)
    base, *smaller = train_arms(cfg, data, changes, run, label="more data", main=BASE, watch=watch).values()
    ordered = [*smaller, base]
    sizes = [max(1, round(share * len(data.train))) for share in (*shares, 1.0)]
    if lost := [text for arm in ordered for text in arm.lost]:
        return base, [LearningCurve("loss", sizes, np.empty((0, len(sizes))), refused=f"a training ended: {lost[0]}")]
    seeds = list(zip(*(arm.lanes for arm in ordered), strict=True))  # of each, its lanes by size
    losses = np.array([[cross_validated(lane, data.objective, LOSS.cost) for lane in lanes] for lanes in seeds])
    curves = [learning_curve("loss", sizes, losses, cfg.confidence, cfg.seed, folds=len(data.folds))]
    errors = [[_cross_validated_errors(lane, data) for lane in lanes] for lanes in seeds if not data.folds]
    if errors and all(e is not None for of_seed in errors for e in of_seed):
        by_example = np.array(errors)
        curves.insert(0, learning_curve("error", sizes, by_example.mean(2), cfg.confidence, cfg.seed, by_example))
    return base, curves


def _cross_validated_errors(lane: Trained, data: Data) -> np.ndarray | None:
    """(N,) the errors on validation examples, each at the step that is best for the other half of val."""
    by_a, by_b = (data.task.errors(lane.watched[row], data.val.y) for row in best_rows_by_half(lane, data.objective))
    if by_a is None or by_b is None:
        return None
    by_b[1::2] = by_a[1::2]  # the odd ones are half b
    return by_b.cpu().numpy()


def learning_curve(
    metric: str,
    sizes: list[int],
    values: np.ndarray,
    confidence: float,
    seed: int = 0,
    per_example: np.ndarray | None = None,
    folds: int = 0,
) -> LearningCurve:
    """values: (seeds, sizes). per_example: (seeds, sizes, N), the same of every validation example. folds: over which
    the seeds are spread.

    Nothing is extrapolated from too few sizes or seeds, where more data did not lower the metric over the measured
    sizes, or where no power law fits.
    """
    values, count = np.asarray(values, float), len(values)
    if len(sizes) < SIZES or count < SEEDS:
        return LearningCurve(metric, sizes, values, refused=f"it takes {SIZES} sizes and {SEEDS} trainings of each")
    fall = paired_gain((values[:, 0] - values[:, -1]).tolist(), confidence, folds)
    if not fall.low > 0:
        refused = f"more data did not lower the {metric} by more than noise"
        return LearningCurve(metric, sizes, values, refused=refused)
    replicas, variance = _replicas(values, per_example, confidence, seed, folds)
    law = fit(sizes, values.mean(0)[None], 1 / variance)[0]
    if (p := _misfit(law, sizes, values, variance)) < MISFIT:
        return LearningCurve(metric, sizes, values, refused=f"no power law fits (p = {p:.1g})")
    laws = fit(sizes, replicas, 1 / variance)
    return LearningCurve(metric, sizes, values, _extrapolate(law, laws, sizes, confidence))


def _extrapolate(law: Law, laws: list[Law], sizes: list[int], confidence: float) -> Extrapolation:
    """laws: of the bootstrap replicas, whose percentiles are the interval."""
    largest = sizes[-1]
    reductions = np.array([one.at(largest) - one.at(2 * largest) for one in laws])
    tails = [50 * (1 - confidence), 50 * (1 + confidence)]
    low, high = np.percentile(reductions, tails)
    at = np.geomspace(sizes[0], 2 * largest, 40)
    edges = np.percentile([one.at(at) for one in laws], tails, axis=0)
    mean = float(law.at(largest) - law.at(2 * largest))
    band = np.column_stack([at, *edges])
    return Extrapolation(law, mean, float(min(low, mean)), float(max(high, mean)), band)


def _replicas(
    values: np.ndarray, per_example: np.ndarray | None, confidence: float, seed: int, folds: int
) -> tuple[np.ndarray, np.ndarray]:
    """(DRAWS, sizes) bootstrap replicas of the mean, and the variance of the mean.

    The bootstrap is over seeds, widened to Student's t since they are few, and with folds by the factor of
    `paired_gain`; and, where `per_example` is given, over validation examples as well.
    """
    from scipy.stats import norm, t  # scipy.stats takes seconds to import

    count, generator = len(values), np.random.default_rng(seed)
    mean, shared = values.mean(0), 1 + count * overlap(folds)
    tail = (1 + confidence) / 2
    wider = t.ppf(tail, count - 1) / norm.ppf(tail) * np.sqrt(count / (count - 1) * shared)
    seeds = generator.integers(count, size=(DRAWS, count))
    replicas = mean + wider * (values[seeds].mean(1) - mean)
    variance = values.var(0, ddof=1) / count * shared
    if per_example is not None:
        columns = per_example.mean(0)  # (sizes, N): over seeds, the contribution of an example
        total = columns.shape[1]
        times = generator.multinomial(total, np.full(total, 1 / total), size=DRAWS)
        replicas = replicas + times @ columns.T / total - mean
        variance = variance + columns.var(1, ddof=1) / total
    # few seeds estimate their variance badly: half of the weight is that of all sizes together
    return replicas.clip(min=0), np.maximum((variance + variance.mean()) / 2, 1e-18)


def fit(sizes: list[int], means: np.ndarray, weights: np.ndarray) -> list[Law]:
    """The best law for each row of means (R, sizes): least squares in a and b, both at least 0, over all exponents."""
    x = np.asarray(sizes, float)[None] ** -EXPONENTS[:, None]
    best = _best(x, means, weights)
    laws = []
    for row, (c, _, _, _) in zip(means, best, strict=True):
        near = np.clip(c + np.array([-1, 1]), 0, len(EXPONENTS) - 1).astype(int)
        fine = np.linspace(EXPONENTS[near[0]], EXPONENTS[near[1]], 41)
        ((i, a, b, _),) = _best(np.asarray(sizes, float)[None] ** -fine[:, None], row[None], weights)
        laws.append(Law(float(a), float(b), float(fine[int(i)])))
    return laws


def _best(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """(R, 4) rows of (number of the exponent, a, b, error), for x (exponents, sizes) and y (R, sizes)."""
    w = w / w.sum()
    mx, my = x @ w, y @ w  # (E,), (R,)
    cross, square = y * w @ x.T, (x * x) @ w
    slope = (cross - my[:, None] * mx) / np.maximum(square - mx**2, 1e-300)
    a = my[:, None] - slope * mx
    # where a or b would be negative, the best on the edge
    through = cross / square
    a, b = np.where(a < 0, 0.0, a), np.where(a < 0, through, slope)
    a, b = np.where(b < 0, my[:, None], a), np.maximum(b, 0.0)
    error = (y**2 @ w)[:, None] - 2 * (a * my[:, None] + b * cross) + a**2 + 2 * a * b * mx + b**2 * square
    at = error.argmin(1)
    rows = np.arange(len(y))
    return np.column_stack([at, a[rows, at], b[rows, at], error[rows, at]])


def _misfit(law: Law, sizes: list[int], values: np.ndarray, variance: np.ndarray) -> float:
    """The probability of residuals as large as these if the law were true; the variance is from few seeds (F test)."""
    from scipy.stats import f

    freedom = len(sizes) - 3
    residuals = values.mean(0) - law.at(sizes)
    return float(f.sf((residuals**2 / variance).sum() / freedom, freedom, len(values) - 1))


def sentences(curves: list[LearningCurve], sample: str, confidence: float) -> list[str]:
    """One per curve. sample: the trainings of each size, in words."""
    return [(_error if c.metric == "error" else _loss)(c, sample, confidence) for c in curves]


def _start(c: LearningCurve) -> str:
    return f"With twice the training data (n = {c.sizes[-1]:,} to {2 * c.sizes[-1]:,})"


def _error(c: LearningCurve, sample: str, confidence: float) -> str:
    e = c.extrapolation
    if not e:
        return f"{_start(c)}: the validation error is not extrapolated, since {c.refused}."
    return (
        f"{_start(c)} the validation error is expected to fall by {100 * e.reduction:.1f} points from "
        f"{100 * c.values[:, -1].mean():.1f} % ({interval(100 * e.low, 100 * e.high, confidence, 1)}, over {sample} "
        f"and the validation examples). Power law through {len(c.sizes)} sizes: error = {100 * e.law.a:.2f} % + "
        f"{100 * e.law.b:.3g} % n^-{e.law.c:.2f}."
    )


def _loss(c: LearningCurve, sample: str, confidence: float) -> str:
    e = c.extrapolation
    if not e:
        return f"{_start(c)}: the validation loss is not extrapolated, since {c.refused}."
    return (
        f"{_start(c)} the validation loss is expected to fall by {e.reduction:.3f} from "
        f"{c.values[:, -1].mean():.3f} ({interval(e.low, e.high, confidence)}, {sample})."
    )


COLUMNS = ["metric", "examples", "seed", "value"]


def rows(curves: list[LearningCurve]) -> list[dict]:
    """A row per metric, size and seed."""
    return [
        {"metric": c.metric, "examples": n, "seed": s, "value": float(c.values[s, i])}
        for c in curves
        for s in range(len(c.values))
        for i, n in enumerate(c.sizes)
    ]
