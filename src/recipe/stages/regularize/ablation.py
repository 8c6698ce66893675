"""Candidate changes, one at a time on top of those that were kept; kept where the gain exceeds seed noise."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from recipe.config.changes import TRAINING, leaves, merge_changes, multiplied
from recipe.config.changes import change as changed
from recipe.config.instantiate import place
from recipe.data.batches import Data
from recipe.errors import RecipeError
from recipe.experiment import build
from recipe.experiment.arms import Arm, Gain, first_look, gain, lane_seeds, train_promising
from recipe.experiment.budget import FEWEST_SEEDS, Budget, cost_of
from recipe.experiment.saved import save_trainings
from recipe.files import write_csv, write_yaml
from recipe.formatting import outcome
from recipe.metrics.objective import LOSS, Objective
from recipe.stages.runner import Run

BASE = "no regularisation"
SIZES = {"model.width", "model.depth"}
PASSES = "train.epochs"
DEAR = 4.0  # times the multiplications, from which on a candidate says what it costs
COMPOSE = "recipe.train.augment.Compose"
COMPOSES = (COMPOSE, "recipe.train.augment.Several")  # the latter: its former name

ClosedGates = Callable[[dict], str]  # changes -> why their augmentation may not be tried; empty where it may


@dataclass
class Level:
    """One strength of a candidate change: its change with resolved numbers, and its gain; or why it was skipped. cost:
    multiplications of one training; times: those of the recipe that it is compared with. Both of what was trained."""

    name: str
    change: dict
    arm: Arm | None = None
    gain: Gain | None = None
    skipped: str = ""
    cost: float | None = None
    times: float = 1.0

    def description(self) -> str:
        return ", ".join(f"{key} = {short(value)}" for key, value in self.change.items())


@dataclass
class Candidate:
    """One candidate change. It is judged by its best level (highest mean gain)."""

    name: str
    expected: str
    levels: list[Level] = field(default_factory=list)
    seeds: int = 0  # that a promising level is trained with
    fewest: float | None = None  # passes of a level that takes fewer where the budget has no room for more

    @property
    def best(self) -> Level | None:
        gains = [(level, level.gain.mean) for level in self.levels if level.gain]
        return max(gains, key=lambda pair: pair[1])[0] if gains else None

    @property
    def gain(self) -> Gain | None:
        return self.best.gain if self.best else None

    @property
    def kept(self) -> bool:
        return bool(self.gain and self.gain.significant)

    @property
    def outcome(self) -> str:
        return outcome(self.gain.low, self.gain.high) if self.gain else "skipped"

    @property
    def skipped(self) -> str:
        return "; ".join(dict.fromkeys(level.skipped for level in self.levels if level.skipped))

    def prediction(self) -> dict:
        shown = self.best or self.levels[0]
        measured, tried = self.skipped, sum(level.gain is not None for level in self.levels)
        if self.gain:
            measured = self.gain.sentence() + (f", best of {tried} levels" if tried > 1 else "")
            if self.seeds and self.gain.n < self.seeds:
                why = "no better over the" if self.gain.mean <= 0 else "the budget had room for the"
                measured += f"; {why} first {self.gain.n} of {self.seeds} seeds, so no more were trained"
            if shown.times >= DEAR:
                measured += f"; a training takes {float(f'{shown.times:.2g}'):,.0f} times the multiplications"
        change = f"{self.name} ({shown.description()})"
        return {"change": change, "expected": self.expected, "measured": measured, "outcome": self.outcome}


@dataclass
class Ablation:
    """base: without any candidate; also the full share of the learning curve. accepted: with all that were kept."""

    base: Arm
    accepted: Arm
    changes: dict
    candidates: list[Candidate] = field(default_factory=list)
    objective: Objective = LOSS  # by which they are judged

    @property
    def kept(self) -> list[str]:
        return [candidate.name for candidate in self.candidates if candidate.kept]

    def best_arms(self) -> dict[str, Arm]:
        """The base, and the best level of each candidate."""
        best = {c.name: c.best.arm for c in self.candidates if c.best and c.best.arm}
        return {BASE: self.base, **best}


def run_ablation(
    cfg: DictConfig, data: Data, base: Arm, run: Run, closed_gates: ClosedGates = lambda changes: "",
    budget: Budget | None = None,
) -> Ablation:  # fmt: skip
    """Tries each candidate of conf in order, on top of those that were kept so far, as far as `budget` has room.

    A level that is no better over the first seeds has these alone. The best level counts for its candidate, so the
    interval of each level has the Bonferroni-corrected confidence 1 - (1 - confidence) / levels.
    """
    budget = budget or Budget()
    result = Ablation(base, base, dict(base.changes), objective=data.objective)
    for entry in _of_the_model(cast(list[dict], OmegaConf.to_container(cfg.rungs, resolve=True)), data):
        expected = data.objective.improves if data.objective.metric else entry["expected"]  # which speaks of losses
        levels, fewest = _levels(entry, cfg.further), entry.get("fewest")
        candidate = Candidate(entry["name"], expected, levels, len(base.lanes), fewest)
        result.candidates.append(candidate)
        arms = _prepare(cfg, data, candidate, result, closed_gates, too_even(data, entry.get("imbalance")))
        arms = _with_room(cfg, data, candidate, arms, budget)
        most = _affordable(cfg, data, arms, budget)
        trained = train_promising(cfg, data, arms, result.accepted, run, candidate.name, most) if arms else {}
        costs = _note_costs(cfg, data, candidate, trained, result.accepted)
        budget.spent += sum(costs[name] * len(arm.lanes) for name, arm in trained.items())
        _measure(candidate, trained, result.accepted, cfg.confidence, data.objective)
        for level in candidate.levels:
            run.say(f"{level.name}: {_outcome(candidate, level)}")
        if candidate.kept and candidate.best and candidate.best.arm:
            result.accepted, result.changes = candidate.best.arm, candidate.best.arm.changes
    run.note(budget.sentence("regularize"))
    return result


def write(out: Path, cfg: DictConfig, data: Data, result: Ablation) -> None:
    """best.yaml, the accepted changes; steps.csv; and in trainings/ those of the accepted recipe, where it fine-tunes a
    network, for an ensemble without room for others."""
    write_yaml(out / "best.yaml", result.changes)
    write_csv(out / "steps.csv", table(result))
    dear = build.unfreezes(changed(cfg, result.changes)) and not data.folds
    arm = result.accepted if dear else replace(result.accepted, lanes=[])
    save_trainings(out / "trainings", arm, lane_seeds(cfg, data))


def _of_the_model(rungs: list[dict], data: Data) -> list[dict]:
    """The candidates without those that only a pretrained network can have."""
    return [entry for entry in rungs if data.features or not entry.get("pretrained")]


def _with_room(
    cfg: DictConfig, data: Data, candidate: Candidate, arms: dict[str, dict], budget: Budget
) -> dict[str, dict]:
    """The arms whose first trainings the budget has room for; the levels of the others are skipped."""
    if budget.limit is None:
        return arms
    left, fitting = budget.left, {}
    for level in candidate.levels:
        if level.name not in arms:
            continue
        needed = first_look(cfg, data) * cost_of(cfg, data, arms[level.name])
        if needed > left and candidate.fewest:
            needed = _shortened(cfg, data, candidate.fewest, level, arms, left / needed) * needed
        if needed > left:
            left = max(0.0, left)
            level.skipped = f"there is no room in the stage's budget: {needed:.2g} multiplications, {left:.2g} are left"
            budget.left_out.append(level.name)
        else:
            left -= needed
            fitting[level.name] = arms[level.name]
    return fitting


def _note_costs(
    cfg: DictConfig, data: Data, candidate: Candidate, trained: dict[str, Arm], accepted: Arm
) -> dict[str, float]:  # fmt: skip
    """{level: multiplications of one training} of what was trained, which its levels get."""
    costs = {name: cost_of(cfg, data, arm.changes) for name, arm in trained.items()}
    before = cost_of(cfg, data, accepted.changes)
    for level in candidate.levels:
        if level.name in costs:
            level.cost, level.times = costs[level.name], costs[level.name] / before if before else 1.0
    return costs


def _shortened(cfg: DictConfig, data: Data, fewest: float, level: Level, arms: dict[str, dict], share: float) -> float:
    """Gives a level a share of its passes, rounded down to tenths, if these are not fewer than `fewest`; the share that
    it then has."""
    epochs = arms[level.name].get(PASSES, cfg.train.epochs)
    shorter = math.floor(10 * share * epochs) / 10
    if shorter < fewest:
        return 1.0
    level.change = level.change | {PASSES: shorter}
    arms[level.name] = arms[level.name] | {PASSES: shorter}
    return float(shorter / epochs)


def _affordable(cfg: DictConfig, data: Data, arms: dict[str, dict], budget: Budget) -> int | None:
    """How many seeds of a promising level the budget has room for, FEWEST_SEEDS at least; None: all of conf."""
    if budget.limit is None or not arms:
        return None
    each = sum(cost_of(cfg, data, changes) for changes in arms.values())
    return max(FEWEST_SEEDS, int(budget.left / each)) if each else None


def _levels(entry: dict, further: bool) -> list[Level]:
    changes = entry.get("levels") or [entry["change"], *(entry.get("further", ()) if further else ())]
    name = entry["name"]
    return [Level(name if len(changes) == 1 else f"{name} {i + 1}", change) for i, change in enumerate(changes)]


def _prepare(
    cfg: DictConfig, data: Data, candidate: Candidate, result: Ablation, closed_gates: ClosedGates, no_need: str = ""
) -> dict[str, dict]:
    """{name: changes} of the levels to be trained; the others get their arm, or the reason why they are skipped.

    no_need: why these data do not need the candidate.
    """
    arms = {}
    for level in candidate.levels:
        if reason := no_need or inapplicable(cfg, data, result.changes, level.change):
            level.skipped = reason
            continue
        level.change = resolved(cfg, data, result.changes, level.change)
        changes = merge_changes(result.changes, level.change)
        if (reason := _refused(cfg, data, changes)) or (
            {"augment", "train.augment"} & set(level.change) and (reason := closed_gates(changes))
        ):
            level.skipped = reason
        elif _same_trainings(level.change, cfg, result.changes):
            level.arm = Arm(
                level.name, changes, result.accepted.lanes, bool(changes["train.early_stopping"]), len(data.folds)
            )
        else:
            arms[level.name] = changes
    return arms


def too_even(data: Data, least: float | None) -> str:
    """Why a candidate for imbalanced classes is not tried; empty where one class has over `least` times the examples of
    another, or where the candidate does not ask."""
    if least is None:
        return ""
    times = data.task.imbalance(data.train.y)
    if times is None:
        return f"the task is {data.task.name}, and has no classes or labels"
    if times > least:
        return ""
    even = f"has {times:.2g} times the examples of" if times > 1 else "is no larger than"
    sizes = data.task.choose(
        classes=f"the classes are even: the largest {even} the smallest",
        labels=f"the labels are even: a value of one has at most {times:.2g} times the examples of the other",
        quantities="",
    )
    return f"{sizes}, and this is for more than {least:g} times"


def _refused(cfg: DictConfig, data: Data, changes: dict) -> str:
    """Why these changes do not exist for the task, as label smoothing of quantities and balanced batches of labels, or
    for the model, as images that are too small for its poolings."""
    config = changed(cfg, changes, TRAINING)
    try:
        build.loss(config, data)
        build.sampler(config, data)
        build.model(config, data, cfg.seed)
    except RecipeError as error:
        text = str(error).removeprefix(place("loss")).removeprefix(place("sampler")).removeprefix("conf/model: ")
        return text.rstrip(".")
    return ""


def _measure(
    candidate: Candidate, trained: dict[str, Arm], accepted: Arm, confidence: float, objective: Objective
) -> None:
    """The gain of each level over the accepted recipe; a level with a lost training is skipped."""
    tried = [level for level in candidate.levels if not level.skipped]
    for level in tried:
        arm = level.arm or trained[level.name]
        level.arm = arm
        if lost := arm.lost:
            level.skipped = f"{len(lost)} of {len(arm.lanes)} trainings were lost: {lost[0]}"
        else:
            level.gain = gain(accepted, arm, 1 - (1 - confidence) / len(tried), objective)


def _outcome(candidate: Candidate, level: Level) -> str:
    if not level.gain:
        return f"skipped, {level.skipped}"
    best = level is candidate.best
    outcome = "kept" if best and candidate.kept else "not kept" if best else "not the best level"
    return f"{level.gain.sentence()}; {outcome}"


def _same_trainings(change: dict, cfg: DictConfig, kept: dict) -> bool:
    """The change only affects which weights are read: the same trainings, read at another step."""
    return set(change) == {"train.early_stopping"} and (kept.get("train.patience", cfg.train.patience) is None)


def inapplicable(cfg: DictConfig, data: Data, kept: dict, change: dict) -> str:
    """Why this configuration or these data cannot have the change; empty where they can."""
    now = leaves(changed(cfg, kept, TRAINING))
    keys = [key.removeprefix("+") for key in change]
    if missing := [key for key in keys if key not in now]:
        return f"this model, loss or optimizer has no {', '.join(missing)}"
    if reasons := [data.kind.impossible[key] for key in keys if key in data.kind.impossible]:
        return reasons[0]
    wanted = resolved(cfg, data, kept, change)
    if any(key.split(".")[0] == "augment" or key == "train.augment" for key in keys):
        augmented = changed(cfg, kept | wanted, TRAINING)
        if not build.can_augment(augmented, data):
            return f"the inputs are not {build.augmented_inputs(augmented)}"
    if set(keys) & SIZES and _same_size(cfg, data, kept, wanted):
        return f"{' and '.join(sorted(set(keys) & SIZES))} changes nothing: the model has no hidden layer"
    if (size := wanted.get("train.input_size")) and size >= max(data.train.x.shape[2:]):
        return f"the images are no larger than {size} pixels"
    return ""


def _same_size(cfg: DictConfig, data: Data, kept: dict, change: dict) -> bool:
    """Whether the change leaves every weight of the model as large as it is, as a width that a linear head ignores."""
    now = changed(cfg, kept, TRAINING)
    before, after = (build.model(one, data, cfg.seed) for one in (now, changed(now, change, TRAINING)))
    return build.shapes(before) == build.shapes(after)


def resolved(cfg: DictConfig, data: Data, kept: dict, change: dict) -> dict:
    """`x2` becomes twice the present value, of `train.input_size` that of the images where it has none; `+augment`
    becomes the augmentation that is kept followed by this one."""
    now = changed(cfg, kept, TRAINING)
    values: dict[str, Any] = {}
    for key, value in change.items():
        if key == "+augment":
            values["augment"] = _added(now, value)
        else:
            present = OmegaConf.select(now, key)
            if key == "train.input_size" and present is None:
                present = max(data.window or data.train.x.shape[2:])
            values[key] = multiplied(value, present)
    return values


def _added(cfg: DictConfig, augment: dict) -> dict:
    """The augmentation of the configuration, followed by another one."""
    if not cfg.train.augment:
        return augment
    present = cast(dict, OmegaConf.to_container(cfg.augment, resolve=True))
    augments = present["augments"] if present["_target_"] in COMPOSES else [present]
    # _convert_: else Hydra takes the built augmentations, which are dataclasses, for configs
    return {"_target_": COMPOSE, "_convert_": "all", "augments": [*augments, augment]}


def short(value: Any) -> str:
    """A value of a change as a table shows it; of an augmentation, its name and its numbers."""
    if not isinstance(value, dict):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if value.get("_target_") in COMPOSES:
        return " + ".join(map(short, value["augments"]))
    numbers = ", ".join(
        f"{k} {_name(v) if isinstance(v, dict) else v}" for k, v in value.items() if not k.startswith("_")
    )
    name = _name(value)
    return f"{name}({numbers})" if name else numbers


def _name(value: dict) -> str:
    return str(value.get("_target_", "")).rsplit(".", 1)[-1]


COLUMNS = (
    "rung", "level", "change", "kept", "gain", "low", "high", "confidence", "seeds",
    "train_loss", "val_loss", "gap", "cost", "expected", "outcome", "skipped",
)  # fmt: skip


def table(result: Ablation) -> list[dict]:
    """A row per level of each candidate, the base first. Losses are means over seeds; gap: val less train. cost:
    counted multiplications of one training, where it was trained here.

    `confidence` is that of the interval low..high: higher where a candidate had several levels (Bonferroni).
    """
    rows = [dict.fromkeys(COLUMNS, "") | {"rung": BASE, "level": 1, "seeds": len(result.base.lanes)}]
    rows[0] |= _losses(result.base)
    for candidate in result.candidates:
        for i, level in enumerate(candidate.levels):
            row = dict.fromkeys(COLUMNS, "") | {"rung": candidate.name, "level": i + 1, "change": level.description()}
            row |= {"kept": candidate.kept and level is candidate.best, "expected": candidate.expected}
            row |= {"skipped": level.skipped, "cost": "" if level.cost is None else level.cost}
            if level.gain and level.arm:
                g = level.gain
                row |= {"gain": g.mean, "low": g.low, "high": g.high, "confidence": g.confidence, "seeds": g.n}
                row |= _losses(level.arm)
            judged = level is candidate.best or not candidate.best
            row["outcome"] = candidate.outcome if judged else "not the best level"
            rows.append(row)
    return rows


def _losses(arm: Arm) -> dict:
    row = arm.score()
    return {k: row[k] for k in ("train_loss", "val_loss")} | {"gap": row["val_loss"] - row["train_loss"]}
