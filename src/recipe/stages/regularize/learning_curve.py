"""More data: the error against the size of the training set, and what twice the data would bring.

A power law a + b n^-c (Hestness et al. 2017, Deep learning scaling is predictable, empirically; Rosenfeld et al. 2020)
through the mean over seeds at each share. Every training has the same number of steps, and is read at the step that
early stopping would choose, each half of val by the step of the other half: with equal epochs a small share would be
cut off before it has learned; at the last step it would have been overfitted for longer than the whole.
"""

from dataclasses import dataclass

import numpy as np
from omegaconf import DictConfig
from torch import Tensor

from recipe.data.batches import Data
from recipe.experiment.arms import Arm, chosen, crosswise, interval, train_arms
from recipe.stages.regularize.ablation import BASE
from recipe.train.lane import Trained

SIZES = 4  # a power law has three numbers
SEEDS = 3
EXPONENTS = np.geomspace(0.05, 3.0, 240)  # steeper or flatter is no power law that could be told from a constant
DRAWS = 1000
MISFIT = 0.01  # probability of so bad a fit by chance, below which there is no extrapolation


@dataclass(frozen=True)
class Law:
    """a + b n^-c, with a, b >= 0."""

    a: float
    b: float
    c: float

    def at(self, n):
        return self.a + self.b * np.asarray(n, float) ** -self.c


@dataclass(frozen=True)
class LearningCurve:
    """values: (seeds, sizes), by rising size. saved: what twice the data takes off, with its interval low..high.

    refused: why nothing is extrapolated; law and the rest are None then.
    """

    metric: str
    sizes: list[int]
    values: np.ndarray
    law: Law | None = None
    saved: float | None = None
    low: float | None = None
    high: float | None = None
    band: np.ndarray | None = None  # (n, low, high) rows: of the law, from the smallest size to twice the largest
    refused: str = ""


def train_shares(cfg: DictConfig, data: Data, start: dict, run) -> tuple[Arm, list[LearningCurve]]:
    """The base arm, and what smaller shares of the training set do beside it: of the error and of the loss."""
    shares = sorted({float(s) for s in cfg.shares if s < 1})
    arms = {BASE: start} | {f"{s:.1%} of the training set": start | {"train.share": s} for s in shares}
    trained = train_arms(cfg, data, arms, run, label="more data", main=BASE, watch=len(data.val))
    arms = list(trained.values())
    ordered = [*arms[1:], arms[0]]
    sizes = [max(1, round(share * len(data.train))) for share in (*shares, 1.0)]
    if lost := [text for arm in ordered for text in arm.lost]:
        none, why = np.empty((0, len(sizes))), f"a training ended: {lost[0]}"
        return arms[0], [LearningCurve("error", sizes, none, refused=why)]
    seeds = list(zip(*(arm.lanes for arm in ordered), strict=True))  # of each, its lanes by size
    errors = np.stack([[_held_out(lane, data.val.y) for lane in lanes] for lanes in seeds])  # (seeds, sizes, N)
    losses = np.array([[crosswise(lane) for lane in lanes] for lanes in seeds])
    return arms[0], [
        learning_curve("error", sizes, errors.mean(2), cfg.confidence, cfg.seed, errors),
        learning_curve("loss", sizes, losses, cfg.confidence, cfg.seed),
    ]


def _held_out(lane: Trained, y: Tensor) -> np.ndarray:
    """Which validation examples are wrong, each at the step that the other half of val chose."""
    by_a, by_b = ((lane.watched[row].argmax(-1) != y).cpu().numpy() for row in chosen(lane))
    by_b[1::2] = by_a[1::2]  # the odd ones are half b
    return by_b


def learning_curve(
    metric: str, sizes: list[int], values: np.ndarray, confidence: float, seed: int = 0, each: np.ndarray | None = None
) -> LearningCurve:
    """values: (seeds, sizes). each: (seeds, sizes, N), the same of every validation example.

    The interval is a bootstrap over seeds, widened to Student's t since they are few; and, where `each` is given,
    over validation examples as well. Nothing is extrapolated from too few sizes or seeds, where more data took nothing
    off over the sizes that were measured, or where no power law fits.
    """
    values, count = np.asarray(values, float), len(values)
    if len(sizes) < SIZES or count < SEEDS:
        return LearningCurve(metric, sizes, values, refused=f"that takes {SIZES} sizes and {SEEDS} seeds")
    fall = interval((values[:, 0] - values[:, -1]).tolist(), confidence)
    if not fall.low > 0:
        return LearningCurve(metric, sizes, values, refused="more data took nothing off beyond the noise of seeds")
    replicas, spread = _replicas(values, each, confidence, seed)
    law = fit(sizes, values.mean(0)[None], 1 / spread)[0]
    if (p := _misfit(law, sizes, values, spread)) < MISFIT:
        return LearningCurve(metric, sizes, values, refused=f"no power law fits (p = {p:.1g})")
    laws = fit(sizes, replicas, 1 / spread)
    largest = sizes[-1]
    saved = np.array([one.at(largest) - one.at(2 * largest) for one in laws])
    tails = [50 * (1 - confidence), 50 * (1 + confidence)]
    low, high = np.percentile(saved, tails)
    at = np.geomspace(sizes[0], 2 * largest, 40)
    edges = np.percentile([one.at(at) for one in laws], tails, axis=0)
    mean = float(law.at(largest) - law.at(2 * largest))
    band = np.column_stack([at, *edges])
    return LearningCurve(metric, sizes, values, law, mean, float(min(low, mean)), float(max(high, mean)), band)


def _replicas(values, each, confidence: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(DRAWS, sizes) means that another set of seeds and examples could have given, and the variance of such a mean."""
    from scipy.stats import norm, t

    count, chance = len(values), np.random.default_rng(seed)
    mean = values.mean(0)
    tail = (1 + confidence) / 2
    wider = t.ppf(tail, count - 1) / norm.ppf(tail) * np.sqrt(count / (count - 1))
    seeds = chance.integers(count, size=(DRAWS, count))
    replicas = mean + wider * (values[seeds].mean(1) - mean)
    spread = values.var(0, ddof=1) / count
    if each is not None:
        columns = each.mean(0)  # (sizes, N): over seeds, what an example adds
        total = columns.shape[1]
        times = chance.multinomial(total, np.full(total, 1 / total), size=DRAWS)
        replicas = replicas + times @ columns.T / total - mean
        spread = spread + columns.var(1, ddof=1) / total
    # few seeds know their own spread badly: half of the weight is that of all sizes together
    return replicas.clip(min=0), np.maximum((spread + spread.mean()) / 2, 1e-18)


def fit(sizes, means: np.ndarray, weights: np.ndarray) -> list[Law]:
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


def _misfit(law: Law, sizes, values: np.ndarray, spread: np.ndarray) -> float:
    """The probability of residuals as large as these, were the law true; the spread is known from few seeds (F)."""
    from scipy.stats import f

    freedom = len(sizes) - 3
    residuals = values.mean(0) - law.at(sizes)
    return float(f.sf((residuals**2 / spread).sum() / freedom, freedom, len(values) - 1))


def told(curves: list[LearningCurve], seeds: int, confidence: float) -> list[str]:
    """A sentence a curve."""
    return [_error(c, seeds, confidence) if c.metric == "error" else _loss(c, seeds, confidence) for c in curves]


def _start(c: LearningCurve) -> str:
    return f"With twice the training data (n = {c.sizes[-1]:,} to {2 * c.sizes[-1]:,})"


def _error(c: LearningCurve, seeds: int, confidence: float) -> str:
    if c.refused:
        return f"{_start(c)}: the error on validation is not extrapolated, {c.refused}."
    now = 100 * c.values[:, -1].mean()
    return (
        f"{_start(c)}, about {100 * c.saved:.1f} points less error on validation ({100 * c.low:.1f} to "
        f"{100 * c.high:.1f}, {confidence:.0%} interval; now {now:.1f} %): error = {100 * c.law.a:.2f} % + "
        f"{100 * c.law.b:.3g} % n^-{c.law.c:.2f} through {len(c.sizes)} sizes, {seeds} seeds each."
    )


def _loss(c: LearningCurve, seeds: int, confidence: float) -> str:
    if c.refused:
        return f"{_start(c)}: the validation loss is not extrapolated, {c.refused}."
    return (
        f"{_start(c)}, a validation loss lower by about {c.saved:.3f} ({c.low:.3f} to {c.high:.3f} nats, "
        f"{confidence:.0%} interval over {seeds} seeds; now {c.values[:, -1].mean():.3f})."
    )


def rows(curves: list[LearningCurve]) -> list[dict]:
    """A row per metric, size and seed."""
    return [
        {"metric": c.metric, "examples": n, "seed": s, "value": float(c.values[s, i])}
        for c in curves
        for s in range(len(c.values))
        for i, n in enumerate(c.sizes)
    ]
