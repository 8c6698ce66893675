"""Residual networks: torchvision's own function where it has one, and any size and number of channels."""

import pytest
import torch
import torchvision
from bugs.reference import colour, on_digits, split
from torch.nn import functional

from recipe import examine
from recipe.models.resnet import resnet9, resnet18
from recipe.train import dropout, layers


@pytest.mark.slow
def test_resnet18_for_large_images_is_torchvisions():
    theirs, ours = torchvision.models.resnet18(num_classes=7).eval(), resnet18(7, large=True).eval()
    x = torch.randn(2, 3, 96, 80)
    ours(x)
    pairs = zip(ours.state_dict(), theirs.state_dict().values(), strict=True)
    ours.load_state_dict({name: tensor for name, tensor in pairs})
    assert torch.allclose(ours(x), theirs(x), atol=1e-4)


@pytest.mark.parametrize("make", [resnet9, resnet18])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (4, 28, 41)])
def test_any_size_and_number_of_channels_enter(make, shape):
    net = make(5, width=2)
    assert net(torch.randn(2, *shape)).shape == (2, 5)
    dropout.keyed(net)
    assert layers.forward_of(net) is not None


def test_the_numbers_of_weights_are_those_that_are_published():
    """resnet9: With 10 classes, on CIFAR-10."""
    sizes = {}
    for make in (resnet9, resnet18):
        net = make(10)
        net(torch.zeros(1, 3, 32, 32))
        sizes[make.__name__] = sum(p.numel() for p in net.parameters())
    assert sizes == {"resnet9": 6_573_130, "resnet18": 11_173_962}


@pytest.mark.slow
@pytest.mark.parametrize("model", [lambda: resnet9(10, 16), lambda: resnet18(10, 8)], ids=["resnet9", "resnet18"])
def test_one_that_learns_a_batch_before_its_statistics_follow_closes_no_gate(model):
    """After twenty steps train mode has the right answers, and eval mode, with statistics of those steps, has not."""
    x, y = colour()
    setup = on_digits(0, model=model, **split(functional.interpolate(x, 16), y, 1000))
    assert examine(setup, only=("overfit_one_batch", "loss_at_init")).failed == []
