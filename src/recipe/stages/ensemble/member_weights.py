"""The final system: how often each member counts, and its calibration. All is chosen on validation alone."""

from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from recipe.files import write_yaml
from recipe.metrics.scores import gained, weighted
from recipe.stages.ensemble.members import Member, count_seeds, stack
from recipe.stages.ensemble.selection import counts, greedy, held_out
from recipe.tasks.task import Task

GREEDY = "greedy choice"


@dataclass(frozen=True)
class MemberWeights:
    """options: {way to choose: how often each member of the pool counts}. held_out: {way: its loss on val without and
    with a calibration}, each example judged by what the others chose. greedy_gain: by how much greedy selection has the
    lower one, with its 95 % CI: the plain mean is kept unless the gain is significant.
    """

    task: Task
    options: dict[str, list[int]]
    held_out: dict[str, tuple[float, float]]
    greedy_gain: tuple[float, float, float]
    name: str  # of the option that is used
    fitted: tuple[float, ...]  # the calibration, on all of val: see Task.calibrate
    half_widths: tuple[float, ...]  # of the intervals of quantities: see Task.half_widths
    thresholds: tuple[float, ...]  # from which labels, or one of two classes, are predicted: see Task.thresholds
    greedy_path: list[float]  # loss on val after each greedy pick

    @property
    def counts(self) -> list[int]:
        return self.options[self.name]

    @property
    def calibrated(self) -> bool:
        """Whether the calibration is used: fitted to few mistakes, it can do great harm."""
        plain, calibrated = self.held_out[self.name]
        return calibrated < plain

    @property
    def calibration(self) -> tuple[float, ...]:
        return self.fitted if self.calibrated else tuple(1.0 for _ in self.fitted)

    def predictions(self, p: Tensor) -> Tensor:
        """(N, K) of the pool's p (M, N, K)."""
        return self.task.calibrated(weighted(p, self.counts), self.calibration)


def choose(task: Task, pool: list[Member], actual: Tensor, file: Path) -> MemberWeights:
    """Chooses on val, or on all validation parts, whose targets these are, and writes the choice to `file`."""
    weights = choose_weights(task, stack(pool), actual, count_seeds(pool))
    write_yaml(file, content(weights, pool))
    return weights


def choose_weights(task: Task, p: Tensor, actual: Tensor, seeds: int) -> MemberWeights:
    """From the pool's predictions on val p (M, N, K) and its targets; the first `seeds` members have the best
    configuration."""

    def mean_counts(p: Tensor, actual: Tensor) -> list[int]:
        return [1] * seeds + [0] * (len(p) - seeds)

    def greedy_counts(p: Tensor, actual: Tensor) -> list[int]:
        return counts(greedy(task, p, actual)[0], len(p))

    mean = f"mean of {seeds} seeds"
    ways = {mean: mean_counts, GREEDY: greedy_counts}
    losses = {name: held_out(task, p, actual, way) for name, way in ways.items()}
    options = {name: way(p, actual) for name, way in ways.items()}
    greedy_gain = gained(losses[mean][0], losses[GREEDY][0])
    name = GREEDY if greedy_gain[1] > 0 else mean
    averaged = weighted(p, options[name])
    weights = MemberWeights(
        task=task,
        options=options,
        held_out={way: (plain.mean().item(), other.mean().item()) for way, (plain, other) in losses.items()},
        greedy_gain=greedy_gain,
        name=name,
        fitted=task.calibrate(averaged, actual),
        half_widths=task.half_widths(averaged, actual),
        thresholds=(),
        greedy_path=greedy(task, p, actual)[1],
    )
    return replace(weights, thresholds=task.thresholds(weights.predictions(p), actual))


def content(weights: MemberWeights, pool: list[Member]) -> dict:
    """What choice.yaml holds: all that is needed to compute the final system's predictions."""
    members = [
        {"weights": _named(m.files), "times": n, "arm": m.arm, "seed": m.seed, "changes": {**m.changes}}
        for m, n in zip(pool, weights.counts, strict=True)
        if n
    ]
    calibration = dict(zip(weights.task.calibration_names, weights.calibration, strict=True))
    widths = dict(zip(weights.task.names, weights.half_widths, strict=False))
    fixed = {"system": weights.name, "calibration": calibration, "half_widths": widths}
    return fixed | {"thresholds": list(weights.thresholds), "members": members}


def _named(files: tuple[str, ...]) -> str | list[str]:
    """The one file, or with folds those of all of them."""
    return files[0] if len(files) == 1 else list(files)
