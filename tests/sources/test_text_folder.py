"""A text in each file, by the rules of folders of images."""

import pytest
from omegaconf import OmegaConf

from recipe.config.instantiate import part
from recipe.data.store import Store
from recipe.errors import RecipeError
from recipe.files import read_json
from recipe.problems import BadExample
from recipe.serve.inputs import InputForm, read_inputs
from recipe.sources.source_files import hash_sources
from recipe.sources.text_folder import TextFolder
from recipe.stages.prepare.write_store import prepare

TARGET = "recipe.sources.text_folder.TextFolder"


def write(root, files: dict[str, str | bytes]):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def test_class_folders_and_encodings(tmp_path):
    root = write(
        tmp_path / "x",
        {
            "ham/1.txt": "see you at noon", "ham/2.txt": "caf\u00e9 at 4?".encode("cp1252"),
            "spam/1.txt": "\ufeffWIN a prize".encode("utf-16"), "spam/deep/2.txt": "free\nmoney",
        },
    )  # fmt: skip
    source = TextFolder(str(root))
    assert source.classes == ["ham", "spam"]
    found = {name: source[i] for i, name in enumerate(source.names)}
    assert found["ham/2.txt"] == ("caf\u00e9 at 4?", 0)
    assert found["spam/1.txt"][0].lstrip("\ufeff") == "WIN a prize"
    assert found["spam/deep/2.txt"] == ("free\nmoney", 1)


def test_given_splits_and_a_table(tmp_path):
    files = {f"{part}/{name}/{i}.txt": f"{name} {i}" for part in ("train", "test") for name in "ab" for i in range(2)}
    source = TextFolder(str(write(tmp_path / "s", files)))
    assert sorted(set(source.given_split)) == ["test", "train"]
    root = write(
        tmp_path / "t", {"1.txt": "good", "2.txt": "bad", "metadata.csv": "file_name,stars\n1.txt,4.5\n2.txt,1"}
    )
    rated = TextFolder(str(root), target="stars")
    assert rated.target_columns == ["stars"]
    assert sorted(rated[i][0] for i in range(2)) == ["bad", "good"]


def test_what_is_no_text_is_listed_and_the_rest_is_stored_and_read_again(tmp_path):
    files = {f"a/{i}.txt": f"text {i}" for i in range(4)} | {f"b/{i}.txt": f"other {i}" for i in range(4)}
    root = write(
        tmp_path / "x",
        files | {"b/empty.txt": " ", "a/photo.jpg": b"\xff\xd8\x00\x10" * 9, "b/odd.txt": b"\xff\x81\x8d\x00\x01" * 9},
    )
    prepare(TextFolder(str(root)), {"_target_": TARGET}, tmp_path / "prepare")
    store = Store.open({"_target_": TARGET}, tmp_path / "prepare")
    assert len(store.texts()) == 8
    listed = (tmp_path / "prepare/problems.csv").read_text()
    assert "b/empty.txt" in listed
    assert "b/odd.txt" in listed
    assert "not a .txt file" in next(line for line in listed.splitlines() if "a/photo.jpg" in line)
    form = InputForm.of_facts(read_json(tmp_path / "prepare/store.json"))
    assert [one.value for one in read_inputs(root / "a", form, 1)] == [f"text {i}" for i in range(4)]


def test_a_huge_file_is_not_read(tmp_path):
    root = write(tmp_path / "x", {"a/1.txt": "x", "b/1.txt": "x" * 4_000_001})
    with pytest.raises(BadExample, match="4,000,001 bytes"):
        TextFolder(str(root))[1]


def test_an_edit_of_a_text_changes_what_dvc_depends_on(tmp_path):
    root = write(tmp_path / "x", {"a/1.txt": "one", "b/1.txt": "two"})
    config = {"_target_": TARGET, "root": str(root), "table": None}
    before = hash_sources(config)
    (root / "a/1.txt").write_text("three")
    assert hash_sources(config) != before


def test_a_missing_folder_is_one_message(tmp_path):
    with pytest.raises(RecipeError, match="is not a folder"):
        part(OmegaConf.create({"data": {"_target_": TARGET, "root": str(tmp_path / "nowhere")}}), "data")
