"""Whether this run repeats the commit's: what dvc.lock, which git holds, says of inputs and outputs."""

import subprocess
from pathlib import Path

import yaml


def difference(root: Path) -> str:
    """Why dvc.lock differs from the commit's although nothing that was put in does; empty where that is not so.

    Another processor, or another version of torch's kernels, computes other last bits: cached outputs get other
    hashes, while the rounded numbers in git stay, or change where a long training has made the bits grow.
    """
    before, now = _locked(_git(root, "show", "HEAD:./dvc.lock")), _locked(_text(root / "dvc.lock"))
    made = {path for files in before.values() for path in files["outs"] if not path.startswith("resolved/")}
    both = [(before[stage], now[stage]) for stage in before.keys() & now.keys()]
    if any(_given(old, made) != _given(new, made) for old, new in both):
        return ""
    others = sorted(path for old, new in both for path in old["outs"] if old["outs"][path] != new["outs"].get(path))
    if not others:
        return ""
    held = set(_git(root, "ls-files", "runs").split("\n"))
    evidence = [path for path in others if path in held]
    numbers = f"Numbers that git holds changed too: {', '.join(evidence)}." if evidence else "No number in git changed."
    return (
        f"dvc.lock has other hashes for {len(others)} outputs than the commit, made from the same inputs: this"
        f" processor, or its libraries, computes other last bits. {numbers}\n  To make this machine the reference,"
        " commit it; to keep the commit's: git checkout dvc.lock runs, then dvc pull."
    )


def _locked(text: str) -> dict[str, dict]:
    """{stage: {"cmd": ..., "deps": {path: hash}, "outs": {path: hash}}} of a dvc.lock; empty where it is none."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:  # git's marks of a conflict
        return {}
    stages = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(stages, dict):
        return {}
    return {
        name: {"cmd": stage.get("cmd")}
        | {kind: {entry["path"]: entry.get("md5") for entry in stage.get(kind, ())} for kind in ("deps", "outs")}
        for name, stage in stages.items()
    }


def _given(stage: dict, made: set[str]) -> tuple:
    """What went into a stage: its command, code, config and data, and not what earlier stages computed."""
    return stage["cmd"], {path: content for path, content in stage["deps"].items() if path not in made}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _git(root: Path, *words: str) -> str:
    """git's answer; empty outside git, or where it has none."""
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
