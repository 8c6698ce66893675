"""The configured training as a Setup for the checks."""

from collections.abc import Callable
from typing import cast

import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.utils.data import Subset, TensorDataset

from recipe import rng
from recipe.checks import augmentation, dependencies, gradient, initialization, loss, padding, training_step
from recipe.checks.declare import Declare
from recipe.checks.examine import examine
from recipe.checks.examples import MapDataset, MappedExamples
from recipe.checks.setup import Setup
from recipe.config.instantiate import part
from recipe.data.batches import Data, Split
from recipe.experiment import build
from recipe.models.plain import Centre
from recipe.stages.runner import Run
from recipe.train import augment
from recipe.train.augment import Augmentation
from recipe.verdict import Verdict, checks_of

# the checks that another width of the model may fail
OF_THE_MODEL = (*checks_of(loss, initialization, dependencies, padding, training_step, gradient), "overfit_one_batch")
OF_THE_AUGMENTATION = tuple(checks_of(augmentation))


def setup_from(cfg: DictConfig, data: Data) -> Setup:
    """Model, loss, optimizer and training step of a stage's config, on train and val without augmentation.

    Of images that are stored larger than what enters the net, train and val are the middles; since an augmentation
    needs the whole, it then comes as a data set.
    """
    views = build.augmentation(cfg, data) if cfg.train.augment else None

    def fresh() -> nn.Module:
        return build.model(cfg, data, torch.initial_seed())

    def augmented(image: Tensor) -> Tensor:
        number = int(torch.randint(2**31, ()))  # the loader seeds the global generator; each view must differ
        return augment.apply(cast(Augmentation, views), image[None], _key(number, image))[0]

    sampler, stored, declared = build.sampler(cfg, data), cast(MapDataset, _dataset(data.train)), dict(cfg.declare)
    if sampler:  # the checks see what a pass shows
        index = sampler(torch.arange(len(data.train)), rng.generator(cfg.seed, "order", 0))
        stored, declared = Subset(_dataset(data.train), index.tolist()), declared | {"resampled_train": True}
    train, val, windows = stored, cast(MapDataset, _dataset(data.val)), None
    if data.window:
        middle = Centre(*data.window)
        train, val = _changed(stored, middle), _changed(val, middle)
        windows = _changed(stored, augmented) if views else None
    return Setup(
        model=fresh, loss=build.loss(cfg, data), optimizer=lambda net: build.optimizer(cfg, net),
        train_step=part(cfg, "step"),
        train=train, val=val, train_augmented=windows,
        augment=augmented if views and not windows else None,
        batch_size=cfg.train.batch_size, task=data.task.kind, classes=len(data.task.names),
        declare=Declare(**declared), waive=dict(cfg.waive), seed=cfg.seed,
    )  # fmt: skip


def _key(number: int, image: Tensor) -> Tensor:
    return rng.keys([number], "augment")[0].to(image.device)


def _dataset(split: Split) -> TensorDataset:
    return TensorDataset(cast(Tensor, split.x), split.y)  # inputs on disk are indexed and measured like a tensor


def _changed(dataset: MapDataset, change: Callable[[Tensor], Tensor]) -> MappedExamples:
    return MappedExamples(dataset, range(len(dataset)), lambda x, y: (change(x), y))


def examined(run: Run, setup: Setup, only: tuple[str, ...] = ()) -> list[Verdict]:
    """The verdicts of all checks of a training, or of `only` these; each is printed when it is known."""
    return examine(setup, only=only, progress=run.show, **run.limits).verdicts
