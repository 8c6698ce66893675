"""The final bias starts at the best constant answer, where that saves loss."""

import dataclasses

import pytest
import torch
from made_data import DATA
from torch import nn

from recipe.data.batches import Split
from recipe.experiment.final_bias import set_final_bias
from recipe.metrics.classification import ACCURACY
from recipe.tasks.classification import Classification
from recipe.tasks.multilabel import Multilabel

X = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
RARE = (torch.arange(200) % 20 == 0).long()


def of(task, y):
    split = Split(X, y, [str(i) for i in range(len(X))])
    return dataclasses.replace(DATA, train=split, val=split, task=task, metric=ACCURACY)


def net(width: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, width))


@pytest.mark.parametrize(
    ("task", "y"),
    [
        (Classification(("all", "rare")), RARE),
        (Multilabel(("rare", "most")), torch.stack([RARE, 1 - RARE], 1).float()),
    ],
    ids=["classes", "labels"],
)
def test_uneven_targets_start_at_their_shares(task, y):
    model, data = net(2), of(task, y)
    before = model(X)
    set_final_bias(model, data)
    assert (model(X) - before).detach().numpy() == pytest.approx(task.constant(y).expand(200, -1).numpy(), abs=1e-5)
    assert task.output_losses(model(X), y).mean() < 0.6 * task.output_losses(before, y).mean()
    assert model.training


def test_even_classes_leave_every_bit():
    model = net(2)
    before = {name: p.clone() for name, p in model.state_dict().items()}
    set_final_bias(model, of(Classification(("a", "b")), torch.arange(200) % 2))
    assert all(p.equal(before[name]) for name, p in model.state_dict().items())


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(5, 2), nn.Softmax(1)),  # an operation behind the last layer
        nn.Sequential(nn.Linear(5, 2, bias=False)),
        nn.Sequential(nn.Linear(5, 2), nn.BatchNorm1d(2)),
    ],
)
def test_a_network_whose_last_layer_is_not_its_end_is_left_alone(model):
    before = {name: p.clone() for name, p in model.state_dict().items()}
    set_final_bias(model, of(Classification(("all", "rare")), RARE))
    for name, p in model.state_dict().items():
        assert p.float().detach().numpy() == pytest.approx(before[name].float().detach().numpy(), abs=1e-6)
