"""Whatever the source: no file crashes a reader, stored bytes do not depend on how they were read."""

import inspect
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sources import ANY_FILE, CONFIG, encoded, put, stored

from recipe.errors import RecipeError
from recipe.sources import coco
from recipe.sources.arrays import Arrays, Parquet
from recipe.sources.digits_flawed import DigitsFlawed
from recipe.sources.folder import Folder
from recipe.sources.tables import Table
from recipe.stages.prepare.write_store import prepare


@ANY_FILE
@given(st.binary(max_size=120) | st.just(encoded()[:80]) | st.just(b"PK\x03\x04" + bytes(40)))
def test_no_file_crashes_the_other_readers(tmp_path, content):
    readers = {
        "x.npz": Arrays, "x.parquet": Parquet, "y.parquet": lambda f: Table(f, label="y"),
        "x.json": coco.read_annotations,
    }  # fmt: skip
    for name, reader in readers.items():
        put(tmp_path, name, content=content)
        with pytest.raises(RecipeError):
            reader(tmp_path / name)


@pytest.mark.slow
def test_encoded_sources_are_the_same_bytes_with_more_workers(tmp_path):
    put(tmp_path / "root", *(f"{c}/{n}.png" for c in "ab" for n in range(12)))
    put(tmp_path / "root", "a/bad.png", content=b"x")
    for workers in (1, 2):
        prepare(Folder(tmp_path / "root", size=8), CONFIG, tmp_path / str(workers), workers=workers)
    for file in sorted((tmp_path / "1").iterdir()):
        assert file.read_bytes() == (tmp_path / "2" / file.name).read_bytes(), file.name


def test_a_picture_beyond_the_limit_is_a_problem_of_its_own(tmp_path):
    from recipe.decode.pool import DecodingLimits

    put(tmp_path / "root", "a/small.png", content=encoded((10, 10)))
    put(tmp_path / "root", "b/small.png", content=encoded((10, 12)))
    put(tmp_path / "root", "a/large.png", content=encoded((100, 100)))
    prepared, _ = stored(Folder(tmp_path / "root", size=8), tmp_path / "out", limits=DecodingLimits(pixels=500))
    assert prepared.counts == {"too large": 1}


@pytest.mark.slow
def test_a_file_that_changes_between_two_readings_is_noticed(tmp_path):
    class Restless(DigitsFlawed):
        reads = 0

        def encoded(self, index):
            self.reads += 1
            return self.names[index], encoded((8, 8), f"#{self.reads:06x}")

    assert stored(Restless(), tmp_path)[0].unrepeatable == 32


@pytest.mark.parametrize("file", sorted((Path(__file__).parents[2] / "conf/data").glob("*.yaml")), ids=lambda f: f.stem)
def test_every_option_of_a_source_is_in_its_file(file):
    from hydra.utils import get_class
    from omegaconf import OmegaConf

    content = OmegaConf.to_container(OmegaConf.load(file))
    target = get_class(content.pop("_target_"))
    known = inspect.signature(target).parameters
    assert set(content) <= set(known)
    if target.__module__.startswith("recipe"):
        assert set(content) == set(known)
