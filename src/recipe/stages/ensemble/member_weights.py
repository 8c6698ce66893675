"""The final system: which members count how often, and the temperature. All of it is chosen on validation."""

from dataclasses import dataclass

import torch
from torch import Tensor

from recipe.metrics.calibration import fit_temperature, tempered
from recipe.metrics.scores import Quality, gained, quality, weighted
from recipe.stages.ensemble.members import BEST, Member
from recipe.stages.ensemble.selection import counts, greedy, held_out, of_label

GREEDY = "greedy choice"


@dataclass(frozen=True)
class Choice:
    """options: {way to choose: how often each member of the pool counts}. held_out: {way: its nll on val without and
    with a temperature}, each example judged by what others chose. fall: by how much greedy selection has the lower one,
    and its interval: the plain mean is left only for what is more than noise.
    """

    options: dict[str, list[int]]
    held_out: dict[str, tuple[float, float]]
    fall: tuple[float, float, float]
    name: str
    fitted: float  # temperature, on all of val
    path: list[float]  # nll on val after each greedy pick

    @property
    def times(self) -> list[int]:
        return self.options[self.name]

    @property
    def calibrated(self) -> bool:
        """Whether the temperature is used: fitted to few mistakes, it can do great harm."""
        plain, calibrated = self.held_out[self.name]
        return calibrated < plain

    @property
    def temperature(self) -> float:
        return self.fitted if self.calibrated else 1.0

    def probabilities(self, p: Tensor) -> Tensor:
        """(N, K) of the pool's p (M, N, K)."""
        return tempered(weighted(p, self.times), self.temperature)


def choose(p: Tensor, y: Tensor, seeds: int) -> Choice:
    """From the pool's probabilities on val p (M, N, K) and labels (N,); the first `seeds` members are of the best
    configuration."""

    def mean(p: Tensor, y: Tensor) -> list[int]:
        return [1] * seeds + [0] * (len(p) - seeds)

    def taken(p: Tensor, y: Tensor) -> list[int]:
        return counts(greedy(of_label(p, y))[0], len(p))

    alone = f"mean of {seeds} seeds"
    ways = {alone: mean, GREEDY: taken}
    judged = {name: held_out(p, y, way) for name, way in ways.items()}
    options = {name: way(p, y) for name, way in ways.items()}
    fall = gained(judged[alone][0], judged[GREEDY][0])
    name = GREEDY if fall[1] > 0 else alone
    means = {name: (plain.mean().item(), calibrated.mean().item()) for name, (plain, calibrated) in judged.items()}
    fitted = fit_temperature(weighted(p, options[name]), y)
    return Choice(options, means, fall, name, fitted, greedy(of_label(p, y))[1])


def seeds_of(pool: list[Member]) -> int:
    return sum(m.arm == BEST for m in pool)


def best_member(pool: list[Member], y: Tensor) -> tuple[int, list[Quality]]:
    """(the one with the lowest nll on val, all members' quality there)."""
    alone = [quality(m.p_val, y) for m in pool]
    return min(range(len(pool)), key=lambda i: alone[i].nll), alone


def stacked(pool: list[Member]) -> Tensor:
    return torch.stack([m.p_val for m in pool])


def content(choice: Choice, pool: list[Member]) -> dict:
    """What choice.yaml holds: all that is needed to say what the final system says."""
    members = [
        {"weights": m.file, "times": n, "arm": m.arm, "seed": m.seed, "changes": {**m.changes}}
        for m, n in zip(pool, choice.times, strict=True)
        if n
    ]
    return {"system": choice.name, "temperature": choice.temperature, "members": members}


def told(choice: Choice, pool: list[Member]) -> str:
    """Which way was taken and why, in a sentence."""
    judged = "; ".join(f"{n} {a:.4f}, with a temperature {b:.4f}" for n, (a, b) in choice.held_out.items())
    of_seeds, times = seeds_of(pool), choice.options[GREEDY]
    distinct, others = (sum(n > 0 for n in some) for some in (times, times[of_seeds:]))
    used = f"a temperature of {choice.fitted:.2f}" if choice.calibrated else "no temperature"
    fall = "{:+.4f} [{:+.4f}, {:+.4f}]".format(*choice.fall)
    return (
        f"Chosen on validation: {choice.name}, {used} (nll on fifths of val by what the other fifths chose: {judged}). "
        f"Greedy selection took {distinct} of {len(pool)} networks, {others} of them of other configurations: lower by "
        f"{fall} on those fifths; its nll of {choice.path[-1]:.4f} on val is that of the examples which chose it."
    )
