"""Claims about the search."""

from collections import Counter
from dataclasses import dataclass

from recipe.experiment.arms import Gain
from recipe.metrics import power
from recipe.stages.tune.trials import Trial
from recipe.verdict import FAIL, PASS, Verdict, check, exactly, undecided


@dataclass(frozen=True)
class Search:
    trials: dict[str, list[Trial]]  # by sampler
    best: Trial
    again: float  # the best trial's validation loss, trained once more from its seeds
    gain: Gain  # of the best configuration over the accepted recipe
    edges: list[str]
    budget: int  # trials of each sampler and repeat
    repeats: int


@check(source="Recipe 2, fix random seed")
def best_trial_repeats(s: Search) -> Verdict:
    """The best trial, run again from its seeds beside the same others, has the same validation loss to the bit.

    A random number outside the seeded generators, or state that one trial leaves to the next.
    """
    return exactly(abs(s.again - s.best.value), 0.0)


@check(source="Recipe 5, random over grid")
def budgets_are_equal(s: Search) -> Verdict:
    """Each sampler ran each of its trials once, in every repeat: the comparison is fair.

    Trials were lost, or trained twice, on the way: a storage that is shared with another search.
    """
    wanted = Counter({(repeat, index): 1 for repeat in range(s.repeats) for index in range(s.budget)})
    found = [Counter(t.key for t in mine) for mine in s.trials.values()]
    return exactly(sum(((wanted - have) + (have - wanted)).total() for have in found), 0)


@check(source="Recipe 5, tune", gate=False)
def trials_come_to_an_end(s: Search) -> Verdict:
    """No trial diverges, runs out of memory or raises an error.

    The causes stand in trials.csv: a learning rate that is too high for some widths, a batch that does not fit, a value
    that the model cannot take. Narrow the range in conf/space/, or give it a condition.
    """
    every = [t for mine in s.trials.values() for t in mine]
    return exactly(sum(t.state == "failed" for t in every) / len(every), 0.0)


@check(source="Recipe 5, tune", gate=False)
def gain_is_more_than_noise(s: Search) -> Verdict:
    """Over fresh seeds, the best configuration has a lower validation loss than the accepted recipe.

    The accepted recipe is handed on. The best of many trials always looks better on its own seeds.
    """
    g = s.gain
    bound = f"above 0 with its whole interval [{g.low:+.4f}, {g.high:+.4f}], n = {g.n}"
    if g.low <= 0 <= g.high and g.n > 1:
        more = power.about(power.of_interval(g.mean, g.low, g.high, g.n), abs(g.mean), power.Z95, "seeds")
        return undecided(g.mean, bound, f"The interval over seeds holds zero. {more}")
    return Verdict(PASS if g.significant else FAIL, g.mean, bound)


@check(source="Recipe 5, tune", gate=False)
def best_is_inside_the_space(s: Search) -> Verdict:
    """No value of the best trial lies at an end of its range.

    The optimum may be outside: widen the range of these keys in conf/space/.
    """
    return Verdict(FAIL if s.edges else PASS, ", ".join(s.edges) or "none", "none")
