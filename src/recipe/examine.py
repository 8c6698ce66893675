"""All checks of a training, cheap ones first: what the baseline stage and a person's pytest both call."""

from collections.abc import Callable
from dataclasses import dataclass

from recipe.checks import door, evaluation, learning, loss, repeat, start, step, verdict
from recipe.checks.setup import Setup
from recipe.checks.verdict import Verdict, checks_of
from recipe.errors import RecipeError

CHECKS = checks_of(door, loss, start, step, evaluation, repeat, learning)


@dataclass(frozen=True)
class Examination:
    """The verdicts, in the order in which the checks ran."""

    verdicts: list[Verdict]

    def __getitem__(self, name: str) -> Verdict:
        return {v.check: v for v in self.verdicts}[name]

    @property
    def failed(self) -> list[str]:
        """Names of the closed gates."""
        return [v.check for v in self.verdicts if v.closes]

    def __str__(self) -> str:
        return verdict.table(self.verdicts)

    def raise_if_failed(self) -> None:
        if self.failed:
            raise RecipeError(f"{len(self.failed)} gate(s) closed\n{self}")


def examine(
    setup: Setup, *, limits: dict | None = None, where: str = "limits", known: dict | None = None,
    progress: Callable[[Verdict], None] = lambda v: None,
) -> Examination:  # fmt: skip
    """Runs every check on a training set-up; `limits` as in conf: {check: {limit: value}}."""
    return Examination(
        verdict.run(CHECKS, setup, limits=limits, waive=setup.waive, where=where, known=known, progress=progress)
    )
