"""The splits for a stage that trains, on its device and within the memory that conf/runtime grants."""

from collections.abc import Callable
from dataclasses import replace

from omegaconf import DictConfig

from recipe.config.instantiate import backbone_of, data_name, metric, part, plain
from recipe.data import batches
from recipe.data.batches import Data, Split
from recipe.errors import RecipeError
from recipe.experiment import build
from recipe.metrics.objective import objective_of
from recipe.stages.runner import Run


def load_data(run: Run, folds: bool = False) -> Data:
    """Train and val, standardised by train; MLflow gets their fingerprint. folds: whether the folds are read too."""
    data = data_of(run.cfg, run.device, run.say, folds=folds)
    run.tracker.data(data_name(run.cfg), data.fingerprint, "training")
    return data


def data_of(cfg: DictConfig, device: str, say: Callable[[str], None], folds: bool = False) -> Data:
    """Train and val, as a stage's config has them."""
    tokenizer = part(cfg, "tokenizer")
    if build.unfreezes(cfg):
        raise RecipeError(
            f"`model.unfreeze: {cfg.model.unfreeze}` is a candidate change of regularize, which keeps it where it is "
            "better than the frozen network: leave it out of params.yaml. All stages before it train heads on features."
        )
    backbone = backbone_of(plain(cfg, "model")).get("backbone", "").rstrip("/").rsplit("/", 1)[-1]
    data = batches.load(
        plain(cfg, "data"), device, metric=metric(cfg), folds=folds, tokenizer=tokenizer, backbone=backbone, say=say,
        **_reading(cfg),
    )  # fmt: skip
    return replace(data, objective=objective_of(cfg.judged_by, data.metric))


def load_test(run: Run, data: Data) -> Split:
    """The test part, prepared as `data` was: to be read once, after every choice."""
    test = batches.read_test(data, plain(run.cfg, "data"), run.device, say=run.say, **_reading(run.cfg))
    run.tracker.data(data_name(run.cfg), data.fingerprint, "test")
    return test


def _reading(cfg: DictConfig) -> dict:
    return {"memory": cfg.runtime.memory, "workers": cfg.runtime.workers}
