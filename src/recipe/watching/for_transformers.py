"""The watch as a callback of transformers' Trainer: `Trainer(..., callbacks=[WatchCallback()])`."""

from typing import Any

from transformers import TrainerCallback

from recipe.checks.examine import Examination
from recipe.watching.watch import Watch


class WatchCallback(TrainerCallback):
    """Looks into the training of a Trainer. options: those of `recipe.watch`, as `on="fail"`.

    `report` has the verdicts after the training.
    """

    def __init__(self, **options: Any):
        self.options = options
        self.watch: Watch | None = None

    @property
    def report(self) -> Examination | None:
        return self.watch.report if self.watch else None

    def on_train_begin(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        self.watch = Watch(parts["model"], parts["optimizer"], **self.options).__enter__()

    def on_train_end(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        if self.watch:
            self.watch.__exit__(None)
