"""Can one word of a text identify a class or a label, or give a quantity?"""

from collections.abc import Sequence

import numpy as np

from recipe.stages.audit.shortcuts import FEW, FEW_VALUES, Shortcut, middle_ranks
from recipe.stages.audit.texts import WORD
from recipe.tasks.task import Task

MOST = 20_000  # texts in the sample, evenly over the data set


def word_shortcut(texts: Sequence[str], actual: np.ndarray, task: Task) -> Shortcut:
    """Of class numbers (N,) or labels (N, L) the word whose presence or absence has the highest Youden index (1950); of
    quantities (N, T) the one with the largest rank correlation, without its sign.

    Words that fewer than FEW texts contain, or lack, and sets of fewer than FEW texts are left out.
    """
    from sklearn.feature_extraction.text import CountVectorizer  # scikit-learn takes a second to import

    rows = np.unique(np.linspace(0, len(texts) - 1, min(MOST, len(texts))).astype(int))
    y, nothing = actual[rows], Shortcut((0,), 0, 0.0, len(rows), unit="word")
    try:
        vectors = CountVectorizer(binary=True, min_df=FEW, lowercase=True, token_pattern=WORD.pattern)
        present = vectors.fit_transform([texts[row] for row in rows]).astype(np.float64)
    except ValueError:  # no word is in enough texts
        return nothing
    names, times = vectors.get_feature_names_out(), np.asarray(present.sum(0)).ravel()
    if task.choose(classes=False, labels=False, quantities=True):
        values = _correlations(present, times, y)
    else:
        values = _youden(present, times, y[:, None] == np.arange(len(task.names)) if y.ndim == 1 else y > 0.5)
    values[:, len(rows) - times < FEW] = 0
    target, place = np.unravel_index(values.argmax(), values.shape)
    if not values[target, place] > 0:
        return nothing
    best = float(values[target, place])
    return Shortcut((int(place),), int(target), best, len(rows), str(names[place]), unit="word")


def _youden(present, times: np.ndarray, members: np.ndarray) -> np.ndarray:
    """(K, words) of sets members (N, K); 0 for small ones."""
    sizes, n = members.sum(0), len(members)
    own = np.asarray(present.T @ members.astype(float)).T
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.abs(own / sizes[:, None] - (times - own) / (n - sizes)[:, None])
    values[np.minimum(sizes, n - sizes) < FEW] = 0
    return values


def _correlations(present, times: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(T, words)"""
    n = len(y)
    if n < FEW_VALUES:
        return np.zeros((y.shape[1], len(times)))
    centred = np.stack([middle_ranks(column) for column in y.T])
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
    length = np.sqrt(times * (1 - times / n))
    values: np.ndarray = np.abs(np.asarray(present.T @ centred.T).T) / np.maximum(length, 1e-9)
    return values
