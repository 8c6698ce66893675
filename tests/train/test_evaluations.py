"""When lanes are evaluated, and on which training examples: by cost, in passes, and at the end on all of them."""

import dataclasses
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lanes import X, Y, lane, parts
from torch import nn

from recipe.data.batches import Split
from recipe.models.plain import convnet, linear, mlp
from recipe.train import engine, evaluations
from recipe.train.cost import multiplications
from recipe.train.evaluations import fixed_sample, sample_size, step_of, usual_eval_every


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_evaluations_take_a_tenth_of_a_training_and_no_less_than_they_could(train, val):
    every = usual_eval_every(train, val)
    evaluated = val + sample_size(train, val)
    assert evaluated <= 0.1 * 3 * train * every * (1 + 1e-9)
    assert evaluated >= 0.1 * 3 * train * (every - 0.1) * (1 - 1e-9)


@given(st.floats(1, 500))
def test_no_two_evaluations_are_at_one_step(every):
    steps = [step_of(number, every) for number in range(50)]
    assert steps[0] == 0
    assert all(a < b for a, b in pairwise(steps))


@pytest.mark.parametrize("y", [Y[:900], Y[:900].double().view(-1, 1) / 3, nn.functional.one_hot(Y[:900]).float()])
def test_a_sample_has_targets_as_often_as_the_whole(y):
    part = Split(X[:900], y, [str(i) for i in range(900)])
    sample = fixed_sample(part, 300)
    again = fixed_sample(part, 300)
    assert sample.ids == again.ids
    assert len(set(sample.ids)) == len(sample) == 300
    rows = [int(i) for i in sample.ids]
    assert torch.equal(sample.x, X[rows])
    assert torch.equal(sample.y, y[rows])
    for digit in range(10):
        assert (Y[rows] == digit).sum() == pytest.approx((Y[:900] == digit).sum() / 3, abs=1)


def test_a_sample_as_large_as_the_split_is_the_split():
    part, _ = parts()
    assert fixed_sample(part, 200) is part


def test_lanes_of_other_batch_sizes_are_evaluated_after_the_same_passes():
    """Each evaluated every 1.5 passes of 200 examples, for six."""
    lanes = [lane(steps=1200 // b, batch_size=b, eval_every=300 / b) for b in (16, 25, 32)]
    trained = engine.train(lanes, *parts())
    for one, of in zip(trained, lanes, strict=True):
        passes = [row["epoch"] for row in one.curve]
        assert passes[:4] == pytest.approx([0, 1.5, 3, 4.5], abs=of.batch_size / 200)
        assert one.curve[-1]["step"] == of.steps


@pytest.fixture
def few(monkeypatch):
    """Evaluations look at 90 of the 200 training examples."""
    monkeypatch.setattr(evaluations, "FEW", 10)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("mode", ["plain", "batched"])
def test_the_last_evaluation_sees_the_whole_training_set_and_those_before_a_sample(mode):
    train, val = parts()
    lanes = [lane(seed=s, steps=40) for s in range(2)]
    for one, of in zip(engine.train(lanes, train, val, eval_every=20, mode=mode), lanes, strict=True):
        of.model.eval()
        with torch.no_grad():
            whole = nn.functional.cross_entropy(of.model(train.x), train.y).item()
        assert one.curve[-1]["train_loss"] == pytest.approx(whole, rel=1e-4)
        hits = [200 * row["train_accuracy"] for row in one.curve]
        of_sample = [90 * row["train_accuracy"] for row in one.curve]
        assert hits[-1] == pytest.approx(round(hits[-1]), abs=1e-3)
        assert of_sample[:-1] == pytest.approx([round(h) for h in of_sample[:-1]], abs=1e-3)


@pytest.mark.usefixtures("few")
def test_a_loss_that_is_low_on_the_sample_alone_does_not_end_a_lane(monkeypatch):
    """The sample's labels are right, the others wrong: a network that was trained on the sample has not learned all."""
    train, val = parts()
    seen = fixed_sample(dataclasses.replace(train, ids=[str(i) for i in range(200)]), 90)
    rows = [int(i) for i in seen.ids]
    wrong = (train.y + 1) % 10
    wrong[rows] = train.y[rows]
    monkeypatch.setattr(engine, "fixed_sample", lambda part, size: seen)
    (result,) = engine.train([lane(steps=400, enough=0.5)], Split(train.x, wrong, []), val, eval_every=50)
    low = [row["step"] for row in result.curve if row["train_loss"] < 0.5]
    assert not low or low == [result.curve[-1]["step"]]
    (plain,) = engine.train([lane(steps=400, enough=0.5)], train, val, eval_every=50)
    assert plain.ended.startswith("stopped after")


def test_multiplications_are_those_of_the_layers():
    inputs = X[:2]
    assert multiplications(_built(linear(10)), inputs) == 64 * 10
    assert multiplications(_built(mlp(10, width=5, depth=2)), inputs) == 64 * 5 + 5 * 5 + 5 * 10
    assert multiplications(_built(convnet(10, width=4)), inputs) == 64 * 4 * 9 + 16 * 8 * 4 * 9 + 8 * 16 * 10


def _built(model: nn.Module) -> nn.Module:
    model(X[:2])
    return model
