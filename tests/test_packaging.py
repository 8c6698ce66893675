"""What an installation may bring along."""

import tomllib
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
