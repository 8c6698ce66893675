"""The examples of `augment: extra`, read and brought to the size and the standardisation of the real ones."""

import functools
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from recipe.config.instantiate import part, plain
from recipe.data.batches import Data
from recipe.data.images import Fit
from recipe.data.reading import read_examples
from recipe.data.source import describe
from recipe.decode.pool import DecodingLimits
from recipe.errors import RecipeError
from recipe.problems import Problem
from recipe.train.extra import Extra, ExtraExamples

TARGET = f"{Extra.__module__}.{Extra.__qualname__}"
WHERE = "conf/augment: Extra: "
Key = tuple[float, ...]


def extra_examples(cfg: DictConfig, data: Data) -> ExtraExamples | None:
    """What the configured augmentation mixes in; None where it names no second source.

    Held in memory, once for all trainings with the same standardisation. Raises RecipeError where the source has other
    classes or an image that cannot be read, and where the real examples are not images of one class each.
    """
    named = list(_nodes(plain(cfg, "augment")))
    if not named:
        return None
    if len(named) > 1:
        raise RecipeError(f"{WHERE}there are {len(named)} of them; put their images into one source.")
    (node,) = named
    if not node.get("data"):
        raise RecipeError(f"{WHERE}`data` is missing: a source, as in conf/data/, with the same names of classes.")
    if not data.kind.has_pixels or not data.task.classes:
        raise RecipeError(f"{WHERE}its examples are images of one class each; the inputs are {data.kind.plural}.")
    mean, std = (tuple(values.flatten().tolist()) for values in (data.mean, data.std))
    shape, names = tuple(data.train.x.shape[1:]), tuple(data.task.names)
    x, y = _standardised(json.dumps(node["data"], sort_keys=True), names, shape, mean, std, str(data.train.y.device))
    return ExtraExamples(x, y, float(node.get("share", Extra.share)))


def _nodes(config: Any) -> Iterator[dict[str, Any]]:
    if isinstance(config, dict):
        if config.get("_target_") == TARGET:
            yield config
        else:
            for value in config.values():
                yield from _nodes(value)
    elif isinstance(config, list):
        for value in config:
            yield from _nodes(value)


@functools.lru_cache(32)  # of a run: each fold has another standardisation
def _standardised(
    source: str, names: tuple[str, ...], shape: tuple[int, ...], mean: Key, std: Key, device: str
) -> tuple[Tensor, Tensor]:
    images, labels = _read(source, names, shape)
    scale = [torch.tensor(values).view(1, -1, 1, 1) for values in (mean, std)]
    return ((images - scale[0]) / scale[1]).to(device), labels.to(device)


@functools.lru_cache(4)
def _read(source: str, names: tuple[str, ...], shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """((E, C, H, W) in 0..1, (E,) class numbers of the real data)"""
    built = part(OmegaConf.create({"augment": json.loads(source)}), "augment")
    described = describe(built)
    if not described.task.classes or not described.kind.has_pixels:
        raise RecipeError(f"{WHERE}{described.name} has no images with one class each.")
    if unknown := [name for name in described.task.names if name not in names]:
        known = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise RecipeError(f"{WHERE}{described.name} has a class `{unknown[0]}`; the data have {known}.")
    number = {k: names.index(name) for k, name in enumerate(described.task.names)}
    images, labels = [], []
    for example in read_examples(built, described, range(described.total), DecodingLimits(), 1):
        if isinstance(example, Problem):
            raise RecipeError(f"{WHERE}{example.name or described.name}: {example.kind}: {example.detail}")
        assert isinstance(example.value, np.ndarray)
        images.append(_fitted(example.value, shape))
        labels.append(number[int(example.label)])
    if not images:
        raise RecipeError(f"{WHERE}{described.name} has no example.")
    return torch.from_numpy(np.stack(images)), torch.tensor(labels)


def _fitted(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(C, H, W) float32 in 0..1 of bytes or of numbers in 0..1."""
    channels, height, width = shape
    if image.shape != shape:
        if image.dtype != np.uint8:
            image = np.rint(np.nan_to_num(image).clip(0, 1) * 255).astype(np.uint8)
        fitted, _ = Fit((height, width), "crop", channels)(np.ascontiguousarray(image.transpose(1, 2, 0)))
        image = fitted.transpose(2, 0, 1)
    top = np.float32(255 if image.dtype == np.uint8 else 1)
    return np.ascontiguousarray(image, np.float32) / top
