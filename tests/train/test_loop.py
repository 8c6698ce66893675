"""The plain loop and what it is made of: seeds by name, evaluation, augmentation, checkpoints."""

from unittest import mock

import pytest
import torch
from healthy import Net, digits
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from recipe import rng
from recipe.data.batches import Split
from recipe.models.plain import convnet, linear, mlp
from recipe.train import checkpoint, engine, loop, mixup, order
from recipe.train.lane import Lane

X, Y = digits()
TRAIN = Split(X[:100], Y[:100], [str(i) for i in range(100)])
VAL = Split(X[100:150], Y[100:150], [str(i) for i in range(100, 150)])


def trained(steps=40, seed=0, batch_size=32, lr=1e-3, **more):
    with rng.seeded(seed, "init"):
        model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    lane = Lane(model, optimizer, F.cross_entropy, steps, batch_size, seed, **more)
    (result,) = engine.train([lane], TRAIN, VAL, eval_every=10, mode="plain")
    return model, result


def test_fit_is_the_loop_that_anyone_would_write():
    with rng.seeded(0, "init"):
        ours, theirs = linear(10), linear(10)
    ours(X[:1]), theirs(X[:1])
    theirs.load_state_dict(ours.state_dict())
    a, b = (torch.optim.SGD(m.parameters(), lr=0.1) for m in (ours, theirs))
    for _ in loop.fit(Lane(ours, a, F.cross_entropy, 10, 32, seed=3), TRAIN, 0, 10):
        pass
    passes = [torch.Generator().manual_seed(rng.key(3, "order", epoch)) for epoch in range(4)]
    stream = torch.cat([torch.randperm(100, generator=g) for g in passes])
    for index in stream[:320].split(32):
        b.zero_grad()
        F.cross_entropy(theirs(TRAIN.x[index]), TRAIN.y[index]).backward()
        b.step()
    assert all(p.equal(q) for p, q in zip(ours.parameters(), theirs.parameters(), strict=True))


@given(st.integers(1, 60))
@settings(max_examples=15, deadline=None)
def test_a_score_does_not_depend_on_the_batch_size(batch_size):
    torch.manual_seed(0)
    model = Net()
    whole = loop.outputs(model, VAL.x)
    with mock.patch.object(loop, "MOST", batch_size):
        parts = loop.outputs(model, VAL.x)
    assert parts.shape == (50, *whole.shape[1:])
    assert F.cross_entropy(parts, VAL.y).item() == pytest.approx(F.cross_entropy(whole, VAL.y).item(), rel=1e-5)
    assert parts.argmax(1).equal(whole.argmax(1))


def test_evaluation_leaves_weights_statistics_and_modes_alone():
    model = Net().train()
    model.body.eval()
    before = loop.copy_of(model)
    loop.outputs(model, VAL.x)
    assert all(t.equal(before[n]) for n, t in model.state_dict().items())
    assert model.training
    assert not model.body.training


@given(st.integers(2, 40), st.integers(1, 50), st.integers(0, 5), st.integers(0, 7), st.integers(1, 9))
@settings(deadline=None)
def test_batches_are_full_and_each_pass_shows_every_example_once(count, batch_size, seed, first, steps):
    index = order.batches(count, batch_size, seed, 0, first + steps)
    assert index.shape == (first + steps, batch_size)
    for one_pass in index.flatten().split(count):
        assert len(set(one_pass.tolist())) == len(one_pass)
    assert order.batches(count, batch_size, seed, first, first + steps).equal(index[first:])


@given(st.integers(2, 300), st.integers(0, 5), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
@settings(deadline=None)
def test_a_smaller_share_of_the_training_set_is_part_of_a_larger_one(count, seed, one, other):
    small, large = (set(order.subset(count, share, seed).tolist()) for share in sorted((one, other)))
    assert small <= large <= set(range(count))
    assert set(order.batches(count, 8, seed, 0, 3 * count, min(one, other)).flatten().tolist()) == small


def test_mixup_mixes_inputs_and_losses_by_one_share():
    x, y = TRAIN.x[:8], TRAIN.y[:8]
    logits = torch.randn(8, 10, generator=torch.Generator().manual_seed(0))
    soft = 0.3 * F.one_hot(y, 10) + 0.7 * F.one_hot(y.roll(1), 10)
    assert mixup.mixed(x, 0.3, 0)[3].allclose(0.3 * x[3] + 0.7 * x[2])
    assert mixup.mixed_loss(F.cross_entropy, 0.3)(logits, y).item() == pytest.approx(
        F.cross_entropy(logits, soft).item(), abs=1e-6
    )


def test_the_share_of_mixup_is_drawn_from_a_beta_distribution():
    drawn = torch.tensor([mixup.share(0.4, seed=3, step=n) for n in range(4000)])
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.02)
    assert drawn.var().item() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.01)
    assert mixup.share(0.0, 3, 0) == 1.0


@pytest.mark.parametrize("keyed", [True, False])
def test_draws_by_key_are_uniform_and_depend_on_their_key_alone(keyed, monkeypatch):
    if not keyed:  # as under a torch that has no keyed draws
        monkeypatch.setattr(rng, "_keyed", lambda: None)
    keys = rng.fold(rng.keys([5, 6, 7], "dropout"), 12)
    drawn = rng.uniform(keys, 50, 40)
    assert drawn.shape == (3, 50, 40)
    assert rng.uniform(keys[1], 50, 40).equal(drawn[1])
    assert rng.uniform(keys[1:], 50, 40).equal(drawn[1:])
    assert 0 <= drawn.min() < 0.01 < 0.99 < drawn.max() < 1
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.02)
    assert abs(torch.corrcoef(drawn.flatten(1))[0, 1:]).max() < 0.08
    assert not rng.uniform(rng.fold(keys, 1), 50, 40).equal(drawn)


def test_a_lane_has_the_same_bits_whatever_ran_before_it():
    _, first = trained()
    torch.rand(1000)
    trained(seed=5)
    _, again = trained()
    assert first.curve == again.curve
    assert all(t.equal(again.last[n]) for n, t in first.last.items())
    assert trained(seed=1)[1].curve != first.curve


def test_training_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    trained()
    after = torch.rand(1)
    torch.manual_seed(3)
    assert after.equal(torch.rand(1))


def test_the_best_weights_are_a_copy_of_the_best_evaluation():
    model, lane = trained(steps=60, lr=0.05)
    best = min(lane.curve[1:], key=lambda r: r["val_loss"])
    assert lane.best_evaluation == best
    model.load_state_dict(lane.best)
    assert F.cross_entropy(loop.outputs(model, VAL.x), VAL.y).item() == pytest.approx(best["val_loss"], abs=1e-6)


def test_a_lane_that_diverges_ends_and_says_so():
    _, lane = trained(lr=float("inf"))
    assert lane.lost
    assert "step" in lane.ended


def test_training_ends_when_enough_is_reached():
    _, lane = trained(steps=400, enough=0.5)
    assert lane.curve[-1]["train_loss"] < 0.5 < lane.curve[-2]["train_loss"]


def test_the_halves_of_val_average_to_the_whole():
    _, lane = trained()
    row = lane.curve[-1]
    assert (row["val_loss/a"] + row["val_loss/b"]) / 2 == pytest.approx(row["val_loss"], rel=1e-5)


@pytest.mark.parametrize("model", [linear, mlp, convnet])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 10)])
def test_the_dull_models_take_any_size(model, shape):
    assert model(num_classes=4)(torch.rand(2, *shape)).shape == (2, 4)


def test_weights_come_back_from_a_file(tmp_path):
    model, lane = trained()
    checkpoint.save_weights(lane.last, tmp_path / "m.safetensors")
    torch.manual_seed(9)
    other = checkpoint.load_weights(Net(), tmp_path / "m.safetensors")
    assert all(t.equal(model.state_dict()[n]) for n, t in other.state_dict().items())
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_a_name_gives_its_own_random_numbers():
    assert rng.key(0, "order", 1) != rng.key(0, "order", 2) != rng.key(1, "order", 2)
    assert rng.key(0, "order", 1) == 4489457307835839548  # for good: results in git depend on it


def test_seeded_is_as_before_after_the_block():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    first = torch.rand(1)
    with rng.seeded(4, "x"):
        nn.Linear(3, 3)
    assert torch.cat([first, torch.rand(1)]).equal(expected)
