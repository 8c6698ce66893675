"""The keys of the options that recipe ships, conf/<group>/<option>.yaml: one class for each `_target_`.

A key that a file leaves out has the constructor's default. A user-defined part has no class here: its constructor
checks what it takes.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Lt

from recipe.config.schema import (
    AtLeastTwo,
    Column,
    Mapping,
    NonNegativeFloat,
    NonNegativeInt,
    Part,
    PositiveFloat,
    PositiveInt,
    PositiveShare,
    Share,
)


@dataclass
class Torch(Part):
    """Any optimizer or loss of torch; losses of recipe, which take the same keys."""

    lr: NonNegativeFloat
    weight_decay: NonNegativeFloat
    momentum: NonNegativeFloat
    fused: bool
    label_smoothing: Share
    delta: NonNegativeFloat
    _partial_: bool


@dataclass
class WeightedCrossEntropy(Part):
    weights: str | list[PositiveFloat] | Mapping
    _partial_: bool


@dataclass
class Focal(Part):
    gamma: NonNegativeFloat
    _partial_: bool


@dataclass
class Network(Part):
    width: PositiveInt
    depth: PositiveInt
    dropout: Share
    dropout2d: Share


@dataclass
class Pretrained(Part):
    backbone: str
    weights: str
    unfreeze: Literal["none", "last", "all"]
    probe: NonNegativeFloat
    depth: NonNegativeInt
    width: PositiveInt
    dropout: Share


@dataclass
class ResNet(Part):
    width: PositiveInt
    dropout: Share
    large: bool


@dataclass
class Affine(Part):
    degrees: NonNegativeFloat
    zoom: Annotated[float, Ge(0), Le(0.99)]
    pixels: NonNegativeFloat


@dataclass
class Crop(Part):
    pixels: Annotated[int, Ge(0), Le(1000)]


@dataclass
class Cutout(Part):
    share: PositiveShare
    chance: Share
    grey: Share


@dataclass
class Flip(Part):
    share: PositiveShare


@dataclass
class Extra(Part):
    data: Mapping | None  # a source
    share: PositiveShare


@dataclass
class FontDigit(Part):
    _partial_: bool


@dataclass
class Generated(Part):
    draw: Mapping
    classes: list[str]
    each: PositiveInt
    size: PositiveInt
    seed: int


@dataclass
class WordDropout(Part):
    share: PositiveShare


@dataclass
class Jitter(Part):
    brightness: NonNegativeFloat
    contrast: NonNegativeFloat


@dataclass
class Compose(Part):
    augments: list[Part]
    _convert_: str


@dataclass
class Words(Part):
    least: PositiveInt
    most: PositiveInt
    length: PositiveInt | None
    lowercase: bool


@dataclass
class TextNetwork(Part):
    width: PositiveInt
    depth: NonNegativeInt
    dropout: Share


@dataclass
class Cosine(Part):
    final: Share
    warmup: Annotated[float, Ge(0), Lt(1)]


@dataclass
class OneCycle(Part):
    rise: Annotated[float, Ge(0), Lt(1)]
    start: PositiveShare
    final: Share


@dataclass
class Steps(Part):
    at: list[Share]
    factor: Share


@dataclass
class Cooldown(Part):
    share: PositiveShare


@dataclass
class Function(Part):
    _partial_: bool


@dataclass
class DigitsFlawed(Part):
    seed: NonNegativeInt


@dataclass
class Predicted(Part):
    """What says what is to be predicted: see recipe.sources.targets."""

    label: Column | None
    target: Column | list[Column] | None
    labels: list[Column] | Mapping | None
    unit: str | None
    task: Literal["auto", "classification", "multilabel", "regression"]


@dataclass
class Arrays(Part):
    file: str
    inputs: str
    label: str | None
    target: str | None
    labels: str | None
    unit: str | None
    task: Literal["auto", "classification", "multilabel", "regression"]
    group: str | None
    split: str | None
    classes: list[Any] | None
    value_range: list[float] | None


@dataclass
class Images(Predicted):
    """What a source of encoded images takes."""

    group: str | None
    split: str | None
    size: PositiveInt | list[PositiveInt] | None
    store_size: PositiveInt | list[PositiveInt] | None
    fit: Literal["crop", "pad"]
    channels: Literal[1, 3]
    value_range: list[float] | None


@dataclass
class Folder(Images):
    root: str
    annotations: str | None
    classes_at: PositiveInt | None
    table: str | None
    file: Column


@dataclass
class TextFolder(Predicted):
    root: str
    encoding: str | None
    group: str | None
    split: str | None
    classes_at: PositiveInt | None
    table: str | None
    file: Column


@dataclass
class Parquet(Images):
    file: str
    image: str
    metadata: list[str]
    classes: list[Any] | None


@dataclass
class Delimited(Predicted):
    """What a source of rows takes."""

    file: str
    group: Column | None
    split: Column | None
    metadata: list[Column]
    classes: list[Any] | None
    header: bool
    delimiter: str | None
    encoding: str | None


@dataclass
class Table(Delimited):
    decimal: str | None
    thousands: str | None
    dates: Mapping | None
    ordered: Mapping | None
    levels: AtLeastTwo


@dataclass
class Text(Delimited):
    text: Column
    quoted: bool


@dataclass
class GivenSplits(Part):
    train: Part
    val: Part | None
    test: Part | None


@dataclass
class Torchvision(Part):
    root: str
    train: bool
    download: bool


# {target, or what it begins with: class}; the longest counts
OPTIONS: dict[str, type[Part]] = {
    "recipe.models.": Network,
    "recipe.models.pretrained.": Pretrained,
    "recipe.models.resnet.": ResNet,
    "recipe.models.text.": TextNetwork,
    "recipe.data.tokens.Words": Words,
    "recipe.sources.arrays.Arrays": Arrays,
    "recipe.sources.arrays.Parquet": Parquet,
    "recipe.sources.digits_flawed.DigitsFlawed": DigitsFlawed,
    "recipe.sources.folder.Folder": Folder,
    "recipe.sources.given_splits.GivenSplits": GivenSplits,
    "recipe.sources.tables.Table": Table,
    "recipe.sources.tables.Text": Text,
    "recipe.sources.text_folder.TextFolder": TextFolder,
    "recipe.train.augment.Affine": Affine,
    "recipe.train.augment.Compose": Compose,
    "recipe.train.augment.Crop": Crop,
    "recipe.train.augment.Cutout": Cutout,
    "recipe.train.augment.Flip": Flip,
    "recipe.train.extra.Extra": Extra,
    "recipe.sources.font_digits.font_digit": FontDigit,
    "recipe.sources.generated.Generated": Generated,
    "recipe.train.augment.Jitter": Jitter,
    "recipe.train.augment.Several": Compose,
    "recipe.train.word_dropout.WordDropout": WordDropout,
    "recipe.train.loop.train_step": Function,
    "recipe.train.sampler.": Function,
    "recipe.train.schedules.Constant": Part,
    "recipe.train.schedules.Cooldown": Cooldown,
    "recipe.train.schedules.Cosine": Cosine,
    "recipe.train.schedules.OneCycle": OneCycle,
    "recipe.train.schedules.Steps": Steps,
    "torch.": Torch,
    "recipe.train.imbalance.focal": Focal,
    "recipe.train.imbalance.weighted_cross_entropy": WeightedCrossEntropy,
    "recipe.train.losses.": Torch,
    "torchvision.datasets.": Torchvision,
}


def option(target: object) -> type[Part] | None:
    """The class of what this `_target_` names; None where it is user-defined."""
    if not isinstance(target, str):
        return None
    return OPTIONS.get(max((name for name in OPTIONS if target.startswith(name)), key=len, default=""))
