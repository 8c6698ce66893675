"""Losses for imbalanced classes and labels: values, over lanes as in the plain loop, and what they are judged by."""

from dataclasses import replace

import pytest
import torch
from lanes import MODELS, lane, parts
from omegaconf import OmegaConf
from torch.nn import functional as F

from recipe.errors import RecipeError
from recipe.tasks.classification import Classification
from recipe.tasks.multilabel import Multilabel
from recipe.tasks.regression import Regression
from recipe.train import engine, plan
from recipe.train.imbalance import Focal, FocalLabels, focal, weighted_cross_entropy

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


# ---- several labels ----------------------------------------------------------------------------------------------

LABELS = Multilabel(("a", "b", "c"))
PRESENT = (torch.arange(100)[:, None] < torch.tensor([50, 10, 1])).double()


def each_label(y=PRESENT) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(OUTPUTS, y, reduction="none")


def test_balanced_weights_make_both_values_of_a_label_count_alike():
    loss = weighted_cross_entropy(LABELS, PRESENT.float(), "balanced").double()
    halves = [each_label()[PRESENT[:, k] == v, k].mean().item() for k in range(3) for v in (0, 1)]
    assert loss(OUTPUTS, PRESENT).item() == pytest.approx(sum(halves) / 6, abs=1e-5)


@pytest.mark.parametrize("weights", [[1, 1, 6], {"c": 6}])
def test_a_weight_of_a_label_is_of_those_that_have_it(weights):
    loss = weighted_cross_entropy(LABELS, PRESENT, weights)
    absent, present = loss.weights
    assert (present / absent).tolist() == pytest.approx([1, 1, 6])
    assert torch.where(PRESENT == 1, present, absent).mean(0).tolist() == pytest.approx([1, 1, 1])
    with pytest.raises(RecipeError, match="no label `d`; the labels are a, b, c"):
        weighted_cross_entropy(LABELS, PRESENT, {"d": 2})


def test_weights_of_one_and_a_gamma_of_zero_are_the_binary_cross_entropy():
    soft = OUTPUTS.flip(0).sigmoid()
    for loss in (weighted_cross_entropy(LABELS, PRESENT, [1, 1, 1]).double(), focal(LABELS, PRESENT, 0.0)):
        for y in (PRESENT, soft):
            assert loss(OUTPUTS, y).item() == pytest.approx(each_label(y).mean().item(), abs=1e-6)


def test_a_label_that_is_right_already_counts_less():
    expected = ((OUTPUTS.sigmoid() - PRESENT).abs() ** 2 * each_label()).mean().item()
    assert focal(LABELS, PRESENT, 2.0)(OUTPUTS, PRESENT).item() == pytest.approx(expected)
    certain = torch.tensor([[200.0, -200.0]], requires_grad=True)
    FocalLabels(0.5)(certain, torch.tensor([[0.0, 1.0]])).backward()
    assert certain.grad.isfinite().all()


def test_a_label_that_is_never_present_has_a_loss_without_weights():
    loss = weighted_cross_entropy(LABELS, torch.zeros(20, 3), "balanced")
    assert loss.weights.tolist() == [[1, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize("name", ["weighted", "focal"])
def test_losses_of_labels_over_lanes_are_the_plain_loop(name):
    digits = Multilabel(tuple("0123456789"))
    train, val = (replace(part, y=F.one_hot(part.y, 10).double()) for part in parts(dtype=torch.float64))
    make = {
        "weighted": lambda: weighted_cross_entropy(digits, train.y, "balanced").double(),
        "focal": lambda: focal(digits, train.y, 2.0),
    }[name]

    def trained(mode):
        made = [lane(MODELS["mlp"], s, dtype=torch.float64, loss=make(), steps=30, mixup=0.4) for s in range(2)]
        return engine.train(made, train, val, eval_every=10, mode=mode, metric=digits.metrics["macro_f1"])

    for a, b in zip(trained("plain"), trained("batched"), strict=True):
        assert [r["val_loss"] for r in a.curve] == pytest.approx([r["val_loss"] for r in b.curve], abs=1e-12)
        assert all(torch.allclose(a.last[n], b.last[n], rtol=0, atol=1e-11) for n in a.last)
    outputs = MODELS["mlp"](10).double().eval()
    outputs.load_state_dict(a.last)
    with torch.no_grad():
        plain = F.binary_cross_entropy_with_logits(outputs(val.x), val.y).item()
    assert a.curve[-1]["val_loss"] == pytest.approx(plain)


def test_they_are_losses_of_classes_and_labels():
    for make in (lambda task: focal(task, Y, 2.0), lambda task: weighted_cross_entropy(task, Y, "balanced")):
        with pytest.raises(RecipeError, match="of classes and of labels, and the task is regression"):
            make(Regression(("age",)))
