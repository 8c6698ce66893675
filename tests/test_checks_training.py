"""Every check of a training: healthy passes, and the one thing that it must notice closes it."""

import copy

import pytest
import torch
from healthy import Net, digits, healthy
from torch import nn
from torch.utils.data import TensorDataset

from recipe.checks import door, evaluation, learning, loss, repeat, start, step
from recipe.checks.setup import Declare
from recipe.examine import CHECKS, examine
from recipe.train.loop import train_step

X, Y = digits()


def data(x=None, y=None) -> TensorDataset:
    return TensorDataset(X[:700] if x is None else x, Y[:700] if y is None else y)


class Wrapped(nn.Module):
    """A healthy net with something done to what goes in or comes out."""

    def __init__(self, before=lambda x: x, after=lambda z: z):
        super().__init__()
        self.net, self.before, self.after = Net(), before, after

    def forward(self, x):
        return self.after(self.net(self.before(x)))


def frozen_body():
    net = Net()
    net.body.requires_grad_(False)
    return net


def dead_head():
    net = Net()
    net.body[1].bias.data.fill_(-100.0)
    return net


def loud_head():
    net = Net()
    net.head[2].weight.data.mul_(100)
    return net


def scheduled_before_head(model):
    """The optimizer is built, then the head is replaced."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.head[2] = nn.Linear(256, 10)
    return optimizer


def no_step(model, optimizer, x, y, loss_fn):
    value = loss_fn(model(x), y)
    value.backward()
    optimizer.zero_grad()
    optimizer.step()
    return value.detach()


def forgets_eval(model, loader):
    right = [(model(x).argmax(1) == y).float().sum().item() for x, y in loader]
    return sum(right) / 301


def mean_of_means(model, loader):
    model.eval()
    with torch.no_grad():
        scores = [(model(x).argmax(1) == y).float().mean().item() for x, y in loader]
    model.train()
    return sum(scores) / len(scores)


def first_batches(model, loader):
    return evaluation.accuracy(model, [batch for batch, _ in zip(loader, range(3), strict=False)])


def unseeded():
    with torch.random.fork_rng():
        torch.seed()
        return Net()


def one_seed():
    torch.manual_seed(7)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def shuffled(t):
    return t[torch.randperm(len(t), generator=torch.Generator().manual_seed(1))]


SABOTAGE = {
    "NaN in an input": (
        door.inputs_are_finite,
        {"train": data(x=X[:700].clone().index_fill_(0, torch.tensor([5]), torch.nan))},
    ),
    "pixels never scaled": (door.inputs_are_scaled, {"train": data(x=X[:700] * 120)}),
    "divided by 255 twice": (door.inputs_are_scaled, {"train": data(x=X[:700] / 255)}),
    "zeroed inputs": (door.inputs_are_not_constant, {"train": data(x=torch.zeros(700, 1, 8, 8))}),
    "labels from 1": (door.labels_are_in_range, {"train": data(y=Y[:700] + 1), "classes": 10}),
    "a class too many": (door.labels_are_in_range, {"classes": 11}),
    "labels shuffled": (door.labels_fit_inputs, {"train": data(y=shuffled(Y[:700]))}),
    "NLL on logits": (loss.loss_is_bounded, {"loss": nn.NLLLoss()}),
    "sign of the loss": (loss.loss_is_bounded, {"loss": lambda z, y: -nn.functional.cross_entropy(z, y)}),
    "targets shifted": (
        loss.loss_wants_the_labels,
        {"loss": lambda z, y: nn.functional.cross_entropy(z, (y + 1) % 10)},
    ),
    "softmax in the model": (loss.outputs_are_not_squashed, {"model": lambda: Wrapped(after=lambda z: z.softmax(1))}),
    "sigmoid in the model": (loss.outputs_are_not_squashed, {"model": lambda: Wrapped(after=torch.sigmoid)}),
    "head too loud": (start.loss_at_init, {"model": loud_head}),
    "already trained": (start.loss_at_init, {"model": lambda: copy.deepcopy(TRAINED)}),
    "batch mixed by view": (
        start.batch_is_independent,
        {"model": lambda: Wrapped(before=lambda x: x.permute(1, 2, 3, 0).reshape(x.shape))},
    ),
    "softmax over the batch": (
        start.batch_is_independent,
        {"model": lambda: Wrapped(after=lambda z: z.log_softmax(0))},
    ),
    "detached input": (start.outputs_depend_on_inputs, {"model": lambda: Wrapped(before=lambda x: x.detach())}),
    "dead units": (start.outputs_depend_on_inputs, {"model": dead_head}),
    "head replaced later": (step.optimizer_holds_the_model, {"optimizer": scheduled_before_head}),
    "frozen by mistake": (step.every_parameter_moves, {"model": frozen_body}),
    "declared frozen, yet moves": (step.every_parameter_moves, {"declare": Declare(frozen=("body",))}),
    "zero_grad before step": (step.every_parameter_moves, {"train_step": no_step}),
    "break in evaluate": (evaluation.everything_is_counted, {"evaluate": first_batches}),
    "mean of batch means": (evaluation.evaluation_ignores_batches, {"evaluate": mean_of_means}),
    "eval forgotten": (evaluation.evaluation_leaves_the_model_alone, {"evaluate": forgets_eval}),
    "unseeded weights": (repeat.same_seed_same_bits, {"model": unseeded}),
    "seed fixed inside": (
        repeat.other_seed_other_bits,
        {"model": one_seed, "train": data(x=X[:1].repeat(20, 1, 1, 1), y=Y[:1].repeat(20)), "classes": 10},
    ),
    "learning rate / 1000": (
        learning.overfit_one_batch,
        {"optimizer": lambda m: torch.optim.AdamW(m.parameters(), lr=1e-6)},
    ),
    "double softmax": (learning.overfit_one_batch, {"model": lambda: Wrapped(after=lambda z: z.softmax(1))}),
    "blind": (learning.beats_a_blind_model, {"model": lambda: Wrapped(before=torch.zeros_like)}),
    "val prepared otherwise": (learning.beats_a_blind_model, {"val": TensorDataset(-3 * X[1000:1301], Y[1000:1301])}),
    "learning rate / 10000": (
        learning.training_loss_falls,
        {"optimizer": lambda m: torch.optim.AdamW(m.parameters(), lr=1e-7)},
    ),
}
TRAINED = healthy().trained(150)[0]


@pytest.mark.parametrize("bug", SABOTAGE)
def test_a_check_notices_its_bug(bug):
    check, changes = SABOTAGE[bug]
    verdict = check(healthy(**changes))
    assert verdict.verdict == "fail", verdict


def test_every_check_has_a_bug_that_it_notices():
    assert {check.__name__ for check, _ in SABOTAGE.values()} == set(CHECKS)


FEW = (Y[:700] > 4) | (torch.arange(700) % 8 == 0)  # an eighth of the digits 0 to 4


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def zero_head():
    net = Net()
    nn.init.zeros_(net.head[2].weight)
    return net


HEALTHY = {
    "reference": {},
    "another seed": {"seed": 1},
    "label smoothing": {"loss": nn.CrossEntropyLoss(label_smoothing=0.1)},
    "SGD with momentum": {"optimizer": sgd},
    "zero-initialised head": {"model": zero_head},
    "batch of 4": {"batch_size": 4},
    "layer norm, GELU": {
        "model": lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(64, 64), nn.LayerNorm(64), nn.GELU(), nn.Linear(64, 10, bias=False)
        )
    },
    "frozen body, declared": {"model": frozen_body, "declare": Declare(frozen=("body",))},
    "gradient accumulation of one": {"train_step": train_step},
    "imbalanced": {"train": data(x=X[:700][FEW], y=Y[:700][FEW])},
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_training_closes_no_gate(name):
    report = examine(healthy(**HEALTHY[name]))
    assert report.failed == [], str(report)


def test_a_check_that_crashes_is_an_error_and_the_others_still_run():
    def step_that_dies(model, optimizer, x, y, loss_fn):
        raise ValueError("no such step")

    report = examine(healthy(train_step=step_that_dies))
    assert report["overfit_one_batch"].verdict == "error"
    assert "no such step" in report["overfit_one_batch"].value
    assert report["loss_at_init"].verdict == "pass"
    assert "overfit_one_batch" in report.failed


def test_a_waived_gate_stays_visible_and_closes_nothing():
    report = examine(healthy(model=frozen_body, waive={"every_parameter_moves": "fine-tuning"}))
    assert report.failed == []
    assert report["every_parameter_moves"].verdict == "fail"
    assert "fine-tuning" in str(report)
    report.raise_if_failed()


def test_raise_if_failed_names_the_gate():
    from recipe.errors import RecipeError

    with pytest.raises(RecipeError, match="every_parameter_moves"):
        examine(healthy(model=frozen_body)).raise_if_failed()


def test_the_initial_loss_of_a_zero_head_is_log_c():
    verdict = start.loss_at_init(healthy(model=zero_head))
    assert verdict.value == pytest.approx(2.302585, abs=0.01)
