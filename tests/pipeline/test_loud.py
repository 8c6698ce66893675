"""Planted bugs close the right gate, loudly; a waiver opens it and stays in sight."""

import json
import re

import pytest
from clone import Clone, fresh

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("planted bugs")]  # one table for all

BUGS = '''
import torch
from torch import nn
from torch.nn import functional as F

from recipe.sources.digits import Digits


def softmax_first(num_classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes), nn.Softmax(1))


class Mixes(nn.Module):
    """view where a transpose was meant: rows of the result hold pieces of several examples."""

    def __init__(self, num_classes):
        super().__init__()
        self.head = nn.LazyLinear(num_classes)

    def forward(self, x):
        x = x.flatten(1)
        return self.head(x.t().contiguous().view(x.shape))


def frozen(num_classes):
    body = nn.Sequential(nn.Flatten(), nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, num_classes))
    body[1].requires_grad_(False)
    return body


def shifted(outputs, targets):
    return F.cross_entropy(outputs, (targets + 1) % outputs.shape[1])


def blind_step(model, optimizer, inputs, targets, loss):
    optimizer.zero_grad()
    value = loss(model(inputs * 0), targets)
    value.backward()
    optimizer.step()
    return value.detach()


class FromOne(Digits):
    """Labels 1 to 10."""

    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return image, label + 1

'''


@pytest.fixture(scope="module")
def split(tmp_path_factory) -> Clone:
    """A clone with a small table, run up to its splits, and the bugs in src/own/, each an option of its group."""
    clone = fresh(tmp_path_factory.mktemp("loud") / "clone")
    clone.write("src/own/bugs.py", BUGS)
    for group, name in OPTIONS:
        partial = "_partial_: true\n" if group in ("loss", "step") else ""
        clone.write(f"conf/{group}/{name}.yaml", f"_target_: own.bugs.{name}\n{partial}")
    clone.choose_table()
    clone.choose(model="mlp")
    clone.repro("split")
    return clone


@pytest.fixture
def planted(split, tmp_path) -> Clone:
    return split.copy(tmp_path / "planted")


OPTIONS = [
    ("model", "softmax_first"),
    ("model", "Mixes"),
    ("model", "frozen"),
    ("loss", "shifted"),
    ("step", "blind_step"),
    ("data", "FromOne"),
]


def closed(clone, said, stage: str, gate: str, report: dict) -> None:
    """The gate is closed, and terminal, report.json and MLflow say so with measured value, bound and hint."""
    verdict = next(c for c in report["checks"] if c["check"] == gate)
    assert (verdict["verdict"], verdict["gate"]) == ("fail", True)
    shown = f"{verdict['value']:.4g}" if isinstance(verdict["value"], float) else str(verdict["value"])
    terminal = " ".join(said.text.split())
    for words in (gate, verdict["claim"], f"measured {shown}, required {verdict['bound']}", verdict["hint"]):
        assert words in terminal
    assert "Traceback" not in said.text
    run = next(r for r in clone.stage_runs(stage) if r.data.tags.get(f"gate.{gate}") == "fail")
    assert run.info.status == "FAILED"
    assert "report.json" in {f.path for f in clone.mlflow().list_artifacts(run.info.run_id)}


def stopped(clone, said, stage: str, gate: str) -> None:
    """`dvc repro` ended there, and the report page shows the gate and what has not run."""
    assert said.code != 0
    assert f"pipeline/{stage}.py -cp ../resolved -cn {stage}, exited with 1" in said.text
    assert said.stages[-1] == stage, "a stage ran behind a closed gate"
    closed(clone, said, stage, gate, clone.report(stage))
    page = clone.read("runs/report.html").decode()
    assert gate in page
    assert "not run" in page.lower()


def test_repro_stops_at_labels_that_start_at_one(planted):
    planted.choose(data="FromOne")
    stopped(planted, planted.repro(code=None), "prepare", "every_label_is_known")


def test_repro_stops_at_frozen_parameters_until_they_are_waived(planted):
    planted.choose(model="frozen")
    stopped(planted, planted.repro(code=None), "baseline", "nothing_is_frozen_by_mistake")
    assert "baseline" in json.loads(planted.dvc("status", "--json").text), "a closed gate must not count as run"

    reason = "the body is pretrained, and meant to stand still"
    planted.choose(baseline={"waive": {"nothing_is_frozen_by_mistake": reason}})
    said = planted.repro("baseline")
    assert re.search(r"waived +gate +nothing_is_frozen_by_mistake", said.text)
    assert reason in said.text
    verdict = planted.verdict("baseline", "nothing_is_frozen_by_mistake")
    assert (verdict["verdict"], verdict["waived"]) == ("fail", reason)
    run = planted.last_run("baseline")
    assert run.info.status == "FINISHED"
    assert run.data.tags["gate.nothing_is_frozen_by_mistake"] == "waived"
    folder = planted.by_hand("report", code=None).folder
    assert reason in planted.read(f"{folder}/report.html").decode()


BY_HAND = {
    "model=softmax_first": "outputs_are_not_squashed",
    "model=Mixes": "batch_is_independent",
    "loss=shifted": "loss_wants_the_targets",
    "step=blind_step": "inputs_are_not_constant",
}


def test_bugs_close_their_gates_in_a_stage_by_hand_too(planted):
    said = planted.by_hand_each("baseline", *BY_HAND)
    for (bug, gate), words in zip(BY_HAND.items(), said, strict=True):
        assert words.code == 1, bug
        closed(planted, words, "baseline", gate, json.loads(planted.read(f"{words.folder}/report.json")))


def test_a_closed_gate_stops_a_later_stage_that_is_started_by_hand(clone):
    """The gate is in the evidence, not only in DVC's order."""
    clone.edit("runs/baseline/report.json", '"verdict": "pass"', '"verdict": "fail"')
    said = clone.by_hand("overfit", code=1)
    assert "of the baseline stage is closed" in said.text
    assert "Traceback" not in said.text
