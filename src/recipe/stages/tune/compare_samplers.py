"""One sampler compared with another at the same budget: the best trial, paired over repeats."""

import math

from omegaconf import DictConfig

from recipe.experiment.arms import paired_gain
from recipe.formatting import outcome
from recipe.metrics.objective import Objective
from recipe.stages.tune.trials import Trial


def best_so_far(trials: list[Trial]) -> list[float]:
    """The lowest cost up to each trial of one repeat; infinite before the first complete trial."""
    lowest, curve = math.inf, []
    for trial in trials:
        lowest = min(lowest, trial.known_cost if trial.state == "complete" else math.inf)
        curve.append(lowest)
    return curve


def by_repeat(trials: list[Trial]) -> list[list[Trial]]:
    return [[t for t in trials if t.repeat == repeat] for repeat in sorted({t.repeat for t in trials})]


def best_of_repeats(trials: list[Trial]) -> list[float]:
    """The lowest cost of each repeat; infinite where no trial is complete."""
    return [best_so_far(of_repeat)[-1] for of_repeat in by_repeat(trials)]


def progress(
    trials: dict[str, list[Trial]], confidence: float
) -> tuple[dict[str, list[list[float]]], dict[str, list[float]]]:
    """({sampler: best so far of each repeat}, {sampler: half the width of the mean's interval at each trial})."""
    best = {sampler: [best_so_far(repeat) for repeat in by_repeat(of_it)] for sampler, of_it in trials.items()}
    half = {
        sampler: [_half_width(values, confidence) for values in zip(*curves, strict=True)]
        for sampler, curves in best.items()
    }
    return best, half


def _half_width(values: tuple[float, ...], confidence: float) -> float:
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return math.nan
    mean = paired_gain(list(values), confidence)
    return mean.high - mean.mean


def sampler_predictions(cfg: DictConfig, trials: dict[str, list[Trial]], objective: Objective) -> list[dict]:
    """A prediction for each sampler after the first: that it finds a better trial than the first, at the same budget.

    Paired over repeats: the searches of one repeat begin with the same random numbers.
    """
    (first, reference), *others = trials.items()
    of_first = best_of_repeats(reference)
    return [_prediction(cfg, first, of_first, name, best_of_repeats(of), objective) for name, of in others]


def _prediction(
    cfg: DictConfig, first: str, reference: list[float], name: str, best: list[float], objective: Objective
) -> dict:
    prediction = {
        "change": f"{name} instead of {first}",
        "expected": f"{objective.improves} of the best of {cfg.trials} trials",
        "outcome": "undecided",
    }
    differences = [a - b for a, b in zip(reference, best, strict=True)]
    if len(differences) < 2 or not all(map(math.isfinite, differences)):
        return prediction | {
            "measured": "cannot be compared: it takes two repeats in which both samplers have a complete trial"
        }
    g = paired_gain(differences, cfg.confidence)
    best_title = f"the best {objective.title}"
    effect = objective.effect(g.mean, g.low, g.high, f"{g.n} repeats", cfg.confidence, of=best_title)
    verdict = f"{name} is better" if g.low > 0 else f"{first} is better" if g.high < 0 else "no significant difference"
    return prediction | {"measured": f"{effect}: {verdict}", "outcome": outcome(g.low, g.high)}
