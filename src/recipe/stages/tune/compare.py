"""What a search found: its best trial against the accepted recipe, and one sampler against another."""

import math
import warnings
from dataclasses import dataclass

from omegaconf import DictConfig

from recipe.config.compose import change
from recipe.experiment.arms import Gain, gain, interval, train_arms
from recipe.stages.tune.samplers import MODELS, distributions
from recipe.stages.tune.space import Space, at_edges, changes
from recipe.stages.tune.trials import Trial, train_again, train_cohort
from recipe.stages.tune.worker import Search, asked, cohorts, generations

ACCEPTED = "accepted recipe"


@dataclass(frozen=True)
class Comparison:
    """The best trial against the accepted recipe, over seeds that neither of them was chosen on."""

    best: Trial
    again: float
    reference: float  # the accepted recipe at the trials' own seeds
    gain: Gain
    edges: list[str]
    handed_on: dict
    score: dict
    prediction: dict


def best(trials: list[Trial]) -> Trial:
    """The lowest value of those that trained to their end."""
    return min((t for t in trials if t.state == "complete"), key=lambda t: t.value)


def finished(space: Space, start: dict, trials: list[Trial]) -> list[dict]:
    """The changes of each trial that trained to its end, the lowest value first, none twice."""
    found = []
    for trial in sorted((t for t in trials if t.state == "complete"), key=lambda t: t.value):
        if (changed := changes(space, start, trial.params)) not in found:
            found.append(changed)
    return found


def best_so_far(trials: list[Trial]) -> list[float]:
    """The lowest value up to each trial of one repeat; infinite before the first that trained to its end."""
    lowest, curve = math.inf, []
    for trial in trials:
        lowest = min(lowest, trial.value if trial.state == "complete" else math.inf)
        curve.append(lowest)
    return curve


def by_repeat(trials: list[Trial]) -> list[list[Trial]]:
    return [[t for t in trials if t.repeat == repeat] for repeat in sorted({t.repeat for t in trials})]


def progress(
    trials: dict[str, list[Trial]], confidence: float
) -> tuple[dict[str, list[list[float]]], dict[str, list[float]]]:
    """({sampler: best so far of each repeat}, {sampler: half the width of the mean's interval at each trial})."""
    best, half = {}, {}
    for sampler, mine in trials.items():
        best[sampler] = [best_so_far(repeat) for repeat in by_repeat(mine)]
        half[sampler] = [_half(values, confidence) for values in zip(*best[sampler], strict=True)]
    return best, half


def _half(values: tuple[float, ...], confidence: float) -> float:
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return math.nan
    gain = interval(list(values), confidence)
    return gain.high - gain.mean


def compare(search: Search, trials: dict[str, list[Trial]], run) -> Comparison:
    """The best of many trials always looks good on its own seeds: it meets the accepted recipe on fresh ones."""
    cfg, data, start = search.work.cfg, search.work.data, search.work.start
    top = best([t for mine in trials.values() for t in mine])
    (alone,) = train_cohort(search.work, ACCEPTED, {(0, 0): {}}, {}, None)
    found = changes(search.work.space, start, top.params)
    fresh = change(cfg, {"seed": cfg.seed + 1000})
    arms = train_arms(fresh, data, {ACCEPTED: start, "best trial": found}, run, main="best trial")
    difference = gain(arms[ACCEPTED], arms["best trial"], cfg.confidence)
    winner = arms["best trial" if difference.significant else ACCEPTED]
    prediction = {
        "change": f"best of {sum(map(len, trials.values()))} trials",
        "expected": "val_loss lower than the accepted recipe's",
        "measured": str(difference),
        "outcome": "confirmed" if difference.significant else "refuted",
    }
    row = winner.score() | {"system": "tuned" if difference.significant else f"tuned (the {ACCEPTED})"}
    edges = at_edges(top.params, search.work.space)
    return Comparison(top, again(search, top), alone.value, difference, edges, winner.changes, row, prediction)


def again(search: Search, top: Trial) -> float:
    """The value of a trial that is trained once more, as it was trained."""
    cfg, study = search.work.cfg, search.studies[top.sampler]
    (indices,) = (mine for mine in generations(cfg, top.sampler) if top.index in mine)
    params = asked(cfg, study, indices)
    (cohort,) = (mine for mine in cohorts(params, study.space, cfg.together) if top.key in mine)
    return train_again(search.work, [study.finished[key] for key in cohort], study.finished[top.key])


# ---- samplers --------------------------------------------------------------------------------------------------


def ends(trials: list[Trial]) -> list[float]:
    """The best value of each repeat; infinite where none trained to its end."""
    return [best_so_far(mine)[-1] for mine in by_repeat(trials)]


def rivals(cfg: DictConfig, trials: dict[str, list[Trial]]) -> list[dict]:
    """A prediction for each sampler after the first: that it finds a lower loss than the first, at the same budget.

    Over repeats, paired: searches of one repeat begin with the same random numbers.
    """
    (first, reference), *others = trials.items()
    return [_rival(cfg, first, ends(reference), name, ends(mine)) for name, mine in others]


def _rival(cfg: DictConfig, first: str, reference: list[float], name: str, mine: list[float]) -> dict:
    prediction = {
        "change": f"{name} instead of {first}",
        "expected": f"best val_loss of {cfg.trials} trials lower, over repeats",
        "outcome": "refuted",
    }
    differences = [a - b for a, b in zip(reference, mine, strict=True)]
    if len(differences) < 2 or not all(map(math.isfinite, differences)):
        return prediction | {"measured": "cannot be told: it takes two repeats in which both found something"}
    g = interval(differences, cfg.confidence)
    said = f"{name} found better" if g.low > 0 else f"{first} found better" if g.high < 0 else "cannot be told apart"
    return prediction | {"measured": f"gain {g}: {said}", "outcome": "confirmed" if g.low > 0 else "refuted"}


def unmodelled(trials: dict[str, list[Trial]]) -> list[Trial]:
    """Trials of samplers that spread over the whole space, where importances mean something; else all."""
    blind = [t for sampler, mine in trials.items() if sampler not in MODELS for t in mine]
    return blind or [t for mine in trials.values() for t in mine]


def importances(space: Space, trials: list[Trial]) -> dict[str, float]:
    """Optuna's PED-ANOVA (Watanabe et al. 2023): what matters among the better ones, not the share of variance.

    {} where there are too few. A trial that was stopped early counts with its value there: it is the ranks that matter.
    """
    import optuna
    from optuna.trial import TrialState, create_trial

    study = optuna.create_study()
    for t in trials:
        if t.value is not None:
            study.add_trial(
                create_trial(
                    state=TrialState.COMPLETE, value=t.value, params=t.params,
                    distributions=distributions(space, t.params),
                )
            )  # fmt: skip
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="The number of trials is too small")
            return dict(optuna.importance.get_param_importances(study))
    except (RuntimeError, ValueError, UserWarning):
        return {}


def summary(found: Comparison, count: int) -> str:
    better = "handed on" if found.gain.significant else f"within seed noise: the {ACCEPTED} is handed on"
    g = found.gain
    return (
        f"Best of {count} trials ({found.best.sampler}): val_loss lower by {g.mean:+.4f} "
        f"[{g.low:+.4f}, {g.high:+.4f}] over {g.n} fresh seeds; {better}."
    )
