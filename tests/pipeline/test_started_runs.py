"""Runs and multiruns that a person starts: where their files are, what their exit code and last lines say."""

import os
import re
import signal
import sys

import pytest
import yaml
from clone import Clone

pytestmark = pytest.mark.slow
LONG = "waive.nothing_is_lost=" + "long" * 100


def overrides(clone: Clone, folder: str) -> list[str]:
    return yaml.safe_load(clone.read(f"{folder}/.hydra/overrides.yaml"))


def files(clone: Clone) -> list[str]:
    return sorted(str(f.relative_to(clone.root)) for f in (clone.root / "outputs").rglob("*") if f.is_file())


# ---- folders -------------------------------------------------------------------------------------------------------


def test_a_run_has_a_short_folder_with_its_overrides_inside(clone):
    said = clone.by_hand("split", f"+{LONG}", "val=0.15")
    assert said.folder == "outputs/split/1"
    assert (clone.root / said.folder / "report.json").is_file()
    assert overrides(clone, said.folder) == [f"+{LONG}", "val=0.15"]
    run = clone.last_run("split")
    assert run.data.tags["recipe.folder"] == said.folder
    assert run.info.run_name.startswith("+waive.nothing_is_lost=long")
    assert len(run.info.run_name) <= 100
    assert clone.by_hand("split", f"+{LONG}", "val=0.15").folder == "outputs/split/2", "each run has its own"
    assert clone.last_run("split").info.status == "FINISHED"


def test_runs_that_start_together_do_not_share_a_folder(clone):
    started = [clone.start(sys.executable, "pipeline/split.py", f"seed={seed}") for seed in range(3)]
    said = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], said
    folders = [re.search(r"writes to (\S+)", text)[1] for text in said]
    assert sorted(folders) == ["outputs/split/1", "outputs/split/2", "outputs/split/3"]
    assert [overrides(clone, folder) for folder in folders] == [[f"seed={seed}"] for seed in range(3)]


def test_the_jobs_of_a_multirun_are_numbered_folders_of_one(clone):
    said = clone.by_hand("split", "-m", "val=0.1,0.2", f"+{LONG}")
    assert said.folder == "outputs/split/1"
    for job, val in enumerate(("0.1", "0.2")):
        assert overrides(clone, f"outputs/split/1/{job}") == [f"val={val}", f"+{LONG}"]
        assert (clone.root / f"outputs/split/1/{job}/report.json").is_file()
    (parent,) = clone.runs("tags.`recipe.sweep` LIKE '%val=%'")
    assert parent.data.tags["recipe.folder"] == "outputs/split/1"


def test_what_runs_nothing_makes_no_folder(clone):
    for words in (["--cfg", "job"], ["--help"], ["val=many"], ["-m", "val=many,0.1"], ["vla=0.1"]):
        clone.by_hand("split", *words, code=None)
    assert not (clone.root / "outputs").exists()


def test_a_folder_may_still_be_chosen(clone):
    clone.by_hand("split", "hydra.run.dir=outputs/mine")
    clone.by_hand("split", "-m", "hydra.sweep.dir=outputs/ours", "val=0.1,0.2")
    assert sorted(f.name for f in (clone.root / "outputs").iterdir()) == ["mine", "ours"]
    assert (clone.root / "outputs/mine/report.json").is_file()
    assert (clone.root / "outputs/ours/1/report.json").is_file()


# ---- multiruns that fail -------------------------------------------------------------------------------------------


CANNOT_START = {
    "val=0.2,abc": "split: 2 of 4 jobs cannot be composed, so none was run",
    "hydra.sweeper.max_batch_size=0": "split: the multirun stopped: AssertionError",
}


@pytest.mark.parametrize("word", CANNOT_START)
def test_a_multirun_that_cannot_start_ends_with_its_error_alone(clone, word):
    said = clone.by_hand("split", "-m", word, "seed=0,1", code=1)
    assert CANNOT_START[word] in said.text
    assert "Traceback" not in said.text
    assert "job was" not in said.text
    assert "http" not in said.text, "a link to compare no jobs"
    assert not [f for f in files(clone) if f.endswith("report.json")]


def test_each_job_that_fails_is_named_at_the_end_and_the_others_run(clone):
    said = clone.by_hand("split", "-m", "val=0.9,0.2,0.95", code=1)
    *_, last, first, second = said.text.strip().splitlines()
    assert last.startswith("split: 2 of 3 jobs failed")
    assert first.startswith("  #0 val=0.9: split: conf/split.yaml: val 0.9 and test 0.2 must be above 0")
    assert second.startswith("  #2 val=0.95: ")
    assert "split: 3 jobs, 2 failed" in said.text
    assert "Traceback" not in said.text
    written = [f for f in files(clone) if f.endswith(("error.txt", "report.json"))]
    assert written == [f"{said.folder}/{f}" for f in ("0/error.txt", "1/report.json", "2/error.txt")]
    (parent,) = clone.runs("tags.`recipe.sweep` LIKE '%val=%'")
    assert parent.info.status == "FAILED"
    assert "**val=0.9** failed: split: conf/split.yaml" in parent.data.tags["mlflow.note.content"]


def test_a_job_that_crashes_shows_its_stack_trace_and_the_others_run(clone):
    clone.edit("pipeline/split.py", "def main(cfg, run):\n", "def main(cfg, run):\n    1 / (cfg.seed - 1)\n")
    said = clone.by_hand("split", "-m", "seed=1,2", code=1)
    assert "ZeroDivisionError" in said.text
    assert said.text.strip().endswith("#0 seed=1: ZeroDivisionError: division by zero")
    assert (clone.root / said.folder / "1/report.json").is_file()
    assert clone.by_hand("split", "seed=1", code=1).text.count("ZeroDivisionError") == 1


def test_ctrl_c_between_two_jobs_ends_a_multirun_without_a_stack_trace(clone):
    process = clone.start(sys.executable, "pipeline/split.py", "-m", "val=0.1,0.12,0.14")
    for line in process.stdout:
        if "#1 : val=0.12" in line:
            os.killpg(process.pid, signal.SIGINT)
            break
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 1
    assert "split: interrupted." in said
    assert "Traceback" not in said
    assert "split: 1 job" in said or "split: 2 jobs" in said
    (parent,) = clone.runs("tags.`recipe.sweep` LIKE '%val=%'")
    assert parent.info.status == "FAILED"


def test_a_multirun_in_dvcs_form_is_refused(clone):
    said = clone.by_hand("split", "-cp", "../resolved", "-cn", "split", "-m", "val=0.9", code=1)
    assert "-cp is DVC's form, for one run. A multirun is: python pipeline/split.py -m" in said.text
