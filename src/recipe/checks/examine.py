"""All checks of a training, cheap ones first: what the baseline stage and a person's own code or pytest both call."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from recipe import verdict
from recipe.checks import (
    augmentation,
    dependencies,
    determinism,
    evaluation,
    gradient,
    initialization,
    inputs,
    labels,
    leakage,
    learning,
    loss,
    schedule,
    training_loop,
    training_step,
)
from recipe.checks.setup import Setup
from recipe.checks.validate_setup import try_out
from recipe.errors import RecipeError
from recipe.rng import seeded
from recipe.verdict import Verdict, checks_of

SUBJECTS = (
    inputs,
    labels,
    leakage,
    loss,
    initialization,
    dependencies,
    training_step,
    gradient,
    schedule,
    evaluation,
    augmentation,
    determinism,
    training_loop,
    learning,
)
CHECKS = checks_of(*SUBJECTS)


@dataclass(frozen=True)
class Examination:
    """The verdicts, in the order in which the checks ran."""

    verdicts: list[Verdict]

    def __getitem__(self, name: str) -> Verdict:
        return {v.check: v for v in self.verdicts}[name]

    @property
    def failed(self) -> list[str]:
        """Names of the closed gates, in the order in which they ran."""
        return [v.check for v in self.verdicts if v.closes]

    def __str__(self) -> str:
        return "\n".join([verdict.table(self.verdicts), *(verdict.explained(v) for v in self.verdicts if v.closes)])

    def raise_if_failed(self) -> None:
        """Raises RecipeError with the whole table where a gate is closed: one line of a pytest."""
        if self.failed:
            raise RecipeError(f"{len(self.failed)} gate(s) closed\n{self}")


def examine(
    setup: Setup, *, only: Iterable[str] = (), skip: Iterable[str] = (), limits: dict | None = None,
    where: str = "limits", known: dict | None = None, progress: Callable[[Verdict], None] = lambda v: None,
) -> Examination:  # fmt: skip
    """Runs the checks on a training set-up; `progress` gets each verdict as it falls.

    only, skip: names of checks. limits: {check: {limit: value}}, as in conf. Raises RecipeError on a name that is no
    check's, and where the set-up's parts cannot be used at all.
    """
    only, skip = tuple(only), tuple(skip)
    verdict.validate(CHECKS, dict.fromkeys((*only, *skip)), {}, "examine")
    chosen = {n: check for n, check in CHECKS.items() if (not only or n in only) and n not in skip}
    verdict.validate(known or CHECKS, limits or {}, setup.waive, where)
    # whatever the caller drew before: the same set-up gives the same verdicts, and the caller's numbers go on unmoved
    with seeded(setup.seed, "examine"):
        try_out(setup)
        return Examination(
            verdict.run(
                chosen, setup, limits=limits, waive=setup.waive, where=where, known=known or CHECKS, progress=progress
            )
        )
