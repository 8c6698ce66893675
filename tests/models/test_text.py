"""Networks for texts: padding reaches no output, an empty text has one, lanes are as alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from recipe.data.batches import Split
from recipe.models.text import bag, linear, textcnn
from recipe.train import engine
from recipe.train.lane import Lane

MAKE = {
    "linear": linear,
    "bag": bag,
    "a deep bag": lambda k, v: bag(k, v, width=8, depth=2, dropout=0.2),
    "textcnn": lambda k, v: textcnn(k, v, width=8, dropout=0.2),
}
tokens = st.lists(st.integers(1, 19), max_size=9)


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(list(MAKE)), tokens, st.integers(0, 12))
def test_padding_reaches_no_output(name, numbers, more):
    torch.manual_seed(0)
    net = MAKE[name](3, 20).eval().double()
    alone, beside = (torch.tensor([numbers + [0] * n], dtype=torch.long) for n in (1, 1 + more))
    assert torch.allclose(net(alone), net(beside), atol=1e-12)
    assert net(alone).isfinite().all()


@pytest.mark.parametrize("name", MAKE)
def test_the_vector_of_padding_gets_no_gradient(name):
    net = MAKE[name](3, 20)
    x = torch.tensor([[5, 6, 0, 0], [0, 0, 0, 0]])
    (net(x) - 1).square().sum().backward()
    vectors = next(m for m in net.modules() if isinstance(m, nn.Embedding)).weight
    assert vectors.grad[0].abs().sum() == 0
    assert vectors.grad[5].abs().sum() > 0


def test_the_order_of_words_matters_to_filters_alone():
    x, turned = torch.tensor([[2, 3, 4, 5, 6, 7]]), torch.tensor([[7, 6, 5, 4, 3, 2]])
    for name, make in MAKE.items():
        net = make(3, 20).eval().double()
        assert torch.allclose(net(x), net(turned)) == (name != "textcnn")


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKE)
def test_lanes_of_texts_train_as_alone(name):
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 20, (90, 7), generator=generator)
    x[:, 4:] *= (torch.rand(90, 3, generator=generator) < 0.5).long()
    y = (x[:, 0] > 9).long()

    def lanes():
        made = []
        for seed in range(2):
            torch.manual_seed(seed)
            net = MAKE[name](2, 20).double()
            made.append(Lane(net, torch.optim.AdamW(net.parameters(), lr=1e-2), nn.CrossEntropyLoss(), 20, 16, seed))
        return made

    part, said = Split(x, y, []), []
    together = engine.train(lanes(), part, part, mode="batched", say=said.append)
    assert said == ["2 lanes together"]
    for a, b in zip(engine.train(lanes(), part, part, mode="plain"), together, strict=True):
        assert all(torch.allclose(a.last[n], b.last[n], atol=1e-9) for n in a.last)
