"""The sentences of the ensemble stage in the report."""

from recipe.formatting import count, interval, lowering
from recipe.metrics.calibration import Calibration
from recipe.stages.ensemble import final_evaluation
from recipe.stages.ensemble.member_weights import GREEDY, MemberWeights
from recipe.stages.ensemble.results import Results
from recipe.stages.ensemble.selection import EnsembleSize, enough

EVIDENCE = {
    "ensemble_beats_its_best_member": ["sizes.png"],
    "temperature_helps_where_it_was_not_fitted": ["reliability.png"],
    "final_beats_the_untuned_baseline": ["systems.png"],
    "final_score_beats_the_constant": ["mispredictions.html"],
    "training_was_long_enough": ["longer.png"],
}
FIGURES = {
    "systems.png": "every system on the test set, with 95 % CI over examples; the test set was read once",
    "sizes.png": "score and calibration against the number of members; shaded: 95 % CI over the choice of members",
    "reliability.png": "accuracy against confidence on test, before and after temperature scaling",
    "longer.png": "one network trained for longer; dotted: training loss",
    "mispredictions.png": "every wrong prediction on test, the most confident first: label → prediction",
}


def summary(r: Results) -> str:
    """The result: the final system on test."""
    test = r.test_quality()
    low, high = test.interval()
    return (
        f"{r.final.name} ({count(r.final.networks, 'network')}): accuracy {test.accuracy:.1%} on test (95 % CI "
        f"{low:.1%} to {high:.1%}, n = {test.count:,} examples), NLL {test.nll:.4f}."
    )


def findings(r: Results) -> list[str]:
    compared = [
        c
        for c in r.comparisons
        if c.other in (final_evaluation.BEST_MEMBER, final_evaluation.STUDENT)
        or c.other.endswith(final_evaluation.UNTUNED)
    ]
    sentences = [choice(r), ensemble_size(r.sizes), calibrated(r), *(f"On test, {c.sentence()}." for c in compared)]
    return sentences + ([r.extended.sentence()] if r.extended else [])


def choice(r: Results) -> str:
    """Which members were chosen, how, and why."""
    weights, pool = r.weights, r.pool
    seeds, picked = r.sizes[-1].members, weights.options[GREEDY]
    networks, others = (sum(n > 0 for n in counts) for counts in (picked, picked[seeds:]))
    effect = lowering(*weights.greedy_gain, "cross-validated NLL", f"{len(r.y_val):,} validation examples")
    return (
        f"Chosen on validation: {weights.name}, {_temperature(weights)}. Cross-validated NLL in five folds, without "
        f"and with a temperature: {_held_out(weights)}. Greedy selection picked {networks} of {len(pool)} networks, "
        f"{others} of them of other configurations, and {effect}; on the examples that chose it, its NLL is "
        f"{weights.greedy_path[-1]:.4f}."
    )


def _temperature(weights: MemberWeights) -> str:
    return f"a temperature of {weights.fitted_temperature:.2f}" if weights.calibrated else "no temperature"


def _held_out(weights: MemberWeights) -> str:
    return "; ".join(f"{name} {plain:.4f} and {t:.4f}" for name, (plain, t) in weights.held_out.items())


def ensemble_size(sizes: list[EnsembleSize]) -> str:
    """How many members are enough."""
    first, last, least = sizes[0].means["nll"], sizes[-1], enough(sizes)
    ends = interval(last.low["nll"], last.high["nll"], decimals=4)
    start = (
        f"One member has a mean validation NLL of {first:.4f}, {last.members} averaged have {last.means['nll']:.4f} "
        f"({ends} over the choice of members)"
    )
    if least == 1:
        return f"{start}: averaging seeds gains no more than the noise of the choice of seeds."
    if least == last.members:
        return f"{start}: more members would gain more."
    return f"{start}; {least} members are within that interval, so more gain little (Recipe 6: about 5)."


def calibrated(r: Results) -> str:
    """What temperature scaling changes."""

    def change(c: Calibration, name: str) -> str:
        return f"{c.before[name][0]:.4f} → {c.after[name][0]:.4f}"

    val, test = r.calibration_on_val, r.calibration_on_test
    use = "is used" if r.weights.calibrated else "is not used"
    effect = lowering(*test.fall, "test NLL", f"{len(r.y_test):,} examples")
    return (
        f"The temperature fitted to validation, {r.weights.fitted_temperature:.2f}, {use}. NLL: {change(val, 'nll')} "
        f"on validation, which chose it, and {change(test, 'nll')} on test; it {effect}. Expected calibration error: "
        f"{change(val, 'ece')} on validation and {change(test, 'ece')} on test."
    )
