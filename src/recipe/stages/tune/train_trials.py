"""The training of the trials of a cohort, side by side, with halving; and of one of them once more."""

import math
import statistics
from dataclasses import dataclass, field, replace
from pathlib import Path

from recipe.metrics.objective import HALVES, LOSS, Objective
from recipe.stages.tune.halving import rungs_of, survivors
from recipe.stages.tune.trials import Key, Trial, TrialSetup
from recipe.train import engine
from recipe.train.lane import Lane, Trained, metric_of
from recipe.train.plan import plan
from recipe.verdict import cause


def train_cohort(
    setup: TrialSetup, sampler: str, cohort: dict[Key, dict], past: dict[Key, Trial], folder: Path | None
) -> list[Trial]:
    """Trains the trials {(repeat, index): values} side by side. past: earlier generations, to judge them against.

    A trial that raises an error, or whose loss is not finite, fails alone: where the training of the whole cohort
    raises one, each trial is trained alone (and judged against earlier generations only).
    """
    lanes: dict[Key, list[Lane]] = {}
    failed: dict[Key, Trial] = {}
    for key, params in cohort.items():
        try:
            lanes[key] = setup.lanes(params)
        except Exception as error:  # a value that a user-defined model or optimizer does not accept
            failed[key] = Trial(sampler, *key, params, "failed", cause=cause(error))
    done: dict[Key, Trial] = {}
    broken = ""
    try:
        done = _trained(setup, sampler, {key: cohort[key] for key in lanes}, lanes, past, folder) if lanes else {}
    except Exception as error:  # out of memory, or whatever user-defined code raises
        broken = cause(error)
    if broken and len(lanes) == 1:
        failed |= {key: Trial(sampler, *key, cohort[key], "failed", cause=broken) for key in lanes}
    elif broken:
        setup.say(f"{sampler}: the training of {len(lanes)} trials together failed ({broken}); each is trained alone")
        keys = list(lanes)
        lanes.clear()  # frees their memory before others take it
        for key in keys:
            alone = folder and folder / f"{key[0]}-{key[1]}"
            (trial,) = train_cohort(setup, sampler, {key: cohort[key]}, past, alone)
            done[key] = replace(trial, alone=True)
    done |= failed
    return [done[key] for key in cohort]


@dataclass
class CohortJudge:
    """Halving within a cohort: `engine.train` calls it at each rung.

    keys: of the trials, each of which has `seeds` lanes. early: {trial: whether early stopping chooses its weights}.
    past: earlier trials, judged at the same rungs. Costs are those of `objective`.
    """

    keys: list[Key]
    seeds: int
    factor: float
    early: dict[Key, bool]
    past: dict[Key, Trial]
    objective: Objective = LOSS
    rungs: dict[Key, dict[str, float]] = field(default_factory=dict)  # of each trial {evaluation: cost}
    pruned: set[Key] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.rungs = {key: {} for key in self.keys}

    def lanes_of(self, n: int) -> range:
        """Numbers of the lanes of the n-th trial."""
        return range(n * self.seeds, (n + 1) * self.seeds)

    def __call__(self, number: int, trained: list[Trained]) -> dict[int, str]:
        ending: dict[int, str] = {}
        for repeat in {key[0] for key in self.keys}:
            ending |= self._judge_repeat(repeat, number, trained)
        return ending

    def _judge_repeat(self, repeat: int, number: int, trained: list[Trained]) -> dict[int, str]:
        """Trials are compared within their repeat."""
        ending: dict[int, str] = {}
        rung = str(number)
        costs = {t.key: t.rungs[rung] for t in self.past.values() if t.repeat == repeat and rung in t.rungs}
        rivals = [(n, key) for n, key in enumerate(self.keys) if key[0] == repeat and key not in self.pruned]
        for n, key in rivals:
            cost = statistics.fmean(_cost(trained[i], self.early[key], self.objective) for i in self.lanes_of(n))
            if not math.isfinite(cost):
                ending |= dict.fromkeys(self.lanes_of(n), "stopped: another seed was lost")
            else:
                costs[key] = self.rungs[key][rung] = cost
        staying = survivors(costs, self.factor)
        for n, key in rivals:
            in_training = any(not trained[i].ended for i in self.lanes_of(n))
            if key in costs and key not in staying and in_training:
                self.pruned.add(key)
                passes = max(trained[i].curve[-1]["epoch"] for i in self.lanes_of(n))
                ending |= dict.fromkeys(self.lanes_of(n), f"stopped after {passes:.3g} passes: halving")
        return ending


def _trained(
    setup: TrialSetup, sampler: str, cohort: dict[Key, dict], lanes: dict[Key, list[Lane]],
    past: dict[Key, Trial], folder: Path | None,
) -> dict[Key, Trial]:  # fmt: skip
    early = {key: setup.stops_early(params) for key, params in cohort.items()}
    factor = setup.cfg.halving.factor if setup.cfg.halving else math.nan
    judge = CohortJudge(
        keys=list(cohort), seeds=len(setup.seeds), factor=factor, early=early, past=past, objective=setup.data.objective
    )
    trained = engine.train(
        [lane for of_trial in lanes.values() for lane in of_trial], setup.data.train, setup.data.val,
        metric=setup.data.metric, objective=setup.data.objective, folder=folder,
        say=lambda text: setup.say(f"{sampler}: {text}"),
        rungs=rungs_of(setup.cfg, setup.evaluations), judge=judge,
    )  # fmt: skip
    trials = {}
    for n, (key, params) in enumerate(cohort.items()):
        seeds = [trained[i] for i in judge.lanes_of(n)]
        trial = _trial(
            Trial(sampler, *key, params, "pruned" if key in judge.pruned else "complete"),
            seeds,
            early[key],
            setup.data.objective,
        )
        trials[key] = replace(trial, rungs=judge.rungs[key])
    return trials


def _cost(trained: Trained, early: bool, objective: Objective) -> float:
    """Of one seed, on val; NaN where it was lost."""
    return math.nan if trained.lost or not trained.curve else objective.cost(trained.row(early))


def _trial(trial: Trial, seeds: list[Trained], early: bool, objective: Objective) -> Trial:
    """The trial with what its seeds have measured; failed where a cost is not finite."""
    costs, rows = [_cost(t, early, objective) for t in seeds], [t.row(early) for t in seeds if t.curve]
    trial = replace(
        trial, epochs=max((t.curve[-1]["epoch"] for t in seeds if t.curve), default=0.0),
        seconds=sum(t.seconds for t in seeds), curve=_mean_curve(seeds),
    )  # fmt: skip
    if not all(map(math.isfinite, costs)):
        lost = next((t.ended for t in seeds if t.lost), f"the {objective.title} is not finite")
        return replace(trial, state="failed", cause=lost)
    pruned = trial.state == "pruned"
    return replace(
        trial, cost=statistics.fmean(costs), spread=statistics.stdev(costs) if len(costs) > 1 else None,
        scores={key: statistics.fmean(row[key] for row in rows) for key in ("val_loss", f"val_{metric_of(rows[0])}")},
        cause=next((t.ended for t in seeds if pruned and "halving" in t.ended), seeds[0].ended),
    )  # fmt: skip


def _mean_curve(seeds: list[Trained]) -> dict[str, list]:
    """{column: means over seeds}, as far as every seed came."""
    common = min(len(t.curve) for t in seeds)
    if not common:
        return {}
    columns = [c for c in seeds[0].curve[0] if c not in ("step", "epoch") and not c.endswith(HALVES)]
    curve: dict[str, list] = {c: [row[c] for row in seeds[0].curve[:common]] for c in ("step", "epoch")}
    return curve | {c: [statistics.fmean(t.curve[r][c] for t in seeds) for r in range(common)] for c in columns}


def train_again(setup: TrialSetup, cohort: list[Trial], top: Trial) -> float:
    """The cost of a trial that is trained once more. NaN where it is lost now.

    It is trained beside the lanes that were computed with its own, for these may change its last bits; each lane ends
    where it ended the first time.
    """
    beside = [top] if top.alone else [t for t in cohort if t.curve and not t.alone]
    pairs = [(lane, t) for t in beside for lane in setup.lanes(t.params)]
    groups = [g.numbers for g in plan([lane for lane, _ in pairs], setup.data.train)]
    numbers = sorted({i for group in groups if any(pairs[n][1] is top for n in group) for i in group})
    lanes, trials = [pairs[i][0] for i in numbers], [pairs[i][1] for i in numbers]

    def ended(t: Trial, rung: str) -> bool:
        return (t.state == "pruned" and rung == list(t.rungs)[-1]) or (t.state == "failed" and rung not in t.rungs)

    def judge(number: int, trained: list[Trained]) -> dict[int, str]:
        return {i: "as before" for i, t in enumerate(trials) if ended(t, str(number))}

    trained = engine.train(
        lanes, setup.data.train, setup.data.val, metric=setup.data.metric, objective=setup.data.objective,
        rungs=rungs_of(setup.cfg, setup.evaluations), judge=judge,
    )  # fmt: skip
    early = setup.stops_early(top.params)
    return statistics.fmean(
        _cost(t, early, setup.data.objective) for t, trial in zip(trained, trials, strict=True) if trial is top
    )
