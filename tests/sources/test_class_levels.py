"""Which folders are the classes: nested folders, folders of sites, files beside a table, numbers in names."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sources import problems, put, stored

from recipe.errors import RecipeError
from recipe.problems import CLASS_LEVEL, NO_EXAMPLE, NO_FILE, NO_ROW, STRAY
from recipe.sources.class_levels import doubt_level
from recipe.sources.folder import Folder
from recipe.sources.label_encoding import label_order
from recipe.stages.prepare import checks as claims


def crossed(*levels: list[str], files: int = 2) -> list[str]:
    return ["/".join(names) + f"/{n}.png" for names in itertools.product(*levels) for n in range(files)]


def folders_of(files: list[str]) -> list[str]:
    return sorted({"/".join(file.split("/")[:n]) for file in files for n in range(1, file.count("/") + 1)})


CROSSED = {
    "sites": (crossed(["siteA", "siteB"], ["cat", "dog"]), 2),
    "sites by name": (crossed(["Lyon", "Oslo", "Kyiv"], ["healthy", "sick"]), 2),
    "one site lacks a class": (crossed(["s1", "s2", "s3"], ["cat", "dog", "fox"])[:-2], 2),
    "each site lacks one": (["A/x/1", "A/y/1", "A/z/1", "B/x/1", "B/y/1", "B/w/1", "C/x/1", "C/z/1", "C/w/1"], 2),
    "countries of sites": (crossed(["fr", "de"], ["s1", "s2"], ["cat", "dog"]), 3),
    "countries of other sites": (
        crossed(["fr"], ["s1", "s2"], ["cat", "dog"]) + crossed(["de"], ["s3"], ["cat", "dog"]),
        3,
    ),
    "years": (crossed(["cat", "dog"], ["2019", "2020"]), 1),
    "sites, classes and years": (crossed(["siteA", "siteB"], ["cat", "dog"], ["2019", "2020"]), 2),
}


@pytest.mark.parametrize("case", CROSSED)
def test_the_level_that_is_most_likely_is_named(case):
    files, level = CROSSED[case]
    assert f"most likely at level {level}: set `classes_at: {level}`" in doubt_level(folders_of(files), files)


ORDINARY = {
    "no subfolders": crossed(["cat", "dog"]),
    "private ones": ["cat/tom/1", "cat/felix/1", "dog/rex/1", "dog/lassie/1"],
    "one for all": crossed(["cat", "dog", "fox"], ["images"]),
    "in one class alone": [*crossed(["cat"], ["day", "night"]), *crossed(["dog", "fox", "owl", "bee"])],
    "most files beside them": [*crossed(["cat", "dog"], ["raw", "new"], files=1), *crossed(["cat", "dog"], files=40)],
    "superclasses": [*crossed(["animal"], ["cat", "dog"]), *crossed(["vehicle"], ["bus", "car"])],
}


@pytest.mark.parametrize("case", ORDINARY)
def test_ordinary_folders_raise_no_doubt(case):
    assert doubt_level(folders_of(ORDINARY[case]), ORDINARY[case]) == ""


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 4), min_size=2))
def test_subfolders_with_names_of_their_own_raise_no_doubt(classes):
    files = [f"{name}/{name}{n}/{n}.png" for name, count in classes.items() for n in range(count)]
    assert doubt_level(folders_of(files), files) == ""


@pytest.mark.parametrize("above", ["", "train", "TEST"])
def test_folders_of_sites_close_the_gate_until_conf_says_the_level(tmp_path, above):
    files = crossed(
        [above] if above else ["siteA", "siteB"],
        ["siteA", "siteB"] if above else ["cat", "dog"],
        *[["cat", "dog"]] * bool(above),
    )
    put(tmp_path / "in", *files)
    prepared, _ = stored(Folder(tmp_path / "in", size=8), tmp_path / "out")
    reading = claims.Reading(prepared.counts, prepared.converted, 0, level=prepared.level)
    verdict = claims.classes_are_at_a_known_level(reading)
    assert verdict.closes
    assert "`cat`, `dog`; level 1 is `siteA`, `siteB`. The classes are most likely at level 2" in verdict.value
    assert CLASS_LEVEL in prepared.counts

    prepared, store = stored(Folder(tmp_path / "in", size=8, classes_at=2, group="level_1"), tmp_path / "two")
    rows = store.table().to_pylist()
    assert prepared.problems == []
    assert list(store.task.classes) == ["cat", "dog"]
    assert {(r["class"], r["meta_level_1"], r["group"]) for r in rows} == {
        (name, site, site) for name in ("cat", "dog") for site in ("siteA", "siteB")
    }

    one = Folder(tmp_path / "in", size=8, classes_at=1)
    assert one.classes == ["siteA", "siteB"]
    assert set(one.metadata["level_2"]) == {"cat", "dog"}
    assert problems(one) == []


def test_metadata_and_levels_stand_side_by_side(tmp_path):
    put(tmp_path, *crossed(["siteA", "siteB"], ["cat", "dog"], files=1))
    put(
        tmp_path,
        "metadata.csv",
        content=b"file_name,age\nsiteA/cat/0.png,3\nsiteA/dog/0.png,4\nsiteB/cat/0.png,5\nsiteB/dog/0.png,6\n",
    )
    source = Folder(tmp_path, size=8, classes_at=2, group="level_1")
    assert source.metadata == {"level_1": ["siteA", "siteA", "siteB", "siteB"], "age": ["3", "4", "5", "6"]}
    assert source.groups == source.metadata["level_1"]


def test_a_column_may_not_have_the_name_of_a_level(tmp_path):
    put(tmp_path, *crossed(["siteA", "siteB"], ["cat", "dog"], files=1))
    put(tmp_path, "metadata.csv", content=b"file_name,level_1\nsiteA/cat/0.png,3\n")
    assert "level_1" in Folder(tmp_path, size=8).metadata
    with pytest.raises(RecipeError, match="column `level_1` has the name of a level of folders: rename it"):
        Folder(tmp_path, size=8, classes_at=2)


def test_what_lies_less_deep_than_the_classes_is_listed(tmp_path):
    put(tmp_path, "siteA/cat/1.png", "siteB/dog/1.png", "siteA/plan.png", "1.png")
    (tmp_path / "siteC").mkdir()
    (tmp_path / "siteB/fox").mkdir()
    source = Folder(tmp_path, size=8, classes_at=2)
    assert source.classes == ["cat", "dog", "fox"]
    assert {(kind, name) for kind, name, _ in problems(source)} == {
        (STRAY, "siteA/plan.png"), (STRAY, "1.png"), (STRAY, "siteC"), (NO_EXAMPLE, "siteB/fox"),
    }  # fmt: skip


def test_splits_below_the_classes_are_given_splits(tmp_path):
    put(tmp_path, *crossed(["cat", "dog"], ["train", "val"]))
    source = Folder(tmp_path, size=8)
    assert (source.classes, problems(source)) == (["cat", "dog"], [])
    assert source.given_split == [name.split("/")[1] for name in source.names]


def test_a_level_that_is_too_deep_and_a_folder_too_many_give_one_line(tmp_path):
    put(tmp_path / "a", "x/1.png", "y/1.png")
    with pytest.raises(RecipeError, match="`classes_at: 3` is set, but no folder is that deep"):
        Folder(tmp_path / "a", size=8, classes_at=3)
    with pytest.raises(RecipeError, match=r"there is one class folder, `a`\. .* `x`, `y`, set `classes_at: 2`"):
        Folder(tmp_path, size=8)
    assert Folder(tmp_path, size=8, classes_at=2).classes == ["x", "y"]


def test_a_folder_around_the_splits_gives_one_line(tmp_path):
    put(tmp_path, *(f"images/{name}" for name in crossed(["train", "test"], ["cat", "dog"])))
    with pytest.raises(RecipeError, match=r"one folder, `images`, and it holds splits, `test`, `train`\. Set `root: "):
        Folder(tmp_path, size=8)
    assert set(Folder(tmp_path / "images", size=8).given_split) == {"train", "test"}


@pytest.mark.parametrize(
    "folders",
    [
        ["cat", "dog", "test"], ["cat", "train", "test"], ["seg_train/seg_train/cat", "seg_test/seg_test/cat"],
        ["a-train", "b-train", "a-test", "b-test"], ["training_set/training_set/cat", "test_set/test_set/cat"],
        ["seg_train/cat", "seg_train/dog", "seg_test/cat", "seg_test/dog"],
    ],
)  # fmt: skip
def test_classes_that_are_named_as_splits_close_the_gate_until_conf_says_so(tmp_path, folders):
    put(tmp_path, *(f"{folder}/1.png" for folder in folders))
    (doubted,) = [detail for kind, _, detail in problems(Folder(tmp_path, size=8)) if kind == CLASS_LEVEL]
    assert "test" in doubted
    assert "split" in doubted
    assert problems(Folder(tmp_path, size=8, classes_at=1)) == []


@pytest.mark.parametrize("classes", [["car", "bus", "train"], ["valid", "expired"], ["latest", "tested"]])
def test_classes_whose_names_have_other_meanings_raise_no_doubt(tmp_path, classes):
    put(tmp_path, *(f"{name}/1.png" for name in classes))
    assert problems(Folder(tmp_path, size=8)) == []


@pytest.mark.parametrize("images", ["1.png", "train/1.png", "photos/1.png"])
def test_a_table_beside_the_images_is_offered_as_their_labels(tmp_path, images):
    put(tmp_path, images)
    put(tmp_path, "train.csv", content=b"id,breed\n1,a\n")
    with pytest.raises(
        RecipeError, match=r"If the labels are in `train\.csv`, set `table: train\.csv`, `file` and `label`"
    ):
        Folder(tmp_path, size=8)
    with pytest.raises(RecipeError, match="the classes from folders, `table` reads them from a table"):
        Folder(tmp_path, size=8, table="train.csv", classes_at=2)


def test_a_single_class_gives_one_line(tmp_path):
    put(tmp_path / "in", "cat/1.png", "cat/2.png")
    with pytest.raises(
        RecipeError, match=r"^Folder: there is only one class, `cat`; classification needs at least two"
    ):
        stored(Folder(tmp_path / "in", size=8), tmp_path / "out")


# ---- order ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        [str(n) for n in range(12)],
        ["-1", "0", "0.5", "1", "10", "a"],
        ["class9", "class10", "class10b", "class100"],
        ["a", "a2", "a10", "b1"],
        ["A", "A-", "B", "inf", "nan"],
    ],
)
def test_classes_are_in_the_order_of_the_numbers_in_their_names(tmp_path, names):
    put(tmp_path, *(f"{name}/1.png" for name in names))
    assert Folder(tmp_path, size=8).classes == names


@pytest.mark.slow
@given(st.lists(st.text(max_size=6), unique=True))
def test_any_names_have_one_order(names):
    assert sorted(names, key=label_order) == sorted(reversed(names), key=label_order)


@pytest.mark.parametrize("form", ["{}", "'{}'", '"{}"'])  # OpenML's files have names in quotes
def test_numbers_come_by_size_also_in_quotes(form):
    names = [form.format(number) for number in ("-10", "-1", "0", "+1", "2", "10")]
    assert sorted(sorted(names), key=label_order) == names


# ---- files beside a table ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{}.png", "{}", "sub/{}.png", "images/sub/{}", "{}.PNG"])
def test_files_beside_a_table_of_labels(tmp_path, form):
    """As in Kaggle: with or without the ending, the folder, or more of the path than the root's."""
    put(tmp_path / "images", *(f"sub/im{n}.png" for n in range(4)))
    lines = ["id,breed,age", *(f"{form.format(f'im{n}')},{'ab'[n % 2]},{n}" for n in range(4))]
    put(tmp_path, "train.csv", content="\n".join(lines).encode())
    source = Folder(tmp_path / "images", size=8, table="../train.csv", file="id", label="breed")
    assert source.names == [f"sub/im{n}.png" for n in range(4)]
    assert (source.classes, source.targets) == (["a", "b"], [0, 1, 0, 1])
    assert source.metadata == {"age": ["0", "1", "2", "3"]}
    assert [p for p in problems(source) if "except for its case" not in p[2]] == []


def test_files_without_a_row_and_rows_without_a_file_are_listed(tmp_path):
    put(tmp_path, "1.png", "2.png", "3.png", "4.png")
    put(tmp_path, "train.csv", content=b"id,label,who\n1,x,anna\n2,,bo\n3,y,anna\n5,y,bo\n")
    prepared, store = stored(Folder(tmp_path, size=8, table="train.csv", file="id", group="who"), tmp_path / "out")
    assert [(r["name"], r["class"], r["group"]) for r in store.table().to_pylist()] == [
        ("1.png", "x", "anna"), ("3.png", "y", "anna"),
    ]  # fmt: skip
    assert sorted((p.kind, p.name, p.detail) for p in prepared.problems) == [
        (NO_ROW, "4.png", "train.csv has no row for this file"),
        (NO_FILE, "train.csv, line 5", "no file `5`"),
        ("unknown label", "2.png", "no label"),
    ]  # fmt: skip
    reading = claims.Reading(prepared.counts, prepared.converted, 0)
    assert claims.metadata_agrees_with_the_files(reading).closes
    assert claims.every_label_is_known(reading).closes


def test_a_table_of_labels_may_give_the_splits(tmp_path):
    put(tmp_path, *(f"{n}.png" for n in range(4)))
    put(tmp_path, "t.csv", content=b"file_name,label,part\n0,a,train\n1,b,train\n2,a,test\n3,b,test\n")
    source = Folder(tmp_path, size=8, table="t.csv", split="part")
    assert source.given_split == ["train", "train", "test", "test"]
    assert source.metadata == {}
    put(tmp_path / "two", "train/1.png", "train/2.png", "test/1.png", "test/2.png")
    put(tmp_path / "two", "t.csv", content=b"file_name,label\ntrain/1,a\ntrain/2,b\ntest/1,a\ntest/2,b\n")
    assert Folder(tmp_path / "two", size=8, table="t.csv").given_split == ["test", "test", "train", "train"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"table": "gone.csv"}, r"gone\.csv is missing: its folder holds 1\.png, t\.csv"),
        ({"table": "t.csv"}, "no column `file_name`; there are id, breed"),
        ({"table": "t.csv", "file": "id"}, "no column `label`; there are id, breed"),
        (
            {"table": "t.csv", "file": "breed", "label": "id"},
            "column `breed` of t.csv names no file there. It begins with `a`",
        ),
    ],
)
def test_a_mistake_in_the_table_of_labels_gives_one_line(tmp_path, more, message):
    put(tmp_path, "1.png")
    put(tmp_path, "t.csv", content=b"id,breed\n1,a\n")
    with pytest.raises(RecipeError, match=message):
        Folder(tmp_path, size=8, **more)
