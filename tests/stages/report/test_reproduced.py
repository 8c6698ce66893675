"""dvc.lock on another machine: why it differs from the commit's is said where it appears."""

import subprocess

import pytest
import yaml

from recipe.stages.report.reproduced import difference

CODE, CONFIG = "src/recipe/stages/runner.py", "resolved/overfit.yaml"


def lock(code="1", config="1", data="1", exact="1", report="1") -> dict:
    def entry(path, content):
        return {"path": path, "hash": "md5", "md5": content}

    compose = {"cmd": "compose", "deps": [entry("params.yaml", config)], "outs": [entry(CONFIG, config)]}
    source = {"cmd": "source", "outs": [entry("resolved/source.json", data)]}
    baseline = {
        "cmd": "python pipeline/baseline.py",
        "deps": [entry(CODE, code), entry("resolved/source.json", data)],
        "outs": [entry("runs/baseline/exact.json", exact), entry("runs/baseline/report.json", report)],
    }
    overfit = {
        "cmd": "python pipeline/overfit.py",
        "deps": [entry(CODE, code), entry(CONFIG, config), entry("runs/baseline/exact.json", exact)],
        "outs": [entry("runs/overfit/model.safetensors", exact)],
    }
    return {"schema": "2.0", "stages": {"compose": compose, "source": source, "baseline": baseline, "overfit": overfit}}


@pytest.fixture
def house(tmp_path):
    """A repository whose commit holds dvc.lock and a report; `now` writes another dvc.lock over it."""

    def git(*words):
        subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True)

    def now(**changes) -> str:
        (tmp_path / "dvc.lock").write_text(yaml.safe_dump(lock(**changes)))
        return difference(tmp_path)

    now()
    (tmp_path / "runs/baseline").mkdir(parents=True)
    (tmp_path / "runs/baseline/report.json").write_text("{}")
    git("init", "--quiet")
    git("add", "--all")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "a commit")
    return now


def test_other_outputs_from_the_same_inputs_are_explained(house):
    said = house(exact="2")
    assert "other hashes for 2 outputs than the commit" in said
    assert "No number in git changed." in said
    assert "git checkout dvc.lock runs" in said


def test_evidence_that_differs_too_is_named(house):
    assert "Numbers that git holds changed too: runs/baseline/report.json." in house(exact="2", report="2")


def test_the_commits_own_hashes_need_no_word(house):
    assert house() == ""


@pytest.mark.parametrize("put_in", ["code", "config", "data"])
def test_what_follows_from_a_change_needs_no_word(house, put_in):
    assert house(**{put_in: "2"}, exact="2") == ""


@pytest.mark.parametrize("text", ["", "<<<<<<< HEAD\n", "stages: 3\n", "- a list\n"])
def test_a_lock_that_cannot_be_read_needs_no_word(house, tmp_path, text):
    (tmp_path / "dvc.lock").write_text(text)
    assert difference(tmp_path) == ""


def test_a_folder_outside_git_needs_no_word(tmp_path):
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump(lock()))
    assert difference(tmp_path) == ""
