"""Hydra's plugins, in a separate environment: the stable release of the Optuna sweeper asks for an old Optuna."""

import re
import subprocess
import sys
import sysconfig

import pytest

PLUGINS = ("hydra-optuna-sweeper==1.3.0", "hydra-joblib-launcher==1.2.0")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> str:
    """An interpreter that sees this environment's packages, and the plugins, installed as the README says."""
    folder = tmp_path_factory.mktemp("sweeper")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "beside.pth").write_text(sysconfig.get_paths()["purelib"])
    pip = [folder / "bin/python", "-m", "pip", "install", "-q", "--no-deps", *PLUGINS]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"pip install: {done.stderr.strip().splitlines()[-1]}; a package registry is needed")
    return str(folder / "bin/python")


def test_hydras_optuna_sweeper_minimises_the_validation_loss_of_a_stage(clone, python):
    words = ["hydra/sweeper=optuna", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_jobs=1", "seeds=1", "model=linear"]
    words += ["optimizer.lr=choice(0.003,1e9)", "train.epochs=1.2"]
    said = clone.run(python, "pipeline/baseline.py", "-m", *words, code=1)
    assert "baseline: 1 of 2 jobs failed" in said.text  # its gates closed, so that it has no value
    assert "Best parameters: {'optimizer.lr': 0.003}" in said.text
    (best,) = re.findall(r"Best value: (\S+)", said.text)
    runs = clone.runs("params.`optimizer.lr` = '0.003' AND params.`train.epochs` = '1.2'")
    (job,) = [run for run in runs if "recipe.lane" not in run.data.tags]
    assert float(best) == pytest.approx(job.data.metrics["val_loss"])


def test_a_job_that_fails_in_another_process_fails_the_multirun(clone, python):
    words = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "val=0.1,0.9,0.2"]
    said = clone.run(python, "pipeline/split.py", "-m", *words, code=1)
    assert said.text.strip().splitlines()[-1].startswith("  #1 val=0.9: split: conf/split.yaml: val 0.9 and test 0.2")
    assert [(clone.root / said.folder / str(n) / "report.json").is_file() for n in range(3)] == [True, False, True]
    (parent,) = clone.runs("tags.`recipe.sweep` LIKE '%val=0.1,0.9,0.2%'")
    jobs = clone.runs(f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert sorted(job.info.status for job in jobs) == ["FAILED", "FINISHED", "FINISHED"]


def test_a_sweeper_that_refuses_ends_with_its_error(clone, python):
    words = ["hydra/sweeper=optuna", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_jobs=1"]
    said = clone.run(python, "pipeline/split.py", "-m", *words, "val=interval(0.1,0.2)", code=1)
    assert "split: the multirun stopped: " in said.text
    assert "Traceback" not in said.text
    assert "/#/experiments/" not in said.text, "a link to compare no jobs"
