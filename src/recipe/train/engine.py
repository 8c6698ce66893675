"""Many trainings: a list of lanes in, one result per lane out."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from recipe.data.batches import Split
from recipe.metrics.classification import ACCURACY
from recipe.metrics.metric import Metric
from recipe.metrics.objective import HALVES, LOSS, Objective
from recipe.train.checkpoint import load_progress, save_progress
from recipe.train.evaluations import fixed_sample, sample_size, step_of
from recipe.train.lane import Lane, Row, Trained
from recipe.train.lanes import Lanes, NotBatchable
from recipe.train.loop import PlainLane
from recipe.train.plan import Group, plan

EVERY = 5.0  # seconds between checkpoints of a group

Say = Callable[[str], None]
Judge = Callable[[int, list[Trained]], dict[int, str]]


def train(
    lanes: list[Lane], part: Split, val: Split, *, eval_every: float = 50, metric: Metric = ACCURACY,
    objective: Objective = LOSS, mode: str = "auto", watch: int = 0, folder: Path | None = None,
    say: Say = lambda text: None, rungs: Sequence[int] = (), judge: Judge = lambda number, known: {},
) -> list[Trained]:  # fmt: skip
    """Trains every lane; each is evaluated every `eval_every` steps, or as it says itself, first and last.

    Evaluation k is after round(k eval_every) steps, on the whole of val, and on a fixed sample of the training set; the
    last one of a lane, or where its loss is below `enough`, on the whole of it, unless the lane says otherwise.

    A lane ends after its steps, once its training loss is below `enough`, after `patience` evaluations without a new
    best one on val, or on a loss that is not finite: only that lane ends, and its result says why. metric: what curves
    have beside the loss, as train_<name> and val_<name>. objective: by which evaluations are compared. mode: auto (the
    rule of plan.py), plain or batched. watch: the number of val's examples whose outputs are kept at each evaluation.
    folder: of checkpoints, for these lanes alone; a training that was killed resumes there with the same bits.

    rungs: numbers of evaluations, in order, at which lanes wait for each other, whether they are computed together or
    not. There judge(number, what is known of every lane by that evaluation) says which lanes end, and why; it is called
    again for rungs that lie before a checkpoint, and must give the same answer.
    """
    lanes = [lane if lane.eval_every else replace(lane, eval_every=eval_every) for lane in lanes]
    call = _Call(lanes, part, val, metric, objective, watch, folder, set(rungs), [Trained() for _ in lanes])
    groups = (pair for group in plan(lanes, part, mode) for pair in _groups_in_training(group, lanes, part, say))
    running = (_GroupTraining(call, numbers, work).run() for numbers, work in groups)
    if rungs:
        _run_with_judge(list(running), call, rungs, judge)
    else:
        for steps in running:  # a group is built after the one before it is done and freed
            for _ in steps:
                pass
    for lane, result in zip(lanes, call.results, strict=True):
        lane.model.load_state_dict(result.last)
    return call.results


@dataclass(frozen=True)
class _Call:
    """What all groups of one call of `train` share. stopped: {lane: reason} by the judge, so far."""

    lanes: list[Lane]
    part: Split
    val: Split
    metric: Metric
    objective: Objective
    watch: int
    folder: Path | None
    rungs: set[int]
    results: list[Trained]
    stopped: dict[int, str] = field(default_factory=dict)


def _groups_in_training(
    group: Group, lanes: list[Lane], part: Split, say: Say
) -> Iterator[tuple[list[int], Lanes | PlainLane]]:
    """(numbers, lanes in training): the group as one batch; where that is not possible lane by lane, with a message."""
    members = [lanes[i] for i in group.numbers]
    reason = group.plain
    if not reason:
        try:
            batch = Lanes(members, _training_set(members[0], part))
            batch.try_out()
        except NotBatchable as error:
            reason = str(error)
        else:
            say(f"{len(members)} lanes together")
            yield group.numbers, batch
            return
    if len(members) > 1:
        say(f"{len(members)} lanes one after the other: {reason}")
    for number, lane in zip(group.numbers, members, strict=True):
        yield [number], PlainLane(lane, _training_set(lane, part))


def _training_set(lane: Lane, part: Split) -> Split:
    return lane.fold.train if lane.fold else part


def _run_with_judge(running: list[Iterator[int]], call: _Call, rungs: Sequence[int], judge: Judge) -> None:
    """All groups from rung to rung; one that a checkpoint put further ahead waits for the others."""
    at = [next(steps, math.inf) for steps in running]
    for rung in rungs:
        for n, steps in enumerate(running):
            while at[n] < rung:
                at[n] = next(steps, math.inf)
        known = [
            _known_by(lane, result, step_of(rung, _every(lane)), call.objective)
            for lane, result in zip(call.lanes, call.results, strict=True)
        ]
        call.stopped.update(judge(rung, known))
    for steps in running:
        for _ in steps:
            pass


def _known_by(lane: Lane, result: Trained, step: int, objective: Objective) -> Trained:
    """What was known of a lane at a step, before it was judged there: a checkpoint may know what happened later."""
    curve = [row for row in result.curve if row["step"] <= step]
    known = Trained(curve, best_row=objective.best_row(curve))
    known.ended = result.ended if curve[-1]["step"] < step else _reason_to_end(lane, known, objective)
    return known


class _GroupTraining:
    """One group of lanes: from evaluation to evaluation, until the last of them has ended.

    alive: the numbers of the lanes in training, in the order that they have in `work`.
    """

    def __init__(self, call: _Call, numbers: list[int], work: Lanes | PlainLane):
        self.call, self.numbers, self.work = call, numbers, work
        fold = call.lanes[numbers[0]].fold  # lanes of a group share it
        self.train, self.val = (fold.train, fold.val) if fold else (call.part, call.val)
        self.sample = fixed_sample(self.train, sample_size(len(self.train), len(self.val)))
        self.every = _every(call.lanes[numbers[0]])  # and this, too
        self.number = 0  # of the next evaluation
        self.metric = fold.metric if fold else call.metric
        self.alive = numbers
        self.identity = [call.lanes[i].identity for i in numbers]
        self.path = call.folder / f"{numbers[0]}.safetensors" if call.folder else None

    def run(self) -> Iterator[int]:
        """Yields at each rung, after which the lanes that the judge stopped end."""
        at = self._resume()
        saved = time.monotonic()
        while self.alive:
            over = self._evaluate_at(at)
            self._end(over)
            if at == step_of(self.number, self.every):
                self.number += 1
                if self.number - 1 in self.call.rungs:
                    yield self.number - 1
                    stopped = self.call.stopped
                    judged = {j: stopped[i] for j, i in enumerate(self.alive) if i in stopped and j not in over}
                    self._end(judged)
                    over |= judged
            self._remove(over)
            if self._saves_now(saved):
                self._save()
                saved = time.monotonic()
            at = self._next_evaluation()

    def _resume(self) -> int:
        """The step of the first evaluation: 0, or that after the checkpoint."""
        progress = load_progress(self.path, self.identity, self.train.y.device) if self.path else None
        if not progress:
            return 0
        self.alive = progress.alive
        for i, result in progress.results.items():
            self.call.results[i] = result
        self.work.keep([self.numbers.index(i) for i in self.alive])
        if not self.alive:
            return progress.done
        self.work.restore(progress.state, progress.done)
        while step_of(self.number, self.every) <= progress.done:
            self.number += 1
        return self._next_evaluation()

    def _evaluate_at(self, at: int) -> dict[int, str]:
        """Trains to step `at` and evaluates there; {place in `alive`: reason} of the lanes that end."""
        started = time.monotonic()
        totals = self.work.advance(at).tolist() if at > self.work.done else [0.0] * len(self.alive)
        rows, logits = self._evaluate(at)
        self._complete(rows)
        over, better = {}, []
        for j, i in enumerate(self.alive):
            lane, result = self.call.lanes[i], self.call.results[i]
            if at not in (lane.steps, step_of(self.number, self.every)):
                continue  # another lane's last step
            if not math.isfinite(totals[j]):
                over[j] = f"the training loss is {totals[j]} by step {at}"
                continue
            if self._record(result, rows[j], logits[j]):
                better.append(j)
            if reason := _reason_to_end(lane, result, self.call.objective):
                over[j] = reason
        self.work.remember(better)
        for i in self.alive:
            self.call.results[i].seconds += (time.monotonic() - started) / len(self.alive)
        return over

    def _evaluate(self, at: int) -> tuple[list[Row], Tensor]:
        """A row per lane, and the outputs on val (M, N, K)."""
        work, val, metric = self.work, self.val, self.metric
        on_val = work.outputs(val)
        columns = self._on_train(self.sample) | {
            "val_loss": work.losses(on_val, val.y),
            f"val_{metric.name}": metric.of_networks(on_val, val.y),
        }
        for place, half in enumerate(HALVES):  # by which early stopping is judged: see recipe.experiment.arms
            out, y = on_val[:, place::2], val.y[place::2]
            columns["val_loss" + half] = work.losses(out, y)
            if self.call.objective.metric:
                columns[f"val_{metric.name}{half}"] = metric.of_networks(out, y)
        passes = round(at * self.call.lanes[self.alive[0]].batch_size / len(self.train), 4)
        return [{"step": at, "epoch": passes} | row for row in _rows(columns)], on_val

    def _on_train(self, part: Split) -> dict[str, Tensor]:
        out = self.work.outputs(part)
        metric = self.metric
        return {
            "train_loss": self.work.losses(out, part.y),
            f"train_{metric.name}": metric.of_networks(out, part.y),
        }

    def _complete(self, rows: list[Row]) -> None:
        """Evaluates the lanes that end by their steps or by their training loss on the whole of the training set."""
        lanes = [self.call.lanes[i] for i in self.alive]
        ending = [
            j for j, (lane, row) in enumerate(zip(lanes, rows, strict=True))
            if lane.whole and (row["step"] == lane.steps or row["train_loss"] < lane.enough)
        ]  # fmt: skip
        if ending and self.sample is not self.train:
            whole = _rows(self._on_train(self.train))
            for j in ending:
                rows[j] |= whole[j]

    def _record(self, result: Trained, row: Row, logits: Tensor) -> bool:
        """Appends an evaluation; whether it is the best so far. The untrained model does not count."""
        result.curve.append(row)
        if self.call.watch:
            result.watched.append(logits[: self.call.watch].clone())
        if not row["step"]:
            return False
        cost = self.call.objective.cost
        better = result.best_row is None or cost(row) < cost(result.best_evaluation)
        if better:
            result.best_row = len(result.curve) - 1
        return better

    def _end(self, over: dict[int, str]) -> None:
        for j, reason in over.items():
            result = self.call.results[self.alive[j]]
            result.ended = reason
            result.last, result.best = self.work.weights(j)

    def _remove(self, over: dict[int, str]) -> None:
        if over:
            remaining = [j for j in range(len(self.alive)) if j not in over]
            self.work.keep(remaining)
            self.alive = [self.alive[j] for j in remaining]

    def _saves_now(self, saved: float) -> bool:
        resumable = not self.alive or not self.call.lanes[self.alive[0]].step
        return bool(self.path and resumable and (not self.alive or time.monotonic() - saved >= EVERY))

    def _save(self) -> None:
        if self.path:
            results = {i: self.call.results[i] for i in self.numbers}
            save_progress(self.path, self.identity, self.alive, self.work, results)

    def _next_evaluation(self) -> int:
        """The step of the next evaluation: of all lanes, or one lane's last."""
        return min([step_of(self.number, self.every), *(self.call.lanes[i].steps for i in self.alive)])


def _every(lane: Lane) -> float:
    """Steps between evaluations of a lane in training, where `train` has set it."""
    return cast(float, lane.eval_every)


def _rows(columns: dict[str, Tensor]) -> list[dict[str, float]]:
    """{name: a value per lane (M,)} -> a row per lane."""
    numbers = torch.stack([column.double() for column in columns.values()], 1).tolist()
    return [dict(zip(columns, row, strict=True)) for row in numbers]


def _reason_to_end(lane: Lane, result: Trained, objective: Objective) -> str:
    """Why a lane ends after its newest row; empty where it continues."""
    row = result.curve[-1]
    if row["step"] == lane.steps:
        return "all steps done"
    if row["train_loss"] < lane.enough:
        return f"stopped after {row['epoch']:.3g} passes"
    if lane.patience and result.best_row is not None:
        since = len(result.curve) - 1 - result.best_row
        if since >= lane.patience:
            return f"stopped after {row['epoch']:.3g} passes: {since} evaluations without a {objective.improves}"
    return ""
