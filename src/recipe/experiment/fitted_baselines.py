"""The baselines of scikit-learn for what enters the networks: of tables and of texts, in memory."""

from collections.abc import Callable
from typing import cast

from torch import Tensor

from recipe.data.batches import Data, Split
from recipe.models.fitted import Fitted, fit_table, fit_texts

Predict = Callable[[Split], Tensor]


def fit_baselines(data: Data, seed: int) -> dict[str, Predict]:
    """{name: split -> its predictions p (N, K)}, the simplest first; none of images, and of tables on disk."""
    if data.tokenizer:
        return {name: _of_texts(model) for name, model in fit_texts(data.task, data.train.texts, data.train.y).items()}
    x = data.train.x
    if not data.kind.has_columns or not isinstance(x, Tensor) or not isinstance(data.val.x, Tensor):
        return {}
    return {name: _of_rows(model) for name, model in fit_table(data.task, x, data.train.y, seed).items()}


def _of_texts(model: Fitted) -> Predict:
    return lambda split: model.predict(split.texts)


def _of_rows(model: Fitted) -> Predict:
    return lambda split: model.predict(cast(Tensor, split.x))
