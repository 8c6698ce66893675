"""Hydra's Optuna sweeper, in an environment of its own: its stable release asks for an old Optuna."""

import re
import subprocess
import sys
import sysconfig

import pytest

SWEEPER = "hydra-optuna-sweeper==1.3.0"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> str:
    """An interpreter that sees this environment's packages, and the sweeper, installed as the README says."""
    folder = tmp_path_factory.mktemp("sweeper")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    mine = next(folder.glob("lib/python*/site-packages"))
    (mine / "beside.pth").write_text(sysconfig.get_paths()["purelib"])
    pip = [folder / "bin/python", "-m", "pip", "install", "-q", "--no-deps", SWEEPER]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"pip install {SWEEPER}: {done.stderr.strip().splitlines()[-1]}; a package registry is needed")
    return str(folder / "bin/python")


def test_hydras_optuna_sweeper_minimises_the_validation_loss_of_a_stage(clone, python):
    words = ["hydra/sweeper=optuna", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_jobs=1", "seeds=1", "model=linear"]
    words += ["optimizer.lr=choice(0.003,1e9)", "train.steps=40"]
    said = clone.run(python, "pipeline/baseline.py", "-m", *words, code=1)
    assert "baseline: 1 of 2 jobs failed" in said.text  # its gates closed, so that it has no value
    assert "Best parameters: {'optimizer.lr': 0.003}" in said.text
    (best,) = re.findall(r"Best value: (\S+)", said.text)
    runs = clone.runs("params.`optimizer.lr` = '0.003' AND params.`train.steps` = '40'")
    (job,) = [run for run in runs if "recipe.lane" not in run.data.tags]
    assert float(best) == pytest.approx(job.data.metrics["val_loss"])
