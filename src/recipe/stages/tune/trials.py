"""What a trial is, and the training of several at once."""

import math
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from omegaconf import DictConfig

from recipe.data.batches import Data
from recipe.experiment import build
from recipe.stages.tune.halving import rungs_of, survivors
from recipe.stages.tune.space import Space, changes
from recipe.train import engine
from recipe.train.lane import Trained
from recipe.train.plan import plan
from recipe.verdict import cause

Key = tuple[int, int]  # repeat, index: which trial of a sampler's search


@dataclass(frozen=True)
class Trial:
    """One that is finished: complete, pruned (value: where it was stopped) or failed (value: None).

    value: mean over seeds of the validation loss; spread: its standard deviation, None of one seed. rungs: {step:
    value} of the rungs that it was judged at, keys as text. curve: {column: values}, means over seeds.
    """

    sampler: str
    repeat: int
    index: int
    params: dict
    state: str
    value: float | None = None
    spread: float | None = None
    accuracy: float | None = None
    steps: int = 0
    cause: str = ""
    rungs: dict[str, float] = field(default_factory=dict)
    curve: dict[str, list] = field(default_factory=dict)
    alone: bool = False  # trained by itself, after an error in the training of all together
    seconds: float = 0.0  # for MLflow alone

    @property
    def key(self) -> Key:
        return self.repeat, self.index

    @property
    def name(self) -> str:
        return f"{self.sampler} {self.repeat}.{self.index}"

    def row(self, space: Space) -> dict:
        """A line of trials.csv; a key that the trial has not got is empty."""
        row = {"sampler": self.sampler, "repeat": self.repeat, "trial": self.index}
        row |= {key: self.params.get(key) for key in space}
        return row | {
            "state": self.state, "val_loss": self.value, "spread": self.spread, "val_accuracy": self.accuracy,
            "steps": self.steps, "cause": self.cause,
        }  # fmt: skip

    def trained(self) -> Trained:
        """Its curve in the form of a lane's, for the terminal and MLflow."""
        rows = [dict(zip(self.curve, values, strict=True)) for values in zip(*self.curve.values(), strict=True)]
        best = min(range(1, len(rows)), key=lambda r: rows[r]["val_loss"], default=0)
        return Trained(rows, best_row=best, ended=self.cause, seconds=self.seconds)


def log(work: "Work", trials: list[Trial], run) -> None:
    """A line and a child run in MLflow for each, from what the storage holds: whoever trained it."""
    for t in trials:
        params = {**t.params, "sampler": t.sampler, "repeat": t.repeat, "trial": t.index}
        if t.curve:
            run.lane(t.name, t.trained(), params, early_stopping=work.early(t.params))
        else:
            run.say(f"{t.name:<30} failed: {t.cause}")
            run.tracker.lane(t.name, params, {}, seconds=t.seconds)


def result_of(trial: Trial) -> dict:
    """What the storage holds of a trial beside its row's own identity."""
    own = ("sampler", "repeat", "index", "params")
    return {name: value for name, value in asdict(trial).items() if name not in own}


@dataclass(frozen=True)
class Work:
    """What every trial of a search is trained on."""

    cfg: DictConfig
    data: Data
    start: dict  # the accepted changes, below each trial's own
    space: Space
    say: Callable[[str], None]

    def lanes(self, params: dict) -> list:
        own = changes(self.space, self.start, params)
        seeds = [100 * self.cfg.seed + i for i in range(self.cfg.trial_seeds)]
        return [build.lane(self.cfg, self.data, seed, own) for seed in seeds]

    def early(self, params: dict) -> bool:
        return bool((self.start | params).get("train.early_stopping", self.cfg.train.early_stopping))

    @property
    def steps(self) -> int:
        return self.start.get("train.steps", self.cfg.train.steps)


def train_cohort(
    work: Work, sampler: str, cohort: dict[Key, dict], past: dict[Key, Trial], folder: Path | None
) -> list[Trial]:
    """Trains trials {(repeat, index): values} side by side. past: those of earlier generations, to be judged against.

    One that throws, or whose loss is not finite, fails alone: where the training of all together throws, each is
    trained by itself (and judged against earlier generations only).
    """
    lanes, failed = {}, {}
    for key, params in cohort.items():
        try:
            lanes[key] = work.lanes(params)
        except Exception as error:  # a value that a person's model or optimizer cannot take
            failed[key] = Trial(sampler, *key, params, "failed", cause=cause(error))
    done, broken = {}, ""
    try:
        done = _trained(work, sampler, {key: cohort[key] for key in lanes}, lanes, past, folder) if lanes else {}
    except Exception as error:  # out of memory, or whatever their own code raises
        broken = cause(error)
    if broken and len(lanes) == 1:
        failed |= {key: Trial(sampler, *key, cohort[key], "failed", cause=broken) for key in lanes}
    elif broken:
        work.say(f"{sampler}: {len(lanes)} trials together fail ({broken}); one by one")
        keys = list(lanes)
        lanes.clear()  # their memory, before others take it
        for key in keys:
            alone = folder and folder / f"{key[0]}-{key[1]}"
            (trial,) = train_cohort(work, sampler, {key: cohort[key]}, past, alone)
            done[key] = replace(trial, alone=True)
    done |= failed
    return [done[key] for key in cohort]


def _trained(work: Work, sampler: str, cohort: dict[Key, dict], lanes: dict, past, folder) -> dict[Key, Trial]:
    every, seeds = [lane for mine in lanes.values() for lane in mine], work.cfg.trial_seeds
    early = {key: work.early(params) for key, params in cohort.items()}
    rungs: dict[Key, dict[str, float]] = {key: {} for key in cohort}
    pruned: set[Key] = set()

    def judge(step: int, seen: list[Trained]) -> dict[int, str]:
        over = {}
        for repeat in {key[0] for key in cohort}:
            values = {t.key: t.rungs[str(step)] for t in past.values() if t.repeat == repeat and str(step) in t.rungs}
            for n, key in enumerate(cohort):
                mine = seen[n * seeds : (n + 1) * seeds]
                if key[0] != repeat or key in pruned:
                    continue
                value = statistics.fmean(_value(t, early[key]) for t in mine)
                if not math.isfinite(value):
                    over |= {n * seeds + i: f"stopped at step {step}: another seed was lost" for i in range(seeds)}
                else:
                    values[key] = rungs[key][str(step)] = value
            staying = survivors(values, work.cfg.halving.factor)
            for n, key in enumerate(cohort):
                going = any(not t.ended for t in seen[n * seeds : (n + 1) * seeds])
                if key in values and key not in staying and going and key not in pruned and key[0] == repeat:
                    pruned.add(key)
                    over |= {n * seeds + i: f"stopped at step {step}: halving" for i in range(seeds)}
        return over

    trained = engine.train(
        every, work.data.train, work.data.val, eval_every=work.cfg.train.eval_every, folder=folder,
        say=lambda text: work.say(f"{sampler}: {text}"), rungs=rungs_of(work.cfg, work.steps), judge=judge,
    )  # fmt: skip
    return {
        key: _trial(sampler, key, params, trained[n * seeds : (n + 1) * seeds], early[key], rungs[key], key in pruned)
        for n, (key, params) in enumerate(cohort.items())
    }


def train_again(work: Work, cohort: list[Trial], top: Trial) -> float:
    """The value of a trial that is trained once more, beside the lanes that were computed with its own, for these may
    move its last bits; each ends where it ended the first time. NaN where it is lost now.
    """
    beside = [top] if top.alone else [t for t in cohort if t.curve and not t.alone]
    lanes = [(lane, t) for t in beside for lane in work.lanes(t.params)]
    groups = [g.numbers for g in plan([lane for lane, _ in lanes], work.data.train)]
    chosen = sorted({i for numbers in groups if any(lanes[n][1] is top for n in numbers) for i in numbers})
    chosen = [lanes[i] for i in chosen]

    def judge(step: int, seen: list[Trained]) -> dict[int, str]:
        ends = [t.state == "pruned" and t.steps == step for _, t in chosen]
        lost = [t.state == "failed" and str(step) not in t.rungs for _, t in chosen]
        return {i: "as before" for i, over in enumerate(map(max, ends, lost)) if over}

    trained = engine.train(
        [lane for lane, _ in chosen], work.data.train, work.data.val, eval_every=work.cfg.train.eval_every,
        rungs=rungs_of(work.cfg, work.steps), judge=judge,
    )  # fmt: skip
    early = work.early(top.params)
    return statistics.fmean(_value(t, early) for t, (_, trial) in zip(trained, chosen, strict=True) if trial is top)


def _value(trained: Trained, early: bool) -> float:
    """Of one seed; NaN where it was lost."""
    return math.nan if trained.lost or not trained.curve else trained.row(early)["val_loss"]


def _trial(sampler: str, key: Key, params: dict, seeds: list[Trained], early: bool, rungs: dict, pruned: bool) -> Trial:
    values, rows = [_value(t, early) for t in seeds], [t.row(early) for t in seeds if t.curve]
    common = min(len(t.curve) for t in seeds)
    curve = {}
    if common:
        columns = [c for c in seeds[0].curve[0] if c != "step" and not c.startswith("val_loss_")]
        curve["step"] = [row["step"] for row in seeds[0].curve[:common]]
        curve |= {c: [statistics.fmean(t.curve[r][c] for t in seeds) for r in range(common)] for c in columns}
    known = {
        "steps": max((t.curve[-1]["step"] for t in seeds if t.curve), default=0),
        "seconds": sum(t.seconds for t in seeds),
        "rungs": rungs,
        "curve": curve,
    }
    if not all(map(math.isfinite, values)):
        lost = next((t.ended for t in seeds if t.lost), "the validation loss is not finite")
        return Trial(sampler, *key, params, "failed", cause=lost, **known)
    return Trial(
        sampler, *key, params, "pruned" if pruned else "complete",
        value=statistics.fmean(values), spread=statistics.stdev(values) if len(values) > 1 else None,
        accuracy=statistics.fmean(row["val_accuracy"] for row in rows),
        cause=next((t.ended for t in seeds if pruned and "halving" in t.ended), seeds[0].ended), **known,
    )  # fmt: skip
