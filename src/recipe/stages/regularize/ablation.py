"""The rungs of regularize, one change at a time on top of what was kept; kept when the gain is more than seed noise."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from omegaconf import DictConfig, OmegaConf

from recipe.config.compose import change as changed
from recipe.config.compose import leaves, merge_changes
from recipe.data.batches import Data
from recipe.experiment.arms import Arm, Gain, gain, train_arms

BASE = "no regularisation"
TOUCHES_IMAGES = ("augment", "train.augment", "train.input_size", "model.dropout2d")
SEVERAL = "recipe.train.augment.Several"


@dataclass
class Level:
    """One strength of a rung: its change with every number worked out, and what came of it; or why it was skipped."""

    name: str
    change: dict
    arm: Arm | None = None
    gain: Gain | None = None
    confidence: float = 0.0
    skipped: str = ""

    def said(self) -> str:
        return ", ".join(f"{key} = {short(value)}" for key, value in self.change.items())


@dataclass
class Step:
    """One rung that was tried. Its best level, by mean gain, speaks for it."""

    name: str
    expected: str
    levels: list[Level] = field(default_factory=list)

    @property
    def best(self) -> Level | None:
        return max((v for v in self.levels if v.gain), key=lambda v: v.gain.mean, default=None)

    @property
    def gain(self) -> Gain | None:
        return self.best.gain if self.best else None

    @property
    def kept(self) -> bool:
        return bool(self.gain and self.gain.significant)

    @property
    def outcome(self) -> str:
        return "skipped" if self.best is None else "confirmed" if self.kept else "refuted"

    @property
    def skipped(self) -> str:
        return "; ".join(dict.fromkeys(v.skipped for v in self.levels if v.skipped))

    def prediction(self) -> dict:
        tried = self.best or self.levels[0]
        measured, count = self.skipped, sum(v.gain is not None for v in self.levels)
        if self.gain:
            measured = f"gain {self.gain}" + (f", best of {count} levels" if count > 1 else "")
        change = f"{self.name} ({tried.said()})"
        return {"change": change, "expected": self.expected, "measured": measured, "outcome": self.outcome}


@dataclass
class Ablation:
    """base: without any of it; also the full share of the learning curve. pick: with all that was kept."""

    base: Arm
    pick: Arm
    changes: dict
    steps: list[Step] = field(default_factory=list)

    @property
    def kept(self) -> list[str]:
        return [step.name for step in self.steps if step.kept]

    def arms(self) -> dict[str, Arm]:
        """The base, and the best level of each rung."""
        return {BASE: self.base, **{s.name: s.best.arm for s in self.steps if s.best}}


def climb(cfg: DictConfig, data: Data, base: Arm, run, refused: Callable[[dict], str] = lambda changes: "") -> Ablation:
    """Tries each rung of conf in order on top of what was kept so far.

    All levels x seeds of a rung are one call of the engine. The best level stands for its rung, whence the interval of
    each is Bonferroni's: of the confidence 1 - (1 - confidence) / levels. refused(changes): why an augmentation may
    not be tried; empty where it may.
    """
    result = Ablation(base, base, dict(base.changes))
    for rung in OmegaConf.to_container(cfg.rungs, resolve=True):
        step = Step(rung["name"], rung["expected"])
        result.steps.append(step)
        _try(cfg, data, step, rung.get("levels") or [rung["change"]], result, refused, run)
        for level in step.levels:
            if level.skipped:
                run.say(f"{level.name}: skipped, {level.skipped}")
            else:
                best = level is step.best
                verdict = "kept" if best and step.kept else "refused" if best else "not the best level"
                run.say(f"{level.name}: gain {level.gain}: {verdict}")
        if step.kept:
            result.pick, result.changes = step.best.arm, step.best.arm.changes
    return result


def _try(cfg: DictConfig, data: Data, step: Step, asked: list[dict], result: Ablation, refused, run) -> None:
    arms = {}
    for i, change in enumerate(asked):
        level = Level(step.name if len(asked) == 1 else f"{step.name} {i + 1}", change)
        step.levels.append(level)
        if reason := impossible(cfg, data, result.changes, change):
            level.skipped = reason
            continue
        level.change = worked_out(cfg, result.changes, change)
        changes = merge_changes(result.changes, level.change)
        if {"augment", "train.augment"} & set(level.change) and (reason := refused(changes)):
            level.skipped = reason
        elif _same_trainings(level.change, cfg, result.changes):
            level.arm = Arm(level.name, changes, result.pick.lanes, bool(changes["train.early_stopping"]))
        else:
            arms[level.name] = changes
    trained = train_arms(cfg, data, arms, run, label=step.name) if arms else {}
    tried = [level for level in step.levels if not level.skipped]
    for level in tried:
        level.arm = level.arm or trained[level.name]
        level.confidence = 1 - (1 - cfg.confidence) / len(tried)
        if lost := level.arm.lost:
            level.skipped = f"{len(lost)} of {len(level.arm.lanes)} trainings were lost: {lost[0]}"
        else:
            level.gain = gain(result.pick, level.arm, level.confidence)


def _same_trainings(change: dict, cfg: DictConfig, kept: dict) -> bool:
    """Only where the weights are read changes: the same trainings, read at another step."""
    return set(change) == {"train.early_stopping"} and (kept.get("train.patience", cfg.train.patience) is None)


def impossible(cfg: DictConfig, data: Data, kept: dict, change: dict) -> str:
    """Why this configuration or these data cannot have the change; empty where they can."""
    now = leaves(changed(cfg, kept))
    keys = [key.removeprefix("+") for key in change]
    if missing := [key for key in keys if key not in now]:
        return f"this model, loss or optimizer has no {', '.join(missing)}"
    if data.train.x.ndim != 4 and any(key.split(".")[0] == "augment" or key in TOUCHES_IMAGES for key in keys):
        return "the inputs are no images"
    if (size := change.get("train.input_size")) and size >= max(data.train.x.shape[2:]):
        return f"the images are no larger than {size} pixels"
    return ""


def worked_out(cfg: DictConfig, kept: dict, change: dict) -> dict:
    """`x2` becomes twice what the value is now; `+augment` becomes the augmentation that is kept, and this one."""
    now, done = changed(cfg, kept), {}
    for key, value in change.items():
        if key == "+augment":
            done["augment"] = _beside(now, value)
        elif isinstance(value, str) and (times := re.fullmatch(r"x(\d*\.?\d+)", value)):
            old = OmegaConf.select(now, key)
            new = old * float(times[1])
            done[key] = max(1, round(new)) if isinstance(old, int) else new
        else:
            done[key] = value
    return done


def _beside(cfg: DictConfig, part: dict) -> dict:
    if not cfg.train.augment:
        return part
    there = OmegaConf.to_container(cfg.augment, resolve=True)
    parts = there["augments"] if there["_target_"] == SEVERAL else [there]
    # _convert_: else Hydra takes the built augmentations, which are dataclasses, for configs
    return {"_target_": SEVERAL, "_convert_": "all", "augments": [*parts, part]}


def short(value) -> str:
    """A value of a change as a table shows it; of an augmentation, its name and its numbers."""
    if not isinstance(value, dict):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if value.get("_target_") == SEVERAL:
        return " + ".join(map(short, value["augments"]))
    numbers = ", ".join(f"{k} {v}" for k, v in value.items() if not k.startswith("_"))
    name = str(value.get("_target_", "")).rsplit(".", 1)[-1]
    return f"{name}({numbers})" if name else numbers


def by_chance(result: Ablation, confidence: float) -> str:
    """What the reader of several tests must know, in a sentence."""
    tried = sum(step.best is not None for step in result.steps)
    return (
        f"{tried} rungs were tried; of as many changes without any effect, {tried * (1 - confidence) / 2:.2g} would be "
        f"kept by chance. {sum(s.best is None for s in result.steps)} were skipped."
    )


COLUMNS = (
    "rung", "level", "change", "kept", "gain", "low", "high", "confidence", "seeds",
    "train_loss", "val_loss", "gap", "expected", "outcome", "skipped",
)  # fmt: skip


def table(result: Ablation) -> list[dict]:
    """A row per level of each rung, the base first. Losses in nats, means over seeds; gap: val less train.

    `confidence` is that of the interval low..high: higher where a rung had several levels (Bonferroni).
    """
    rows = [dict.fromkeys(COLUMNS, "") | {"rung": BASE, "level": 1, "seeds": len(result.base.lanes)}]
    rows[0] |= _losses(result.base)
    for step in result.steps:
        for i, level in enumerate(step.levels):
            row = dict.fromkeys(COLUMNS, "") | {"rung": step.name, "level": i + 1, "change": level.said()}
            row |= {"kept": step.kept and level is step.best, "expected": step.expected, "skipped": level.skipped}
            if g := level.gain:
                row |= {"gain": g.mean, "low": g.low, "high": g.high, "confidence": level.confidence, "seeds": g.n}
                row |= _losses(level.arm)
            row["outcome"] = step.outcome if level is step.best or not step.best else "not the best level"
            rows.append(row)
    return rows


def _losses(arm: Arm) -> dict:
    row = arm.score()
    return {k: row[k] for k in ("train_loss", "val_loss")} | {"gap": row["val_loss"] - row["train_loss"]}
