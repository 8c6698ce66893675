"""Which searched keys tell the better trials from the rest."""

import warnings

import optuna
from optuna.trial import TrialState, create_trial

from recipe.stages.tune.samplers import MODELS, distributions
from recipe.stages.tune.space import Space
from recipe.stages.tune.trials import Trial


def without_model(trials: dict[str, list[Trial]]) -> list[Trial]:
    """The trials of samplers without a model, which cover the whole space; all trials where every sampler has one.

    Trials that a model chose crowd where it expected good results, which distorts importances.
    """
    unguided = [t for sampler, of_sampler in trials.items() if sampler not in MODELS for t in of_sampler]
    return unguided or [t for of_sampler in trials.values() for t in of_sampler]


def importances(space: Space, trials: list[Trial]) -> dict[str, float]:
    """Optuna's PED-ANOVA (Watanabe et al. 2023): what distinguishes the better trials, not the share of variance.

    {} where there are too few trials. One that was stopped early counts with its cost there: only ranks matter.
    """
    study = optuna.create_study()
    for t in trials:
        if t.cost is not None:
            study.add_trial(
                create_trial(
                    state=TrialState.COMPLETE, value=t.cost, params=t.params,
                    distributions=distributions(space, t.params),
                )
            )  # fmt: skip
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="The number of trials is too small")
            return dict(optuna.importance.get_param_importances(study))
    except (RuntimeError, ValueError, UserWarning):
        return {}
