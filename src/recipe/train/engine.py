"""Many trainings: a list of lanes in, a result per lane out."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from recipe.data.batches import Split
from recipe.train.checkpoint import load_progress, save_progress
from recipe.train.lane import Lane, Trained
from recipe.train.lanes import Lanes, NotBatchable
from recipe.train.loop import Plain, classes_of
from recipe.train.plan import Group, plan

EVERY = 5.0  # seconds between checkpoints of a group


def train(
    lanes: list[Lane], part: Split, val: Split, *, eval_every: int, mode: str = "auto",
    watch: int = 0, folder: Path | None = None, say: Callable[[str], None] = lambda text: None,
    rungs: Sequence[int] = (), judge: Callable[[int, list[Trained]], dict[int, str]] = lambda step, seen: {},
) -> list[Trained]:  # fmt: skip
    """Trains every lane; each is evaluated on the whole of train and val every `eval_every` steps, first and last.

    A lane ends after its steps, once its training loss is below `enough`, after `patience` evaluations without a new
    lowest validation loss, or on a loss that is not finite: that lane alone is over, and says so. mode: auto (the rule
    of plan.py), plain or batched. watch: so many examples of val whose outputs are kept at each evaluation. folder: of
    checkpoints, for these lanes alone; a training that was killed goes on from there to the same bits.

    rungs: steps, in order and multiples of eval_every, at which lanes wait for each other, whether they are computed
    together or not. There judge(step, what is known of every lane by that step) says which lanes end, and why; it is
    asked again for rungs that lie behind a checkpoint, and must answer the same.
    """
    if wrong := [step for step in rungs if step % eval_every]:
        raise ValueError(f"rungs {wrong} are no multiples of eval_every, {eval_every}")
    results, stopped = [Trained() for _ in lanes], {}
    works = (work for group in plan(lanes, part, mode) for work in _at_work(group, lanes, part, say))
    running = (
        _run(work, numbers, lanes, results, part, val, eval_every, watch,
             folder and folder / f"{numbers[0]}.safetensors", set(rungs), stopped)
        for numbers, work in works
    )  # fmt: skip
    if rungs:
        _judged(list(running), lanes, results, rungs, judge, stopped)
    else:
        for run in running:  # a group is built when the one before it is done and gone
            for _ in run:
                pass
    for lane, result in zip(lanes, results, strict=True):
        lane.model.load_state_dict(result.last)
    return results


def _at_work(group: Group, lanes: list[Lane], part: Split, say) -> Iterator[tuple[list[int], Lanes | Plain]]:
    """The group as one batch; or, where that cannot be, lane by lane, which is said."""
    mine = [lanes[i] for i in group.numbers]
    reason = group.plain
    if not reason:
        try:
            batch = Lanes(mine, part)
            batch.try_out()
        except NotBatchable as error:
            reason = str(error)
        else:
            say(f"{len(mine)} lanes together")
            yield group.numbers, batch
            return
    if len(mine) > 1:
        say(f"{len(mine)} lanes one after the other: {reason}")
    for number, lane in zip(group.numbers, mine, strict=True):
        yield [number], Plain(lane, part)


def _judged(
    running: list[Iterator[int]], lanes: list[Lane], results: list[Trained], rungs, judge, stopped: dict[int, str]
) -> None:
    """All groups from rung to rung; one that a checkpoint put further ahead waits for the others."""
    at = [next(run, math.inf) for run in running]
    for rung in rungs:
        for n, run in enumerate(running):
            while at[n] < rung:
                at[n] = next(run, math.inf)
        stopped |= judge(rung, [_by(*of, rung) for of in zip(lanes, results, strict=True)])
    for run in running:
        for _ in run:
            pass


def _by(lane: Lane, result: Trained, step: int) -> Trained:
    """What was known of a lane at a step, before it was judged there: a checkpoint may know what came of it."""
    curve = [row for row in result.curve if row["step"] <= step]
    best = min(range(len(curve)), key=lambda r: (not curve[r]["step"], curve[r]["val_loss"]))
    known = Trained(curve, best_row=best)
    known.ended = result.ended if curve[-1]["step"] < step else _ended(lane, known)
    return known


def _run(
    work, alive: list[int], lanes, results, part: Split, val: Split, eval_every: int, watch: int, path,
    rungs: set[int], stopped: dict[int, str],
) -> Iterator[int]:  # fmt: skip
    """Until the last lane of the group is over; yields at each rung, after which those in `stopped` end.

    alive: the lanes' numbers, in the order that they have in the group.
    """
    identity, numbers, at = [lanes[i].identity for i in alive], alive, 0
    if path and (progress := load_progress(path, identity, part.y.device)):
        alive, at, state, found = progress
        for i, result in found.items():
            results[i] = result
        work.keep([numbers.index(i) for i in alive])
        if alive:
            work.restore(state, at)
            at = _next(at, eval_every, [lanes[i] for i in alive])
    saved = time.monotonic()
    while alive:
        started = time.monotonic()
        totals = work.advance(at).tolist() if at > work.done else [0.0] * len(alive)
        rows, logits = _look(work, part, val, at)
        over, better = {}, []
        for j, i in enumerate(alive):
            lane, result = lanes[i], results[i]
            if at % eval_every and at != lane.steps:
                continue  # another lane's last step
            if not math.isfinite(totals[j]):
                over[j] = f"the training loss is {totals[j]} by step {at}"
                continue
            result.curve.append(rows[j])
            if watch:
                result.watched.append(logits[j, :watch].clone())
            if at and (not result.best_row or rows[j]["val_loss"] < result.curve[result.best_row]["val_loss"]):
                result.best_row = len(result.curve) - 1
                better.append(j)
            if reason := _ended(lane, result):
                over[j] = reason
        work.remember(better)
        for i in alive:
            results[i].seconds += (time.monotonic() - started) / len(alive)
        _end(work, alive, results, over)
        if at in rungs:
            yield at
            here = {j: stopped[i] for j, i in enumerate(alive) if i in stopped and j not in over}
            _end(work, alive, results, here)
            over |= here
        if over:
            staying = [j for j in range(len(alive)) if j not in over]
            work.keep(staying)
            alive = [alive[j] for j in staying]
        resumable = not alive or not lanes[alive[0]].step
        if path and resumable and (not alive or time.monotonic() - saved >= EVERY):
            save_progress(path, identity, alive, work, {i: results[i] for i in numbers})
            saved = time.monotonic()
        at = _next(at, eval_every, [lanes[i] for i in alive])


def _end(work, alive: list[int], results: list[Trained], over: dict[int, str]) -> None:
    for j, reason in over.items():
        result = results[alive[j]]
        result.ended = reason
        result.last, result.best = work.weights(j)


def _next(at: int, eval_every: int, lanes: list[Lane]) -> int:
    """The step of the next evaluation: a multiple of eval_every, or a lane's last."""
    return min([(at // eval_every + 1) * eval_every, *(lane.steps for lane in lanes)])


def _look(group, part: Split, val: Split, at: int) -> tuple[list[dict], Tensor]:
    """A row per lane, and the outputs on val (M, N, K)."""
    seen, unseen = group.outputs(part), group.outputs(val)
    columns = {
        "train_loss": group.losses(seen, part.y), "train_accuracy": _accuracy(seen, part.y),
        "val_loss": group.losses(unseen, val.y), "val_accuracy": _accuracy(unseen, val.y),
        # the two halves let early stopping be judged on examples that did not choose the step
        "val_loss_a": group.losses(unseen[:, ::2], val.y[::2]),
        "val_loss_b": group.losses(unseen[:, 1::2], val.y[1::2]),
    }  # fmt: skip
    numbers = torch.stack([column.double() for column in columns.values()], 1).tolist()
    return [{"step": at} | dict(zip(columns, row, strict=True)) for row in numbers], unseen


def _accuracy(logits: Tensor, y: Tensor) -> Tensor:
    return (logits.argmax(-1) == classes_of(y)).float().mean(1)


def _ended(lane: Lane, result: Trained) -> str:
    """Why a lane is over after its newest row; empty where it goes on."""
    row, since = result.curve[-1], len(result.curve) - 1 - result.best_row
    if row["step"] == lane.steps:
        return "all steps done"
    if row["train_loss"] < lane.enough:
        return f"stopped at step {row['step']}"
    if lane.patience and result.best_row and since >= lane.patience:
        return f"stopped at step {row['step']}: {since} evaluations without a lower validation loss"
    return ""
