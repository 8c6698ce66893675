"""Arrays, and encoded images in parquet."""

import json
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet
from sources import encoded, stored

from recipe.errors import RecipeError
from recipe.sources.arrays import Arrays, Parquet
from recipe.sources.tables import Table, Text
from recipe.stages.prepare.captions import findings


@pytest.mark.parametrize(
    ("inputs", "labels", "kind", "shape"),
    [
        (np.zeros((4, 8, 8), np.uint8), [0, 1, 0, 1], "image", (4, 1, 8, 8)),
        (np.zeros((4, 8, 8, 3), np.uint8), [[0], [1], [0], [1]], "image", (4, 3, 8, 8)),
        (np.zeros((4, 3, 8, 8), np.float32), ["b", "a", "b", "a"], "image", (4, 3, 8, 8)),
        (np.zeros((4, 5)), [1.0, 2.0, 1.0, 2.0], "features", (4, 5)),
        (np.array(list("wxyz")), [7, 8, 7, 8], "text", (4, 0)),
    ],
)
def test_arrays_of_each_kind(tmp_path, inputs, labels, kind, shape):
    np.savez(tmp_path / "x.npz", x=inputs, y=np.array(labels), who=np.array([1, 1, 2, 2]))
    prepared, store = stored(Arrays(tmp_path / "x.npz", group="who"), tmp_path / "out")
    assert (store.kind.name, store.inputs.shape, prepared.problems) == (kind, shape, [])
    assert [e["group"] for e in store.examples()] == ["1", "1", "2", "2"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((3, 2)), "z": np.zeros(3)}, "no array `y`; there are x, z"),
        (
            {"x": np.zeros((3, 2)), "y": np.zeros(2)},
            r"`y` is \(2,\) for 3 examples in `x`; it must be one label per example",
        ),
        (
            {"x": np.zeros((3, 2)), "y": np.array([[1, 0], [0, 1], [0.5, 0.5]])},
            r"is \(3, 2\), and x\.npz, row 2 is \[0\.5, 0\.5\]: shares of classes, which are not supported",
        ),
        ({"x": np.zeros((3, 2)), "y": np.zeros((3, 2, 2))}, "it must be one label per example"),
        ({"x": np.zeros((3, 8, 8, 8)), "y": np.zeros(3)}, r"which axis holds the channels cannot be seen"),
        ({"x": np.zeros(3), "y": np.zeros(3)}, "neither images, rows nor texts"),
        ({"x": np.array([1, "a", None], object), "y": np.zeros(3)}, "holds Python objects, which only a pickle could"),
    ],
)
def test_an_archive_of_another_form_is_refused_with_what_to_do(tmp_path, arrays, message):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(RecipeError, match=message):
        Arrays(tmp_path / "x.npz")


def test_one_array_and_a_damaged_archive_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    with pytest.raises(RecipeError, match="holds one array"):
        Arrays(tmp_path / "x.npy")
    np.savez_compressed(tmp_path / "x.npz", x=np.random.default_rng(0).random((50, 9)), y=np.arange(50) % 2)
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[300:400] = bytes(100)
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(RecipeError, match=r"is damaged|cannot be read"):
        Arrays(tmp_path / "x.npz")


# ---- encoded images in parquet -----------------------------------------------------------------------------------


def shelf(path: Path, images, labels, **more) -> None:
    parquet.write_table(pyarrow.table({"image": images, "label": labels, **more}), path, row_group_size=2)


def test_encoded_images_of_several_files_and_row_groups_stay_in_order(tmp_path):
    files = [encoded((8, 8), f"#0000{n:02x}") for n in range(0, 70, 10)]
    shelf(tmp_path / "a.parquet", files[:5], list("xyxyx"), site=list("klmno"))
    shelf(tmp_path / "b.parquet", files[5:], list("yx"), site=list("pq"))
    prepared, store = stored(Parquet(tmp_path, metadata=["site"]), tmp_path / "out")
    assert store.inputs[:, 2, 0, 0].tolist() == list(range(0, 70, 10))
    rows = store.table().to_pylist()
    assert [r["meta_site"] for r in rows] == list("klmnopq")
    assert [r["name"] for r in rows][4:6] == ["a.parquet, row 4", "b.parquet, row 0"]
    assert prepared.problems == []


def test_images_of_hugging_faces_form_bring_their_class_names(tmp_path):
    images = [{"bytes": encoded((9, 9)), "path": "1.png"}, {"bytes": None, "path": "2.png"}]
    table = pyarrow.table({"image": images, "label": [1, 0]})
    about = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    parquet.write_table(table.replace_schema_metadata({"huggingface": json.dumps(about)}), tmp_path / "x.parquet")
    prepared, store = stored(Parquet(tmp_path / "x.parquet", size=4), tmp_path / "out")
    assert list(store.task.classes) == ["cat", "dog"]
    assert [e["class"] for e in store.examples()] == ["dog"]
    assert prepared.counts == {"missing": 1}
    assert prepared.problems[0].name == "x.parquet, row 1"


NAMED = {"names": ["sun", "sea", "snow"], "_type": "ClassLabel"}


@pytest.mark.parametrize("word", [{"label": "tags"}, {"labels": {"column": "tags"}}])
@pytest.mark.parametrize(
    "feature",
    [{"feature": NAMED, "length": -1, "_type": "Sequence"}, {"feature": NAMED, "_type": "List"}, [NAMED]],
    ids=["Sequence", "List", "list"],
)
def test_lists_of_hugging_faces_class_numbers_are_labels_with_their_names(tmp_path, feature, word):
    images = [{"bytes": encoded((9, 9)), "path": f"{i}.png"} for i in range(3)]
    table = pyarrow.table({"image": images, "tags": [[0, 1], [1, 0], [0, 0]]})  # numbers, not whether labels are there
    about = {"info": {"features": {"tags": feature}}}
    parquet.write_table(table.replace_schema_metadata({"huggingface": json.dumps(about)}), tmp_path / "x.parquet")
    source = Parquet(tmp_path / "x.parquet", **word, size=4)
    assert (source.labels, source.targets) == (["sun", "sea", "snow"], [(1, 1, 0), (1, 1, 0), (1, 0, 0)])


@pytest.mark.parametrize("read", [Table, Text], ids=["table", "text"])
def test_a_parquet_table_has_the_class_names_of_hugging_face(tmp_path, read):
    about = {"info": {"features": {"label": {"names": ["neg", "a pos"], "_type": "ClassLabel"}, "text": {}}}}
    table = pyarrow.table({"text": [*"pqrs"], "label": [1, 0, 0, -1], "size": [1.5, 2.5, 0.5, 3.0]})
    parquet.write_table(table.replace_schema_metadata({"huggingface": json.dumps(about)}), tmp_path / "x.parquet")
    source = read(tmp_path / "x.parquet", **({"text": "text"} if read is Text else {}))
    assert source.classes == ["neg", "a pos"]  # in their order
    assert source.targets == [1, 0, 0, "-1"]  # the last is unknown, as Hugging Face marks a missing label
    if read is Table:
        assert Table(tmp_path / "x.parquet", target="label").targets == [(1.0,), (0.0,), (0.0,), (-1.0,)]


def test_an_empty_cell_is_no_file_of_no_bytes(tmp_path):
    image = pyarrow.array([encoded(), None, b"", encoded()], pyarrow.binary())
    shelf(tmp_path / "x.parquet", image, list("abab"))
    prepared, _ = stored(Parquet(tmp_path / "x.parquet", size=4), tmp_path / "out")
    assert [(p.kind, p.name, p.detail) for p in prepared.problems] == [
        ("missing", "x.parquet, row 1", "The cell is empty: it holds no bytes of an image."),
        ("empty", "x.parquet, row 2", "The file has 0 bytes."),
    ]
    assert not [text for text in findings(prepared) if text.endswith("..")]


@pytest.mark.parametrize("kind", ["binary", "large_binary", "binary_view", "dictionary", "struct"])
def test_bytes_of_any_type_are_files(tmp_path, kind):
    image = pyarrow.array([encoded(colour="red"), encoded(colour="blue")], pyarrow.binary())
    if kind == "dictionary":
        image = image.dictionary_encode()
    elif kind == "struct":
        image = pyarrow.StructArray.from_arrays([image.cast(pyarrow.large_binary())], ["bytes"])
    else:
        image = image.cast(getattr(pyarrow, kind)())
    shelf(tmp_path / "x.parquet", image, ["a", "b"])
    prepared, store = stored(Parquet(tmp_path / "x.parquet", size=4), tmp_path / "out")
    assert (prepared.problems, store.inputs[:, :, 0, 0].tolist()) == ([], [[255, 0, 0], [0, 0, 255]])


@pytest.mark.parametrize(
    "cells",
    [["1.png", "2.png"], [1, 2], [{"path": "1.png"}, {"path": "2.png"}], [[1, 2], [3]], [[b"1"], [b"2"]]],
)
def test_a_column_that_holds_no_files_is_refused(tmp_path, cells):
    shelf(tmp_path / "x.parquet", cells, ["a", "b"])
    with pytest.raises(RecipeError, match=r"the column `image` holds .*; it must hold the bytes of image files"):
        Parquet(tmp_path / "x.parquet")


def test_a_group_that_is_not_a_number_is_no_group(tmp_path):
    who = np.array([1.0, np.nan, np.nan, 1.0])
    np.savez(tmp_path / "x.npz", x=np.zeros((4, 8, 8), np.uint8), y=np.array([0, 1, 0, 1]), who=who)
    _, store = stored(Arrays(tmp_path / "x.npz", group="who"), tmp_path / "out")
    assert [e["group"] for e in store.examples()] == ["1.0", "", "", "1.0"]


def test_a_missing_column_of_a_parquet_file_is_named(tmp_path):
    shelf(tmp_path / "x.parquet", [encoded()], ["a"])
    with pytest.raises(RecipeError, match="no column `img`; there are image, label"):
        Parquet(tmp_path / "x.parquet", image="img")
