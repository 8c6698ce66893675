"""What the rungs do to the images: does the label survive it, and how does it look?"""

import json
from collections.abc import Callable
from dataclasses import replace

from omegaconf import DictConfig
from torch import Tensor

from recipe.checks.measurements.measured_once import hand_over
from recipe.checks.measurements.short_run import model_without_augmentation
from recipe.checks.setup import Setup
from recipe.config.compose import change
from recipe.config.instantiate import plain
from recipe.data.batches import Data
from recipe.experiment import build
from recipe.models.plain import Resize
from recipe.rng import keys, seeded
from recipe.stages.regularize.ablation import Ablation, Level, short
from recipe.stages.setup_from_config import OF_THE_AUGMENTATION, examined, setup_from
from recipe.train import augment, mixup
from recipe.verdict import Verdict


def examiner(cfg: DictConfig, data: Data, run) -> tuple[Callable, Callable]:
    """(verdicts(changes), refused(changes)) of an augmentation; each is examined once, with one model for all.

    refused: the gate that is closed, and what it measured; empty where the augmentation may be tried. A gate that
    conf waives does not refuse.
    """
    found, first = {}, []

    def verdicts(changes: dict) -> list[Verdict]:
        on = change(cfg, {k: v for k, v in changes.items() if k.split(".")[0] == "augment"} | {"train.augment": True})
        name = json.dumps(plain(on, "augment"), sort_keys=True)
        if name not in found:
            run.say(f"is the label kept by {short(plain(on, 'augment'))}?")
            setup = _same_model(setup_from(on, data), first)
            found[name] = examined(run, setup, only=OF_THE_AUGMENTATION)
        return found[name]

    def refused(changes: dict) -> str:
        closed = [v for v in verdicts(changes) if v.closes]
        return "; ".join(f"{v.check}: {v.shown}, must be {v.bound}" for v in closed)

    return verdicts, refused


def _same_model(setup: Setup, first: list[Setup]) -> Setup:
    """The set-up with another augmentation only, so that what was measured without one is measured once."""
    if not first:
        first.append(setup)
        return setup
    other = replace(first[0], augment=setup.augment)
    hand_over(model_without_augmentation, first[0], other)
    return other


def pictures(cfg: DictConfig, data: Data, result: Ablation, count: int = 12) -> list[tuple[str, Tensor]]:
    """(what was done, images (count, C, H, W) in 0..1): the originals, then a row per level that touches the input.

    A level that was refused for its label is shown as well: that is what the refusal is about.
    """
    x = data.train.x[:count]
    rows = [("as it is", data.pictures(x))]
    for step in result.steps:
        rows += [
            (level.name, data.pictures(seen))
            for level in step.levels
            if (seen := _seen(cfg, data, level, x)) is not None
        ]
    return rows


def _seen(cfg: DictConfig, data: Data, level: Level, x: Tensor) -> Tensor | None:
    """The inputs as this level's own change alone gives them; None where it leaves them as they are."""
    if x.ndim != 4 or not {"augment", "train.augment", "train.mixup", "train.input_size"} & set(level.change):
        return None
    cfg = change(cfg, {k: v for k, v in level.change.items() if k.split(".")[0] in ("augment", "train")})
    with seeded(cfg.seed, "pictures"):
        if cfg.train.augment:
            x = augment.apply(build.augmentation(cfg, data), x, keys([cfg.seed], "pictures")[0].to(x.device))
        if cfg.train.mixup:
            drawn = (mixup.share(cfg.train.mixup, cfg.seed, step) for step in range(64))
            x = mixup.mixed(
                x, min(drawn, key=lambda share: abs(share - 0.7)), 0
            )  # most are nearly 0 or 1: one to be seen
        if cfg.train.input_size and cfg.train.input_size < max(x.shape[2:]):
            x = Resize(cfg.train.input_size)(x)
    return x
