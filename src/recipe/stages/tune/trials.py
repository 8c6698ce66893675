"""What a trial is, and what all trials of a search have in common."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from omegaconf import DictConfig

from recipe.data.batches import Data
from recipe.experiment import build
from recipe.experiment.arms import lane_of, lane_seeds
from recipe.experiment.budget import Budget
from recipe.metrics.objective import Objective
from recipe.stages.runner import Run
from recipe.stages.tune.space import Space, changes
from recipe.train.lane import Lane, Trained

Key = tuple[int, int]  # repeat, index: which trial of a sampler's search


@dataclass(frozen=True)
class Trial:
    """A finished trial. state: complete, pruned (cost: where it was stopped) or failed (cost: None).

    cost: mean over seeds, and with folds over those, of the objective's; spread: its standard deviation, None of one
    seed. rungs: {number of the evaluation: cost} of the rungs at which it was judged, with text keys, in order. curve:
    {column: values}, means over seeds.
    """

    sampler: str
    repeat: int
    index: int
    params: dict
    state: str
    cost: float | None = None
    spread: float | None = None
    scores: dict[str, float] = field(default_factory=dict)  # {val_loss, val_<metric>}: means over seeds
    epochs: float = 0.0  # passes that were trained
    cause: str = ""
    rungs: dict[str, float] = field(default_factory=dict)
    curve: dict[str, list] = field(default_factory=dict)
    alone: bool = False  # trained alone, after an error in the training of the whole cohort
    seconds: float = 0.0  # for MLflow alone

    @property
    def key(self) -> Key:
        return self.repeat, self.index

    @property
    def name(self) -> str:
        return f"{self.sampler} {self.repeat}.{self.index}"

    @property
    def known_cost(self) -> float:
        """Of a trial that did not fail."""
        if self.cost is None:
            raise ValueError(f"{self.name} failed and has no cost")
        return self.cost

    def row(self, space: Space, metric: str) -> dict:
        """A line of trials.csv; a key that the trial does not have is empty. metric: its name."""
        val_loss, val_metric = (self.scores.get(f"val_{name}") for name in ("loss", metric))
        row = {"sampler": self.sampler, "repeat": self.repeat, "trial": self.index}
        row |= {key: self.params.get(key) for key in space}
        return row | {
            "state": self.state, "val_loss": val_loss, "spread": self.spread, f"val_{metric}": val_metric,
            "epochs": self.epochs, "cause": self.cause,
        }  # fmt: skip

    def trained(self, objective: Objective) -> Trained:
        """Its curve in the form of a lane's, for the terminal and MLflow."""
        rows = [dict(zip(self.curve, values, strict=True)) for values in zip(*self.curve.values(), strict=True)]
        return Trained(rows, best_row=objective.best_row(rows), ended=self.cause, seconds=self.seconds)


def result_of(trial: Trial) -> dict:
    """What the storage holds of a trial beside its row's own identity."""
    identity = ("sampler", "repeat", "index", "params")
    return {name: value for name, value in asdict(trial).items() if name not in identity}


def complete(trials: list[Trial]) -> list[Trial]:
    """The trials that trained to their end, the best first."""
    return sorted((t for t in trials if t.state == "complete"), key=lambda t: t.known_cost)


@dataclass(frozen=True)
class TrialSetup:
    """What all trials of a search have in common. start: the accepted changes, below each trial's own. budget: of the
    stage, to which `cfg` is fitted."""

    cfg: DictConfig
    data: Data
    start: dict
    space: Space
    say: Callable[[str], None]
    budget: Budget = field(default_factory=Budget)

    def lanes(self, params: dict) -> list[Lane]:
        """One lane per seed, with these values of the searched keys; with folds each fold has equally many."""
        changed = changes(self.space, self.start, params)
        return [lane_of(self.cfg, self.data, seed, changed) for seed in self.seeds]

    @property
    def seeds(self) -> list[int]:
        """Of each trial."""
        return lane_seeds(self.cfg, self.data, self.cfg.trial_seeds)

    def stops_early(self, params: dict) -> bool:
        return bool((self.start | params).get("train.early_stopping", self.cfg.train.early_stopping))

    @property
    def evaluations(self) -> float:
        """Of a training with the accepted recipe."""
        epochs = self.start.get("train.epochs", self.cfg.train.epochs)
        return float(epochs / build.eval_every(self.cfg, self.data))


def log_trials(setup: TrialSetup, run: Run, trials: list[Trial]) -> None:
    """A line and a child run in MLflow for each trial, from the storage: whichever worker trained it."""
    for t in trials:
        params = {**t.params, "sampler": t.sampler, "repeat": t.repeat, "trial": t.index}
        if t.curve:
            run.lane(t.name, t.trained(setup.data.objective), params, early_stopping=setup.stops_early(t.params))
        else:
            run.say(f"{t.name:<30} failed: {t.cause}")
            run.tracker.lane(t.name, params, {}, seconds=t.seconds)
