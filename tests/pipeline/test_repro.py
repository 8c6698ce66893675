"""Bit for bit, whatever happens on the way: forced, on two threads, edited meanwhile, killed, interrupted."""

import fcntl
import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest
import yaml
from clone import UP_TO_DATE

from recipe.config.compose import STAGES

pytestmark = pytest.mark.slow


def locked(clone, stage: str) -> dict:
    """What dvc.lock knows of a stage."""
    return yaml.safe_load(clone.read("dvc.lock"))["stages"][stage]


def started(clone, stage: str, cold: bool = False):
    """The stage's process as DVC starts it, left running."""
    script = [sys.executable, f"pipeline/{stage}.py", "-cp", "../resolved", "-cn", stage]
    return clone.start(*script, cold=cold, DVC_STAGE=stage)


def until(process, pattern: str, times: int = 1) -> list[str]:
    """The output up to and with the line that matches for the last time asked for."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        times -= bool(re.search(pattern, line))
        if not times:
            return lines
    raise AssertionError(f"ended without {pattern!r}:\n{''.join(lines)}")


def test_a_forced_repro_leaves_git_status_clean(rerun):
    assert rerun.clone.git("status", "--porcelain") == ""
    assert rerun.clone.dvc("status").text.strip() == UP_TO_DATE


def test_git_holds_the_evidence_and_not_the_weights(whole):
    held = set(whole.git("ls-files").split())
    assert held >= {f"runs/{stage}/report.json" for stage in STAGES} | {"dvc.lock", "runs/report.md"}
    assert not [f for f in held if f.startswith("runs/") and not f.endswith((".json", ".md", ".gitignore"))]


def test_no_evidence_names_a_time_a_host_or_a_path(whole):
    host = os.uname().nodename
    known = [str(whole.root), f"{Path.home()}/", *([host] if len(host) > 5 else [])]
    texts = {f: c for f, c in whole.outputs(".").items() if f.endswith((".json", ".csv", ".yaml", ".md", ".html"))}
    assert len(texts) > 20
    assert not [(f, k) for f, content in texts.items() for k in known if k.encode() in content]
    assert not [f for f, c in texts.items() if re.search(rb"\b20\d\d-[01]\d-[0-3]\d[T ][0-2]\d:", c)]


def numbers(content: bytes) -> list[float]:
    return [float(n) for n in re.findall(rb"\d+\.\d+", content)]


def test_two_threads_give_the_same_result_to_float_precision(clone):
    """Not the same bytes: torch splits sums over more than some thousand elements, and the gradient of a convolution's
    weights, among its threads. One thread is the default for that reason too.
    """
    before = clone.outputs("overfit")
    clone.put("conf/runtime/local.yaml", threads=2)
    clone.as_dvc("overfit")
    after = clone.outputs("overfit")
    for file in ("runs/overfit/history.csv", "runs/overfit/exact.json", "runs/overfit/report.json"):
        assert numbers(after[file]) == pytest.approx(numbers(before[file]), abs=1e-4)
    assert after["runs/overfit/best.yaml"] == before["runs/overfit/best.yaml"]


def test_what_is_streamed_from_disk_gives_the_same_bytes(clone):
    before = clone.outputs("overfit", "ensemble")
    clone.put("conf/runtime/local.yaml", memory=0)
    said = clone.as_dvc("overfit", "ensemble")
    assert said.text.count("streamed from disk, 2 threads reading ahead") == 3  # the ensemble reads test by itself
    after = clone.outputs("overfit", "ensemble")
    assert [file for file in before if after[file] != before[file]] == []


# ---- another machine -----------------------------------------------------------------------------------------

KERNELS = {"ATEN_CPU_CAPABILITY": "default"}  # torch's own, without the vector instructions of this processor


def capability() -> str:
    import torch

    return torch.backends.cpu.get_cpu_capability()


@pytest.mark.skipif(capability() == "DEFAULT", reason="torch has no other kernels for this processor")
def test_on_another_processor_git_holds_the_same_evidence(clone):
    """Other kernels, other last bits: exact.json differs in DVC's cache, and nothing that git holds."""
    exact = clone.read("runs/baseline/exact.json")
    clone.as_dvc("baseline", cold=True, **KERNELS)  # torch chooses them when it is imported
    assert clone.read("runs/baseline/exact.json") != exact, "these kernels give the same bits: this tests nothing"
    assert clone.git("status", "--porcelain") == ""


# ---- an edit meanwhile ---------------------------------------------------------------------------------------

RESTLESS = '''
"""The digits, and an edit of this file when the hundredth is read for the first time."""

from pathlib import Path

from recipe.sources.digits import Digits

HERE = Path("src/own/restless.py")


class Restless(Digits):
    def __getitem__(self, index):
        if index == 100 and not HERE.read_text().endswith("# edited"):
            HERE.write_text(HERE.read_text() + "# edited")
        return super().__getitem__(index)
'''


def test_an_edit_while_a_stage_runs_fails_the_stage(clone):
    clone.write("src/own/restless.py", RESTLESS)
    clone.write("conf/data/restless.yaml", "_target_: own.restless.Restless\n")
    clone.choose(data="restless")
    before = locked(clone, "prepare")

    said = clone.repro("prepare", code=None)
    assert said.code != 0
    assert "src/own/restless.py changed while the stage was running" in said.text
    assert "Traceback" not in said.text
    assert locked(clone, "prepare") == before
    assert not (clone.root / "runs/prepare/report.json").exists()
    assert clone.last_run("prepare").info.status == "FAILED"

    assert clone.repro("prepare").stages == ["compose", "prepare"]
    assert clone.repro("prepare").stages == []


def test_code_edited_after_compose_is_not_recorded_as_what_it_was_before(clone):
    """DVC records a stage's code by its manifest: with another code than that, the stage must not run."""
    clone.edit("src/recipe/stages/split/captions.py", '"""', '"""Edited. ')
    said = clone.repro("--single-item", "--force", "split", code=None)
    assert said.code != 0
    assert "src/recipe/stages/split/captions.py changed since the compose stage listed this stage's code" in said.text
    assert clone.repro("split").stages == ["compose", "split"]


def test_a_second_process_of_a_stage_is_refused(clone):
    before = clone.outputs("prepare")
    with open(clone.root / ".recipe/locks/prepare", "r+") as held:
        held.truncate(0)
        print(os.getpid(), end="", file=held, flush=True)
        fcntl.flock(held, fcntl.LOCK_EX)
        said = clone.as_dvc("prepare", code=1)
    assert f"another process of this stage (pid {os.getpid()}) is still running" in said.text
    assert "Traceback" not in said.text
    assert clone.outputs("prepare") == before
    clone.as_dvc("prepare")
    assert clone.outputs("prepare") == before
    assert 0 < int(clone.read(".recipe/locks/prepare")) <= 2**22  # of this process alone; Linux has no higher one


# ---- killed --------------------------------------------------------------------------------------------------

COHORT = r"^tune +(random|tpe): trials of indices (\d+) "


def cohorts(lines: list[str]) -> list[tuple[str, str]]:
    return [m.groups() for line in lines if (m := re.search(COHORT, line))]


def test_a_worker_from_another_shell_changes_no_byte(clone):
    alone = clone.outputs("tune")
    worker = (sys.executable, "-m", "recipe.cli", "worker")
    said = clone.run(*worker, code=2).text
    assert re.search(r"the search of this configuration, code and data \(\w+\) is over\. To begin the next: ", said)
    assert "Traceback" not in said

    stage = started(clone, "tune")
    until(stage, "the search can be watched")
    said = clone.run(*worker, code=None).text
    stage.communicate(timeout=300)
    assert stage.returncode == 0
    assert clone.outputs("tune") == alone
    assert "Traceback" not in said


def test_several_processes_change_no_byte(clone):
    alone = clone.outputs("tune")
    clone.put("conf/runtime/local.yaml", processes=3)
    said = clone.as_dvc("tune").text
    assert said.count("worker     no trials are left") == 2
    assert "failed" not in said
    assert clone.outputs("tune") == alone


def test_a_worker_joins_a_search_that_was_started_by_hand(clone):
    """With the words of its command line; without them, or with others, there is no such search."""
    words, worker = ("trials=12",), (sys.executable, "-m", "recipe.cli", "worker")
    stage = clone.start(sys.executable, "pipeline/tune.py", *words)
    until(stage, "the search can be watched")
    others = clone.start(*worker, "trials=13")
    said = clone.run(*worker, *words).text
    assert int(re.search(r"no trials are left; this worker finished (\d+)", said)[1]) > 0
    assert stage.poll() is None, "it was over too early to say anything of the others"
    assert "no search of this configuration" in others.communicate()[0]
    stage.communicate(timeout=300)
    assert stage.returncode == 0
    assert "tune has no `trails`; did you mean `trials`?" in clone.run(*worker, "trails=3", code=2).text


def test_a_killed_search_ends_with_the_bytes_of_one_that_was_not(clone):
    unkilled = clone.outputs("tune")
    process = started(clone, "tune", cold=True)
    first = cohorts(until(process, COHORT, times=1))
    os.kill(process.pid, signal.SIGKILL)
    first += cohorts(process.communicate()[0].splitlines(keepends=True))
    assert not (clone.root / "runs/tune/report.json").exists()

    again = cohorts(clone.as_dvc("tune").text.splitlines())
    every = [("random", "0"), ("tpe", "0"), ("tpe", "2")]
    assert len(first) < len(every), "it was killed too late to say anything"
    assert first + again == every
    assert clone.outputs("tune") == unkilled
    assert [r.info.status for r in clone.stage_runs("tune")][:2] == ["FINISHED", "KILLED"]


def test_ctrl_c_ends_a_stage_cleanly(clone):
    before = locked(clone, "overfit")
    process = clone.start("dvc", "repro", "--force", "--single-item", "overfit", cold=True)
    until(process, r"^overfit +width 4 ")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: DVC and the stage both get it
    said = process.communicate(timeout=60)[0]
    assert process.returncode != 0
    assert "overfit: interrupted. Nothing of this stage counts as run" in said
    assert "Traceback" not in said
    assert locked(clone, "overfit") == before
    assert not (clone.root / "runs/overfit/report.json").exists()
    assert clone.last_run("overfit").info.status in ("FAILED", "KILLED")
    assert json.loads(clone.dvc("status", "--json", "overfit").text)  # it must run again, and says so
