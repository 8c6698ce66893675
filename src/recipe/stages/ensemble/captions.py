"""The sentences of the ensemble stage in the report."""

import math

from recipe.formatting import count, interval, lowering
from recipe.models.fitted import SIMPLE
from recipe.stages.ensemble import final_evaluation, threshold_effect
from recipe.stages.ensemble.calibration_effect import CalibrationEffect
from recipe.stages.ensemble.member_weights import GREEDY, MemberWeights
from recipe.stages.ensemble.results import Results
from recipe.stages.ensemble.selection import LOSS, EnsembleSize, enough

EVIDENCE = {
    "ensemble_beats_its_best_member": ["sizes.png"],
    "temperature_helps_where_it_was_not_fitted": ["reliability.png"],
    "intervals_cover": ["reliability.png"],
    "final_beats_the_untuned_baseline": ["systems.png"],
    "final_beats_simple_models": ["systems.png"],
    "final_score_beats_the_constant": ["mispredictions.html"],
    "training_was_long_enough": ["longer.png"],
}
FIGURES = {
    "systems.png": "every system on the test set, with 95 % CI over examples; the test set was read once",
    "per_target.png": "every class, label or quantity on test, the lowest share first; with 95 % CI over examples",
    "sizes.png": "score against the number of members; shaded: 95 % CI over the choice of members",
    "reliability.png": "",  # below, by what is predicted
    "longer.png": "one network trained for longer; dotted: training loss",
    "mispredictions.png": "",
}
OF_PROBABILITIES = {
    "reliability.png": "accuracy against confidence on test, before and after temperature scaling",
    "mispredictions.png": "wrong predictions on test, the greatest loss first: {form}",
}
OF_QUANTITIES = {
    "reliability.png": "share of test inside the intervals, against the share that they are to contain",
    "mispredictions.png": "predicted against true values on test with their 90 % intervals, and the residuals",
}


def figure_captions(r: Results) -> dict[str, str]:
    """Of the pictures that show something: DVC requires the others, too."""
    figures = FIGURES | (OF_QUANTITIES if r.coverage else OF_PROBABILITIES)
    empty = {"longer.png": not r.extended, "per_target.png": len(r.per_target) == 1}
    return {
        file: caption.format(form=r.answers.caption_form) for file, caption in figures.items() if not empty.get(file)
    }


def summary(r: Results) -> str:
    """The result: the final system on test."""
    p, actual, metric = r.final.p_test, r.actual_test, r.metric
    value, (low, high) = metric.shown(metric.of(p, actual)), map(metric.shown, metric.interval(p, actual))
    return (
        f"{r.final.name} ({count(r.final.networks, 'network')}): {metric.title} {value} on test (95 % CI {low} to "
        f"{high}, n = {len(actual):,} examples), {r.task.loss_name} {r.test_loss:.4f}."
    )


def findings(r: Results) -> list[str]:
    compared = [
        c
        for c in r.comparisons
        if c.other in (*SIMPLE, final_evaluation.BEST_MEMBER, final_evaluation.STUDENT)
        or c.other.endswith(final_evaluation.UNTUNED)
    ]
    unit = r.metric.unit if r.coverage else ""
    sentences = [of_folds(r)] if r.folds else []
    sentences += [choice(r), ensemble_size(r.sizes, r.task.loss_name)]
    sentences += [calibrated(r)] if r.weights.fitted else []
    sentences += [c.sentence(unit, r.folds) for c in r.coverage] or [lowest(r)]
    decided = threshold_effect.sentence(r.task, r.weights.thresholds, r.final.p_test, r.actual_test)
    sentences += [decided] if decided else []
    sentences += [other_metrics(r)]
    sentences += [f"On test, {c.sentence()}." for c in compared]
    return sentences + ([r.extended.sentence()] if r.extended else [])


def of_folds(r: Results) -> str:
    """What a member is where there are folds."""
    return (
        f"A member is {r.folds} networks, one trained in each fold. Members are chosen and calibrated on all "
        f"{len(r.actual_val):,} examples of train and val, each predicted by the networks that were not trained on it; "
        "a new example is predicted by the mean of all networks. The networks of baseline, one distilled and one "
        "trained for longer are of the first fold alone, and so their validation scores are of val."
    )


def lowest(r: Results) -> str:
    """The class or label that is predicted worst."""
    share = r.answers.shares[0]
    row = min((row for row in r.per_target if row[share] != ""), key=lambda row: float(row[share]))
    low, high = (100 * float(row[f"{share}_{end}"]) for end in ("low", "high"))
    return (
        f"The lowest {share} on test is that of {next(iter(row.values()))}: {float(row[share]):.1%} "
        f"({interval(low, high, decimals=1)} %, n = {count(int(row['examples']), 'example')})."
    )


def other_metrics(r: Results) -> str:
    """Every metric of the task beside the one that leads."""
    p, actual, shown = r.final.p_test, r.actual_test, []
    for metric in r.task.metrics.values():
        value, (low, high) = metric.of(p, actual), metric.interval(p, actual)
        if metric.name != r.metric.name and math.isfinite(value):
            shown.append(f"{metric.title} {metric.shown(value)} (95 % CI {metric.shown(low)} to {metric.shown(high)})")
    return f"Other metrics on test: {', '.join(shown)}."


def choice(r: Results) -> str:
    """Which members were chosen, how, and why."""
    weights, pool, loss = r.weights, r.pool, r.task.loss_name
    seeds, picked = r.sizes[-1].members, weights.options[GREEDY]
    networks, others = (sum(n > 0 for n in counts) for counts in (picked, picked[seeds:]))
    effect = lowering(*weights.greedy_gain, f"cross-validated {loss}", f"{len(r.actual_val):,} validation examples")
    how = f", {_temperature(weights)}" if weights.fitted else ""
    pooled = f"{len(pool)} {'members' if r.folds else 'networks'}"
    both = ", without and with a temperature" if weights.fitted else ""
    return (
        f"Chosen on validation: {weights.name}{how}. Cross-validated {loss} in five folds{both}: {_held_out(weights)}. "
        f"Greedy selection picked {networks} of {pooled}, {others} of them of other configurations, and {effect}; "
        f"on the examples that chose it, its {loss} is {weights.greedy_path[-1]:.4f}."
    )


def _temperature(weights: MemberWeights) -> str:
    return _fitted(weights) if weights.calibrated else "no temperature"


def _fitted(weights: MemberWeights) -> str:
    """`a temperature of 0.75`, `a temperature of 0.75 to 1.31 for each label`."""
    low, high = min(weights.fitted), max(weights.fitted)
    return f"a temperature of {low:.2f}" + (f" to {high:.2f} for each label" if len(weights.fitted) > 1 else "")


def _held_out(weights: MemberWeights) -> str:
    shown = {name: f"{plain:.4f} and {t:.4f}" for name, (plain, t) in weights.held_out.items()}
    if not weights.fitted:
        shown = {name: f"{plain:.4f}" for name, (plain, _) in weights.held_out.items()}
    return "; ".join(f"{name} {values}" for name, values in shown.items())


def ensemble_size(sizes: list[EnsembleSize], loss: str) -> str:
    """How many members are enough."""
    first, last, least = sizes[0].means[LOSS], sizes[-1], enough(sizes)
    ends = interval(last.low[LOSS], last.high[LOSS], decimals=4)
    start = (
        f"One member has a mean validation {loss} of {first:.4f}, {last.members} averaged have {last.means[LOSS]:.4f} "
        f"({ends} over the choice of members)"
    )
    if least == 1:
        return f"{start}: averaging seeds gains no more than the noise of the choice of seeds."
    if least == last.members:
        return f"{start}: more members would gain more."
    return f"{start}; {least} members are within that interval, so more gain little (Recipe 6: about 5)."


def calibrated(r: Results) -> str:
    """What temperature scaling changes."""

    def change(c: CalibrationEffect, name: str) -> str:
        return f"{c.before[name][0]:.4f} → {c.after[name][0]:.4f}"

    val, test = r.calibration_on_val, r.calibration_on_test
    loss, *others = val.before
    use = "is used" if r.weights.calibrated else "is not used"
    effect = lowering(*test.fall, f"test {loss}", f"{len(r.actual_test):,} examples")
    text = (
        f"Fitted to validation, {_fitted(r.weights)} {use}. {loss}: {change(val, loss)} on validation, which chose it, "
        f"and {change(test, loss)} on test; it {effect}."
    )
    if (error := "ECE") in others:
        text += f" Expected calibration error: {change(val, error)} on validation and {change(test, error)} on test."
    return text
