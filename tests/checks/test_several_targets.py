"""Several quantities or labels for each example: the gates that look at targets see every column of them."""

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from recipe import Setup, examine

OF_TARGETS = [
    "batches_are_mixed", "label_shares_agree", "targets_are_not_in_the_inputs", "labels_fit_inputs",
]  # fmt: skip


def drawn(kind: str, n: int = 900) -> tuple[torch.Tensor, torch.Tensor]:
    """Three targets that follow from six inputs, with noise."""
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(n, 6, generator=chance)
    z = torch.stack([2 * x[:, 0], x[:, 1] - x[:, 2], 3 * x[:, 3] - 2], 1)
    if kind == "quantities":
        return x, z + 0.3 * torch.randn(n, 3, generator=chance)
    return x, (torch.rand(n, 3, generator=chance) < (2 * z).sigmoid()).float()


def set_up(kind: str, x: torch.Tensor, y: torch.Tensor, **more) -> Setup:
    return Setup(
        model=lambda: nn.Sequential(nn.Linear(x.shape[1], 32), nn.ReLU(), nn.Linear(32, y.shape[1])),
        loss=nn.MSELoss() if kind == "quantities" else nn.BCEWithLogitsLoss(),
        train=TensorDataset(x[:600], y[:600]), val=TensorDataset(x[600:], y[600:]),
        optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=3e-3),
        batch_size=32, **more,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["quantities", "labels"])
@pytest.mark.parametrize("columns", [1, 3])
def test_a_healthy_training_closes_no_gate(kind, columns):
    x, y = drawn(kind)
    report = examine(set_up(kind, x, y[:, :columns]))
    assert report.failed == [], str(report)
    assert {report[name].verdict for name in OF_TARGETS} == {"pass"}


def sorted_by_the_last(x, y):
    order = torch.cat([y[:600, -1].argsort(), torch.arange(600, len(y))])
    return x[order], y[order]


def with_the_last_among_the_inputs(x, y):
    return torch.cat([x, y[:, -1:]], 1), y


def off_by_a_row(x, y):
    return x, y.roll(1, 0)


def with_another_last_in_val(x, y):
    moved = y.clone()
    moved[600:, -1] = moved[600:, -1] + 3 if len(y.unique()) > 2 else 1
    return x, moved


@pytest.mark.parametrize("kind", ["quantities", "labels"])
@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize(
    ("bug", "gate", "more"),
    [
        (sorted_by_the_last, "batches_are_mixed", {"shuffle": False}),
        (with_the_last_among_the_inputs, "targets_are_not_in_the_inputs", {}),
        (off_by_a_row, "labels_fit_inputs", {}),
        (with_another_last_in_val, "label_shares_agree", {}),
    ],
    ids=lambda of: getattr(of, "__name__", ""),
)
def test_a_bug_in_one_column_is_noticed(kind, columns, bug, gate, more):
    x, y = drawn(kind)
    setup = set_up(kind, *bug(x, y[:, :columns]), **more)
    assert examine(setup, only=[gate])[gate].verdict == "fail"


def test_the_order_of_columns_changes_no_verdict():
    x, y = drawn("labels")
    first, second = (examine(set_up("labels", x, y[:, order]), only=OF_TARGETS) for order in ([0, 1, 2], [2, 0, 1]))
    assert [v.verdict for v in first.verdicts] == [v.verdict for v in second.verdicts]
    assert first["label_shares_agree"].value == second["label_shares_agree"].value
