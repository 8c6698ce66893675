"""Columns as normal quantiles: as scikit-learn's, whatever their scale; counts and truth values; in lanes as alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from recipe.data.batches import Split
from recipe.data.quantiles import Quantiles
from recipe.models.plain import mlp
from recipe.train import engine, layers
from recipe.train.lane import Lane


def drawn(n: int = 3000) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(n, 3, generator=generator)
    return torch.stack([normal[:, 0].exp(), normal[:, 1] ** 3, 5 + normal[:, 2] / 100], 1)


def test_skewed_columns_become_normal_as_by_scikit_learn():
    from sklearn.preprocessing import QuantileTransformer

    x = drawn()
    ours = Quantiles(3).fit(x)(x).numpy()
    theirs = QuantileTransformer(n_quantiles=500, output_distribution="normal").fit_transform(x.numpy())
    inside = np.abs(theirs) < 1.8  # beyond, scikit-learn has more points
    assert np.abs(ours - theirs)[inside].max() < 0.06
    assert np.abs(ours.mean(0)).max() < 0.02
    assert np.abs(ours.std(0) - 1).max() < 0.06


@settings(deadline=None, max_examples=30)
@given(st.floats(0.01, 100), st.floats(-50, 50), st.integers(0, 10))
def test_the_scale_of_a_column_does_not_matter_and_the_order_stays(scale, shift, seed):
    x = torch.randn(200, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).exp()
    a, b = (Quantiles(1).double().fit(v)(v) for v in (x, scale * x + shift))
    assert torch.allclose(a, b, atol=1e-5)
    order = x[:, 0].argsort()
    assert (a[order, 0].diff() >= 0).all()


def test_equal_values_have_the_middle_of_their_ranks_and_two_values_stay():
    counts = torch.tensor([0.0] * 50 + [1.0] * 30 + [2.0] * 20)
    truth = torch.tensor([-0.5, 2.0]).repeat(50)
    out = Quantiles(2).fit(torch.stack([counts, truth], 1))(torch.stack([counts, truth], 1))
    zero, one, two = (out[counts == v, 0].unique() for v in (0, 1, 2))
    assert [len(each) for each in (zero, one, two)] == [1, 1, 1]
    assert zero < 0 < one < two
    assert zero.item() == pytest.approx(-0.8, abs=0.15)  # half of the rows have it: the mean of their normal scores
    assert torch.allclose(out[:, 1], truth, atol=1e-6)


def test_beyond_the_training_values_it_is_constant():
    x = drawn()
    layer = Quantiles(3).fit(x)
    ends = layer(torch.stack([x.amin(0), x.amax(0)]))
    assert torch.allclose(layer(torch.tensor([[-1e6] * 3, [1e6] * 3])), ends, atol=1e-6)
    assert layer(torch.full((1, 3), 1e6)).abs().max() < 3.2


def test_a_constant_column_stays():
    assert Quantiles(1).fit(torch.zeros(9, 1))(torch.zeros(2, 1)).tolist() == [[0.0], [0.0]]


def test_lanes_have_it_as_one_layer_and_train_as_alone():
    x = drawn(120)
    y = (x[:, 0] > 1).long()

    def lanes():
        made = []
        for seed in range(3):
            torch.manual_seed(seed)
            net = nn.Sequential(Quantiles(3).fit(x), mlp(2, width=8))
            net(x[:2])
            optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
            made.append(Lane(net, optimizer, nn.CrossEntropyLoss(), 30, 16, seed))
        return made

    part = Split(x, y, [])
    said = []
    together = engine.train(lanes(), part, part, mode="batched", say=said.append)
    assert said == ["3 lanes together"]
    for a, b in zip(engine.train(lanes(), part, part, mode="plain"), together, strict=True):
        assert all(torch.allclose(a.last[n], b.last[n], atol=1e-5) for n in a.last)
        assert torch.equal(b.last["0.knots"], a.last["0.knots"])
    net = lanes()[0].model
    from recipe.train import dropout

    dropout.keyed(net)
    assert layers.forward_of(net) is not None
