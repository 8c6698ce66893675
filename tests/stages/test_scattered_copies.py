"""Copies of rows that are kept together, and what scattering them would have pretended."""

import numpy as np
import pytest
import torch
from made_data import DATA

from recipe.data.batches import Data, Split
from recipe.stages.baseline.scattered_copies import findings
from recipe.tasks.classification import Classification
from recipe.tasks.regression import Regression


def table(copies: int, task: str = "quantity") -> Data:
    """240 rows of noise with targets that say nothing of it, of which the last ones repeat the first."""
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(240, 5)).astype("float32"), generator.normal(size=(240, 1))
    if copies:
        x[-copies:], y[-copies:] = x[:copies], y[:copies]
    of = Regression(("y",)) if task == "quantity" else Classification(("a", "b"))
    actual = torch.tensor(y) if task == "quantity" else torch.tensor(y[:, 0] > 0).long()
    of = of.scaled(actual)
    train, val = (Split(torch.tensor(x[i::2]), of.targets(actual[i::2]), [str(i)] * 120) for i in range(2))
    return Data(train, val, of, of.metrics[of.usual_metric(train.y)], torch.zeros(5), torch.ones(5), "")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["quantity", "classes"])
def test_copies_that_are_scattered_pretend_a_better_score(task):
    (sentence,) = findings(table(100, task), 0)
    assert sentence.startswith("100 of 240 rows of train and val have the features of another one")
    assert "that lowers" in sentence
    assert ("RMSE" if task == "quantity" else "accuracy") in sentence
    assert findings(table(100, task), 0) == [sentence]


def test_a_table_without_copies_and_images_have_no_finding():
    assert findings(table(0), 0) == []
    assert findings(table(2), 0) == []
    assert findings(DATA, 0) == []
