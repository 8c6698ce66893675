"""Reproducibility: the same seed gives the same bits, a different seed different ones."""

from recipe.checks.setup import Setup
from recipe.verdict import FAIL, PASS, Verdict, check


def _first_difference(s: Setup, seeds: tuple[int, int], steps: int) -> int | None:
    """The first step at which the losses of two trainings differ; None where losses and weights are bitwise equal."""
    (one, losses), (other, others) = (s.train_for(steps, seed=seed) for seed in seeds)
    for step, (a, b) in enumerate(zip(losses, others, strict=True), start=1):
        if a != b:
            return step
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return None if all(a.equal(b) for a, b in pairs) else steps + 1


@check(source="Recipe 2, fix random seed")
def same_seed_same_bits(s: Setup, steps: int = 20) -> Verdict:
    """Two trainings from one seed are bitwise equal.

    A random number drawn outside the seeded generators, data order from an unseeded loader, a kernel that is not
    deterministic, or state kept between runs in a module or data set. The value is the first step at which they differ.
    """
    step = _first_difference(s, (s.seed, s.seed), steps)
    return Verdict(PASS if step is None else FAIL, "never" if step is None else step, "never")


@check(source="Recipe 2, fix random seed")
def other_seed_other_bits(s: Setup, steps: int = 3) -> Verdict:
    """Two trainings from two seeds differ: the seed is used.

    The seed is fixed inside the model or the data set, so that several seeds would be one run several times. The value
    is the first step at which they differ.
    """
    step = _first_difference(s, (s.seed, s.seed + 1), steps)
    return Verdict(FAIL if step is None else PASS, "never" if step is None else step, f"by step {steps}")
