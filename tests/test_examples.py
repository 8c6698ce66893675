"""The examples run. That of own parts is run by tests/pipeline/test_plugin.py."""

import os
import re
import subprocess

import pytest
from clone import ROOT, warm


@pytest.mark.slow
def test_the_pytest_of_a_training_passes():
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [warm().shims / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "examples/pytest"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_the_sweep_runs_every_job_and_compares_them(clone):
    printed = clone.run("sh", "examples/sweep/run.sh", "seeds=1", "train.epochs=1").text
    rows = re.findall(r"^val_loss [\d.]+ \(95 % CI -?[\d.]+ to [\d.]+, 3 seeds\)  (.*)$", printed, re.MULTILINE)
    settings = {tuple(word for word in row.split() if not word.startswith("train.")) for row in rows}
    assert len(rows) == 4
    assert {words[0] for words in settings} == {"model=convnet", "model=mlp"}
