"""The watch as a callback of Lightning: `Trainer(callbacks=[WatchCallback()])`."""

from typing import Any

try:
    from lightning.pytorch import Callback
except ImportError:  # the package that has the older name
    from pytorch_lightning import Callback

from recipe.checks.examine import Examination
from recipe.watching.watch import Watch


class WatchCallback(Callback):
    """Looks into a fit of a Trainer. options: those of `recipe.watch`, as `on="fail"`.

    `report` has the verdicts after the training.
    """

    def __init__(self, **options: Any):
        self.options = options
        self.watch: Watch | None = None

    @property
    def report(self) -> Examination | None:
        return self.watch.report if self.watch else None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.watch = Watch(pl_module, trainer.optimizers, **self.options).__enter__()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        if self.watch:
            self.watch.__exit__(None)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        if self.watch:
            self.watch.__exit__(type(exception))
