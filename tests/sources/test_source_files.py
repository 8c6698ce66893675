"""What the source reads is what DVC depends on: behind links, outside the project, and no more than that."""

import json
import os
import time
from pathlib import Path

import pytest
import yaml
from clone import ROOT, Clone, fresh
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import put

from recipe.errors import RecipeError
from recipe.files import read_json
from recipe.sources import source_files
from recipe.sources.folder import Folder
from recipe.sources.source_files import (
    BACKBONE,
    GIVEN_SPLITS,
    KEYS,
    hash_sources,
    require_same_weights,
    require_unchanged,
    source_paths,
    write_manifest,
)

FOLDER = "recipe.sources.folder.Folder"


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """An empty project, with a folder `elsewhere` beside it."""
    monkeypatch.delenv("DVC_ROOT", raising=False)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def linked(project: Path) -> dict:
    """Class folders of which one is a link, and one holds a link to a file; both lead out of the project."""
    put(project.parent / "elsewhere", "b/1.png", "b/deep/2.png", "single.png")
    put(project, "data/images/a/1.png")
    (project / "data/images/b").symlink_to(project.parent / "elsewhere/b")
    (project / "data/images/a/2.png").symlink_to(project.parent / "elsewhere/single.png")
    return {"_target_": FOLDER, "root": "data/images"}


@pytest.fixture
def settled(monkeypatch):
    """Every file counts as old enough for its time to be believed."""
    monkeypatch.setattr(source_files, "SETTLED", -60_000_000_000)


EDITS = {
    "removed": lambda e: (e / "b/1.png").unlink(),
    "added": lambda e: put(e, "b/3.png"),
    "added deeper": lambda e: put(e, "b/deep/er/3.png"),
    "another content": lambda e: (e / "b/deep/2.png").write_bytes(b"x"),
    "a byte, and the old time": lambda e: _same_time(
        e / "b/1.png", lambda f: f.write_bytes(f.read_bytes()[:-1] + b"x")
    ),
    "another file of the old size and time": lambda e: _same_time(e / "b/1.png", _replaced),
    "renamed": lambda e: (e / "b/1.png").rename(e / "b/0.png"),
    "moved": lambda e: (e / "b/1.png").rename(e / "b/deep/1.png"),
    "what a link to a file leads to": lambda e: (e / "single.png").write_bytes(b"x"),
    "a link to nothing": lambda e: (e / "single.png").unlink(),
    "an empty folder": lambda e: (e / "b/new").mkdir(),
    "a link more": lambda e: (e / "b/more").symlink_to(e / "single.png"),
    "a file that is listed": lambda e: put(e, "b/.DS_Store"),
}


def _same_time(file: Path, edit) -> None:
    before = file.stat()
    edit(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replaced(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(bytes(reversed(file.read_bytes())))
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    other.rename(file)


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_behind_a_link_is_seen(project, settled, edit):
    data = linked(project)
    before = hash_sources(data)
    time.sleep(0.02)  # a tick of the clock of file systems
    EDITS[edit](project.parent / "elsewhere")
    assert hash_sources(data) != before


SAME = {
    "nothing": lambda p: None,
    "a new time": lambda p: os.utime(p / "data/images/a/1.png"),
    "written again": lambda p: (p / "data/images/a/1.png").write_bytes((p / "data/images/a/1.png").read_bytes()),
    "another file in data/": lambda p: put(p, "data/table.csv", "data/other/1.png"),
    "what hidden files hold": lambda p: put(p, "data/images/.cache/2.png"),
    "the linked folder in another place": lambda p: _moved(p),
    "without its cache": lambda p: (p / ".recipe/source_files.json").unlink(),
    "with a broken cache": lambda p: (p / ".recipe/source_files.json").write_text("{"),
}


def _moved(project: Path) -> None:
    (project.parent / "elsewhere/b").rename(project.parent / "b")
    (project / "data/images/b").unlink()
    (project / "data/images/b").symlink_to(project.parent / "b")


@pytest.mark.parametrize("edit", SAME)
def test_what_changes_no_content_changes_nothing(project, settled, edit):
    data = linked(project)
    put(project, "data/images/.cache/1.png")
    before = hash_sources(data)
    SAME[edit](project)
    assert hash_sources(data) == before


def composed(project: Path, data: dict, model: dict | None = None, extra: dict | None = None) -> None:
    put(project, "resolved/prepare.yaml", content=yaml.safe_dump({"data": data}).encode())
    put(project, "resolved/regularize.yaml", content=yaml.safe_dump({"augment": extra}).encode())
    put(project, "resolved/embed.yaml", content=yaml.safe_dump({"model": model or {}}).encode())


def test_a_second_source_of_examples_is_hashed_wherever_it_is_named(project):
    folder = {"_target_": "recipe.sources.folder.Folder", "root": "data/images", "size": 8}
    extra = {"_target_": "recipe.train.extra.Extra", "data": folder, "share": 0.5}
    composed(project, linked(project), extra={"augments": [{"_target_": "recipe.train.augment.Flip"}, extra]})
    write_manifest()
    before = read_json("resolved/extra.json")
    assert list(before) == ["augment.augments.1.root"]
    put(project, "data/images/ants/another.png")
    write_manifest()
    assert read_json("resolved/extra.json") != before


def test_the_manifest_has_no_path_and_no_time(project):
    composed(project, linked(project) | {"root": str(project / "data/images")})
    assert write_manifest().startswith("4 files, ")
    first = Path("resolved/source.json").read_text()
    assert json.loads(first).keys() == {"root"}
    assert str(project.parent) not in first
    for file in project.parent.rglob("*.png"):
        os.utime(file)
    write_manifest()
    assert Path("resolved/source.json").read_text() == first


def test_the_weights_of_a_backbone_are_hashed_without_their_path(project):
    data, model = linked(project), {"backbone": "resnet18", "weights": str(project / "weights/net.pth")}
    composed(project, data)
    write_manifest()
    assert read_json(BACKBONE) == {}
    composed(project, data, model)
    with pytest.raises(RecipeError, match=r"net\.pth` of conf/model or params\.yaml names neither a file nor a folder"):
        write_manifest()
    composed(project, data, model | {"weights": "hub"})
    write_manifest()
    assert read_json(BACKBONE) == {"weights": {"files": 0, "bytes": 0, "sha256": "missing"}}
    composed(project, data, model)
    put(project, "weights/net.pth", content=b"123")
    write_manifest()
    first = read_json(BACKBONE)
    assert (first["weights"]["files"], first["weights"]["bytes"]) == (1, 3)
    assert str(project.parent) not in BACKBONE.read_text()
    require_same_weights(model)
    put(project, "weights/net.pth", content=b"124")
    with pytest.raises(RecipeError, match="weights of the backbone have changed"):
        require_same_weights(model)
    write_manifest()
    assert read_json(BACKBONE) != first


def test_a_settled_file_is_read_once(project, settled, monkeypatch):
    data = linked(project)
    hash_sources(data)
    monkeypatch.setattr(source_files.hashlib, "file_digest", None)
    hash_sources(data)


def test_a_file_with_a_time_in_the_future_is_read_once_too(project, monkeypatch):
    data = linked(project)
    for file in project.parent.rglob("*.png"):
        os.utime(file, (time.time() + 1e6, time.time() + 1e6))
    monkeypatch.setattr(source_files, "SETTLED", 0)
    time.sleep(0.02)
    hash_sources(data)
    monkeypatch.setattr(source_files.hashlib, "file_digest", None)
    hash_sources(data)


def test_a_file_that_may_still_change_within_its_time_is_read_again(project):
    data = linked(project)
    hash_sources(data)
    assert not (project / ".recipe/source_files.json").exists()


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(["a/1", "a/2", "b/1", "b/c/1"]), st.binary(max_size=3), min_size=1), st.data())
@settings(max_examples=40, deadline=None)
def test_two_looks_are_equal_where_names_and_contents_are(tmp_path_factory, files, data):
    other = data.draw(
        st.one_of(st.just(files), st.dictionaries(st.sampled_from([*files, "a/3"]), st.binary(max_size=3), min_size=1))
    )
    looks = []
    for content in (files, other):
        root = tmp_path_factory.mktemp("files")
        for name, text in content.items():
            put(root, name, content=text)
        looks.append(hash_sources({"_target_": FOLDER, "root": str(root)}))
    assert (looks[0] == looks[1]) == (files == other)


def test_each_source_of_conf_names_what_it_reads():
    """A new one must be entered, or it counts as user-defined."""
    targets = {}
    for file in (ROOT / "conf/data").glob("*.yaml"):
        config = yaml.safe_load(file.read_text())
        targets.setdefault(config["_target_"], set()).update(k for k, v in config.items() if str(v).startswith("data/"))
    assert {target for target in targets if target.startswith("recipe.")} == {*KEYS, GIVEN_SPLITS}
    assert all(keys <= set(KEYS[target]) for target, keys in targets.items() if target in KEYS)


def test_what_sources_name_is_looked_at(project):
    put(project, "data/a.npz", "elsewhere/b.csv", content=b"x")
    assert source_paths({"_target_": "recipe.sources.arrays.Arrays", "file": "~/x.npz", "labels": "y"}) == {
        "file": Path("~/x.npz").expanduser()
    }
    assert source_paths({"_target_": FOLDER, "root": "r", "annotations": "../coco.json", "group": "elsewhere"}) == {
        "root": Path("r"), "annotations": Path("r/../coco.json"),
    }  # fmt: skip
    assert source_paths({"_target_": "torchvision.datasets.MNIST", "root": "elsewhere", "download": True}) == {}
    assert source_paths({"_target_": "torchvision.datasets.ImageFolder", "root": "elsewhere"}) == {
        "root": Path("elsewhere"), "data": Path("data"),
    }  # fmt: skip
    mnist = {"_target_": "torchvision.datasets.MNIST", "root": str(Path.home()), "download": True}
    given = {"_target_": "recipe.sources.given_splits.GivenSplits", "train": mnist, "val": None}
    assert source_paths(given | {"test": mnist}) == {}
    arrays = {"_target_": "recipe.sources.arrays.Arrays", "file": "x.npz"}
    assert source_paths(given | {"test": arrays}) == {"test.file": Path("x.npz")}
    assert source_paths({"_target_": "recipe.sources.digits.Digits"}) == {}
    own = {"_target_": "own.mine.Set", "folder": "elsewhere", "name": "no file", "inner": {"file": "elsewhere/b.csv"}}
    assert source_paths(own) == {
        "folder": Path("elsewhere"),
        "inner.file": Path("elsewhere/b.csv"),
        "data": Path("data"),
    }
    assert source_paths(own | {"folder": "~about 5", "inner": None}) == {"data": Path("data")}
    assert source_paths(own | {"folder": ".", "inner": {"file": "/"}, "name": "../project"}) == {"data": Path("data")}
    assert source_paths({"_target_": FOLDER, "size": 8, "annotations": "coco.json"}) == {}  # prepare says what lacks


def test_a_single_file_a_folder_of_parts_and_a_missing_one(project):
    for target, file in (("tables.Table", "t.csv"), ("arrays.Parquet", "parts")):
        data = {"_target_": f"recipe.sources.{target}", "file": file}
        missing = hash_sources(data)
        assert missing["file"] == {"files": 0, "bytes": 0, "sha256": "missing"}
        put(project.parent, "elsewhere/1", content=b"one")
        if file == "parts":
            (project / file).mkdir()
        (project / file / "1.parquet" if file == "parts" else project / file).symlink_to(project.parent / "elsewhere/1")
        first = hash_sources(data)
        assert (first["file"]["files"], first["file"]["bytes"]) == (1, 3)
        (project.parent / "elsewhere/1").write_bytes(b"two")
        assert hash_sources(data) != first != missing


def test_reading_files_that_were_not_looked_at_is_refused(project):
    data = linked(project)
    composed(project, data)
    write_manifest()
    with require_unchanged(data):
        pass
    put(project, "data/images/a/3.png")
    with (
        pytest.raises(RecipeError, match=r"have changed since `dvc repro` hashed them\. Run it again"),
        require_unchanged(data),
    ):
        pytest.fail("the block runs on other files than were looked at")
    write_manifest()
    with pytest.raises(RecipeError, match="have changed"), require_unchanged(data):
        put(project, "data/images/a/4.png")
    with require_unchanged(data, checked=False):
        pass


def test_the_folder_reads_what_is_looked_at(project):
    data = linked(project)
    (project / "data/images/a/zero.png").symlink_to("/dev/zero")
    source = Folder(data["root"], size=8)
    assert hash_sources(data)["root"]["files"] == len(source) == 4
    assert [p.name for p in source.problems] == ["a/zero.png"]


@pytest.mark.slow
def test_dvc_sees_what_lies_behind_links_and_outside_the_project(tmp_path):
    clone: Clone = fresh(tmp_path / "clone")
    photos = tmp_path / "elsewhere"
    put(photos, *(f"{name}/{n}.png" for name in ("ants", "bees") for n in range(4)))
    (clone.root / "data/images").symlink_to(photos)
    (photos / "ants/loop").symlink_to("..")
    (photos / "ants/zero.png").symlink_to("/dev/zero")
    clone.choose(data="folder", prepare={"waive": {"every_example_is_readable": "a device among them"}})
    assert clone.repro("prepare").stages == ["compose", "prepare"]
    clone.commit()
    assert clone.repro("prepare").stages == []
    assert clone.git("status", "--porcelain") == ""
    assert clone.dvc("status", "prepare").text.strip() == "Data and pipelines are up to date."
    (photos / "bees/3.png").unlink()
    assert clone.repro("prepare").stages == ["prepare"]
    assert clone.report("prepare")["metrics"]["examples"] == 7
    for file in photos.rglob("*.png"):
        if file.is_file():
            os.utime(file)
    assert clone.repro("prepare").stages == []

    clone.choose(data={"name": "folder", "root": str(photos)})
    assert clone.repro("prepare").stages == ["compose", "prepare"]
    put(photos, "ants/new.png")
    assert "prepare" in clone.dvc("exp", "run", "prepare").stages
    assert clone.report("prepare")["metrics"]["examples"] == 8
    assert clone.repro("prepare").stages == []
    assert str(photos) not in clone.read("resolved/source.json").decode()

    put(photos, "ants/late.png")  # after `source` has looked
    refused = clone.as_dvc("prepare", code=1)
    assert "prepare: the files of the source have changed since `dvc repro` hashed them" in refused.text
    assert "Traceback" not in refused.text
