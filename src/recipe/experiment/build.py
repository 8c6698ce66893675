"""From a config to a model, a lane and its training."""

import json
import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.optim import Optimizer

from recipe.config.changes import TRAINING, change
from recipe.config.instantiate import backbone_of, part, plain
from recipe.data.batches import Data, Split
from recipe.data.quantiles import Quantiles
from recipe.errors import RecipeError
from recipe.experiment.extra_examples import extra_examples
from recipe.experiment.final_bias import set_final_bias
from recipe.files import fingerprint
from recipe.inputs.read import IMAGES, TEXTS
from recipe.models import backbone as of_images
from recipe.models import encoder as of_texts
from recipe.models.backbone import Backbone
from recipe.models.encoder import Encoder
from recipe.models.fine_tuned import NONE, FineTuned, require_word
from recipe.models.plain import Centre, Resize
from recipe.rng import seeded
from recipe.train import augment, engine
from recipe.train import sampler as sampling
from recipe.train.augment import Augmentation
from recipe.train.evaluations import usual_eval_every
from recipe.train.lane import Lane, Trained
from recipe.train.loop import train_step
from recipe.train.losses import completed
from recipe.train.sampler import Sampler
from recipe.train.schedules import CONSTANT, Schedule, WarmedUp
from recipe.train.word_dropout import WordDropout
from recipe.verdict import cause


def model(cfg: DictConfig, data: Data, seed: int) -> nn.Module:
    """A fresh model whose weights depend only on `seed`, with its lazy layers sized by a training example.

    Its final bias starts at the best constant answer where that saves loss, as of uneven classes. With
    `model.unfreeze` it is a FineTuned, which takes the inputs that `entering` gives.
    """
    if data.features and unfreezes(cfg):
        return _fine_tuned(cfg, data, seed)
    vocabulary = data.tokenizer.size if data.tokenizer else None
    net = network(cfg, data.task.width, data.train.x[:2], seed, vocabulary, data.window)
    if cfg.train.quantiles:
        net[0].load_state_dict(data.quantiles.state_dict())  # type: ignore[index]  # a Sequential, see `network`
    set_final_bias(net, data)
    return net


def unfreezes(cfg: DictConfig) -> bool:
    """Whether a pretrained body is trained with its head. Raises RecipeError for an unknown word."""
    model = plain(cfg, "model")
    return bool(backbone_of(model)) and require_word(model.get("unfreeze", NONE)) != NONE


def entering(data: Data, net: nn.Module, split: Split) -> Split:
    """A split of `data` as a network takes it: for one with a pretrained body, images or tokens instead of features."""
    if not isinstance(net, FineTuned):
        return split
    return data.raw.train if split is data.train else data.raw.val if split is data.val else data.raw_of(split)


def _fine_tuned(cfg: DictConfig, data: Data, seed: int) -> FineTuned:
    assert data.features
    inputs, features = data.raw.train.x[:2], data.features
    body = _body(json.dumps(features.facts), features.weights, inputs.device.type)
    net = network(cfg, data.task.width, inputs, seed, window=features.window, body=body)
    assert isinstance(net, FineTuned)
    with torch.no_grad():
        assert data.limits is not None
        for kept, known in ((net.mean, data.mean), (net.std, data.std), (net.limits, data.limits)):
            kept.copy_(known)
    set_final_bias(net, data.raw)
    return net


@lru_cache(1)
def _body(facts: str, weights: Path, device: str) -> Backbone | Encoder:
    """The network that the stage embed has stored."""
    known = json.loads(facts)
    return (of_texts if "tokenizer" in known else of_images).restored(known, weights, device)


def network(
    cfg: DictConfig, width: int, inputs: Tensor, seed: int, vocabulary: int | None = None,
    window: tuple[int, int] | None = None, body: Backbone | Encoder | None = None,
) -> nn.Module:  # fmt: skip
    """As `model`, for a number of outputs; its lazy layers are sized by two inputs (2, C, H, W), (2, F) or (2, L).

    vocabulary: of texts, the size of their tokenizer, which their models are called with. window: height and width of
    the part of an image that enters; of larger ones the net sees the middle. body: that is trained with the head, which
    the config describes; the standardisation between them is put in later.
    """
    inputs = Centre(*window)(inputs) if window and not body else inputs
    more = {} if vocabulary is None else {"vocabulary": vocabulary}
    with seeded(seed, "init"):
        net = part(cfg, "model", num_classes=width, **more)
        if not isinstance(net, torch.nn.Module):
            raise RecipeError(f"conf/model: `{cfg.model._target_}` gave a {type(net).__name__}, not an nn.Module.")
        if body:
            net = FineTuned(body, net, require_word(cfg.model.unfreeze), window)
        if cfg.train.input_size:
            net = torch.nn.Sequential(_smaller(cfg.train.input_size, inputs), net)
        if cfg.train.quantiles:
            net = torch.nn.Sequential(_quantiles(inputs), net)
        if window and not body:
            net = torch.nn.Sequential(Centre(*window), net)
        net.to(inputs.device)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.filterwarnings("ignore", message="Lazy modules")
            try:
                out = net.eval()(inputs)
            except Exception as error:
                rows = ". These are rows of a table: `model: {name: mlp}`, or linear" if inputs.ndim == 2 else ""
                raise RecipeError(
                    f"conf/model: `{cfg.model._target_}` cannot take inputs {tuple(inputs.shape)}: {cause(error)}{rows}"
                ) from None
    if tuple(out.shape) != (2, width):
        raise RecipeError(
            f"conf/model: `{cfg.model._target_}` gives {tuple(out.shape)} for 2 inputs, it must give (2, {width})."
        )
    return cast(nn.Module, net.train())


def _smaller(size: int, inputs: Tensor) -> Resize:
    """Downsampling as part of the model, so that every later stage and its saved weights have it."""
    sides = inputs.shape[2:]
    if not sides or size >= max(sides):
        given = f"images of {'x'.join(map(str, sides))} pixels" if sides else "rows of features"
        raise RecipeError(f"`train.input_size: {size}` makes nothing smaller: the inputs are {given}.")
    return Resize(size)


def _quantiles(inputs: Tensor) -> Quantiles:
    """Without numbers: those of the training set, or of the saved weights, are put in later."""
    if inputs.ndim != 2:
        raise RecipeError(f"`train.quantiles` is of columns of a table; the inputs are {tuple(inputs.shape[1:])}.")
    return Quantiles(inputs.shape[1])


def shapes(net: nn.Module) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The size of each weight, by name: equal where a change of the config leaves the layers as they are."""
    return tuple((name, tuple(weight.shape)) for name, weight in net.state_dict().items())


def optimizer(cfg: DictConfig, net: nn.Module) -> Optimizer:
    """Built on the parameters that require a gradient; those of a pretrained body have lower rates than its head."""
    build = part(cfg, "optimizer")
    if not callable(build):
        raise RecipeError(f"conf/optimizer: `{cfg.optimizer._target_}` needs the line `_partial_: true`.")
    try:
        if not isinstance(net, FineTuned):
            return cast(Optimizer, build([p for p in net.parameters() if p.requires_grad]))
        rates = list(net.rates())
        made = cast(Optimizer, build([{"params": weights} for weights, _ in rates]))
        for group, (_, factor) in zip(made.param_groups, rates, strict=True):
            group["lr"] *= factor
        return made
    except Exception as error:
        raise RecipeError(f"conf/optimizer: `{cfg.optimizer._target_}` cannot be built: {cause(error)}") from None


def loss(cfg: DictConfig, data: Data) -> Callable:
    """(outputs, y) -> mean loss, 0-d."""
    return completed(part(cfg, "loss"), data.task, data.train.y)


def sampler(cfg: DictConfig, data: Data) -> Sampler | None:
    """What draws the examples of a pass; None where each is in it once."""
    return sampling.completed(part(cfg, "sampler"), data.task, data.train.y)


def lane(cfg: DictConfig, data: Data, seed: int, changes: dict | None = None, **kwargs: Any) -> Lane:
    """One training from a config with dotted `changes`; kwargs are passed to Lane.

    Lanes of one seed share initial weights (where shapes agree) and data order, so their difference is paired.
    """
    cfg = change(cfg, changes or {}, TRAINING)  # copying all of it takes longer than building the model
    net = model(cfg, data, seed)
    device = data.train.y.device.type
    if cfg.train.precision != "float32" and (cfg.train.precision, device) != ("bfloat16", "cuda"):
        raise RecipeError(
            f"train.precision is `{cfg.train.precision}` on the device `{device}`: float32, or on cuda bfloat16 (which "
            "is 6 to 8 times slower on a CPU without instructions for it)."
        )
    in_pass = len(data.train) / cfg.train.batch_size
    steps, every = max(1, round(cfg.train.epochs * in_pass)), eval_every(cfg, data) * in_pass
    settings = {name: cfg.train[name] for name in ("share", "mixup", "patience", "precision")}
    one = Lane(
        net, optimizer(cfg, net), loss(cfg, data), steps, cfg.train.batch_size, seed, eval_every=max(1.0, every),
        augment=augmentation(cfg, data) if cfg.train.augment else None, step=user_step(cfg), sampler=sampler(cfg, data),
        extra=extra_examples(cfg, data) if cfg.train.augment else None, schedule=schedule(cfg, steps),
        **settings | kwargs,
    )  # fmt: skip
    if not isinstance(net, FineTuned):
        return one
    if one.mixup:
        raise RecipeError("`train.mixup` mixes features, and not the inputs of `model.unfreeze`: set it to 0 there.")
    probe = round(cfg.model.probe * in_pass)
    head = replace(one, model=net.head, optimizer=optimizer(cfg, net.head), steps=probe, fold=data)
    # few passes: one more over all of train would cost as much as a third of one of them
    return replace(one, schedule=WarmedUp(one.schedule), whole=False, fold=data.raw, probe=head if probe else None)


def schedule(cfg: DictConfig, steps: int) -> Schedule:
    """Of the learning rate; constant in the stages before tune, whose conf has none.

    Raises RecipeError where a user's function fails, or gives no number of at least 0.
    """
    if "schedule" not in cfg:
        return CONSTANT
    made = cast(Schedule, part(cfg, "schedule"))
    for step in {0, steps // 2, steps - 1}:
        try:
            factor = made(step, steps)
        except Exception as error:
            raise RecipeError(
                f"conf/schedule: `{cfg.schedule._target_}` fails at step {step}: {cause(error)}"
            ) from None
        if not isinstance(factor, float | int) or not 0 <= factor < math.inf:
            raise RecipeError(
                f"conf/schedule: `{cfg.schedule._target_}` gives {factor!r} at step {step} of {steps}; it must give a "
                "factor of the learning rate, at least 0."
            )
    return made


def eval_every(cfg: DictConfig, data: Data) -> float:
    """Passes between two evaluations."""
    return float(cfg.train.eval_every or usual_eval_every(len(data.train), len(data.val)))


def augmentation(cfg: DictConfig, data: Data) -> Augmentation | None:
    """For the standardised images of `data`; the configured augmentation gets them in 0..1. For texts, their tokens.
    None where conf names a second source of examples alone, which leaves images as they are.

    Of stored images that are larger than what enters the net it leaves a window at a random place.
    """
    if data.tokenizer:
        words = part(cfg, "augment")
        return replace(words, length=data.train.x.shape[1]) if isinstance(words, WordDropout) else cast(Any, words)
    of_images = augment.without_extra(part(cfg, "augment"))
    configured = augment.on_pictures(of_images, data.mean, data.std) if of_images else None
    return augment.with_window(configured, *data.window) if data.window else configured


def can_augment(cfg: DictConfig, data: Data) -> bool:
    """Whether the configured augmentation is of inputs of this kind; of rows of a table there is none."""
    own = not augment.is_builtin(part(cfg, "augment"))
    return data.kind.plural == augmented_inputs(cfg) or (own and not data.kind.has_columns)


def augmented_inputs(cfg: DictConfig) -> str:
    """`texts` or `images`, which the configured augmentation takes; of a user-defined one `images`."""
    return TEXTS.plural if augment.takes_tokens(part(cfg, "augment")) else IMAGES.plural


def user_step(cfg: DictConfig) -> Callable | None:
    """The user-defined training step; None where it is the built-in one."""
    step = part(cfg, "step")
    return None if step is train_step else step


def train(cfg: DictConfig, data: Data, lanes: list[Lane], run: Any, name: str, **kwargs: Any) -> list[Trained]:
    """Trains lanes of a stage together; kwargs go to engine.train. `name` distinguishes them from the stage's others.

    Under DVC a training that was killed resumes: its checkpoints are under .recipe/, keyed by all that the stage
    depends on, until the stage is done. run: of the stage, or what has its `say` and `checkpoints`.
    """

    def say(text: str) -> None:
        run.say(f"{name}: {text}")

    folder = run.checkpoints and run.checkpoints / fingerprint(name)
    settings = {"metric": data.metric, "objective": data.objective, "folder": folder, "say": say}
    return engine.train(lanes, data.train, data.val, **settings | kwargs)
