"""Given splits from the folder to the lists, with the commands that a person types."""

import sys
from pathlib import Path

import numpy as np
import pytest
from clone import Clone, fresh
from PIL import Image

from recipe.files import read_csv, read_table

pytestmark = pytest.mark.slow


def picture(root: Path, name: str, seed: int) -> None:
    """Noise on stripes that tell the class: no two are alike but those of one seed."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 160, (32, 32, 3), dtype=np.uint8)
    pixels[:: 2 + seed % 2] += 90
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(root / name)


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Clone:
    """60 given to train, 20 to val, and one of val that is in train too."""
    clone = fresh(tmp_path_factory.mktemp("given") / "clone")
    for n in range(80):
        part = "Train" if n < 60 else "valid"
        picture(clone.root / "data/images", f"{part}/{'ab'[n % 2]}/{n}.png", n)
    picture(clone.root / "data/images", "Train/a/again.png", 70)
    clone.choose(data={"name": "folder", "size": 16})
    return clone


def lists(clone: Clone) -> dict[str, str]:
    """{file: the split that it is in}"""
    name_of = {e["id"]: e["name"] for e in read_table(clone.root / "runs/audit/examples.parquet")}
    parts = {name: read_csv(clone.root / f"runs/split/{name}.csv") for name in ("train", "val", "test")}
    return {name_of[row["id"]]: name for name, rows in parts.items() for row in rows}


def test_given_splits_are_obeyed_or_ignored_and_their_copies_decided(clone):
    said = clone.stages("prepare", "embed", "audit", "split", code=1)
    assert "no_copies_across_splits" in said.text
    assert "`recipe decide runs/split/copies.csv`" in " ".join(said.text.split())
    assert clone.verdict("audit", "no_copies_across_given_splits")["verdict"] == "fail"

    clone.run(sys.executable, "-m", "recipe.cli", "decide", "runs/split/copies.csv")
    text = clone.as_dvc("split").text
    assert "The source gives train 60 and val 20; these splits are obeyed. test is missing and taken out of" in text
    placed = lists(clone)
    assert {placed[name] for name in placed if name.startswith("valid/")} == {"val"}
    assert {placed[name] for name in placed if name.startswith("Train/")} == {"train", "test"}
    assert "Train/a/again.png" not in placed
    assert any("taken out of the given train" in text for text in clone.report("split")["findings"])

    clone.git("checkout", "--", "decisions.csv")
    clone.choose(split={"given": "ignore"})
    text = clone.stages("split").text  # no gate, and nothing to waive
    placed = lists(clone)
    assert {placed[name] for name in placed if name.startswith("valid/")} == {"train", "val", "test"}
    assert placed["Train/a/again.png"] == placed["valid/a/70.png"]
    assert "are ignored because of `given: ignore`" in text
    assert clone.verdict("split", "given_splits_are_obeyed")["verdict"] == "fail"
