"""The learning rate over a training: factors of the optimizer's rate by the step and the number of steps.

Any function (step, steps) -> factor can be a schedule. These are data classes, so that lanes with equal ones are
computed together. Steps count from 0.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

Schedule = Callable[[int, int], float]


@dataclass(frozen=True)
class Constant:
    """The optimizer's rate at every step."""

    def __call__(self, step: int, steps: int) -> float:
        return 1.0


CONSTANT = Constant()


@dataclass(frozen=True)
class WarmedUp:
    """The factor of another schedule, times a linear rise over the first `rise` of the steps, and then a linear fall
    that would reach 0 after the last one (Devlin et al. 2019, BERT, appendix A.2)."""

    of: Schedule = CONSTANT
    rise: float = 0.1

    def __call__(self, step: int, steps: int) -> float:
        rising = max(1, round(self.rise * steps))
        return self.of(step, steps) * min((step + 1) / rising, (steps - step) / max(1, steps - rising))


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from the rate down to `final` of it (Loshchilov and Hutter 2017, SGDR, without restarts).

    warmup: share of the steps over which the rate first rises linearly (Goyal et al. 2017).
    """

    final: float = 0.0
    warmup: float = 0.0

    def __call__(self, step: int, steps: int) -> float:
        rising = round(self.warmup * steps)
        if step < rising:
            return (step + 1) / rising
        done = (step - rising) / (steps - rising)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class OneCycle:
    """Up to the rate over `rise` of the steps and down to nearly 0 at the last one, in cosines (Smith and Topin 2019).

    The optimizer's rate is the highest one. start, final: the rate of the first step and of the last, as shares of it.
    Momentum stays as it is.
    """

    rise: float = 0.3
    start: float = 0.04
    final: float = 4e-6

    def __call__(self, step: int, steps: int) -> float:
        top = self.rise * steps - 1
        low, done = (self.start, step / top) if step < top else (self.final, (steps - 1 - step) / (steps - 1 - top))
        return low + (1 - low) * (1 - math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class Steps:
    """The rate times `factor` from each of the shares `at` of the steps on (He et al. 2016)."""

    at: tuple[float, ...] = (0.5, 0.75)
    factor: float = 0.1

    def __call__(self, step: int, steps: int) -> float:
        return float(self.factor ** sum(step >= round(share * steps) for share in self.at))


@dataclass(frozen=True)
class Cooldown:
    """The rate, then over the last `share` of the steps linearly down, so that it would be 0 after the last one.

    As good as a cosine, and the steps before it do not depend on how many there will be (Hägele et al. 2024, Scaling
    laws and compute-optimal training beyond fixed training durations).
    """

    share: float = 0.2

    def __call__(self, step: int, steps: int) -> float:
        return min(1.0, (steps - step) / (self.share * steps))
