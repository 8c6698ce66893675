"""Losses that depend on the task."""

import pytest
import torch
from torch import nn

from recipe.errors import RecipeError
from recipe.tasks.classification import Classification
from recipe.tasks.multilabel import Multilabel
from recipe.tasks.regression import Regression
from recipe.train.losses import completed, usual

CLASSES, LABELS, QUANTITY = Classification(("a", "b")), Multilabel(("a", "b")), Regression(("q",), "", (0.0,), (1.0,))
Y = torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("task", "kind"), [(CLASSES, nn.CrossEntropyLoss), (LABELS, nn.BCEWithLogitsLoss), (QUANTITY, nn.MSELoss)]
)
def test_the_usual_loss_follows_from_the_task(task, kind):
    assert type(completed(usual, task, Y)) is kind


def test_label_smoothing_is_of_classes_alone():
    assert usual(CLASSES, Y, 0.1).label_smoothing == 0.1
    for task in (LABELS, QUANTITY):
        with pytest.raises(RecipeError, match="label smoothing is of one class of several"):
            usual(task, Y, 0.1)


@pytest.mark.parametrize("task", [LABELS, QUANTITY])
def test_cross_entropy_of_another_task_is_refused(task):
    with pytest.raises(RecipeError, match="loss: auto"):
        completed(nn.CrossEntropyLoss(), task, Y)


def test_a_loss_that_needs_no_task_is_left_alone():
    for loss in (nn.MSELoss(), nn.functional.mse_loss, lambda outputs, targets: outputs.sum()):
        assert completed(loss, QUANTITY, Y) is loss


def test_a_users_own_loss_gets_task_and_targets():
    def mine(task, y, scale=2.0):
        return lambda outputs, targets: scale * len(y) * task.width

    assert completed(mine, CLASSES, Y)(None, None) == 8
