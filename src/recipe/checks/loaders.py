"""DataLoaders that are handed in as they are, as the parts of a Setup."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast

from torch.utils.data import DataLoader, IterableDataset, RandomSampler, SequentialSampler, Subset, default_collate


def unpack_loaders(s: Any) -> None:
    """Takes `train`, `val` and `train_augmented` of a Setup out of their DataLoaders; batch size and order are those of
    `train`.

    A sampler of the user's is drawn from once: the checks see the rows that a pass has, and know that they may repeat.
    """
    if isinstance(s.train, DataLoader) and not isinstance(s.train.dataset, IterableDataset):
        loader = s.train
        s.train, s.shuffle = loader.dataset, not isinstance(loader.sampler, SequentialSampler)
        s.batch_size = loader.batch_size or len(next(iter(cast(Iterable, loader.batch_sampler))))
        s.collate = s.collate or _own_collate(loader)
        if not isinstance(loader.sampler, SequentialSampler | RandomSampler) or getattr(
            loader.sampler, "replacement", False
        ):
            s.train = Subset(loader.dataset, [int(i) for i in loader.sampler])
            s.declare = replace(s.declare, resampled_train=True)
    for name in ("val", "train_augmented"):
        loader = getattr(s, name)
        if isinstance(loader, DataLoader) and not isinstance(loader.dataset, IterableDataset):
            setattr(s, name, loader.dataset)
            s.collate = s.collate or _own_collate(loader)


def _own_collate(loader: DataLoader) -> Any:
    return None if loader.collate_fn is default_collate else loader.collate_fn
