"""What candidate changes do to the images: whether the label survives, and how they look."""

import json
from collections.abc import Callable
from dataclasses import replace

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from recipe.checks.measurements.measured_once import hand_over
from recipe.checks.measurements.short_run import model_without_augmentation
from recipe.checks.setup import Setup
from recipe.config.changes import change
from recipe.config.instantiate import plain
from recipe.data.batches import Data
from recipe.experiment import build
from recipe.experiment.extra_examples import extra_examples
from recipe.models.plain import Centre, Resize
from recipe.rng import keys, seeded
from recipe.stages.regularize.ablation import Ablation, ClosedGates, Level, short
from recipe.stages.runner import Run
from recipe.stages.setup_from_config import OF_THE_AUGMENTATION, examined, setup_from
from recipe.train import augment, mixup
from recipe.train.extra import ExtraExamples
from recipe.verdict import Verdict

SHOWN_MIXUP = 0.7  # the share of the first image in the pictures of mixup


def augmentation_checks(cfg: DictConfig, data: Data, run: Run) -> tuple[Callable[[dict], list[Verdict]], ClosedGates]:
    """(verdicts(changes), closed_gates(changes)) of an augmentation; each is examined once, with one model for all.

    closed_gates: the gates that are closed, with their values; empty where the augmentation may be tried. A gate that
    conf waives does not count.
    """
    known: dict[str, list[Verdict]] = {}
    first: list[Setup] = []

    def verdicts(changes: dict) -> list[Verdict]:
        on = change(cfg, {k: v for k, v in changes.items() if k.split(".")[0] == "augment"})
        augments = build.can_augment(on, data)  # not rows of a table
        on = change(on, {"train.augment": augments})
        name = json.dumps(plain(on, "augment"), sort_keys=True)
        if name not in known:
            if augments:
                run.say(f"checking whether {short(plain(on, 'augment'))} keeps the label")
            setup = _with_model_of(first, setup_from(on, data))
            known[name] = examined(run, setup, only=OF_THE_AUGMENTATION)
        return known[name]

    def closed_gates(changes: dict) -> str:
        closed = [v for v in verdicts(changes) if v.closes]
        return "; ".join(f"{v.check}: {v.measurement}" for v in closed)

    return verdicts, closed_gates


def _with_model_of(first: list[Setup], setup: Setup) -> Setup:
    """The set-up with the model of the first one, so that what is measured without augmentation is measured once."""
    if not first:
        first.append(setup)
        return setup
    other = replace(first[0], augment=setup.augment, train_augmented=setup.train_augmented)
    hand_over(model_without_augmentation, first[0], other)
    return other


def example_rows(cfg: DictConfig, data: Data, result: Ablation, count: int = 12) -> list[tuple[str, Tensor]]:
    """(name, images (count, C, H, W) in 0..1): the originals, then a row per level that changes the input; none where
    the inputs are not images.

    A level that was skipped because it changes the label has a row too, which shows why.
    """
    if not data.kind.has_pixels:
        return []
    x = data.train.x[:count]
    rows = [("original", data.pictures(_middle(data)(x)))]
    for level in (level for candidate in result.candidates for level in candidate.levels):
        changed = _changed(cfg, data, level, x)
        if changed is not None:
            rows.append((level.name, data.pictures(changed)))
    return rows


def _of_same_classes(extra: ExtraExamples, x: Tensor, y: Tensor) -> Tensor:
    """Each example replaced by one of the second source of its class, in turn; black where it has none."""
    shown = x.new_full(x.shape, float(x.min()))
    for label in y.unique():
        at, of = (y == label).nonzero()[:, 0], (extra.y == label).nonzero()[:, 0]
        if len(of):
            shown[at] = extra.x[of[torch.arange(len(at), device=of.device) % len(of)]]
    return shown


def _middle(data: Data) -> nn.Module:
    """Of stored images that are larger than what enters the net, the part that does."""
    return Centre(*data.window) if data.window else nn.Identity()


def _changed(cfg: DictConfig, data: Data, level: Level, x: Tensor) -> Tensor | None:
    """The inputs as this level alone changes them; None where it leaves them unchanged."""
    if x.ndim != 4 or not {"augment", "train.augment", "train.mixup", "train.input_size"} & set(level.change):
        return None
    cfg = change(cfg, {k: v for k, v in level.change.items() if k.split(".")[0] in ("augment", "train")})
    if cfg.train.augment and not build.can_augment(cfg, data):  # of texts
        return None
    with seeded(cfg.seed, "pictures"):
        if cfg.train.augment and (extra := extra_examples(cfg, data)):
            x = _of_same_classes(extra, x, data.train.y[: len(x)])
        if cfg.train.augment and (changing := build.augmentation(cfg, data)):
            x = augment.apply(changing, x, keys([cfg.seed], "pictures")[0].to(x.device))
        x = _middle(data)(x)
        if cfg.train.mixup:
            shares = (mixup.share(cfg.train.mixup, cfg.seed, step) for step in range(64))
            # most shares are nearly 0 or 1, where nothing can be seen
            x = mixup.mixed(x, min(shares, key=lambda share: abs(share - SHOWN_MIXUP)), 0)
        if cfg.train.input_size and cfg.train.input_size < max(x.shape[2:]):
            x = Resize(cfg.train.input_size)(x)
    return x
