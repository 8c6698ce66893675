"""Losses for imbalanced classes: their values, over lanes as in the plain loop, and what they are judged by."""

import pytest
import torch
from lanes import MODELS, lane, parts
from omegaconf import OmegaConf
from torch.nn import functional as F

from recipe.errors import RecipeError
from recipe.tasks.classification import Classification
from recipe.tasks.regression import Regression
from recipe.train import engine, plan
from recipe.train.imbalance import Focal, focal, weighted_cross_entropy

TASK = Classification(("a", "b", "c"))
Y = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
OUTPUTS = torch.randn(100, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
DIGITS = Classification(tuple("0123456789"))


def test_balanced_weights_make_all_classes_count_alike():
    loss = weighted_cross_entropy(TASK, Y, "balanced").double()
    each = F.cross_entropy(OUTPUTS, Y, reduction="none")
    assert loss(OUTPUTS, Y).item() == pytest.approx(sum(each[c == Y].mean().item() for c in range(3)) / 3, abs=1e-6)


@pytest.mark.parametrize("weights", [[1, 1, 6], {"c": 6}, OmegaConf.create({"c": 6.0}), OmegaConf.create([1, 1, 6])])
def test_given_weights_have_a_mean_of_one_over_the_training_examples(weights):
    loss = weighted_cross_entropy(TASK, Y, weights)
    assert loss.weights[Y].mean().item() == pytest.approx(1)
    assert (loss.weights / loss.weights[0]).tolist() == pytest.approx([1, 1, 6])


def test_weights_of_one_and_a_gamma_of_zero_are_the_cross_entropy():
    soft = OUTPUTS.flip(0).softmax(1)
    for loss in (weighted_cross_entropy(TASK, Y, [2, 2, 2]).double(), focal(TASK, Y, 0.0)):
        for y in (Y, soft):
            assert loss(OUTPUTS, y).item() == pytest.approx(F.cross_entropy(OUTPUTS, y).item(), abs=1e-6)


def test_what_is_right_already_counts_less():
    p = torch.tensor([[0.9, 0.1], [0.4, 0.6]], dtype=torch.float64)
    y = torch.tensor([0, 0])
    expected = -(0.1**2 * p[0, 0].log() + 0.6**2 * p[1, 0].log()) / 2
    assert Focal(2.0)(p.log(), y).item() == pytest.approx(expected.item())


def test_a_certain_answer_has_a_gradient():
    outputs = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    Focal(0.5)(outputs, torch.tensor([0, 0])).backward()
    assert outputs.grad.isfinite().all()


LOSSES = {
    "weighted": lambda s: weighted_cross_entropy(DIGITS, parts()[0].y, [1.0 + s] * 5 + [1.0] * 5),
    "focal": lambda s: focal(DIGITS, parts()[0].y, 2.0),
}


@pytest.mark.parametrize("mixup", [0.0, 0.4])
@pytest.mark.parametrize("name", LOSSES)
def test_over_lanes_they_are_the_plain_loop_and_judged_by_the_plain_cross_entropy(name, mixup):
    def lanes():
        return [
            lane(MODELS["mlp"], s, dtype=torch.float64, loss=LOSSES[name](1).double(), steps=30, mixup=mixup)
            for s in range(2)
        ]

    said = []
    train, val = parts(dtype=torch.float64)
    alone = engine.train(lanes(), train, val, eval_every=10, mode="plain")
    together = engine.train(lanes(), train, val, eval_every=10, mode="batched", say=said.append)
    assert said == ["2 lanes together"]
    for a, b in zip(alone, together, strict=True):
        for key in ("train_loss", "val_loss"):
            assert [r[key] for r in a.curve] == pytest.approx([r[key] for r in b.curve], abs=1e-12)
        assert all(torch.allclose(a.last[n], b.last[n], rtol=0, atol=1e-11) for n in a.last)

    outputs = MODELS["mlp"](10).double().eval()
    outputs.load_state_dict(alone[0].last)
    with torch.no_grad():
        plain = F.cross_entropy(outputs(val.x), val.y).item()
    assert alone[0].curve[-1]["val_loss"] == pytest.approx(plain)


def test_lanes_with_other_weights_are_not_computed_together():
    """A batch has one loss: those of the first lane would train the second."""
    made = [lane(seed=s, loss=LOSSES["weighted"](s)) for s in (0, 1, 1)]
    assert [group.numbers for group in plan.plan(made, parts()[0])] == [[0], [1, 2]]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2], "a positive number for each of the 3 classes"),
        ([1, 2, 0], "a positive number for each"),
        ("balance", "must be `balanced`"),
        ({"d": 2}, "no class `d`; the classes are a, b, c"),
    ],
)
def test_weights_that_do_not_fit_are_one_message(weights, message):
    with pytest.raises(RecipeError, match=message):
        weighted_cross_entropy(TASK, Y, weights)


def test_a_class_without_an_example_in_train_has_no_weight():
    assert weighted_cross_entropy(TASK, Y[:90], "balanced").weights.tolist() == pytest.approx([0.75, 1.5, 0])


def test_they_are_losses_of_classes():
    for make in (lambda task: focal(task, Y, 2.0), lambda task: weighted_cross_entropy(task, Y, "balanced")):
        with pytest.raises(RecipeError, match="one class of several, and the task is regression"):
            make(Regression(("age",)))
