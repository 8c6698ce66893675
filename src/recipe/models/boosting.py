"""Gradient boosting of decision trees: on columns of a table, the baseline that is hard to beat.

scikit-learn's histogram-based trees with their default settings (after Ke et al. 2017, LightGBM). Grinsztajn, Oyallon
and Varoquaux 2022, Why do tree-based models still outperform deep learning on tabular data? find them ahead of networks
on most tables of this size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recipe.tasks.task import Task

BOOSTING = "gradient boosting"


@dataclass(frozen=True)
class Boosting:
    """estimators: one per column of the task's targets."""

    task: Task
    estimators: Sequence[Any]

    def predict(self, x: Tensor) -> Tensor:
        """Predictions p (N, K), float64, of rows (N, F)."""
        columns = [_predicted(estimator, x.cpu().numpy()) for estimator in self.estimators]
        return self.task.of_columns([torch.from_numpy(column) for column in columns])


def fit_boosting(task: Task, x: Tensor, y: Tensor, seed: int) -> Boosting:
    """Fitted to rows x (N, F) and their targets y; the same bits for the same seed and any number of threads."""
    from sklearn.ensemble import (  # scikit-learn takes seconds to import
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
    )
    from threadpoolctl import threadpool_limits

    kind = HistGradientBoostingClassifier if task.discrete else HistGradientBoostingRegressor
    rows, estimators = x.cpu().numpy(), []
    with threadpool_limits(torch.get_num_threads()):  # more threads than cores wait for each other
        for column in task.columns(y.cpu()):
            values = column.numpy()
            constant = task.discrete and len(np.unique(values)) == 1  # a classifier needs two classes
            estimators.append(values[0] if constant else kind(random_state=seed).fit(rows, values))
    return Boosting(task, estimators)


def _predicted(estimator: Any, rows: np.ndarray) -> np.ndarray:
    """(N, highest class + 1) probabilities, or (N, 1) quantities; estimator: fitted, or the only class there is."""
    if hasattr(estimator, "predict_proba"):
        classes = estimator.classes_.astype(int)
        p = np.zeros((len(rows), classes.max() + 1))
        p[:, classes] = estimator.predict_proba(rows)
        return p
    if hasattr(estimator, "predict"):
        quantities: np.ndarray = estimator.predict(rows).astype(float)[:, None]
        return quantities
    p = np.zeros((len(rows), int(estimator) + 1))
    p[:, int(estimator)] = 1.0
    return p
