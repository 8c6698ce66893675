"""The final system: how often each member counts, and the temperature. Both are chosen on validation alone."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from recipe.files import write_yaml
from recipe.metrics.calibration import fit_temperature, tempered
from recipe.metrics.scores import gained, weighted
from recipe.stages.ensemble.members import Member, count_seeds, stack
from recipe.stages.ensemble.selection import counts, greedy, held_out, of_label

GREEDY = "greedy choice"


@dataclass(frozen=True)
class MemberWeights:
    """options: {way to choose: how often each member of the pool counts}. held_out: {way: its nll on val without and
    with a temperature}, each example judged by what the others chose. greedy_gain: by how much greedy selection has the
    lower one, with its 95 % CI: the plain mean is kept unless the gain is significant.
    """

    options: dict[str, list[int]]
    held_out: dict[str, tuple[float, float]]
    greedy_gain: tuple[float, float, float]
    name: str  # of the option that is used
    fitted_temperature: float  # on all of val
    greedy_path: list[float]  # nll on val after each greedy pick

    @property
    def counts(self) -> list[int]:
        return self.options[self.name]

    @property
    def calibrated(self) -> bool:
        """Whether the temperature is used: fitted to few mistakes, it can do great harm."""
        plain, calibrated = self.held_out[self.name]
        return calibrated < plain

    @property
    def temperature(self) -> float:
        return self.fitted_temperature if self.calibrated else 1.0

    def probabilities(self, p: Tensor) -> Tensor:
        """(N, K) of the pool's p (M, N, K)."""
        return tempered(weighted(p, self.counts), self.temperature)


def choose(pool: list[Member], y: Tensor, file: Path) -> MemberWeights:
    """Chooses on val, whose labels are y (N,), and writes the choice to `file`."""
    weights = choose_weights(stack(pool), y, count_seeds(pool))
    write_yaml(file, content(weights, pool))
    return weights


def choose_weights(p: Tensor, y: Tensor, seeds: int) -> MemberWeights:
    """From the pool's probabilities on val p (M, N, K) and labels (N,); the first `seeds` members have the best
    configuration."""

    def mean_counts(p: Tensor, y: Tensor) -> list[int]:
        return [1] * seeds + [0] * (len(p) - seeds)

    def greedy_counts(p: Tensor, y: Tensor) -> list[int]:
        return counts(greedy(of_label(p, y))[0], len(p))

    mean = f"mean of {seeds} seeds"
    ways = {mean: mean_counts, GREEDY: greedy_counts}
    losses = {name: held_out(p, y, way) for name, way in ways.items()}
    options = {name: way(p, y) for name, way in ways.items()}
    greedy_gain = gained(losses[mean][0], losses[GREEDY][0])
    name = GREEDY if greedy_gain[1] > 0 else mean
    means = {way: (plain.mean().item(), calibrated.mean().item()) for way, (plain, calibrated) in losses.items()}
    return MemberWeights(
        options=options,
        held_out=means,
        greedy_gain=greedy_gain,
        name=name,
        fitted_temperature=fit_temperature(weighted(p, options[name]), y),
        greedy_path=greedy(of_label(p, y))[1],
    )


def content(weights: MemberWeights, pool: list[Member]) -> dict:
    """What choice.yaml holds: all that is needed to compute the final system's probabilities."""
    members = [
        {"weights": m.file, "times": n, "arm": m.arm, "seed": m.seed, "changes": {**m.changes}}
        for m, n in zip(pool, weights.counts, strict=True)
        if n
    ]
    return {"system": weights.name, "temperature": weights.temperature, "members": members}
