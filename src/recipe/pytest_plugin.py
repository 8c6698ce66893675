"""A training as tests of pytest: a function that returns a Setup, under `@recipe.training`, is a test per check.

Installing recipe installs this plugin; it imports torch when it meets such a function.
"""

import functools
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # these import torch
    from recipe.checks.setup import Setup
    from recipe.verdict import Verdict


def training(
    function: Callable[[], "Setup"] | None = None, *, only: Iterable[str] = (), skip: Iterable[str] = (),
    limits: dict | None = None,
) -> Callable:  # fmt: skip
    """Makes a function that returns a Setup a group of tests, one per check; it is called once.

    only, skip: names of checks. limits: {check: {limit: value}}. A closed gate fails its test, a note that does not
    hold is a warning, what is undecided or does not apply is skipped, what is waived is an expected failure.
    """

    def mark(function: Callable[[], "Setup"]) -> Callable[[], "Setup"]:
        function.recipe_training = {"only": tuple(only), "skip": tuple(skip), "limits": limits}  # type: ignore[attr-defined]
        return function

    return mark if function is None else mark(function)


def pytest_pycollect_makeitem(collector: Any, name: str, obj: Any) -> "Training | None":
    if inspect.isfunction(obj) and hasattr(obj, "recipe_training"):
        return Training.from_parent(collector, name=name, function=obj)
    return None


class GateClosed(Exception):
    """The text is the gate in full."""


class Training(pytest.Collector):
    """The checks of one Setup; they share its measurements."""

    def __init__(self, function: Callable[[], "Setup"], **options: Any):
        super().__init__(**options)
        self.function = function
        self.options: dict[str, Any] = function.recipe_training  # type: ignore[attr-defined]  # set by `training`

    @functools.cached_property
    def made(self) -> "Setup | Exception":
        """What the function gave, tried on one batch; or why not. It is called once, whatever comes of it."""
        from recipe import verdict
        from recipe.checks.examine import CHECKS
        from recipe.checks.setup import Setup
        from recipe.checks.validate_setup import try_one_batch
        from recipe.rng import seeded

        try:
            setup = self.function()
            if not isinstance(setup, Setup):
                raise GateClosed(f"{self.name} returned a {type(setup).__name__}; it must return a recipe.Setup.")
            verdict.validate(CHECKS, self.options["limits"] or {}, setup.waive, self.name)
            with seeded(setup.seed, "examine"):
                try_one_batch(setup)
        except Exception as error:  # the code of the user may fail in any way
            return error
        return setup

    def collect(self) -> Iterator["CheckOfTraining"]:
        from recipe.checks.examine import CHECKS, chosen

        for name in chosen(self.options["only"], self.options["skip"]):
            item = CheckOfTraining.from_parent(self, name=name, gate=CHECKS[name].fixed["gate"])
            if self.config.pluginmanager.hasplugin("xdist"):  # --dist loadgroup: one worker measures
                item.add_marker(pytest.mark.xdist_group(self.nodeid))
            yield item

    def verdict(self, name: str) -> "Verdict":
        from recipe import verdict
        from recipe.checks.examine import CHECKS
        from recipe.rng import seeded

        setup, limits = self.made, self.options["limits"] or {}
        if isinstance(setup, Exception):
            raise setup
        with seeded(setup.seed, "examine"):
            (measured,) = verdict.run(
                {name: CHECKS[name]}, setup, limits={k: v for k, v in limits.items() if k == name},
                waive=setup.waive, where=self.name, known=CHECKS,
            )  # fmt: skip
        return measured


class CheckOfTraining(pytest.Item):
    """One check."""

    def __init__(self, gate: bool, **options: Any):
        super().__init__(**options)
        self.gate = gate

    def runtest(self) -> None:
        from recipe.verdict import PASS, SKIP, UNDECIDED, explained
        from recipe.watching.observed import RecipeWarning

        parent: Any = self.parent
        verdict = parent.verdict(self.name)
        if verdict.closes:
            raise GateClosed(explained(verdict))
        if verdict.waived:
            pytest.xfail(f"waived: {verdict.waived}")
        if verdict.verdict == SKIP:
            pytest.skip(verdict.bound)
        if verdict.verdict == UNDECIDED:
            pytest.skip(f"undecided: {verdict.needed}")
        if verdict.verdict != PASS:
            warnings.warn(explained(verdict), RecipeWarning, stacklevel=1)

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """A gate in full, without a trace through code that is not the user's."""
        from recipe.errors import RecipeError

        if isinstance(excinfo.value, GateClosed | RecipeError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int, str]:
        parent: Any = self.parent
        return self.path, parent.function.__code__.co_firstlineno - 1, f"{parent.name}: {self.name}"
