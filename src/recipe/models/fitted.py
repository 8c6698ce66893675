"""Models of tables and texts that scikit-learn fits in seconds: the baselines that are hard to beat.

Gradient boosting: histogram-based trees with their default settings (after Ke et al. 2017, LightGBM). Grinsztajn,
Oyallon and Varoquaux 2022, Why do tree-based models still outperform deep learning on tabular data? find them ahead of
networks on most tables of this size. Ridge or logistic regression: a linear model at its optimum, which a few passes of
training need not reach. Texts: logistic or ridge regression on TF-IDF of words, alone and with character n-grams, which
know misspelt words and endings (Wang and Manning 2012, Baselines and bigrams).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recipe.tasks.task import Task

BOOSTING, RIDGE, LOGISTIC = "gradient boosting", "ridge regression", "logistic regression"
WORDS, CHARACTERS = "TF-IDF of words", "TF-IDF of words and characters"
SIMPLE = BOOSTING, RIDGE, LOGISTIC, WORDS, CHARACTERS
PENALTIES = np.geomspace(1e-3, 1e4, 15)  # of the ridge, chosen by leaving one out (Golub, Heath and Wahba 1979)


@dataclass(frozen=True)
class Fitted:
    """estimators: one per column of the task's targets. vectors: makes rows of texts; None of a table."""

    task: Task
    estimators: Sequence[Any]
    vectors: Any = None

    def predict(self, x: Tensor | Sequence[str]) -> Tensor:
        """Predictions p (N, K), float64, of rows (N, F) or of N texts."""
        rows = x.cpu().numpy() if isinstance(x, Tensor) else self.vectors.transform(x)
        columns = [_predicted(estimator, rows) for estimator in self.estimators]
        return self.task.of_columns([torch.from_numpy(column) for column in columns])


def fit_table(task: Task, x: Tensor, y: Tensor, seed: int) -> dict[str, Fitted]:
    """{name: model} of all, the linear one first."""
    return fit_embeddings(task, x, y) | {BOOSTING: fit_boosting(task, x, y, seed)}


def fit_embeddings(task: Task, x: Tensor, y: Tensor) -> dict[str, Fitted]:
    """{name: model}: the linear one alone. Trees split on one of a thousand numbers at a time, of which none has a
    meaning alone: on ants and bees they take 20 times as long and are behind."""
    return {RIDGE if not task.discrete else LOGISTIC: fit_linear(task, x, y)}


def fit_texts(task: Task, texts: Sequence[str], y: Tensor) -> dict[str, Fitted]:
    """{name: model} of texts; the one of words alone first."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import FeatureUnion

    known = {"sublinear_tf": True, "dtype": np.float32}
    words = ("words", TfidfVectorizer(token_pattern=r"\w+|[^\w\s]", **known))
    characters = ("characters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, **known))
    fitted = {}
    for name, parts in ((WORDS, [words]), (CHARACTERS, [words, characters])):
        vectors = FeatureUnion(parts)
        fitted[name] = replace(_fitted(task, vectors.fit_transform(texts), y, _linear(task)), vectors=vectors)
    return fitted


def fit_linear(task: Task, x: Tensor, y: Tensor) -> Fitted:
    """Ridge regression of quantities, logistic regression of classes and labels, on standardised rows x (N, F)."""
    from sklearn.linear_model import RidgeCV

    return _fitted(task, x.cpu().numpy(), y, _linear(task) if task.discrete else lambda: RidgeCV(PENALTIES))


def _linear(task: Task) -> Callable[[], Any]:
    """Logistic regression of a class or label, ridge regression of a quantity, on sparse rows too."""
    from sklearn.linear_model import LogisticRegression, Ridge  # scikit-learn takes seconds to import

    return (lambda: LogisticRegression(max_iter=1000)) if task.discrete else Ridge


def fit_boosting(task: Task, x: Tensor, y: Tensor, seed: int, interactions: bool = True) -> Fitted:
    """Fitted to rows x (N, F) and their targets y; the same bits for the same seed and any number of threads.

    interactions: false adds up functions of single columns.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if task.discrete else HistGradientBoostingRegressor
    allowed = None if interactions else "no_interactions"
    return _fitted(task, x.cpu().numpy(), y, lambda: kind(random_state=seed, interaction_cst=allowed))


def _fitted(task: Task, rows: Any, y: Tensor, make: Callable[[], Any]) -> Fitted:
    """One estimator for each column of the targets; rows: an array, or a sparse matrix."""
    from threadpoolctl import threadpool_limits

    estimators = []
    with threadpool_limits(torch.get_num_threads()):  # more threads than cores wait for each other
        for column in task.columns(y.cpu()):
            values = column.numpy()
            constant = task.discrete and len(np.unique(values)) == 1  # a classifier needs two classes
            estimators.append(values[0] if constant else make().fit(rows, values))
    return Fitted(task, estimators)


def _predicted(estimator: Any, rows: Any) -> np.ndarray:
    """(N, highest class + 1) probabilities, or (N, 1) quantities; estimator: fitted, or the only class there is."""
    if hasattr(estimator, "predict_proba"):
        classes = estimator.classes_.astype(int)
        p = np.zeros((rows.shape[0], classes.max() + 1))
        p[:, classes] = estimator.predict_proba(rows)
        return p
    if hasattr(estimator, "predict"):
        quantities: np.ndarray = estimator.predict(rows).astype(float)[:, None]
        return quantities
    p = np.zeros((rows.shape[0], int(estimator) + 1))
    p[:, int(estimator)] = 1.0
    return p
