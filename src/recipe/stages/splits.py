"""The splits for a stage that trains, on its device and within the memory that conf/runtime grants."""

from dataclasses import replace

from recipe.config.instantiate import data_name, metric, part, plain
from recipe.data import batches
from recipe.data.batches import Data, Split
from recipe.metrics.objective import objective_of
from recipe.stages.runner import Run


def load_data(run: Run, folds: bool = False) -> Data:
    """Train and val, standardised by train; MLflow gets their fingerprint. folds: whether the folds are read too."""
    tokenizer = part(run.cfg, "tokenizer")
    data = batches.load(
        plain(run.cfg, "data"), run.device, metric=metric(run.cfg), folds=folds, tokenizer=tokenizer, **_reading(run)
    )
    run.tracker.data(data_name(run.cfg), data.fingerprint, "training")
    return replace(data, objective=objective_of(run.cfg.judged_by, data.metric))


def load_test(run: Run, data: Data) -> Split:
    """The test part, prepared as `data` was: to be read once, after every choice."""
    test = batches.read_test(data, plain(run.cfg, "data"), run.device, **_reading(run))
    run.tracker.data(data_name(run.cfg), data.fingerprint, "test")
    return test


def _reading(run: Run) -> dict:
    return {"memory": run.cfg.runtime.memory, "workers": run.cfg.runtime.workers, "say": run.say}
