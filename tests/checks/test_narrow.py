"""Networks of a few units, as at the start of a ladder of capacity: off for some examples, and not broken."""

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from recipe import Setup, examine

NAME = "outputs_depend_on_inputs"


def set_up(model, seed: int = 0) -> Setup:
    x = torch.randn(300, 6, generator=torch.Generator().manual_seed(seed))
    data = TensorDataset(x, (x[:, 0] + x[:, 1] > 1).long())
    return Setup(
        model=model, loss=nn.CrossEntropyLoss(), train=data, val=data, seed=seed,
        optimizer=lambda net: torch.optim.Adam(net.parameters(), lr=1e-3),
    )  # fmt: skip


def narrow(width: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2)
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_four_units_are_enough_to_depend_on_the_inputs(seed):
    verdict = examine(set_up(lambda: narrow(4), seed), only=[NAME])[NAME]
    assert verdict.verdict == "pass", verdict


class Detached(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = narrow(32), nn.Linear(2, 2)

    def forward(self, x):
        return self.head(self.body(x).detach())


class DetachedForMost(Detached):
    """A mask that was meant to hide padding hides three quarters of the examples."""

    def forward(self, x):
        return self.head(self.body(x) * (torch.arange(len(x)) % 4 == 0)[:, None])


@pytest.mark.parametrize("model", [Detached, DetachedForMost])
def test_outputs_without_their_inputs_close_the_gate(model):
    assert examine(set_up(model), only=[NAME])[NAME].verdict == "fail"
