"""What an installation may bring along, and what the wheel holds."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
COMPROMISED = ("2.6.2", "2.6.3")  # of lightning and pytorch-lightning: GHSA-w37p-236h-pfx3


def lightning() -> Requirement:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (required,) = (r for r in map(Requirement, project["optional-dependencies"]["rivals"]) if r.name == "lightning")
    return required


@pytest.mark.parametrize("version", COMPROMISED)
def test_releases_of_lightning_that_stole_credentials_are_excluded(version):
    assert not lightning().specifier.contains(version)


@pytest.mark.parametrize("version", ["2.6", "2.6.0", "2.6.1", "2.6.4", "2.6.6", "2.7.0"])
def test_other_releases_of_lightning_are_not_excluded(version):
    assert lightning().specifier.contains(version)


def test_the_pinned_versions_are_not_the_compromised_ones():
    pinned = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "lightning==" in line
    )
    assert pinned
    assert not set(pinned.values()) & set(COMPROMISED)


def test_constraints_and_requirements_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = dict(line.lower().split("==") for line in lines if "==" in line)
    every = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    for required in map(Requirement, every):
        if required.name in pinned:
            assert required.specifier.contains(pinned[required.name]), required


# ---- the wheel ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of the files in git, built with what this environment has: no network."""
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("wheel")
    names = ["pyproject.toml", "README.md", "LICENSE", "src"]
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *names]
    listed = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", "dist", "."]
    done = subprocess.run(build, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_package_and_nothing_of_the_user(wheel):
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = [f.relative_to(ROOT / "src") for f in (ROOT / "src/recipe").rglob("*") if f.is_file()]
    unused = ("__pycache__", ".d.ts")  # types.d.ts: for tsc alone
    assert packed == {str(f) for f in files if not any(part.endswith(unused) for part in f.parts)}
    assert "recipe/py.typed" in packed


def test_the_command_of_the_wheel_runs(wheel, tmp_path):
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-compile",
        "--target",
        str(tmp_path),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, str(tmp_path / "bin/recipe"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in ("examine", "decide", "worker", "predict"))
