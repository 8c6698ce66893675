"""`recipe.watch`: one line around a training loop, and its mistakes are reported when they happen."""

import contextlib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import nn

from recipe import verdict
from recipe.checks.declare import Declare
from recipe.checks.examine import Examination
from recipe.errors import RecipeError
from recipe.verdict import checks_of
from recipe.watching import claims
from recipe.watching.hooks import hooked
from recipe.watching.observed import FIRST, Observed, RecipeWarning
from recipe.watching.user_code import user_frame
from recipe.watching.val_examples import examples_of

CHECKS = checks_of(claims)
REACTIONS = ("warn", "fail", "quiet")


class Watch(contextlib.AbstractContextManager):
    """Looks into the training loop in its block, through hooks, and changes nothing of it: not a bit.

        with recipe.watch(model, optimizer, val=val_loader) as watched:
            ...  # the loop as it is
        watched.report.raise_if_failed()

    The first 20 steps are looked at one by one; after them each look comes twice as late as the one before, while
    modes, losses and learning rates are looked at in every step. At the first step a few questions are put to a copy of
    the model.

    model, optimizer: the objects that the loop itself calls; several optimizers of one model as a list. loss: a module
    that has parameters, if there is one. val: the validation set or its DataLoader, which is not iterated. on:
    `warn` when a gate closes, `fail` to raise RecipeError in that step, or `quiet`. declare, waive, skip: as for a
    Setup, and names of checks.

    Raises RecipeError for parts that cannot be watched, and unknown names of checks.
    """

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer], *,
        loss: Callable | None = None, val: Any = None, on: Literal["warn", "fail", "quiet"] = "warn",
        declare: Declare | None = None, waive: Mapping[str, str] | None = None, skip: Iterable[str] = (),
    ):  # fmt: skip
        given = list(optimizer) if isinstance(optimizer, Sequence) else [optimizer]
        optimizers = [getattr(one, "optimizer", one) for one in given]  # accelerate's and Lightning's wrap PyTorch's
        parts = [("model", model, nn.Module), *(("optimizer", one, torch.optim.Optimizer) for one in optimizers)]
        for name, part, kind in parts:
            if not isinstance(part, kind):
                raise RecipeError(f"recipe.watch: {name} must be a {kind.__name__}, it is a {type(part).__name__}.")
        if on not in REACTIONS:
            raise RecipeError(f"recipe.watch: on is {on!r}, it must be one of {', '.join(REACTIONS)}.")
        self.loss, self.on, self.waive = loss, on, dict(waive or {})
        self.checks = {name: check for name, check in CHECKS.items() if name not in set(skip)}
        verdict.validate(CHECKS, {name: {} for name in skip}, self.waive, "recipe.watch")
        inputs, size = examples_of(val) if val is not None else (None, None)
        self.observed = Observed(model, optimizers, declare or Declare(), val=inputs, val_size=size)
        self._settled: dict[str, verdict.Verdict] = {}
        self.closed: dict[str, int] = {}  # name of the check -> the step in which it closed

    def __enter__(self) -> "Watch":
        self._block = contextlib.ExitStack()
        self._block.enter_context(hooked(self.observed, self.loss, self._judge))
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._block.close()
        self.observed.ended = True
        if kind is None:
            self._judge()

    @property
    def report(self) -> Examination:
        """A verdict of each check, by what has been seen so far."""
        left = {name: check for name, check in self.checks.items() if name not in self._settled}
        judged = {v.check: v for v in verdict.run(left, self.observed, waive=self.waive, known=CHECKS)}
        if self.observed.steps > FIRST:  # what the first steps show does not change any more
            self._settled |= {name: v for name, v in judged.items() if name in claims.OF_THE_FIRST_STEPS}
        return Examination([(self._settled | judged)[name] for name in self.checks])

    def _judge(self) -> None:
        """Reports each gate that has closed since the last time."""
        for v in self.report.verdicts:
            if not v.closes or v.check in self.closed:
                continue
            self.closed[v.check] = self.observed.step
            message = f"recipe.watch, step {self.observed.step}: {verdict.explained(v)}"
            if self.on == "fail":
                raise RecipeError(message)
            if self.on == "warn":
                warnings.warn_explicit(message, RecipeWarning, *(user_frame() or (__file__, 1)))


watch = Watch  # as it is called
