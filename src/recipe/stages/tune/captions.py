"""The sentences of the tune stage in the report."""

from recipe.stages.tune.compare import ACCEPTED
from recipe.stages.tune.importance import without_model
from recipe.stages.tune.results import SearchResults

EVIDENCE = {
    "best_is_inside_the_space": ["slices.png"],
    "gain_is_more_than_noise": ["best_so_far.png"],
    "trials_come_to_an_end": ["trials.csv"],
}
SAMPLERS = {
    "random": "random search", "qmc": "quasi-random search", "tpe": "TPE", "gp": "Gaussian process",
    "grid": "grid search",
}  # fmt: skip


def figures(results: SearchResults) -> dict[str, str]:
    return {
        "best_so_far.png": f"best {results.objective.title} after each trial, over {results.repeats} repeats; at the "
        f"right end the {100 * results.confidence:.4g} % CI of the mean",
        "slices.png": f"{results.objective.title} of every trial against each searched key",
        "parallel.png": "every trial as a line through its values",
        "importances.png": f"PED-ANOVA importance over the {len(without_model(results.trials))} trials that no model "
        "proposed: which keys distinguish the better trials, not which change the result most",
    }


def summary(results: SearchResults) -> str:
    tuned = results.tuned
    if tuned.gain.significant:
        outcome = "; it becomes the recipe"
    elif tuned.gain.high < 0:
        outcome = f"; the {ACCEPTED} is kept"
    else:
        outcome = f": no significant gain, so the {ACCEPTED} is kept"
    sampler = SAMPLERS[tuned.best.sampler]
    return f"The best of {len(results.all_trials)} trials ({sampler}) {tuned.effect}{outcome}."


def findings(results: SearchResults) -> list[str]:
    left_out = results.setup.budget.sentence("tune")
    return [f"{p['change']} {p['measured']}." for p in results.comparisons] + ([left_out] if left_out else [])
