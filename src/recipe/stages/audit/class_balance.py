"""The classes: how evenly they are filled, and which are taken for which."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recipe.stages.audit.labels import Suspects

LEAST = 0.01  # of a class; a rarer confusion is not named


@dataclass(frozen=True)
class Balance:
    counts: tuple[int, ...]  # by class
    effective: float  # exp of the entropy of the shares: as many equally large classes are as diverse; 1 to K
    ratio: float  # largest over smallest; infinite where a class is empty


@dataclass(frozen=True)
class Confusion:
    true: int
    given: int
    low: float  # share of what is `true` that is labelled `given`, at least
    high: float  # and at most; it also holds what the model confuses by itself


def balance(labels: np.ndarray, classes: int) -> Balance:
    """Of (N,) class numbers below `classes`."""
    counts = np.bincount(labels, minlength=classes)
    share = counts[counts > 0] / counts.sum()
    ratio = float(counts.max() / counts.min()) if counts.min() else float("inf")
    return Balance(tuple(counts.tolist()), float(np.exp(-(share * np.log(share)).sum())), ratio)


def confusions(found: Suspects) -> tuple[Confusion, ...]:
    """Those that surely happen to 1 % of a class or more, the most frequent first; none where none can be told."""
    if found.confusion is None:
        return ()
    low, high = found.confusion
    pairs = [(int(true), int(given)) for given, true in np.argwhere(low >= LEAST) if given != true]
    named = [Confusion(true, given, float(low[given, true]), float(high[given, true])) for true, given in pairs]
    return tuple(sorted(named, key=lambda c: (-c.low, c.true, c.given)))


def sentence(confusion: Confusion, names: Sequence[str]) -> str:
    true, given = names[confusion.true], names[confusion.given]
    return f"{100 * confusion.low:.0f} to {100 * confusion.high:.0f} % of what is `{true}` is labelled `{given}`"
