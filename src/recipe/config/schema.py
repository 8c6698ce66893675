"""The keys of every file in conf/, with their types and bounds: one dataclass a file.

The values are in conf/ alone. `type_check` holds a composed config against these classes, `reference` writes
docs/configuration.md from both. A key may be added to conf/ without a field here; then nothing checks its value.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

# ---- types with bounds -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reason:
    """Why a bound is where it is; its message ends with this."""

    text: str


PositiveInt = Annotated[int, Ge(1)]
NonNegativeInt = Annotated[int, Ge(0)]
AtLeastTwo = Annotated[int, Ge(2)]
PositiveFloat = Annotated[float, Gt(0)]
NonNegativeFloat = Annotated[float, Ge(0)]
Share = Annotated[float, Ge(0), Le(1)]
PositiveShare = Annotated[float, Gt(0), Le(1)]
Seeds = Annotated[int, Ge(2), Reason("a single seed has no spread, and so no interval")]
Confidence = Annotated[float, Ge(0.5), Lt(1)]
SplitShare = Annotated[float, Ge(0), Lt(1)]
Mapping = dict[str, Any]  # of which the keys are names of checks, columns or other keys: who reads it checks them
Column = str | int  # a name, or its place: 0 the first, -1 the last

# ---- what stages share -----------------------------------------------------------------------------------------


@dataclass
class Part:
    """What a file of a config group holds: a `_target_` and its arguments. OPTIONS has those that recipe ships."""

    _target_: str


@dataclass
class Mlflow:
    uri: str | None
    experiment: str


@dataclass
class Runtime:
    """conf/runtime/local.yaml"""

    device: str
    threads: PositiveInt
    deterministic: Literal["strict", "warn", "off"]
    memory: NonNegativeFloat
    workers: NonNegativeInt
    processes: PositiveInt
    mlflow: Mlflow
    storage: str


@dataclass
class Base:
    """conf/base.yaml"""

    data: Part
    runtime: Runtime
    stage: str
    seed: NonNegativeInt
    checks: Mapping
    waive: Mapping


@dataclass
class Declare:
    """`declare` in conf/learn.yaml: the fields of recipe.Declare"""

    frozen: list[str]
    accumulate: PositiveInt
    mixes_samples: bool
    causal: bool
    resampled_train: bool
    shared_modules: bool
    irreducible_noise: bool


@dataclass
class Train:
    share: PositiveShare
    batch_size: PositiveInt
    steps: PositiveInt
    eval_every: PositiveInt
    input_size: PositiveInt | None
    augment: bool
    mixup: NonNegativeFloat
    decay: Share
    patience: PositiveInt | None
    early_stopping: bool
    precision: Literal["float32", "bfloat16"]


@dataclass
class Learn(Base):
    """conf/learn.yaml"""

    model: Part
    loss: Part
    optimizer: Part
    augment: Part
    step: Part
    declare: Declare
    train: Train


# ---- stages ----------------------------------------------------------------------------------------------------


@dataclass
class Decoding:
    pixels: PositiveInt
    seconds: PositiveFloat
    memory: PositiveInt


@dataclass
class Prepare(Base):
    decoding: Decoding


@dataclass
class Flags:
    near: NonNegativeFloat
    outlier: NonNegativeFloat
    blank: NonNegativeFloat


@dataclass
class Audit(Base):
    decisions: str
    flags: Flags


@dataclass
class Split(Base):
    decisions: str
    given: Literal["obey", "ignore"]
    val: SplitShare
    test: SplitShare
    by: Literal["random", "time", "group"]
    column: str | None
    rare: Literal["ask", "drop", "train"]


@dataclass
class Baseline(Learn):
    baselines: Mapping
    seeds: PositiveInt


@dataclass
class CapacityLadder:
    key: str
    values: list[Any]


@dataclass
class Overfit(Learn):
    ladder: CapacityLadder
    enough: NonNegativeFloat


@dataclass
class Regularize(Learn):
    seeds: Seeds
    confidence: Confidence
    shares: list[PositiveShare]
    rungs: list[Mapping]


@dataclass
class Halving:
    first: Annotated[float, Gt(0), Lt(1)]
    factor: Annotated[float, Gt(1)]


@dataclass
class Tune(Learn):
    space: Mapping
    samplers: list[str]
    trials: AtLeastTwo
    repeats: PositiveInt
    generation: PositiveInt
    trial_seeds: PositiveInt
    halving: Halving | None
    together: PositiveInt
    failures: Share
    seeds: Seeds
    confidence: Confidence


@dataclass
class Ensemble(Learn):
    members: AtLeastTwo
    top: NonNegativeInt
    longer: NonNegativeInt
    distil: bool
    distillation_temperature: Annotated[float, Ge(1)]


@dataclass
class Report(Base):
    pass


STAGES: dict[str, type[Base]] = {
    "prepare": Prepare,
    "audit": Audit,
    "split": Split,
    "baseline": Baseline,
    "overfit": Overfit,
    "regularize": Regularize,
    "tune": Tune,
    "ensemble": Ensemble,
    "report": Report,
}
NAMED = ("checks", "waive", "space")  # the keys that a user adds below these are names of checks, or of other keys


# ---- the parts that recipe and torch ship ----------------------------------------------------------------------
# What a file leaves out has the constructor's default. What a user-defined part takes is for its constructor to check.


@dataclass
class Torch(Part):
    """Any optimizer or loss of torch."""

    lr: NonNegativeFloat
    weight_decay: NonNegativeFloat
    momentum: NonNegativeFloat
    fused: bool
    label_smoothing: Share
    _partial_: bool


@dataclass
class Network(Part):
    width: PositiveInt
    depth: PositiveInt
    dropout: Share
    dropout2d: Share


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
class Jitter(Part):
    brightness: NonNegativeFloat
    contrast: NonNegativeFloat


@dataclass
class Compose(Part):
    augments: list[Part]
    _convert_: str


@dataclass
class TrainStep(Part):
    _partial_: bool


@dataclass
class DigitsFlawed(Part):
    seed: NonNegativeInt


@dataclass
class Arrays(Part):
    file: str
    inputs: str
    labels: str
    group: str | None
    split: str | None
    classes: list[Any] | None
    value_range: list[float] | None


@dataclass
class Images(Part):
    """What a source of encoded images takes."""

    group: str | None
    split: str | None
    size: PositiveInt | list[PositiveInt] | None
    fit: Literal["crop", "pad"]
    channels: Literal[1, 3]
    value_range: list[float] | None


@dataclass
class Folder(Images):
    root: str
    annotations: str | None
    classes_at: PositiveInt | None
    labels: str | None
    file: Column
    label: Column


@dataclass
class Parquet(Images):
    file: str
    image: str
    label: str
    metadata: list[str]
    classes: list[Any] | None


@dataclass
class Delimited(Part):
    """What a source of rows takes."""

    file: str
    label: Column
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
    "recipe.sources.arrays.Arrays": Arrays,
    "recipe.sources.arrays.Parquet": Parquet,
    "recipe.sources.digits_flawed.DigitsFlawed": DigitsFlawed,
    "recipe.sources.folder.Folder": Folder,
    "recipe.sources.given_splits.GivenSplits": GivenSplits,
    "recipe.sources.tables.Table": Table,
    "recipe.sources.tables.Text": Text,
    "recipe.train.augment.Affine": Affine,
    "recipe.train.augment.Compose": Compose,
    "recipe.train.augment.Crop": Crop,
    "recipe.train.augment.Cutout": Cutout,
    "recipe.train.augment.Flip": Flip,
    "recipe.train.augment.Jitter": Jitter,
    "recipe.train.augment.Several": Compose,
    "recipe.train.loop.train_step": TrainStep,
    "torch.": Torch,
    "torchvision.datasets.": Torchvision,
}


def option(target: object) -> type[Part] | None:
    """The class of what this `_target_` names; None where it is user-defined."""
    if not isinstance(target, str):
        return None
    return OPTIONS.get(max((name for name in OPTIONS if target.startswith(name)), key=len, default=""))
