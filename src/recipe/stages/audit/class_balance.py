"""The classes: how even their sizes are, and which labels are confused with which."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recipe.stages.audit.labels import Suspects

LEAST = 0.01  # share of a class; a rarer confusion is not named


@dataclass(frozen=True)
class Balance:
    counts: tuple[int, ...]  # by class
    effective: float  # exp of the entropy of the shares, 1 to K: so many equally large classes are as diverse
    ratio: float  # largest over smallest; infinite where a class is empty


@dataclass(frozen=True)
class Confusion:
    true: int
    given: int
    low: float  # least share of the examples of class `true` that are labelled `given`
    high: float  # largest share; it also counts what the model confuses


def balance(labels: np.ndarray, classes: int) -> Balance:
    """Of (N,) class numbers below `classes`."""
    counts = np.bincount(labels, minlength=classes)
    share = counts[counts > 0] / counts.sum()
    ratio = float(counts.max() / counts.min()) if counts.min() else float("inf")
    return Balance(tuple(counts.tolist()), float(np.exp(-(share * np.log(share)).sum())), ratio)


def confusions(suspects: Suspects) -> tuple[Confusion, ...]:
    """Those that surely happen to 1 % of a class or more, the most frequent first."""
    low, high = suspects.confusion
    pairs = [(int(true), int(given)) for given, true in np.argwhere(low >= LEAST) if given != true]
    named = [Confusion(true, given, float(low[given, true]), float(high[given, true])) for true, given in pairs]
    return tuple(sorted(named, key=lambda c: (-c.low, c.true, c.given)))


def sentence(confusion: Confusion, names: Sequence[str]) -> str:
    """Without a full stop."""
    true, given = names[confusion.true], names[confusion.given]
    low, high = 100 * confusion.low, 100 * confusion.high
    return f"{low:.0f} to {high:.0f} % of the examples whose true class is `{true}` are labelled `{given}`"
