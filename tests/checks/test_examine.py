"""The public interface: examine, errors of Setup, the command line, waivers, limits."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from bugs.reference import Net, digits, on_diabetes, on_digits, on_echoes, on_tumours, per_token, split
from clone import warm
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset

from recipe import Declare, RecipeError, Setup, cli, examine
from recipe.checks import initialization, target_kinds
from recipe.checks.examine import CHECKS
from recipe.checks.free_outputs import minimum
from recipe.checks.measurements.best_loss import best_constant, best_outputs

ROOT = Path(__file__).resolve().parents[2]
FROZEN = "nothing_is_frozen_by_mistake"


def frozen_body():
    net = Net()
    net.body.requires_grad_(False)
    return net


# ---- the report ----------------------------------------------------------------------------------------------------


def test_a_check_that_crashes_is_an_error_and_the_others_still_run():
    def step_that_dies(model, optimizer, x, y, loss_fn):
        raise ValueError("no such step")

    report = examine(on_digits(0, train_step=step_that_dies), only=("overfit_one_batch", "loss_at_init"))
    assert report["overfit_one_batch"].verdict == "error"
    assert "no such step" in report["overfit_one_batch"].value
    assert report["loss_at_init"].verdict == "pass"
    assert report.failed == ["overfit_one_batch"]


def test_a_waived_gate_stays_visible_and_closes_nothing():
    report = examine(on_digits(0, model=frozen_body, waive={FROZEN: "fine-tuning"}), only=[FROZEN])
    assert report.failed == []
    assert report[FROZEN].verdict == "fail"
    assert "fine-tuning" in str(report)
    report.raise_if_failed()


def test_raise_if_failed_names_the_gate_and_where_to_look():
    report = examine(on_digits(0, model=frozen_body), only=[FROZEN])
    with pytest.raises(RecipeError, match="Left from fine-tuning") as raised:
        report.raise_if_failed()
    assert FROZEN in str(raised.value)


def test_only_and_skip_choose_and_keep_the_order():
    names = ["loss_is_a_mean", "inputs_are_finite", "loss_at_init"]
    report = examine(on_digits(0), only=names, skip=["loss_at_init"])
    assert [v.check for v in report.verdicts] == ["inputs_are_finite", "loss_is_a_mean"]
    with pytest.raises(RecipeError, match="no check called loss_at_int"):
        examine(on_digits(0), only=["loss_at_int"])


def test_progress_gets_each_verdict_in_order():
    verdicts = []
    report = examine(on_digits(0), only=["inputs_are_finite", "loss_at_init"], progress=verdicts.append)
    assert verdicts == report.verdicts


# ---- declared ------------------------------------------------------------------------------------------------------


def test_a_part_that_is_declared_frozen_must_not_move():
    report = examine(on_digits(0, declare=Declare(frozen=("body",))), only=["every_parameter_moves"])
    assert report["every_parameter_moves"].verdict == "fail"
    assert "declared frozen" in report["every_parameter_moves"].value


def test_declared_accumulation_must_happen():
    report = examine(on_digits(0, declare=Declare(accumulate=4)), only=["the_optimizer_steps"])
    assert report.failed == ["the_optimizer_steps"]


# ---- bad input -----------------------------------------------------------------------------------------------------


class Stream(IterableDataset):
    def __iter__(self):
        return iter([(torch.zeros(1, 8, 8), 0)])


WRONG = {
    "a model, not a factory": ({"model": Net()}, "model must make a new one at each call"),
    "an optimizer instead of a factory": (
        {"optimizer": torch.optim.Adam(Net().parameters())},
        "write optimizer=lambda model",
    ),
    "a loader of a stream": ({"train": DataLoader(Stream())}, "train must be a map-style data set"),
    "no validation examples": ({"val": []}, "val has 0 examples"),
    "an unknown task": ({"task": "clasification"}, "task is 'clasification', it must be one of .*classification"),
    "a batch of half an example": ({"batch_size": 0.5}, "batch_size is 0.5, it must be a whole number from 1"),
    "an unknown waiver": ({"waive": {"loss_at_int": "why"}}, "no check called loss_at_int"),
    "a waiver without a reason": ({"waive": {FROZEN: ""}}, "waived without a reason"),
    "not a model": ({"model": lambda: 3}, r"model\(\) gave a int"),
    "a model for other inputs": ({"model": lambda: nn.Linear(3, 10)}, "the model cannot take inputs"),
    "a loss for other targets": ({"loss": nn.BCEWithLogitsLoss()}, "the loss cannot take outputs"),
    "a loss per example": ({"loss": nn.CrossEntropyLoss(reduction="none")}, r"the loss gives \(2,\), it must give one"),
    "text": ({"train": [("a", 0), ("b", 1)]}, "inputs are a tuple|inputs are a list"),
    "inputs of differing sizes": (
        {"train": [(torch.zeros(1, 8, 8), 0), (torch.zeros(1, 9, 8), 1)]},
        "its examples make no batch",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_part_that_cannot_be_used_is_refused_by_name(mistake):
    changes, words = WRONG[mistake]
    with pytest.raises(RecipeError, match=words):
        examine(on_digits(0, **changes), only=["inputs_are_finite"])


# ---- the task ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setup", "task"),
    [(on_digits, "classification"), (on_tumours, "binary"), (on_diabetes, "regression"), (on_echoes, "sequence")],
)
def test_the_task_is_inferred_from_targets_and_loss(setup, task):
    assert setup(0).kind == task


def test_zeros_and_ones_are_numbers_to_a_squared_error():
    y = torch.tensor([0.0, 1.0, 1.0, 0.0])
    assert target_kinds.infer(torch.Size((2,)), y, nn.MSELoss()) == "regression"
    assert target_kinds.infer(torch.Size((2,)), y, nn.BCELoss()) == "binary"


# ---- what follows from the loss ------------------------------------------------------------------------------------


def test_the_initial_loss_of_a_zero_head_is_log_c():
    def zero_head():
        net = Net()
        nn.init.zeros_(net.head.weight)
        nn.init.zeros_(net.head.bias)
        return net

    assert initialization.loss_at_init(on_digits(0, model=zero_head)).value == pytest.approx(2.302585, abs=1e-5)


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(st.floats(0.02, 0.4))
def test_the_lowest_loss_with_label_smoothing_is_the_entropy_of_the_smoothed_label(smoothing):
    setup = on_digits(0, loss=nn.CrossEntropyLoss(label_smoothing=smoothing))
    p = torch.full((10,), smoothing / 10)
    p[0] += 1 - smoothing
    assert best_outputs(setup).loss == pytest.approx(-(p * p.log()).sum().item(), abs=0.01)


def test_the_best_constant_answer_has_the_entropy_of_the_labels_or_the_variance():
    setup = on_digits(0)
    shares = torch.bincount(setup.sample[1]) / len(setup.sample[1])
    assert best_constant(setup).loss == pytest.approx(-(shares * shares.log()).sum().item(), abs=1e-3)
    setup = on_diabetes(0)
    assert best_constant(setup).loss == pytest.approx(setup.sample[1].var(unbiased=False).item(), rel=1e-3)


def test_the_minimum_of_a_softmax_that_is_applied_twice():
    setup = on_digits(0)
    lowest = minimum(setup.loss, digits()[1][:32], setup.output_shape, seed=0, through=lambda z: z.softmax(-1))
    assert lowest.loss == pytest.approx(
        torch.tensor(9 + torch.e).log().item() - 1, abs=0.02
    )  # 1.46, known in closed form


# ---- limits --------------------------------------------------------------------------------------------------------


def test_the_limits_in_conf_are_those_of_the_code():
    in_conf = yaml.safe_load((ROOT / "conf/limits/examination.yaml").read_text())
    in_code = {}
    for name, check in CHECKS.items():
        limits = {p.name: p.default for p in inspect.signature(check).parameters.values() if p.default is not p.empty}
        in_code |= {name: limits} if limits else {}
    assert in_conf == in_code


def test_a_limit_moves_the_bound():
    strict = examine(on_digits(0), only=["loss_at_init"], limits={"loss_at_init": {"excess": -0.5, "share": -0.5}})
    assert strict.failed == ["loss_at_init"]


# ---- other machines ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_library_needs_only_torch_and_numpy():
    code = (
        "import sys; from recipe import Declare, Setup, examine; import recipe.checks.examine as e; "
        "heavy = {'hydra', 'omegaconf', 'dvc', 'mlflow', 'optuna', 'pandas', 'scipy', 'sklearn', 'PIL', 'yaml'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("setup", [on_digits, on_tumours, on_diabetes, on_echoes])
def test_on_cuda_a_healthy_training_closes_no_gate(setup):
    plain = setup(0)
    report = examine(setup(0, model=lambda: plain.model().cuda()))
    assert report.failed == [], str(report)


@pytest.mark.slow
def test_in_bfloat16_a_healthy_training_closes_no_gate():
    x, y = digits()
    report = examine(
        on_digits(0, model=lambda: Net(dropout=0.0).bfloat16(), **split(x.bfloat16(), y, 1000)),
    )
    assert report.failed == [], str(report)


# ---- the command line ----------------------------------------------------------------------------------------------

MODULE = """
import torch
from recipe import Setup
from torch import nn
from torch.utils.data import TensorDataset
x = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
y = (x[:, 0] + x[:, 1] > 0).long()
def setup(last=()):
    return Setup(model=lambda: nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2), *last),
                 loss=nn.CrossEntropyLoss(),
                 train=TensorDataset(x[:120], y[:120]), val=TensorDataset(x[120:], y[120:]), batch_size=16,
                 optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=1e-2))
broken = setup([nn.Softmax(1)])
number = 3
def fails(): raise ValueError("no data here")
"""


@pytest.mark.slow
def test_the_command_line_examines_a_users_module(tmp_path):
    (tmp_path / "my_training.py").write_text(MODULE)
    command = [warm().shims / "python", "-m", "recipe.cli", "examine", "my_training:setup"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 gate(s) closed" in result.stdout
    assert all(name in result.stdout for name in CHECKS)


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    """The folder of a user's module, as the working folder of this process."""
    (tmp_path / "my_training.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.delitem(sys.modules, "my_training", raising=False)  # that of another folder


def test_the_command_line_names_the_gate_and_where_to_look(in_folder, capsys):
    code = cli.main(["examine", "my_training:broken", "--only", "outputs_are_not_squashed,loss_at_init"])
    printed = capsys.readouterr().out
    assert code == 1
    assert "FAIL" in printed
    assert "Softmax or sigmoid is applied in the model" in " ".join(printed.split())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["my_training"], "write MODULE:NAME"),
        (["nothing:setup"], "no module called nothing"),
        (["my_training:set_up"], "my_training has no `set_up`; it has .*setup"),
        (["my_training:number"], "is a int, it must be a recipe.Setup"),
        (["my_training:fails"], r"fails\(\) fails: ValueError: no data here"),
        (["my_training:setup", "--only", "loss_at_int"], "no check called loss_at_int"),
    ],
)
def test_the_command_line_refuses_in_one_line(in_folder, capsys, words, expected):
    assert cli.main(["examine", *words]) == 2
    message = capsys.readouterr().err
    assert re.search(expected, message), message
    assert len(message.splitlines()) == 1


@pytest.mark.slow
def test_a_user_defined_loss_and_a_token_loss_need_no_special_case():
    def cross_entropy(z, y):
        return (z.logsumexp(1) - z.gather(1, y[:, None]).squeeze(1)).mean()

    assert examine(on_digits(0, loss=cross_entropy), only=["loss_at_init", "loss_is_a_mean"]).failed == []
    assert examine(on_echoes(0, loss=per_token), only=["loss_at_init", "loss_is_a_mean"]).failed == []
    assert isinstance(on_digits(0, loss=F.cross_entropy), Setup)
