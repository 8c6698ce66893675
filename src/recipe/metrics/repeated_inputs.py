"""Equal inputs with different labels: what no function of the inputs can predict."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ErrorFloor:
    """The lowest error and loss that any function of the inputs can reach, as equal inputs have different labels.

    sets, examples: how many different inputs and how many examples are affected. error: share of wrong predictions.
    loss: mean NLL in nats, the conditional entropy of the label given the input.
    """

    sets: int
    examples: int
    error: float
    loss: float


def error_floor(which: np.ndarray, labels: np.ndarray) -> ErrorFloor:
    """The floor for inputs (N,), given as codes that are equal where inputs are, and their labels (N,).

    The best function predicts the commonest label of each input: the empirical Bayes error and conditional entropy
    (Cover and Thomas 2006, Elements of information theory, chapter 2). It is a lower bound for this sample, to which
    inputs that occur once add nothing.
    """
    pairs, times = np.unique(np.stack([which, labels], 1), axis=0, return_counts=True)
    _, group = np.unique(pairs[:, 0], return_inverse=True)
    whole, most, kinds = (np.zeros(group.max() + 1) for _ in range(3))
    np.add.at(whole, group, times)
    np.maximum.at(most, group, times)
    np.add.at(kinds, group, 1)
    loss = -(times * np.log(times / whole[group])).sum() / len(labels)
    mixed = kinds > 1
    return ErrorFloor(int(mixed.sum()), int(whole[mixed].sum()), float((whole - most).sum() / len(labels)), float(loss))
