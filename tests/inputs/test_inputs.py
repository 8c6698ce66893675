"""Kinds of input: each has its own arm, and only the modules of the room know their names."""

import re
from pathlib import Path

import pytest

from recipe.inputs.read import FEATURES, IMAGES, KINDS, TEXTS

SRC = Path(__file__).parents[2] / "src/recipe"


def test_each_kind_chooses_its_own():
    chosen = [kind.choose(images="i", features="f", texts="t") for kind in (IMAGES, FEATURES, TEXTS)]
    assert chosen == ["i", "f", "t"]
    assert list(KINDS) == ["image", "features", "text"]


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_an_array_has_an_axis_per_name(kind):
    assert len(kind.axes) == kind.choose(images=3, features=1, texts=0)
    assert kind.has_pixels == (kind is IMAGES)
    assert kind.has_columns == (kind is FEATURES)


def test_no_stage_compares_a_kind_with_a_name():
    asked = re.compile(r"""kind\S* (==|!=|is|is not) ("image"|"features"|"text"|IMAGES|FEATURES|TEXTS)""")
    assert asked.search("if store.kind == FEATURES:")
    assert asked.search('if store.kind.name != "image":')
    rooms = ("stages", "experiment", "serve", "train", "data", "plots", "explorer")
    files = [file for room in rooms for file in (SRC / room).rglob("*.py")]
    assert [f.name for f in files for line in f.read_text().splitlines() if asked.search(line)] == []
