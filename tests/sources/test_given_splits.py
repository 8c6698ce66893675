"""Splits that a source gives: every form of every name means train, val or test, and what means none is listed."""

import json
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from pyarrow import parquet
from sources import Set, Wide, encoded, put, stored

from recipe.config.instantiate import data_name, part
from recipe.data.split_names import KNOWN, NAMES, SYNONYMS, normalised, split_of
from recipe.errors import RecipeError
from recipe.problems import NOT_FINITE, UNKNOWN_SPLIT
from recipe.sources.arrays import Arrays, Parquet
from recipe.sources.folder import Folder
from recipe.sources.given_splits import GivenSplits
from recipe.sources.tables import Table, Text

CALL = [(called, name) for name, names in SYNONYMS.items() for called in names]


def given_of(source, folder) -> list[str]:
    return [e["given_split"] for e in stored(source, folder)[1].examples()]


# ---- names -----------------------------------------------------------------------------------------------------------


@given(st.sampled_from(CALL), st.data())
def test_a_split_is_known_by_each_of_its_names_in_any_case(call, data):
    called, name = call
    written = "".join(data.draw(st.sampled_from([c.upper(), c])) for c in called)
    blanks = data.draw(st.sampled_from(["", " ", "\t"]))
    assert split_of(f"{blanks}{written}{blanks}") == name
    assert split_of(np.bytes_(written)) == name
    assert split_of(f"{written}1") == ""
    assert split_of(f"{written}_set") == split_of(f"{written} set") == split_of(f"{written}set") == name


@given(st.lists(st.sampled_from(["train", "Test", "VALIDATION", "tset", "", None, float("nan"), 3])))
def test_each_value_is_a_split_or_is_reported(values):
    splits, wrong = normalised(values)
    assert len(splits) == len(values)
    assert set(splits) <= {"", *NAMES}
    given_any = any(v in ("train", "Test", "VALIDATION", "tset", 3) for v in values)
    assert set(wrong) == ({i for i, s in enumerate(splits) if not s} if given_any else set())


def test_an_example_of_an_unknown_split_is_listed_and_in_no_split(tmp_path):
    source = Set([(np.full((4, 4), n, np.uint8), n % 2) for n in range(4)])
    source.given_split, source.names = ["train", "tset", "", "dev"], list("wxyz")
    prepared, store = stored(source, tmp_path)
    assert [(p.kind, p.name, p.detail) for p in prepared.problems] == [
        (UNKNOWN_SPLIT, "x", f"its split is `tset`; splits are {KNOWN}"),
        (UNKNOWN_SPLIT, "y", "its split is empty, and 2 other examples have one: write train, val or test"),
    ]  # fmt: skip
    assert [(e["source"], e["given_split"]) for e in store.examples()] == [(0, "train"), (3, "val")]


# ---- tables and metadata ---------------------------------------------------------------------------------------------

ROWS = "size,part,label\n1,train,a\n2,Training,b\n3,val,a\n4,DEV,b\n5,test,a\n6,testing,b\n"
OF_TEXTS = "".join(f"{'text ' * (i > 0)}{row}\n" for i, row in enumerate(ROWS.splitlines()))
MEANT = ["train", "train", "val", "val", "test", "test"]


def test_a_column_of_a_table_or_of_texts_gives_splits_and_is_no_feature(tmp_path):
    put(tmp_path, "t.csv", content=ROWS.encode())
    table = Table(tmp_path / "t.csv", label="label", split="part")
    assert table.columns == ["size"]
    assert given_of(table, tmp_path / "a") == MEANT
    put(tmp_path, "x.csv", content=OF_TEXTS.encode())
    assert given_of(Text(tmp_path / "x.csv", text="size", label=-1, split=1), tmp_path / "b") == MEANT


@pytest.mark.parametrize(
    "read", [lambda f: Table(f, label="label"), lambda f: Text(f, text="size", label="label")], ids=["table", "text"]
)
def test_a_column_of_splits_that_conf_does_not_name_is_refused(tmp_path, read):
    put(tmp_path, "t.csv", content=OF_TEXTS.encode())
    message = r"t\.csv: the column `part` names splits \(train 2, val 2, test 2\).*Set `split: part` there; to divide"
    with pytest.raises(RecipeError, match=message):
        read(tmp_path / "t.csv")
    put(tmp_path, "t.csv", content=OF_TEXTS.replace("testing", "hall").encode())
    read(tmp_path / "t.csv")  # a column with other names is none of splits


def test_a_column_of_splits_may_be_set_aside_as_metadata(tmp_path):
    put(tmp_path, "t.csv", content=ROWS.encode())
    assert given_of(Table(tmp_path / "t.csv", label="label", metadata=["part"]), tmp_path / "out") == [""] * 6


def test_a_named_column_without_any_split_is_refused(tmp_path):
    put(tmp_path, "t.csv", content=b"size,part,label\n1,,a\n2, ,b\n")
    with pytest.raises(RecipeError, match=r"t\.csv, column `part`: `split` names this column, and no row has a value"):
        Table(tmp_path / "t.csv", label="label", split="part")


def test_a_column_of_the_metadata_of_a_folder_gives_splits(tmp_path):
    put(tmp_path, "a/1.png", "a/2.png", "b/3.png", "b/4.png")
    lines = ["file_name,part,age", "a/1.png,train,3", "a/2.png,Valid,4", "b/3.png,test,5", "b/4.png,tets,6"]
    put(tmp_path, "metadata.csv", content="\n".join(lines).encode())
    prepared, store = stored(Folder(tmp_path, size=8, split="part"), tmp_path / "out")
    assert [e["given_split"] for e in store.examples()] == ["train", "val", "test"]
    assert [(p.kind, p.name) for p in prepared.problems] == [(UNKNOWN_SPLIT, "b/4.png")]
    assert "meta_age" in store.table().column_names
    assert "meta_part" not in store.table().column_names  # it would tell the split, and nothing else


def test_splits_by_folders_and_by_a_column_are_one_too_many(tmp_path):
    put(tmp_path, "train/a/1.png", "val/a/2.png")
    put(tmp_path, "metadata.csv", content=b"file_name,part\n1.png,train\n2.png,val\n")
    with pytest.raises(RecipeError, match="`split: part` gives splits, and so do the folders: remove one"):
        Folder(tmp_path, size=8, split="part")
    with pytest.raises(RecipeError, match=r"`split: part` names a column of metadata\.csv, but there is no such file"):
        Folder(put(tmp_path / "other", "a/1.png") or tmp_path / "other", size=8, split="part")


# ---- parquet ---------------------------------------------------------------------------------------------------------


def shelf(file, count: int, **more) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    images = [encoded((8, 8), f"#{sum(file.name.encode()) % 256:02x}{i:02x}00") for i in range(count)]
    table = {"image": images, "label": [i % 2 for i in range(count)], **more}
    parquet.write_table(pyarrow.table(table), file, row_group_size=2)


def test_a_column_of_a_parquet_file_gives_splits(tmp_path):
    shelf(tmp_path / "x.parquet", 3, split=["train", "validation", "test"])
    assert given_of(Parquet(tmp_path / "x.parquet", split="split"), tmp_path / "a") == ["train", "val", "test"]
    with pytest.raises(RecipeError, match=r"the column `split` names splits \(train 1, val 1, test 1\)"):
        Parquet(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    "names",
    [("train-00000-of-00001.parquet", "validation-00000-of-00001.parquet"), ("train/0.parquet", "dev/0.parquet")],
)
def test_parquet_files_that_are_named_as_splits_give_them(tmp_path, names):
    for name, count in zip(names, (3, 2), strict=True):
        shelf(tmp_path / "in" / name, count)
    assert Counter(given_of(Parquet(tmp_path / "in"), tmp_path / "out")) == {"train": 3, "val": 2}


def test_one_parquet_file_that_is_named_as_no_split_is_refused(tmp_path):
    shelf(tmp_path / "train.parquet", 2)
    shelf(tmp_path / "extra.parquet", 2)
    with pytest.raises(RecipeError, match=r"`train\.parquet` is named as a split and `extra\.parquet` is not"):
        Parquet(tmp_path)


def test_a_missing_label_beside_class_names_is_one_unknown_label(tmp_path):
    images = [encoded((8, 8), f"#0000{i:02x}") for i in range(3)]
    about = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    table = pyarrow.table({"image": images, "label": [1, None, 0]})
    parquet.write_table(table.replace_schema_metadata({"huggingface": json.dumps(about)}), tmp_path / "x.parquet")
    prepared, store = stored(Parquet(tmp_path / "x.parquet"), tmp_path / "out")
    assert [e["class"] for e in store.examples()] == ["dog", "cat"]
    problems = [(p.kind, p.name, p.detail) for p in prepared.problems]
    assert problems == [("unknown label", "x.parquet, row 1", "no label")]


# ---- arrays ----------------------------------------------------------------------------------------------------------


def images(count: int, seed: int = 0, **more) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("form", ["{}_{}", "{1}_{0}"])
def test_arrays_of_kerass_form_are_given_splits(tmp_path, form):
    parts = {"test": 2, "train": 5, "valid": 3}
    content = {form.format("x", s): images(n, n) for s, n in parts.items()}
    content |= {form.format("y", s): np.arange(n)[:, None] % 2 for s, n in parts.items()}
    np.savez(tmp_path / "k.npz", **content)
    _, store = stored(Arrays(tmp_path / "k.npz"), tmp_path / "out")
    rows = store.examples()
    assert Counter(r["given_split"] for r in rows) == {"train": 5, "val": 3, "test": 2}
    assert (rows[5]["name"], rows[5]["given_split"]) == ("k.npz, val, row 0", "val")
    assert np.array_equal(store.inputs[8], images(2, 2)[0].transpose(2, 0, 1))
    assert [r["label"] for r in rows] == [0, 1, 0, 1, 0, 0, 1, 0, 0, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"x_train": images(2), "y_train": [0, 1], "x_test": images(2)}, "no array `y_test`; there are x_train"),
        ({"x_train": images(2), "y_train": [0, 1], "x_test": images(2), "y_test": [0]}, "`y_test` has 1 entries for 2"),
        (
            {"x_train": images(2), "y_train": [0, 1], "x_test": images(2) / 255, "y_test": [0, 1]},
            r"`x_train` is uint8 \(2, 8, 8, 3\), `x_test` float64 \(2, 8, 8, 3\): all splits must have the same type",
        ),
        (
            {"x": images(2), "y": [0, 1], "x_test": images(2)},
            "it has both `x`, with all examples, and `x_test`, with a split",
        ),
        ({"x_val": images(2), "x_dev": images(2)}, "`x_val` and `x_dev` are both val"),
        ({"X_train": images(2), "y_train": [0, 1]}, "no array `x`; there are X_train, y_train"),
        ({"x": images(2), "y": [0, 1], "split": ["train", "test"]}, "the column `split` names splits"),
    ],
)
def test_archives_whose_splits_are_not_clear_are_refused(tmp_path, content, message):
    np.savez(tmp_path / "k.npz", **{name: np.asarray(array) for name, array in content.items()})
    with pytest.raises(RecipeError, match=message):
        Arrays(tmp_path / "k.npz")


def test_an_array_gives_splits(tmp_path):
    np.savez(tmp_path / "k.npz", x=images(3), y=[0, 1, 0], part=["train", "TEST", "val"])
    assert given_of(Arrays(tmp_path / "k.npz", split="part"), tmp_path / "out") == ["train", "test", "val"]


@pytest.mark.parametrize("labels", [np.eye(3)[[2, 0, 2, 0]], np.eye(3, dtype=bool)[[2, 0, 2, 0]]])
def test_one_hot_labels_are_classes_and_one_without_an_example_keeps_its_number(tmp_path, labels):
    np.savez(tmp_path / "k.npz", x=images(4), y=labels)
    assert [e["label"] for e in stored(Arrays(tmp_path / "k.npz"), tmp_path / "a")[1].examples()] == [2, 0, 2, 0]
    source = Arrays(tmp_path / "k.npz", classes=["cat", "dog", "fox"])
    assert (source.classes, source.targets) == (["cat", "dog", "fox"], [2, 0, 2, 0])
    with pytest.raises(RecipeError, match="has 3 one-hot columns, and `classes` names 2"):
        Arrays(tmp_path / "k.npz", classes=["cat", "dog"])


@given(st.integers(1, 4), st.integers(5, 9), st.integers(5, 9), st.booleans())
def test_images_are_the_same_with_their_channels_first_or_last(channels, height, width, first):
    from recipe.sources.npz import channels_last

    last = np.random.default_rng(0).random((2, height, width, channels))
    given_ = last.transpose(0, 3, 1, 2) if first else last
    assert np.array_equal(channels_last(given_, "x"), last)


def test_many_channels_are_the_shortest_axis(tmp_path):
    bands = np.random.default_rng(0).random((4, 13, 32, 40)).astype(np.float32)
    np.savez(tmp_path / "k.npz", x=bands, y=[0, 1, 0, 1])
    assert np.array_equal(stored(Arrays(tmp_path / "k.npz"), tmp_path / "out")[1].inputs, bands)


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint16, np.uint64])
def test_whole_numbers_from_0_to_255_are_bytes(tmp_path, kind):
    np.savez(tmp_path / "k.npz", x=images(4).astype(kind), y=[0, 1, 0, 1])
    store = stored(Arrays(tmp_path / "k.npz"), tmp_path / "out")[1]
    assert store.inputs.dtype == np.uint8
    assert np.array_equal(store.inputs, images(4).transpose(0, 3, 1, 2))


def test_an_image_that_is_not_finite_is_named_with_the_place(tmp_path):
    x = images(4).astype(np.float32)
    x[1, 2, 3, 0], x[1, 7], x[3, 0, 0, 1] = np.nan, np.inf, -np.inf
    np.savez(tmp_path / "k.npz", x=x, y=[0, 1, 0, 1])
    prepared, _ = stored(Arrays(tmp_path / "k.npz"), tmp_path / "out")
    assert [(p.kind, p.name, p.detail) for p in prepared.problems] == [
        (NOT_FINITE, "k.npz, row 1", "25 of its 192 values are not finite, the first nan at [2, 3, 0]"),
        (NOT_FINITE, "k.npz, row 3", "1 of its 192 values are not finite, the first -inf at [0, 0, 1]"),
    ]


# ---- torchvision -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", ["mnist", "fashion_mnist"])
def test_torchvisions_train_and_test_parts_are_given_splits(tmp_path, choice):
    """Tiny files in the form that torchvision downloads."""
    data = OmegaConf.load(Path(__file__).parents[2] / f"conf/data/{choice}.yaml")
    raw = tmp_path / data.train._target_.rpartition(".")[2] / "raw"
    raw.mkdir(parents=True)
    for name, count in (("train", 6), ("t10k", 4)):
        pixels = np.full((count, 28, 28), 7 if name == "train" else 200, np.uint8)
        (raw / f"{name}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, count, 28, 28) + pixels.tobytes())
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, count) + bytes(range(count)))
    data.train.root = data.test.root = str(tmp_path)
    _, store = stored(part(OmegaConf.create({"data": data}), "data"), tmp_path / "out")
    assert Counter(e["given_split"] for e in store.examples()) == {"train": 6, "test": 4}
    assert store.inputs[:, 0, 0, 0].tolist() == [7] * 6 + [200] * 4
    assert [e["label"] for e in store.examples()] == [*range(6), *range(4)]
    assert data_name(OmegaConf.create({"data": data})) in ("MNIST", "FashionMNIST")


@pytest.mark.parametrize("choice", ["mnist", "fashion_mnist", "cifar10", "cifar100"])
def test_each_of_torchvisions_sets_reads_both_of_its_parts(choice):
    data = OmegaConf.load(Path(__file__).parents[2] / f"conf/data/{choice}.yaml")
    assert (data.train.train, data.test.train, data.val) == (True, False, None)
    assert data.train._target_ == data.test._target_


def test_parts_that_number_their_classes_in_two_ways_are_refused():
    with pytest.raises(RecipeError, match=r"train has the classes a, b \(2\), test has b, a \(2\): one number"):
        GivenSplits(Set([], ("a", "b")), test=Set([], ("b", "a")))
    with pytest.raises(RecipeError, match="val is Wide, not a data set with"):
        GivenSplits(Set([]), val=Wide([]))
    with pytest.raises(RecipeError, match="val is int, not a data set with"):
        GivenSplits(Set([]), val=3)
