"""The keys of the stages' files in conf/, with their types and bounds: one dataclass a file. `options` has the groups'.

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
Folds = Annotated[int, Ge(2), Le(10), Reason("of every comparison each fold is a training")]
AtLeastTwo = Annotated[int, Ge(2)]
PositiveFloat = Annotated[float, Gt(0)]
NonNegativeFloat = Annotated[float, Ge(0)]
Multiplications = Annotated[float, Gt(0)]
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
class BaselineEffort:
    seeds: PositiveInt
    budget: Multiplications | None


@dataclass
class OverfitEffort:
    budget: Multiplications | None
    training: Multiplications | None


@dataclass
class RegularizeEffort:
    seeds: Seeds
    budget: Multiplications | None
    further: bool


@dataclass
class TuneEffort:
    trials: AtLeastTwo
    repeats: PositiveInt
    trial_seeds: PositiveInt
    seeds: Seeds
    budget: Multiplications | None


@dataclass
class EnsembleEffort:
    budget: Multiplications | None
    members: AtLeastTwo
    top: NonNegativeInt
    longer: NonNegativeInt
    distil: bool


@dataclass
class Effort:
    """conf/effort/*.yaml"""

    baseline: BaselineEffort
    overfit: OverfitEffort
    regularize: RegularizeEffort
    tune: TuneEffort
    ensemble: EnsembleEffort


@dataclass
class Base:
    """conf/base.yaml"""

    data: Part
    runtime: Runtime
    effort: Effort
    stage: str
    seed: NonNegativeInt
    checks: Mapping
    waive: Mapping


@dataclass
class Declare:
    """`declare` in conf/learn.yaml: the fields of recipe.Declare"""

    frozen: list[str]
    pretrained: list[str]
    accumulate: PositiveInt
    mixes_samples: bool
    causal: bool
    resampled_train: bool
    shared_modules: bool
    irreducible_noise: bool


# of all tasks; which of them the task has is known when the data are read
MetricName = Literal[
    "auto", "accuracy", "average_precision", "balanced_accuracy", "brier", "ece", "log_loss", "macro_f1", "roc_auc",
    "macro_average_precision", "micro_average_precision", "micro_f1", "subset_accuracy",
    "rmse", "mae", "r2",
]  # fmt: skip


@dataclass
class UserMetric(Part):
    """A function (targets, predictions) -> number: the fields of recipe.metrics.user_defined.UserFunction"""

    name: str
    higher_is_better: bool
    percent: bool
    unit: str


@dataclass
class Train:
    share: PositiveShare
    batch_size: PositiveInt
    epochs: PositiveFloat
    eval_every: PositiveFloat | None
    input_size: PositiveInt | None
    quantiles: bool
    augment: bool
    mixup: NonNegativeFloat
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
    sampler: Part
    tokenizer: Part
    step: Part
    metric: MetricName | UserMetric
    judged_by: Literal["loss", "metric"]
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
    folds: Folds | None


@dataclass
class Embed(Base):
    model: Mapping  # of a model with a backbone what says which; empty of others


@dataclass
class Baseline(Learn):
    baselines: Mapping
    seeds: PositiveInt
    budget: Multiplications | None


@dataclass
class CapacityLadder:
    key: str
    values: list[Any]
    growth: NonNegativeFloat


@dataclass
class Overfit(Learn):
    ladder: CapacityLadder
    enough: NonNegativeFloat | None
    budget: Multiplications | None
    training: Multiplications | None


@dataclass
class Regularize(Learn):
    seeds: Seeds
    budget: Multiplications | None
    further: bool
    confidence: Confidence
    shares: list[PositiveShare]
    rungs: list[Mapping]


@dataclass
class Halving:
    first: Annotated[float, Gt(0), Lt(1)]
    factor: Annotated[float, Gt(1)]


@dataclass
class Tune(Learn):
    schedule: Part
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
    budget: Multiplications | None
    fine_tuning: Multiplications | None
    confidence: Confidence


@dataclass
class Ensemble(Learn):
    schedule: Part
    budget: Multiplications | None
    members: AtLeastTwo
    top: NonNegativeInt
    longer: NonNegativeInt
    distil: bool
    distillation_temperature: Annotated[float, Ge(1)]


@dataclass
class Report(Base):
    pass


BY_STAGE: dict[str, type[Base]] = {  # in the order of the recipe
    "prepare": Prepare,
    "embed": Embed,
    "audit": Audit,
    "split": Split,
    "baseline": Baseline,
    "overfit": Overfit,
    "regularize": Regularize,
    "tune": Tune,
    "ensemble": Ensemble,
    "report": Report,
}
EFFORT = "effort"  # the group that other keys take numbers from: resolved/ has it in these keys alone
# the keys that a user adds below these: names of checks, other keys, the arguments of a metric
NAMED = ("checks", "waive", "space", "metric")
