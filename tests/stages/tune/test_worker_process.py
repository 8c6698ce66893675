"""Processes that the tune stage starts itself: none of them can harm it, and none outlives it."""

import os
import subprocess
import sys
import time

import pytest
from clone import warm
from omegaconf import OmegaConf
from searching import ended, forked, kill

from recipe.config.compose import compose
from recipe.errors import RecipeError
from recipe.stages.tune.worker_process import worker_processes


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def gone(pid: int, seconds: float = 30) -> bool:
    until = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not alive(pid)


# a worker process whose work never ends
ENDLESS = """
import os, sys, time
from recipe.stages.tune import worker_process
def work(cfg):
    open(f"at_work_{os.getpid()}", "w").close()
    time.sleep(600)
worker_process.run_worker = work
sys.exit(worker_process._main())
"""


@pytest.fixture
def at_work(monkeypatch, tmp_path):
    """(the config of a stage with one other worker, a function that gives that one's process id once it works)."""
    cfg, started = compose("tune"), subprocess.Popen
    cfg.runtime.processes = 2
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "Popen", lambda command, **kw: started([sys.executable, "-c", ENDLESS], **kw))

    def helper() -> int:
        until = time.monotonic() + 60
        while not (found := list(tmp_path.glob("at_work_*"))) and time.monotonic() < until:
            time.sleep(0.05)
        return int(found[0].name.removeprefix("at_work_"))

    return cfg, helper


@pytest.mark.slow
def test_what_a_helper_dies_of_is_said_and_is_no_failure(capfd, tmp_path, monkeypatch):
    cfg, messages = compose("tune"), []
    cfg.runtime.processes = 3
    monkeypatch.setattr(sys, "executable", str(warm().shims / "python"))
    monkeypatch.chdir(tmp_path)  # without a store
    with worker_processes(cfg, messages.append):
        pass
    assert messages == ["2 of 2 worker processes failed; the others took over their trials"]
    errors = capfd.readouterr().err
    assert "runs/prepare/store.json" in errors
    assert "Traceback" not in errors


@pytest.mark.slow
def test_a_stage_that_fails_leaves_no_helper(at_work):
    cfg, helper = at_work
    seen = []

    def fails() -> None:
        with worker_processes(cfg, print):
            seen.append((helper(), alive(helper())))
            raise RecipeError("a closed gate")

    with pytest.raises(RecipeError, match="a closed gate"):
        fails()
    ((pid, was_alive),) = seen
    assert was_alive
    assert not alive(pid)


@pytest.mark.slow
def test_a_stage_that_is_killed_leaves_no_helper(at_work):
    cfg, helper = at_work

    def work() -> None:
        with worker_processes(cfg, print):
            time.sleep(600)

    stage = forked(work)
    pid = helper()
    assert alive(pid)
    kill(stage)
    ended(stage)
    assert gone(pid)


@pytest.mark.slow
def test_a_helper_whose_config_breaks_off_ends():
    """With the stage that was writing it."""
    half = OmegaConf.to_yaml(compose("tune"))[:500]
    helper = subprocess.run(
        [str(warm().shims / "python"), "-m", "recipe.stages.tune.worker_process"],
        input=half,
        text=True,
        capture_output=True,
        timeout=60,
    )
    assert helper.returncode == 1
    assert not helper.stderr


def test_the_config_of_a_helper_is_that_of_the_stage():
    """To the last bit of a float: it names the search."""
    cfg = compose("tune")
    cfg.optimizer.weight_decay = 1e-05
    assert OmegaConf.create(OmegaConf.to_yaml(cfg, resolve=True)) == cfg
