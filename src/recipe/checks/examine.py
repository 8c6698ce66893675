"""All checks of a training, cheap ones first: called by the baseline stage and by a test of one's own training."""

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
    padding,
    pretrained,
    pretrained_texts,
    schedule,
    training_loop,
    training_step,
)
from recipe.checks.setup import Setup
from recipe.checks.validate_setup import try_one_batch
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
    padding,
    pretrained,
    pretrained_texts,
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


def chosen(only: Iterable[str] = (), skip: Iterable[str] = ()) -> list[str]:
    """The names of the checks that run, in order. Raises RecipeError for a name that is not a check's."""
    only, skip = tuple(only), tuple(skip)
    verdict.validate(CHECKS, {name: {} for name in (*only, *skip)}, {}, "examine")
    return [name for name in CHECKS if (not only or name in only) and name not in skip]


def examine(
    setup: Setup, *, only: Iterable[str] = (), skip: Iterable[str] = (), limits: dict | None = None,
    where: str = "limits", known: dict | None = None, progress: Callable[[Verdict], None] = lambda v: None,
) -> Examination:  # fmt: skip
    """Runs the checks on a training set-up; `progress` gets each verdict as soon as its check ends.

    only, skip: names of checks. limits: {check: {limit: value}}, as in conf. Raises RecipeError for a name that is
    not a check's, and where a part of the set-up cannot be used at all.
    """
    checks = {name: CHECKS[name] for name in chosen(only, skip)}
    verdict.validate(known or CHECKS, limits or {}, setup.waive, where)
    # the verdicts do not depend on what the caller drew before, and the caller's random state is kept
    with seeded(setup.seed, "examine"):
        try_one_batch(setup)
        return Examination(
            verdict.run(
                checks, setup, limits=limits, waive=setup.waive, where=where, known=known or CHECKS, progress=progress
            )
        )
