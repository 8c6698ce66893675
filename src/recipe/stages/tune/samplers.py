"""Which values a trial tries: a function of its sampler, seed, repeat and index, and of the results known by then.

So every worker proposes the same trials, and so does one that resumes a search after a kill.
"""

import math
import warnings

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from recipe.config.changes import nearest
from recipe.errors import RecipeError
from recipe.stages.tune.space import Range, Space
from recipe.stages.tune.trials import Trial

SAMPLERS = ("random", "qmc", "tpe", "gp", "grid")
MODELS = ("tpe", "gp")  # samplers that look at results
GRID = 2  # searched keys, above which a grid is refused

optuna.logging.set_verbosity(optuna.logging.ERROR)


def check_samplers(names: list[str], space: Space, trials: int) -> None:
    """Raises RecipeError for a sampler that is not known, is named twice, or cannot sample this space."""
    for name in names:
        if name not in SAMPLERS:
            raise RecipeError(f"samplers: no sampler `{name}`; {nearest(str(name), SAMPLERS)}")
    if not names or len(set(names)) < len(names):
        raise RecipeError("samplers: name at least one, and each once.")
    if "grid" in names and len(space) > GRID:
        raise RecipeError(
            f"samplers: a grid over {len(space)} keys is refused. Of many keys a few matter, and a grid of "
            f"{trials} trials has about {max(2, round(trials ** (1 / len(space))))} values of each, where random "
            f"search has {trials} (Bergstra and Bengio 2012). Take random, or at most {GRID} keys."
        )
    if "grid" in names and (most := math.prod(_sides(space, trials))) < trials:
        raise RecipeError(f"samplers: the grid over {', '.join(space)} has {most} points; trials: {most} at most.")


def propose(
    sampler: str, space: Space, seed: int, repeat: int, index: int, trials: int, past: list[Trial | dict]
) -> dict:  # fmt: skip
    """The values {key: value} of one trial of `trials`, without the keys whose condition does not hold.

    past: of this repeat alone, in order: the trials of earlier generations, and the values (dicts) of lower indices
    that are still in training.
    """
    if sampler == "qmc":
        return _values_at(space, dict(zip(space, _sobol(len(space), _seed(seed, repeat), index), strict=True)))
    if sampler == "grid":
        return _values_at(space, _cell(space, trials, _seed(seed, repeat), index))
    # Random draws what samplers with a model draw before they have results: the searches of a repeat start alike.
    conditions = any(range_.when for range_ in space.values())
    return _suggested(_optuna_sampler(sampler, _seed(seed, repeat, index), trials, conditions), space, past)


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _values_at(space: Space, shares: dict[str, float]) -> dict:
    """The values at these shares (0 to 1) of the ranges."""
    params: dict = {}
    for key, range_ in space.items():
        if range_.active(params):
            params[key] = range_.at(shares[key])
    return params


def _sobol(dimensions: int, seed: int, index: int) -> list[float]:
    """Point `index` of the scrambled sequence (Owen 1998)."""
    from scipy.stats import qmc  # here, for it takes seconds to import and one sampler needs it

    engine = qmc.Sobol(dimensions, scramble=True, rng=seed)
    if index:
        engine.fast_forward(index)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The balance properties of Sobol")
        return [min(share, math.nextafter(1, 0)) for share in engine.random(1)[0].tolist()]


def _sides(space: Space, trials: int) -> list[int]:
    """How many values each key has: about equally many, and at least `trials` points where choices allow it."""
    fixed = [len(range_.choices) for range_ in space.values()]
    free = fixed.count(0)
    rest = max(1, -(-trials // math.prod(n or 1 for n in fixed)))
    first = math.isqrt(rest - 1) + 1 if free == 2 else rest
    sides = iter([first, -(-rest // first)])
    return [n or next(sides) for n in fixed]


def _cell(space: Space, trials: int, seed: int, index: int) -> dict[str, float]:
    """The middle of a cell, in shares of the ranges. Each repeat has another order of the cells."""
    sides = _sides(space, trials)
    cell = int(np.random.default_rng(seed).permutation(math.prod(sides))[index])
    shares = {}
    for key, side in zip(space, sides, strict=True):
        cell, place = divmod(cell, side)
        shares[key] = (place + 0.5) / side
    return shares


def _optuna_sampler(sampler: str, seed: int, trials: int, conditions: bool) -> optuna.samplers.BaseSampler:
    # A third of a small budget at random, then the model; at most the 10 that Optuna takes for studies of 100 trials.
    start = min(10, max(2, trials // 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if sampler == "tpe":
            return optuna.samplers.TPESampler(seed=seed, n_startup_trials=start, multivariate=True, group=conditions)
        if sampler == "gp":
            return optuna.samplers.GPSampler(seed=seed, n_startup_trials=start)
    return optuna.samplers.RandomSampler(seed=seed)


def _suggested(sampler: optuna.samplers.BaseSampler, space: Space, past: list[Trial | dict]) -> dict:
    study = optuna.create_study(sampler=sampler)
    for earlier in past:
        study.add_trial(_frozen(space, earlier))
    trial = study.ask()
    params: dict = {}
    for key, range_ in space.items():
        if range_.active(params):
            params[key] = _suggest(trial, range_)
    return params


def _suggest(trial: optuna.Trial, range_: Range):
    if range_.choices:
        return trial.suggest_categorical(range_.key, range_.choices)
    if range_.whole:
        return trial.suggest_int(range_.key, int(range_.low), int(range_.high), log=range_.log)
    return trial.suggest_float(range_.key, range_.low, range_.high, log=range_.log)


def distributions(space: Space, params: dict) -> dict[str, BaseDistribution]:
    """Optuna's distributions of the keys that a trial has."""
    return {key: _distribution(space[key]) for key in params}


def _distribution(range_: Range) -> BaseDistribution:
    if range_.choices:
        return CategoricalDistribution(range_.choices)
    if range_.whole:
        return IntDistribution(int(range_.low), int(range_.high), log=range_.log)
    return FloatDistribution(range_.low, range_.high, log=range_.log)


def _frozen(space: Space, earlier: Trial | dict) -> FrozenTrial:
    """A trial in Optuna's form. One that failed counts as the worst: if it were left out, it would be tried again."""
    if isinstance(earlier, dict):
        return create_trial(state=TrialState.RUNNING, params=earlier, distributions=distributions(space, earlier))
    complete = earlier.state == "complete"
    return create_trial(
        state=TrialState.COMPLETE if complete else TrialState.PRUNED,
        value=earlier.cost if complete else None,
        params=earlier.params,
        distributions=distributions(space, earlier.params),
        intermediate_values={int(rung): value for rung, value in earlier.rungs.items()},
    )
