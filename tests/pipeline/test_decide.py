"""`recipe decide`: lines from the explorer, checked and added to decisions.csv whole or not at all."""

import io

import numpy as np
import pytest

from recipe.cli import main
from recipe.data.decisions import read_decisions
from recipe.files import write_json, write_table
from recipe.tasks.labels import ClassNumbers


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Three examples of two classes, and no decision yet."""
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "runs/audit/examples.parquet", {"id": np.array(["x1", "x2", "x3"])}, {"id": "name"})
    write_json(tmp_path / "runs/prepare/store.json", {"task": {"name": "classification", "classes": ["cat", "dog"]}})
    (tmp_path / "decisions.csv").write_text("id,action,label,reason\n")
    return tmp_path


def decide(monkeypatch, text: str, *options: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    return main(["decide", *options])


def decided(project) -> dict:
    found = read_decisions(project / "decisions.csv", {"x1", "x2", "x3"}, ClassNumbers(["cat", "dog"]))
    return {d.id: (d.action, d.label, d.reason) for d in found.values()}


def test_lines_are_added_with_their_header_or_without(project, monkeypatch, capsys):
    assert decide(monkeypatch, "id,action,label,reason\nx1,drop,,blank\n") == 0
    assert decide(monkeypatch, 'x2,relabel,dog,"looked, twice"\n') == 0
    assert decided(project) == {"x1": ("drop", "", "blank"), "x2": ("relabel", "dog", "looked, twice")}
    assert "1 added, 0 changed, 0 as they were" in capsys.readouterr().out


def test_lines_come_from_a_file(project):
    (project / "marks.csv").write_text("x3,keep,,a rare hand\n")
    assert main(["decide", "marks.csv"]) == 0
    assert decided(project) == {"x3": ("keep", "", "a rare hand")}


def test_one_wrong_line_and_nothing_is_written(project, monkeypatch, capsys):
    assert decide(monkeypatch, "x1,drop,,blank\nx9,drop,,blank\n") == 2
    assert "the lines given, line 2: no example `x9`" in capsys.readouterr().err
    assert decided(project) == {}


def test_a_decision_is_changed_only_when_told(project, monkeypatch, capsys):
    decide(monkeypatch, "x1,drop,,blank\nx2,keep,,fine\n")
    assert decide(monkeypatch, "x1,relabel,cat,it is a cat\n") == 2
    assert "already says `x1,drop,,blank`" in capsys.readouterr().err
    assert decided(project)["x1"] == ("drop", "", "blank")
    assert decide(monkeypatch, "x1,relabel,cat,it is a cat\n", "--replace") == 0
    assert decided(project) == {"x1": ("relabel", "cat", "it is a cat"), "x2": ("keep", "", "fine")}
    assert "0 added, 1 changed" in capsys.readouterr().out


def test_the_same_again_changes_nothing(project, monkeypatch):
    decide(monkeypatch, "x1,drop,,blank\n")
    before = (project / "decisions.csv").read_bytes()
    assert decide(monkeypatch, "x1,drop,,blank\n") == 0
    assert (project / "decisions.csv").read_bytes() == before


def test_a_missing_file_and_a_missing_audit_are_said(project, capsys):
    assert main(["decide", "nowhere.csv"]) == 2
    assert "nowhere.csv cannot be read: No such file" in capsys.readouterr().err
    (project / "runs/audit/examples.parquet").unlink()
    assert main(["decide", "nowhere.csv"]) == 2
    assert "written by the audit stage: dvc repro audit" in capsys.readouterr().err
