"""Claims about the search."""

from collections import Counter

from recipe.stages.tune.no_search import Unsearched
from recipe.stages.tune.results import SearchResults
from recipe.verdict import FAIL, PASS, Verdict, bounded, check, exactly, skip, undecided


@check(source="Recipe 2, fix random seed")
def best_trial_repeats(s: SearchResults | Unsearched) -> Verdict:
    """The best trial, trained again from its seeds beside the same other trials, has exactly the same result on val.

    Look for a random number outside the seeded generators, or for state that one trial leaves to the next.
    """
    if isinstance(s, Unsearched):
        return skip(s.reason)
    first, again = (s.objective.turned(cost) for cost in (s.tuned.best.known_cost, s.tuned.repeated_cost))
    return exactly(
        abs(again - first), 0.0,
        finding=f"Trained again from the same seeds, the best trial has a {s.objective.title} of "
        f"{again:.6g} instead of {first:.6g}: a random number is outside the seeded generators, or one trial leaves "
        "state to the next.",
    )  # fmt: skip


@check(source="Recipe 5, random over grid")
def budgets_are_equal(s: SearchResults | Unsearched) -> Verdict:
    """Each sampler ran each of its trials once, in every repeat: the comparison is fair.

    Trials were lost or trained twice: the storage may be shared with another search.
    """
    if isinstance(s, Unsearched):
        return skip(s.reason)
    planned = Counter({(repeat, index): 1 for repeat in range(s.repeats) for index in range(s.budget)})
    finished = [Counter(t.key for t in trials) for trials in s.trials.values()]
    return exactly(sum(((planned - keys) + (keys - planned)).total() for keys in finished), 0)


@check(source="Recipe 5, tune", gate=False)
def trials_come_to_an_end(s: SearchResults | Unsearched) -> Verdict:
    """No trial diverges, runs out of memory or raises an error.

    trials.csv has the causes: a learning rate that is too high for some widths, a batch that does not fit, a value
    that the model does not accept. Narrow the range in conf/space/, or give it a condition.
    """
    if isinstance(s, Unsearched):
        return skip(s.reason)
    failed, total = s.count("failed"), len(s.all_trials)
    return exactly(
        failed / total, 0.0,
        finding=f"{failed} of {total} trials failed; trials.csv has the causes. Narrow the ranges in conf/space/, or "
        "give them conditions.",
    )  # fmt: skip


@check(source="Recipe 5, tune", gate=False)
def gain_is_more_than_noise(s: SearchResults | Unsearched) -> Verdict:
    """Over new seeds, the best configuration is better on val than the accepted recipe.

    The accepted recipe is kept. The best of many trials always looks better on its own seeds.
    """
    if isinstance(s, Unsearched):
        return skip(s.reason)
    g, level = s.tuned.gain, f"{100 * s.confidence:.4g} %"
    bound = f"above 0 with the whole {level} CI ({g.low:.4f} to {g.high:.4f}, n = {g.sample})"
    effect = f"The best of {len(s.all_trials)} trials {s.tuned.effect}"
    if g.low <= 0 <= g.high and g.n > 1:
        finding = f"{effect}: the interval includes zero, so the accepted recipe is kept."
        return undecided(g.mean, bound, f"The {level} CI over {g.over} includes zero. {g.needed}", finding=finding)
    return bounded(PASS if g.significant else FAIL, g.mean, bound, finding=f"{effect}: the accepted recipe is kept.")


@check(source="Recipe 5, tune", gate=False)
def best_is_inside_the_space(s: SearchResults | Unsearched) -> Verdict:
    """No value of the best trial lies at an end of its range.

    The optimum may be outside: widen the range of these keys in conf/space/.
    """
    if isinstance(s, Unsearched):
        return skip(s.reason)
    keys = ", ".join(s.tuned.keys_at_edges)
    return bounded(
        FAIL if keys else PASS, keys or "none", "none",
        finding=f"The best trial lies at an end of the range of {keys}: the optimum may be outside. Widen the range in "
        "conf/space/.",
    )  # fmt: skip
