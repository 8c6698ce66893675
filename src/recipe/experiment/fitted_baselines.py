"""The baselines of scikit-learn for what enters the networks: of tables, texts and embeddings, in memory."""

from collections.abc import Callable
from typing import cast

from torch import Tensor

from recipe.data.batches import Data, Split
from recipe.models.fitted import Fitted, fit_embeddings, fit_table, fit_texts

Predict = Callable[[Split], Tensor]


def fit_baselines(data: Data, seed: int) -> dict[str, Predict]:
    """{name: split -> its predictions p (N, K)}, the simplest first; none of images, and of tables on disk."""
    x, y = data.train.x, data.train.y
    of_texts = fit_texts(data.task, data.train.texts, y) if data.train.texts else {}
    fitted = {name: _of_texts(model) for name, model in of_texts.items()}
    if data.tokenizer or data.kind.has_pixels or not isinstance(x, Tensor) or not isinstance(data.val.x, Tensor):
        return fitted
    rows = fit_embeddings(data.task, x, y) if data.features else fit_table(data.task, x, y, seed)
    return fitted | {name: _of_rows(model) for name, model in rows.items()}


def _of_texts(model: Fitted) -> Predict:
    return lambda split: model.predict(split.texts)


def _of_rows(model: Fitted) -> Predict:
    return lambda split: model.predict(cast(Tensor, split.x))
