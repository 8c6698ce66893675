"""Class folders: what is read, what is told, what metadata.csv adds."""

import os
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sources import encoded, problems, put, stored

from recipe.errors import RecipeError
from recipe.problems import (
    CLASS_ALIKE,
    CLASS_SPELLING,
    CONTRADICTION,
    LINK,
    NO_EXAMPLE,
    NO_FILE,
    NO_ROW,
    ODD_NAME,
    RAGGED,
    STRAY,
    UNREADABLE,
)
from recipe.sources.folder import Folder
from recipe.sources.join_by_name import join_rows
from recipe.stages.prepare import checks as claims
from recipe.stages.prepare.write_store import HINTS


def test_class_folders_are_read_in_order(tmp_path):
    put(tmp_path, "bees/2.jpg", "bees/1.png", "ants/deep/er/x.anything", "ants/7")
    prepared, store = stored(Folder(tmp_path, size=8), tmp_path / "out")
    rows = store.table().to_pylist()
    assert [(r["name"], r["class"], r["given_split"]) for r in rows] == [
        ("ants/7", "ants", ""), ("ants/deep/er/x.anything", "ants", ""), ("bees/1.png", "bees", ""),
        ("bees/2.jpg", "bees", ""),
    ]  # fmt: skip
    assert prepared.problems == []
    assert store.inputs.shape == (4, 3, 8, 8)
    assert all((r["format"], r["width"], r["height"]) == ("PNG", 30, 20) for r in rows)


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "valid"), ("train",)])
def test_splits_given_by_the_source_become_a_column(tmp_path, names):
    put(tmp_path, *(f"{name}/{c}/{n}.png" for name in names for c in ("a", "b") for n in range(2)))
    source = Folder(tmp_path, size=8)
    assert source.classes == ["a", "b"]
    assert Counter(source.given_split) == dict.fromkeys(names, 4)


def test_a_class_may_be_called_train(tmp_path):
    put(tmp_path, "train/1.png", "bus/1.png")
    assert Folder(tmp_path, size=8).classes == ["bus", "train"]


def test_pictures_larger_than_the_input_have_a_preview(tmp_path):
    put(tmp_path, "a/large.png", content=encoded((500, 250), "blue"))
    put(tmp_path, "b/small.png", content=encoded((10, 5), "blue"))
    prepared, store = stored(Folder(tmp_path, size=16), tmp_path / "out")
    assert store.picture(0).shape == (96, 192, 3)
    assert np.abs(store.picture(0).astype(int) - [0, 0, 255]).max() < 4
    assert np.array_equal(store.picture(1), store.inputs[1].transpose(1, 2, 0))
    assert prepared.converted["enlarged"] == 1


def test_ids_are_the_same_at_another_size_and_the_fingerprint_is_not(tmp_path):
    put(tmp_path, "a/1.png", "a/2.png", "b/1.png")
    (first, one), (second, two) = (stored(Folder(tmp_path, size=s), tmp_path / f"out{s}") for s in (8, 16))
    assert [e["id"] for e in one.examples()] == [e["id"] for e in two.examples()]
    assert first.fingerprint != second.fingerprint


def test_what_is_no_example_is_listed_and_never_skipped_in_silence(tmp_path):
    put(tmp_path, "a/1.png", "b/1.png")
    put(tmp_path, "a/.DS_Store", "a/Thumbs.db", "notes.txt", ".hidden/x.png", "a/.cache/x.png", content=b"x")
    (tmp_path / "a/folder.jpg").mkdir()
    os.mkfifo(tmp_path / "b/pipe.jpg")
    source = Folder(tmp_path, size=8)
    assert source.names == ["a/1.png", "b/1.png"]
    assert sorted(problems(source)) == sorted(
        [
            (STRAY, ".hidden", "hidden"), (STRAY, "notes.txt", "in no class folder"), (STRAY, "a/.cache", "hidden"),
            (STRAY, "a/.DS_Store", "left behind by macOS Finder"),
            (STRAY, "a/Thumbs.db", "left behind by Windows Explorer"),
            (STRAY, "a/folder.jpg", "an empty folder; is it the name of a file?"),
            (UNREADABLE, "b/pipe.jpg", "neither a file nor a folder"),
        ]
    )  # fmt: skip


def test_files_that_cannot_be_decoded_are_all_listed_and_the_others_stored(tmp_path):
    put(tmp_path, "a/1.png", "b/1.png")
    put(tmp_path, "a/cut.png", content=encoded()[:-30])
    put(tmp_path, "a/empty.jpg", content=b"")
    put(tmp_path, "b/page.jpg", content=b"<html>404</html>")
    (tmp_path / "b/gone.png").symlink_to(tmp_path / "nowhere.png")
    prepared, store = stored(Folder(tmp_path, size=8), tmp_path / "out")
    assert {p.name: p.kind for p in prepared.problems} == {
        "a/cut.png": "truncated", "a/empty.jpg": "empty", "b/page.jpg": "not an image", "b/gone.png": "missing",
    }  # fmt: skip
    assert [e["name"] for e in store.examples()] == ["a/1.png", "b/1.png"]
    verdict = claims.every_example_is_readable(claims.Reading(prepared.counts, prepared.converted, 0))
    assert (verdict.verdict, verdict.value) == ("fail", 4)
    lines = (tmp_path / "out/problems.csv").read_text()
    assert all(p.name in lines and HINTS[p.kind].split(":")[0] in lines for p in prepared.problems)


def test_links_are_followed_and_loops_end(tmp_path):
    put(tmp_path / "elsewhere", "1.png")
    put(tmp_path / "root", "a/1.png")
    (tmp_path / "root/b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/a/again").symlink_to(tmp_path / "root/a")
    source = Folder(tmp_path / "root", size=8)
    assert source.names == ["a/1.png", "b/1.png"]
    assert problems(source) == [(LINK, "a/again", "a link to a folder above it")]


def test_what_programs_leave_behind_is_no_example_and_no_class(tmp_path):
    """At any depth, as a class folder and in one; an empty class folder is named."""
    put(tmp_path, *(f"{name}/1.png" for name in ("a", "b", "__MACOSX", ".ipynb_checkpoints", "@eaDir", "lost+found")))
    put(
        tmp_path, "a/.ipynb_checkpoints/1.png", "a/deep/__MACOSX/1.png", "a/._1.png", "b/1.png~", "b/$RECYCLE.BIN/1.png"
    )
    put(tmp_path, ".DS_Store", "a/deep/Thumbs.db", "a/desktop.ini", "a/~$1.png", "a/1.png.part", content=b"x")
    (tmp_path / "empty/.ipynb_checkpoints").mkdir(parents=True)
    source = Folder(tmp_path, size=8)
    assert source.names == ["a/1.png", "b/1.png"]
    assert source.classes == ["a", "b", "empty"]
    listed = {name: (kind, detail) for kind, name, detail in problems(source)}
    assert listed.pop("empty") == (NO_EXAMPLE, "this class folder holds no file")
    assert listed.pop("a/deep") == (STRAY, "an empty folder; is it the name of a file?")
    assert set(listed) == {
        "__MACOSX", ".ipynb_checkpoints", "@eaDir", "lost+found", "a/.ipynb_checkpoints", "a/deep/__MACOSX",
        "a/._1.png", "b/1.png~", "b/$RECYCLE.BIN", ".DS_Store", "a/deep/Thumbs.db", "a/desktop.ini",
        "a/~$1.png", "a/1.png.part",
        "empty/.ipynb_checkpoints",
    }  # fmt: skip
    assert all(kind == STRAY and detail.startswith("left behind by ") for kind, detail in listed.values())


def test_a_link_to_a_folder_above_gives_no_class_the_files_of_another(tmp_path):
    put(tmp_path / "images", "A/1.png", "B/1.png", "B/2.png")
    (tmp_path / "images/A/loop").symlink_to("..")
    (tmp_path / "images/A/other").symlink_to("../B")
    (tmp_path / "images/C").symlink_to("B")
    source = Folder(tmp_path / "images", size=8)
    assert [(name, source.classes[target]) for name, target in zip(source.names, source.targets, strict=True)] == [
        ("A/1.png", "A"), ("B/1.png", "B"), ("B/2.png", "B"),
    ]  # fmt: skip
    assert sorted(problems(source)) == [
        (LINK, "A/loop", "a link to a folder above it"), (LINK, "A/other", "the same folder as `B`, which is read"),
        (LINK, "C", "the same folder as `B`, which is read"),
    ]  # fmt: skip


def test_class_folders_in_two_spellings_are_reported(tmp_path):
    put(tmp_path, "train/cat/1.png", "train/Cat /1.png", "val/cats/1.png", "val/dog/1.png")
    assert problems(Folder(tmp_path, size=8)) == [
        (CLASS_SPELLING, "cat", "'cat' in `train/cat` and 'Cat ' in `train/Cat `"),
        (CLASS_ALIKE, "cats", "'cats' in `val/cats` and 'Cat ' in `train/Cat `"),
        (ODD_NAME, "train/Cat /1.png", "begins or ends with a blank"),
    ]


def test_names_that_other_systems_read_differently_are_reported(tmp_path):
    put(tmp_path, "a/x.png", "a/X.PNG", "a/b:c.png", "b/1.png")
    (tmp_path / "a" / os.fsdecode(b"\xff.png")).write_bytes(encoded())
    (tmp_path / "a" / "line\nend.png").write_bytes(encoded())
    prepared, store = stored(Folder(tmp_path, size=8), tmp_path / "out")
    told = {p.name: p.detail for p in prepared.problems}
    assert set(told) == {"a/x.png", "a/b:c.png", "a/\\xff.png", "a/line\\nend.png"}
    assert told["a/x.png"].startswith("differs from `a/X.PNG` in case or normal form")
    assert prepared.counts == {ODD_NAME: 4}
    assert len(store.inputs) == 6


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "holds no class folders"),
        (["1.png"], "holds no class folders: make one folder per class"),
        (["train/1.png", "val/1.png"], "`train`, `val` holds no class folders: make one folder per class in it"),
        (["train/a/1.png", "b/1.png"], "`train` holds class folders, as a split does, and `b` lies beside it"),
        (["a/.hidden"], "its class folders `a` are empty"),
    ],
)
def test_a_folder_of_another_form_is_refused_with_what_to_do(tmp_path, files, message):
    put(tmp_path, *files)
    with pytest.raises(RecipeError, match=message):
        Folder(tmp_path, size=8)


def test_a_root_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"nowhere is not a folder\. Put a folder per class there"):
        Folder(tmp_path / "nowhere", size=8)


def test_metadata_is_joined_by_name(tmp_path):
    put(tmp_path, "a/1.png", "a/2.png", "b/3.png")
    lines = ["file_name,writer,age", "a/1.png,anna,31", "3.png,bo,", "a\\2.png,anna,40"]
    put(tmp_path, "metadata.csv", content="\n".join(lines).encode())
    prepared, store = stored(Folder(tmp_path, size=8, group="writer"), tmp_path / "out")
    rows = store.table().to_pylist()
    assert prepared.problems == []
    assert [(r["name"], r["meta_writer"], r["meta_age"], r["group"]) for r in rows] == [
        ("a/1.png", "anna", 31, "anna"), ("a/2.png", "anna", 40, "anna"), ("b/3.png", "bo", None, "bo"),
    ]  # fmt: skip


def test_every_contradiction_of_the_metadata_is_reported_with_its_line(tmp_path):
    put(tmp_path, "a/1.png", "a/2.png", "b/1.png", "b/lost.png", "b/Case.png")
    lines = [
        "file_name,label,site",
        "a/1.png,a,x",
        "gone.png,a,x",
        "",
        "a/1.png,a,y",
        "1.png,a,x",
        "a/2.png,b,x",
        "case.png,b,x",
        "b/1.png,b",
        ",a,x",
    ]
    put(tmp_path, "metadata.csv", content="\n".join(lines).encode())
    ragged = "metadata.csv, line 9", "2 cells, there must be 3: no cell for `site`; it begins b/1.png, b"
    assert sorted(problems(Folder(tmp_path, size=8))) == sorted(
        [
            (NO_FILE, "metadata.csv, line 3", "no file `gone.png`"),
            (CONTRADICTION, "metadata.csv, line 5", "`a/1.png` has a row already: metadata.csv, line 2"),
            (NO_FILE, "metadata.csv, line 6", "`1.png` may be `a/1.png`, `b/1.png`: give the path below the root"),
            (CONTRADICTION, "a/2.png", "its folder is a, metadata.csv, line 7 has b"),
            (ODD_NAME, "metadata.csv, line 8", "`case.png` is the file `b/Case.png` except for its case"),
            (RAGGED, *ragged),
            (NO_FILE, "metadata.csv, line 10", "its file name is empty"),
            (NO_ROW, "b/1.png", "metadata.csv has no row for this file"),
            (NO_ROW, "b/lost.png", "metadata.csv has no row for this file"),
        ]
    )


def test_a_group_without_metadata_is_refused(tmp_path):
    put(tmp_path, "a/1.png")
    with pytest.raises(
        RecipeError, match=r"`group: writer` names a column of metadata\.csv, but there is no such file"
    ):
        Folder(tmp_path, size=8, group="writer")
    put(tmp_path, "metadata.csv", content=b"file_name,who\na/1.png,bo\n")
    with pytest.raises(RecipeError, match="no column `writer`; there are file_name, who"):
        Folder(tmp_path, size=8, group="writer")


@given(st.lists(st.sampled_from(["a/1", "a/2", "b/1", "B/1", "c", "x/c"]), unique=True), st.data())
def test_joining_pairs_each_file_with_one_row_and_reports_the_rest(names, data):
    wanted = data.draw(st.lists(st.sampled_from([*names, "1", "2", "c", "C", "gone", ""]), max_size=8))
    row_of, told = join_rows(wanted, [f"line {n}" for n in range(len(wanted))], names, "rows.csv")
    taken = [row for row in row_of if row is not None]
    assert len(set(taken)) == len(taken)
    for name, row in zip(names, row_of, strict=True):
        assert row is None or name.casefold().endswith(wanted[row].casefold())
    left = {f"line {n}" for n in range(len(wanted))} - {f"line {n}" for n in taken}
    assert {p.name for p in told if p.kind in (NO_FILE, CONTRADICTION)} == left
    assert [p.name for p in told if p.kind == NO_ROW] == [
        n for n, row in zip(names, row_of, strict=True) if row is None
    ]
