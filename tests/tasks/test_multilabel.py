"""Several labels for each example: what the stages ask of a task."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from recipe.tasks.multilabel import Multilabel
from recipe.tasks.read import task_of

ABC = Multilabel(("a", "b", "c"))
Y = torch.tensor([[1.0, 0, 0], [0, 0, 0], [1, 1, 0], [1, 0, 0]])


def test_the_constant_is_the_best_answer_that_ignores_its_input():
    y = Y.repeat(100, 1)
    best = ABC.constant(y)
    loss = F.binary_cross_entropy_with_logits(best.expand(400, -1), y).item()
    for other in (best + 0.1, best - 0.1):
        assert F.binary_cross_entropy_with_logits(other.expand(400, -1), y).item() > loss
    assert best.isfinite().all()  # of the label that never occurs too


def test_losses_of_outputs_and_of_their_predictions_are_equal():
    outputs = 3 * torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert ABC.losses(ABC.predict(outputs), ABC.actual(Y)).allclose(ABC.output_losses(outputs, Y))


def test_an_example_without_labels_has_a_stratum_too():
    assert ABC.strata(Y.tolist()) == [(0,), (3,), (0, 1), (0,)]


def test_labels_are_read_by_name():
    assert ABC.shown(ABC.actual(Y)) == ["a", "", "a; b", "a"]


def test_equal_inputs_with_other_labels_leave_a_loss():
    same = np.array([1, 2, 2, 2])
    assert ABC.lowest_loss(np.arange(4), Y) == 0.0
    entropy = -(2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3))
    assert ABC.lowest_loss(same, Y) == pytest.approx(2 * 3 / 4 * entropy / 3)  # labels a and b, three of four examples


def test_facts_come_back():
    assert task_of(ABC.facts()) == ABC
