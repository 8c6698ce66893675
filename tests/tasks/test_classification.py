"""One class of several: what the stages ask of a task."""

import math

import pytest
import torch
from torch.nn import functional as F

from recipe.tasks.chosen_metric import chosen_metric
from recipe.tasks.classification import Classification

ABC = Classification(("a", "b", "c"))


def test_the_constant_is_the_best_answer_that_ignores_its_input():
    y = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    entropy = -sum(p * math.log(p) for p in (0.6, 0.3, 0.1))
    assert F.cross_entropy(ABC.constant(y).expand(100, -1), y).item() == pytest.approx(entropy, abs=2e-3)


def test_losses_of_outputs_and_of_their_predictions_are_equal():
    outputs, y = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 3
    assert ABC.losses(ABC.predict(outputs), ABC.actual(y)).allclose(ABC.output_losses(outputs, y))


def test_soft_targets_count_as_their_likeliest_class():
    y = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]])
    assert ABC.shown(ABC.actual(y)) == ["b", "a"]


@pytest.mark.parametrize(("rare", "title"), [(5, "average precision of ill"), (40, "average precision")])
def test_an_average_precision_of_uneven_classes_names_the_rare_one(rare, title):
    y = torch.tensor([1] * rare + [0] * (100 - rare))
    chosen = chosen_metric(Classification(("well", "ill")), y, "average_precision")
    assert (chosen.name, chosen.title) == ("average_precision", title)
    assert chosen_metric(Classification(("well", "ill")), y, "roc_auc").title == "ROC AUC"
