"""OpenMP must not wait busily: what it reads is set before torch is imported, however one gets there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "pipeline").glob("*.py"))
# Answers what OpenMP would find at the moment torch is looked for.
WATCHED = """
import os, runpy, sys

class Watch:
    def find_spec(name, path=None, target=None):
        if name == "torch":
            print(os.environ.get("OMP_WAIT_POLICY"), os.environ.get("GOMP_SPINCOUNT"), flush=True)
            os._exit(0)

sys.meta_path.insert(0, Watch)
"""


def at_torch(code: str, **env: str) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    paths = {"PYTHONPATH": str(ROOT / "src")}
    found = subprocess.run(
        [sys.executable, "-c", WATCHED + code], cwd=ROOT, env=clean | paths | env, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_stage_waits_passively(script):
    code = f"runpy.run_path({script!r})\nimport torch"  # some import it only once they run
    assert at_torch(code) == "PASSIVE 0"


@pytest.mark.parametrize("module", ["recipe.cli", "recipe.train.engine"])
def test_so_do_the_command_and_the_library(module):
    assert at_torch(f"import {module}\nimport torch") == "PASSIVE 0"


def test_what_a_person_set_stays():
    assert at_torch("import recipe\nimport torch", OMP_WAIT_POLICY="ACTIVE", GOMP_SPINCOUNT="7") == "ACTIVE 7"


def test_the_watch_notices_where_nothing_is_set():
    assert at_torch("import torch") == "None None"
