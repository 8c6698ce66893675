"""What several test files share: a clone in which the whole pipeline has run once."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported; pytest-xdist's workers share the cores

import filelock
import pytest
from browser import chromium, without_errors
from clone import Clone, fresh
from warm import IMPORTS

from recipe.config.compose import STAGES

# Fixtures that take over a second. A test that needs one of them is slow, however short it is itself, and all of them
# run in one worker of pytest-xdist, which makes it once (with --dist loadgroup).
SLOW_FIXTURES = {
    "animals", "audited_digits", "efforts", "flawed", "logged", "postgres", "prepared", "ran", "searched", "shipped",
    "site", "wheel",
}  # fmt: skip


@dataclass
class Rerun:
    """imports: a folder with a file per stage, which lists the modules that it had imported when it ended."""

    clone: Clone
    imports: Path


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marks
def pytest_collection_modifyitems(items):
    """Long tests first: while the last of all runs, the other workers have nothing to do. The very first makes the
    whole run that many need; nobody waits for it, for those that need none come meanwhile.
    """
    for item in items:
        for name in SLOW_FIXTURES & set(item.fixturenames):
            which = item.callspec.params.get(name, 0) if hasattr(item, "callspec") else 0
            item.add_marker("slow")
            item.add_marker(pytest.mark.xdist_group(f"{name} {which}"))
    making = "test_a_forced_repro_leaves_git_status_clean"
    rank = {item: 0 if item.name == making else 2 for item in items if "whole" in item.fixturenames}
    items.sort(key=lambda item: rank.get(item, 1 if item.get_closest_marker("slow") else 3))


@contextlib.contextmanager
def made_once(name: str, tmp_path_factory, config) -> Iterator[tuple[Path, bool]]:
    """(path that all workers of pytest-xdist share, whether it has been made); the block makes it where it has not."""
    base = tmp_path_factory.getbasetemp()
    if hasattr(config, "workerinput"):
        base = base.parent
    with filelock.FileLock(base / f"{name}.lock"):
        yield base / name, (base / f"{name}.done").exists()
        (base / f"{name}.done").touch()


@pytest.fixture(scope="session")
def whole(tmp_path_factory, request) -> Clone:
    """A clone as after `dvc repro`, everything committed. To look at; `clone` is the one to change.

    Its stages ran in one process, which saves their imports; `rerun` compares with a real `dvc repro`.
    """
    with made_once("whole", tmp_path_factory, request.config) as (path, done):
        made = Clone(path)
        if not done:
            fresh(made.root)
            made.run_all()
            made.commit()
    return made


@pytest.fixture(scope="session")
def rerun(whole, tmp_path_factory, request) -> Rerun:
    """A copy of that clone after `dvc repro --force`. To look at."""
    with made_once("rerun", tmp_path_factory, request.config) as (path, done):
        made = Rerun(Clone(path / "clone"), path / "imports")
        if not done:
            whole.copy(made.clone.root)
            made.imports.mkdir()
            assert made.clone.git("status", "--porcelain") == ""
            said = made.clone.run("dvc", "repro", "--force", **{IMPORTS: str(made.imports)})
            assert said.stages == ["compose", *STAGES]
    return made


@pytest.fixture
def clone(whole, tmp_path) -> Clone:
    """A copy of that clone, caches and runs included."""
    return whole.copy(tmp_path / "clone")


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """A tab of a Chromium that all tests of a worker share; `tab` is the one to use."""
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def tab(browser):
    """That tab; the test fails where its console shows an error."""
    yield from without_errors(browser)
