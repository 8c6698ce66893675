"""Inside the pick: first-layer weights that are noise, units that are dead, tanhs that are saturated."""

import pytest
import torch
from healthy import digits
from torch import nn
from torch.nn import functional as F

from recipe.checks.measurements.adjacent_pixels import morans_i
from recipe.models.plain import Resize, convnet, linear, mlp
from recipe.stages.regularize import checks as claims
from recipe.stages.regularize.diagnostics import activations, first_layer, structure

X, Y = digits()


def trained(model: nn.Module, x=X, steps: int = 300, lr: float = 1e-3) -> nn.Module:
    model(x[:2])
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    order = torch.randint(1000, (steps, 32), generator=torch.Generator().manual_seed(0))
    for index in order:
        optimizer.zero_grad()
        F.cross_entropy(model(x[index]), Y[index]).backward()
        optimizer.step()
    return model.eval()


def subject(structure=None, activations=()):
    return claims.Regularized(None, {}, structure, list(activations))


def filters(model, x=X):
    name, shape = first_layer(model, x[:1])
    return dict(model.named_parameters())[name].detach().view(shape)


# ---- the first layer -----------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_a_trained_first_layer_differs_from_one_that_was_only_initialised():
    drawn, learned = mlp(10), trained(mlp(10))
    drawn(X[:1])
    assert claims.first_layer_is_not_noise(subject(structure(filters(drawn)))).verdict == "fail"
    assert claims.first_layer_is_not_noise(subject(structure(filters(learned)))).verdict == "pass"


@pytest.mark.slow
def test_convolutions_over_several_seeds_differ_from_noise_too():
    drawn, learned = [], []
    for _ in range(5):
        model = convnet(10, width=32)
        model(X[:1])
        drawn.append(filters(model).clone())
        learned.append(filters(trained(model, steps=400)))
    assert claims.first_layer_is_not_noise(subject(structure(torch.cat(drawn)))).verdict == "fail"
    assert claims.first_layer_is_not_noise(subject(structure(torch.cat(learned)))).verdict == "pass"


def test_pixels_in_no_order_give_a_first_layer_without_structure():
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    scrambled = X.flatten(1)[:, order].view_as(X)
    assert structure(filters(trained(mlp(10), scrambled), scrambled)) < structure(filters(trained(mlp(10)))) / 3


def test_noise_is_near_zero_and_a_smooth_filter_near_one():
    noise = torch.randn(50, 1, 9, 9, generator=torch.Generator().manual_seed(1))
    assert abs(morans_i(noise)) < 0.06
    assert abs(structure(noise)) < 3
    slope = torch.linspace(-1, 1, 33)[None, None, :, None].expand(4, 1, 33, 33)
    assert morans_i(slope) > 0.9


def test_the_first_layer_is_found_behind_a_smaller_input_and_not_in_a_table():
    model = nn.Sequential(Resize(6), linear(10))
    model(X[:1])
    assert first_layer(model, X[:1]) == ("1.1.weight", (10, 1, 6, 6))
    table = mlp(10)
    table(X.flatten(1)[:2])
    assert first_layer(table, X.flatten(1)[:1]) is None
    assert claims.first_layer_is_not_noise(subject()).verdict == "skip"


# ---- activations ---------------------------------------------------------------------------------------------


def killed(model: nn.Module, layer: int, units: int) -> nn.Module:
    with torch.no_grad():
        model[layer].bias[:units] = -1e3
    return model


def test_planted_dead_units_are_counted():
    model = killed(nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 10)), 1, 9)
    (relu,) = activations(model, X[:300], chunk=70)
    assert relu.units == 20
    assert relu.dead == pytest.approx(9 / 20)
    assert claims.units_stay_alive(subject(activations=[relu])).verdict == "fail"


def test_a_dead_channel_is_one_that_is_dead_in_all_places():
    model = convnet(10, width=8)
    model(X[:1])
    first, second = activations(killed(model, 0, 2).eval(), X[:200])
    assert first.dead == pytest.approx(2 / 8)
    assert (first.units, second.units) == (8, 16)


@pytest.mark.parametrize("act", [nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid])
def test_a_healthy_training_has_living_units(act):
    model = trained(nn.Sequential(nn.Flatten(), nn.Linear(64, 32), act(), nn.Linear(32, 10)))
    layers = activations(model, X[1000:])
    assert len(layers) == 1
    assert claims.units_stay_alive(subject(activations=layers)).verdict == "pass"
    assert claims.activations_are_not_saturated(subject(activations=layers)).verdict in ("pass", "skip")


@pytest.mark.parametrize("act", [nn.Tanh, nn.Sigmoid])
def test_a_saturated_layer_is_seen(act):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), act(), nn.Linear(32, 10))
    with torch.no_grad():
        model[1].weight *= 100
        model[1].bias[:4] = 1e4
    (layer,) = activations(model, X[:300])
    assert layer.saturated > 0.8
    assert layer.dead == pytest.approx(4 / 32)
    assert claims.activations_are_not_saturated(subject(activations=[layer])).verdict == "fail"


def test_functional_activations_are_seen_and_numbers_do_not_depend_on_the_chunk():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(64, 12), nn.Linear(12, 10)

        def forward(self, x):
            return self.b(torch.tanh(F.relu(self.a(x.flatten(1)))))

    net = Net()
    whole, parts = activations(net, X[:300]), activations(net, X[:300], chunk=37)
    assert [a.name for a in whole] == ["1. relu", "2. tanh"]
    for one, other in zip(whole, parts, strict=True):
        assert one.counts == other.counts
        assert (one.dead, one.saturated) == (other.dead, other.saturated)
        assert one.mean == pytest.approx(other.mean)
    assert sum(whole[0].counts) == 300 * 12


def test_a_net_without_activations_is_skipped():
    net = linear(10)
    net(X[:1])
    assert activations(net, X[:10]) == []
    assert claims.units_stay_alive(subject()).verdict == "skip"
    assert claims.activations_are_not_saturated(subject()).verdict == "skip"
