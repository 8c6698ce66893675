"""Which settings of parameter groups anything reads."""

from typing import Any

from recipe.checks.scheduler import step_scheduler
from recipe.checks.setup import Setup
from recipe.rng import seeded

STEPS = 2  # of the training


class NotedReads(dict):
    """A parameter group that notes which of its keys are looked up."""

    def __init__(self, group: dict[str, Any], read: set[str]):
        super().__init__(group)
        self.read = read

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)


def unread_settings(s: Setup) -> list[str] | None:
    """Keys with numbers that differ between groups which are alike in all that the optimizer knows, and that neither
    the optimizer nor a step of the training or of the schedule reads; None where no group has such numbers.

    Whole numbers may count layers, and are left out.
    """
    model = s.new_model()
    with seeded(s.seed, "optimizer"):
        optimizer = s.optimizer(model)
    groups = optimizer.param_groups
    known = [{key: repr(group[key]) for key in optimizer.defaults if key in group} for group in groups]
    keys = sorted({key for group in groups for key in group} - set(optimizer.defaults) - {"params"})
    own = [key for key in keys if _distinguishes([group.get(key) for group in groups])]
    if not own or any(each != known[0] for each in known):
        return None
    read: set[str] = set()
    optimizer.param_groups[:] = [NotedReads(group, read) for group in groups]
    per_epoch = -(-len(s.train) // s.batch_size)
    scheduler = s.schedule(optimizer, per_epoch, s.epochs) if s.schedule else None
    with seeded(s.seed, "train"):
        for _, (x, y) in zip(range(STEPS), s.batches(s.seed, augmented=False), strict=False):
            s.train_step(model, optimizer, x, y, s.loss)
            if scheduler is not None:
                step_scheduler(scheduler)
    return [key for key in own if key not in read]


def _distinguishes(values: list[Any]) -> bool:
    numbers = [value for value in values if isinstance(value, float)]
    return len(set(numbers)) > 1 and any(not value.is_integer() for value in numbers)
