"""The verdicts of an examination in the forms of other programs: JSON, JUnit, GitHub, tests of pytest."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from recipe import cli
from recipe.checks.reports import as_annotations, as_json, as_junit
from recipe.verdict import Verdict

ROOT = Path(__file__).resolve().parents[2]
VERDICTS = [
    Verdict("pass", 0.5, "< 1", "holds", "It holds."),
    Verdict("fail", 2.0, "< 1", "closed", "It is small.", "a paper", hint="Look at 100 %, then: here."),
    Verdict("fail", 2.0, "< 1", "noted", "It is tidy.", gate=False),
    Verdict("error", "ValueError: \x1b[31mred <b>", "the check runs to its end", "crashed", "It runs."),
    Verdict("fail", 3.0, "< 1", "waived_one", "It is cheap.", waived="we know"),
    Verdict("skip", None, "no schedule", "left_out", "It lasts."),
    Verdict("undecided", 0.1, "< 1", "unsure", "It is better.", needed="200 more examples"),
]


def test_json_has_every_field_of_a_verdict():
    report = json.loads(as_json(VERDICTS, "my_training:setup"))
    assert report["setup"] == "my_training:setup"
    assert report["closed"] == ["closed", "crashed"]
    assert [Verdict(**{**v, "evidence": tuple(v["evidence"])}) for v in report["verdicts"]] == VERDICTS


def test_junit_has_a_test_per_check_and_only_closed_gates_fail():
    text = as_junit(VERDICTS, "my_training:setup", {"closed": 1.25})
    suite = ElementTree.fromstring(text)
    counts = {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped", "time")}
    assert counts == {"tests": "7", "failures": "1", "errors": "1", "skipped": "3", "time": "1.250"}
    of = {test.get("name"): [child.tag for child in test] for test in suite}
    assert of["holds"] == []
    assert of["closed"] == ["failure"]
    assert of["noted"] == ["system-out"]
    assert of["crashed"] == ["error"]
    assert of["waived_one"] == of["left_out"] == of["unsure"] == ["skipped"]
    assert "100 %" in suite.find(".//failure").text


def test_github_gets_an_error_per_closed_gate_at_the_place_of_the_setup():
    closed, noted, crashed = as_annotations(VERDICTS, "tests/a,b.py", 7)
    assert closed.startswith("::error file=tests/a%2Cb.py,line=7,title=closed::Does not hold: It is small. (measured 2")
    assert closed.endswith("%0ALook at 100 %25, then: here.")
    assert noted.startswith("::warning ")
    assert crashed.startswith("::error ")
    assert "\x1b" not in crashed


MODULE = """import torch
import recipe
from torch import nn
from torch.utils.data import TensorDataset
x = torch.randn(160, 4, generator=torch.Generator().manual_seed(0))
y = (x[:, 0] > 0).long()
def setup(*last):
    return recipe.Setup(model=lambda: nn.Sequential(nn.Linear(4, 2), *last), loss=nn.CrossEntropyLoss(),
                        train=TensorDataset(x[:120], y[:120]), val=TensorDataset(x[120:], y[120:]), batch_size=16,
                        optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=1e-2),
                        waive={"inputs_are_finite": "we know"})
broken = setup(nn.Softmax(1))
"""
TESTS = """
CHECKS = ("inputs_are_finite", "outputs_are_not_squashed", "learning_rate_lasts")
@recipe.training(only=CHECKS)
def test_healthy():
    return setup()
@recipe.training(only=CHECKS)
def test_broken():
    return broken
@recipe.training(only=CHECKS[:1])
def test_nothing():
    return 3
@recipe.training(only=CHECKS[:1], limits={"inputs_are_scaled": {"hihg": 3}})
def test_misspelt():
    return setup()
def test_of_their_own():
    pass
"""


def test_the_command_line_writes_reports(tmp_path, monkeypatch, capsys):
    (tmp_path / "reported_training.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    only = ["--only", "inputs_are_finite,outputs_are_not_squashed"]
    outputs = ["--json", "out.json", "--junit", "out.xml", "--github"]
    assert cli.main(["examine", "reported_training:broken", *only, *outputs]) == 1
    printed = capsys.readouterr().out
    assert "::error file=reported_training.py,line=12,title=outputs_are_not_squashed::" in printed
    assert json.loads(Path("out.json").read_text())["closed"] == ["outputs_are_not_squashed"]
    assert ElementTree.parse("out.xml").getroot().get("failures") == "1"
    assert cli.main(["examine", "reported_training:setup", *only, "--github"]) == 0
    assert "::error" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_training_is_a_test_per_check(tmp_path):
    (tmp_path / "test_my_training.py").write_text(MODULE + TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "recipe.pytest_plugin", "-p", "no:cacheprovider", "-v", "-rs"]
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
    out = " ".join(done.stdout.split())
    assert "3 failed, 4 passed, 2 skipped" in out, done.stdout + done.stderr
    assert "test_my_training.py::test_healthy::outputs_are_not_squashed PASSED" in out
    assert "test_my_training.py::test_broken::outputs_are_not_squashed FAILED" in out
    assert "Softmax or sigmoid is applied in the model and again in the loss" in out
    assert "test_nothing returned a int; it must return a recipe.Setup." in out
    assert "test_misspelt: inputs_are_scaled has no limit `hihg`; it has low, high." in out
    assert "there is no schedule" in out
    assert "test_of_their_own PASSED" in out
    few = [*command, "-k", "test_broken and finite"]
    chosen = subprocess.run(few, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert "1 passed, 8 deselected" in chosen.stdout
