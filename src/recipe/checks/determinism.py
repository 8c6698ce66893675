"""Reproducibility: the same seed gives the same bits, another seed others."""

from dataclasses import replace

from recipe.checks.setup import Setup
from recipe.verdict import PASS, Verdict, check, exactly


def _first_difference(s: Setup, seeds: tuple[int, int], steps: int) -> int | None:
    """The first step at which two trainings' losses differ; None where losses and weights are the same bits."""
    (one, losses), (other, others) = (s.trained(steps, seed=seed) for seed in seeds)
    for step, (a, b) in enumerate(zip(losses, others, strict=True), start=1):
        if a != b:
            return step
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return None if all(a.equal(b) for a, b in pairs) else steps + 1


@check(source="Recipe 2, fix random seed")
def same_seed_same_bits(s: Setup, steps: int = 20) -> Verdict:
    """Two trainings from one seed are the same bits; the value is the first step at which they part.

    A random number drawn outside the seeded generators, data order from an unseeded loader, a kernel that is not
    deterministic, or state kept between runs in a module or data set.
    """
    first = _first_difference(s, (s.seed, s.seed), steps)
    return replace(exactly(first, None), bound="never", value="never" if first is None else first)


@check(source="Recipe 2, fix random seed")
def other_seed_other_bits(s: Setup, steps: int = 3) -> Verdict:
    """Two trainings from two seeds differ: the seed is used.

    The seed is fixed inside the model or the data set, so that several seeds would be one run several times.
    """
    first = _first_difference(s, (s.seed, s.seed + 1), steps)
    verdict = exactly(first is not None, True)
    return replace(verdict, value=first, bound=f"by step {steps}") if verdict.verdict == PASS else verdict
