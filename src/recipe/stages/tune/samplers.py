"""Which values a trial tries: a function of its sampler, seed, repeat and index, and of what is known by then.

So every worker, and one that takes up a killed search, asks for the same trials.
"""

import math
import warnings

from recipe.config.compose import nearest
from recipe.errors import RecipeError
from recipe.stages.tune.space import Space

SAMPLERS = ("random", "qmc", "tpe", "gp", "grid")
MODELS = ("tpe", "gp")  # those that look at results
GRID = 2  # searched keys, above which a grid is refused


def check_samplers(names: list[str], space: Space, trials: int) -> None:
    """Raises RecipeError for a sampler that is not known, stands there twice, or cannot do it."""
    for name in names:
        if name not in SAMPLERS:
            raise RecipeError(f"samplers: no sampler `{name}`; {nearest(str(name), SAMPLERS)}")
    if not names or len(set(names)) < len(names):
        raise RecipeError("samplers: name at least one, and each once.")
    if "grid" in names and len(space) > GRID:
        raise RecipeError(
            f"samplers: a grid over {len(space)} keys is refused. Of many keys a few matter, and a grid of "
            f"{trials} trials sees some {max(2, round(trials ** (1 / len(space))))} values of each, where random "
            f"search sees {trials} (Bergstra and Bengio 2012). Take random, or at most {GRID} keys."
        )
    if "grid" in names and (most := math.prod(_sides(space, trials))) < trials:
        raise RecipeError(f"samplers: the grid over {', '.join(space)} has {most} points; trials: {most} at most.")


def ask(sampler: str, space: Space, seed: int, repeat: int, index: int, trials: int, past: list) -> dict:
    """The values {key: value} of one trial of `trials`; a key whose condition does not hold is not among them.

    past: of this repeat alone, in order: Trial of earlier generations, and the values (dicts) of lower indices that
    are still at work.
    """
    if sampler == "qmc":
        return _given(space, dict(zip(space, _sobol(len(space), _number(seed, repeat), index), strict=True)))
    if sampler == "grid":
        return _given(space, _cell(space, trials, _number(seed, repeat), index))
    # random draws as those that look at results do before they know any: the searches of one repeat start alike
    conditions = any(range_.when for range_ in space.values())
    return _asked(_made(sampler, _number(seed, repeat, index), trials, conditions), space, past)


def _number(*parts: int) -> int:
    import numpy as np

    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _given(space: Space, shares: dict[str, float]) -> dict:
    params = {}
    for key, range_ in space.items():
        if range_.active(params):
            params[key] = range_.at(shares[key])
    return params


def _sobol(dimensions: int, seed: int, index: int) -> list[float]:
    """Point `index` of the scrambled sequence (Owen 1998)."""
    from scipy.stats import qmc

    engine = qmc.Sobol(dimensions, scramble=True, rng=seed)
    if index:
        engine.fast_forward(index)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The balance properties of Sobol")
        return [min(share, math.nextafter(1, 0)) for share in engine.random(1)[0].tolist()]


def _sides(space: Space, trials: int) -> list[int]:
    """Values of each key: as even as they come, and at least `trials` points where choices allow it."""
    fixed = [len(range_.choices) for range_ in space.values()]
    free = fixed.count(0)
    rest = max(1, -(-trials // math.prod(n or 1 for n in fixed)))
    first = math.isqrt(rest - 1) + 1 if free == 2 else rest
    sides = iter([first, -(-rest // first)])
    return [n or next(sides) for n in fixed]


def _cell(space: Space, trials: int, seed: int, index: int) -> dict[str, float]:
    """The middle of a cell; cells come in an order of the repeat's own."""
    import numpy as np

    sides = _sides(space, trials)
    cell = int(np.random.default_rng(seed).permutation(math.prod(sides))[index])
    shares = {}
    for key, side in zip(space, sides, strict=True):
        cell, place = divmod(cell, side)
        shares[key] = (place + 0.5) / side
    return shares


def _made(sampler: str, seed: int, trials: int, conditions: bool):
    import optuna

    # a third of a small budget at random, then the model; at most the 10 that Optuna takes for studies of 100 trials
    start = min(10, max(2, trials // 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if sampler == "tpe":
            return optuna.samplers.TPESampler(seed=seed, n_startup_trials=start, multivariate=True, group=conditions)
        if sampler == "gp":
            return optuna.samplers.GPSampler(seed=seed, n_startup_trials=start)
    return optuna.samplers.RandomSampler(seed=seed)


def _asked(sampler, space: Space, past: list) -> dict:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=sampler)
    for earlier in past:
        study.add_trial(_shadow(space, earlier))
    trial, params = study.ask(), {}
    for key, range_ in space.items():
        if range_.active(params):
            params[key] = _suggest(trial, range_)
    return params


def _suggest(trial, range_):
    if range_.choices:
        return trial.suggest_categorical(range_.key, range_.choices)
    suggest = trial.suggest_int if range_.whole else trial.suggest_float
    return suggest(range_.key, range_.low, range_.high, log=range_.log)


def distributions(space: Space, params: dict) -> dict:
    """Optuna's, of the keys that a trial has."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found = {}
    for key in params:
        range_ = space[key]
        if range_.choices:
            found[key] = CategoricalDistribution(range_.choices)
        else:
            kind = IntDistribution if range_.whole else FloatDistribution
            found[key] = kind(range_.low, range_.high, log=range_.log)
    return found


def _shadow(space: Space, earlier):
    """A trial as the sampler sees it. One that failed stands for the worst: left out, it would be tried again."""
    from optuna.trial import TrialState, create_trial

    if isinstance(earlier, dict):
        return create_trial(state=TrialState.RUNNING, params=earlier, distributions=distributions(space, earlier))
    complete = earlier.state == "complete"
    return create_trial(
        state=TrialState.COMPLETE if complete else TrialState.PRUNED,
        value=earlier.value if complete else None,
        params=earlier.params,
        distributions=distributions(space, earlier.params),
        intermediate_values={int(step): value for step, value in earlier.rungs.items()},
    )
