"""Each source reads what it says it reads, and names the place of everything that is wrong with it."""

import inspect
import io
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet

from recipe.checks import prepare as claims
from recipe.checks.verdict import checks_of
from recipe.data import annotations
from recipe.data.arrays import Arrays, Parquet
from recipe.data.flawed import LEAK, PLANTED, DigitsFlawed
from recipe.data.folder import Folder
from recipe.data.images import Fit, preview
from recipe.data.joining import join
from recipe.data.labels import coded
from recipe.data.prepare import HINTS, prepare
from recipe.data.problems import (
    CLASS_ALIKE,
    CLASS_SPELLING,
    CONTRADICTION,
    NO_FILE,
    NO_ROW,
    ODD_NAME,
    ODD_SHAPE,
    STRAY,
    UNKNOWN_LABEL,
    UNREADABLE,
    odd_name,
    shown,
    spelt,
)  # fmt: skip
from recipe.data.sources import Digits
from recipe.data.store import Store
from recipe.data.tables import Table, Text
from recipe.data.tabular import read_rows
from recipe.errors import RecipeError

CONFIG = {"_target_": "somewhere.Set"}
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"  # beside the project, where it is there at all
ANY_FILE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def encoded(size=(30, 20), colour="red", form="PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, form)
    return file.getvalue()


def put(root: Path, *files: str, content: bytes | None = None) -> None:
    """Files below root; each an image of a colour of its own, where no content is given."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        # hash() differs from run to run, and equal pictures would hide a mistake
        colour = f"#{sum(file.encode()) * 7919 % 0xFFFFFF:06x}"
        (root / file).write_bytes(encoded(colour=colour) if content is None else content)


def problems(source) -> list[tuple]:
    return [(p.kind, p.name, p.detail) for p in source.problems]


def stored(source, folder, **more):
    found = prepare(source, CONFIG, folder, **more)
    return found, Store.open(CONFIG, folder)


# ---- kinds of problems -------------------------------------------------------------------------------------------


def test_every_kind_of_problem_closes_or_notes_exactly_one_check():
    for kind in HINTS:
        failed = [c for c, f in checks_of(claims).items() if not f(claims.Reading({kind: 1}, 0, 0)).ok]
        assert len(failed) == 1, (kind, failed)


@pytest.mark.parametrize(
    ("names", "kinds"),
    [
        (["cat", "Cat "], [CLASS_SPELLING]),
        (["guinea pig", "guinea_pig", "Guinea-Pig"], [CLASS_SPELLING] * 2),
        (["caf\u00e9", "cafe\u0301"], [CLASS_SPELLING]),  # one accent, in two forms
        (["cat", "cats"], [CLASS_ALIKE]),
        (["bus", "glass", "gas", "0", "0s", "dog"], []),
    ],
)
def test_classes_in_two_spellings_are_told_with_both_places(names, kinds):
    found = list(spelt({name: f"line {n}" for n, name in enumerate(names)}))
    assert [p.kind for p in found] == kinds
    assert all("line 0" in p.detail for p in found)


@given(st.binary(max_size=20))
def test_any_name_can_be_shown(name):
    text = shown(os.fsdecode(name))
    assert text.encode().decode() == text
    assert text.isprintable()


def test_odd_names_are_told_apart_from_plain_ones():
    assert not any(odd_name(name) for name in ("a/b-1_2.JPG", "a b.jpg", "a .jpg/b"))
    assert all(odd_name(name) for name in (" a.jpg", "\u00e4.jpg", "a\n.jpg", "a:b", "a/b /c.png"))


# ---- images at the size of the net -------------------------------------------------------------------------------

images = st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.booleans(), st.integers(0, 9))


@settings(max_examples=150, deadline=None)
@given(images, st.integers(1, 30), st.integers(1, 30), st.sampled_from(["crop", "pad"]), st.sampled_from([1, 3]))
def test_every_image_gets_the_size_and_stays_within_its_values(drawn, height, width, how, channels):
    h, w, c, floats, seed = drawn
    image = np.random.default_rng(seed).integers(3, 250, (h, w, c), dtype=np.uint8)
    image = image.astype(np.float32) / 255 if floats else image
    fitted, _ = Fit([height, width], how, channels)(image)
    assert fitted.shape == (height, width, channels)
    assert fitted.dtype == image.dtype
    lowest = 0 if how == "pad" else image.min()
    slack = 1e-5 if floats else 1
    assert lowest - slack <= fitted.min() <= fitted.max() <= image.max() + slack


def test_a_smaller_image_is_the_mean_over_areas_and_the_right_size_is_left_alone():
    image = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    halved, notes = Fit([4, 6])(image)
    assert np.abs(halved - image.reshape(4, 2, 6, 2, 3).mean((1, 3))).max() <= 1  # Pillow rounds after each axis
    assert notes == ()
    same, notes = Fit([8, 12])(image)
    assert np.array_equal(same, image)
    assert notes == ()


def test_crop_keeps_the_middle_and_pad_keeps_it_all():
    image = np.zeros((10, 30, 1), np.uint8)
    image[:, 10:20], image[:, :2] = 255, 100
    assert (Fit(10, channels=1)(image)[0] == 255).all()
    padded, _ = Fit(30, "pad", 1)(image)
    assert np.array_equal(padded[10:20], image)
    assert padded[:10].max() == padded[20:].max() == 0


def test_channels_are_changed_as_asked_and_noted():
    grey = np.full((4, 4, 1), 77, np.uint8)
    assert Fit(4)(grey)[0][0, 0].tolist() == [77, 77, 77]
    assert Fit(4)(grey)[1] == ("grey as three equal channels",)
    colour = np.zeros((4, 4, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
    luma, notes = Fit(4, channels=1)(colour)
    assert (luma == 76).all()  # 0.299 * 255
    assert notes == ("colour to grey",)
    assert Fit(8)(colour)[1] == ("enlarged",)


@pytest.mark.parametrize(
    ("given_", "message"),
    [({"size": 0}, "size: 0"), ({"size": [3]}, "size"), ({"size": 8, "how": "squeeze"}, "fit: squeeze"),
     ({"size": 8, "channels": 4}, "channels: 4")],
)  # fmt: skip
def test_an_impossible_fit_is_refused(given_, message):
    with pytest.raises(RecipeError, match=message):
        Fit(**given_)


def test_a_preview_is_a_small_jpeg_of_any_image():
    for image in (
        np.zeros((400, 300, 3), np.uint8),
        np.full((2, 900, 1), 0.5, np.float32),
        np.ones((1, 1, 4), np.uint8),
    ):
        picture = Image.open(io.BytesIO(preview(image)))
        assert picture.format == "JPEG"
        assert max(picture.size) == min(192, max(image.shape[:2]))


# ---- folders -----------------------------------------------------------------------------------------------------


def test_class_folders_are_read_in_order(tmp_path):
    put(tmp_path, "bees/2.jpg", "bees/1.png", "ants/deep/er/x.anything", "ants/7")
    found, store = stored(Folder(tmp_path, size=8), tmp_path / "out")
    rows = store.table().to_pylist()
    assert [(r["name"], r["class"], r["given_split"]) for r in rows] == [
        ("ants/7", "ants", ""), ("ants/deep/er/x.anything", "ants", ""), ("bees/1.png", "bees", ""),
        ("bees/2.jpg", "bees", ""),
    ]  # fmt: skip
    assert found.problems == []
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
    put(tmp_path, "a/small.png", content=encoded((10, 5), "blue"))
    found, store = stored(Folder(tmp_path, size=16), tmp_path / "out")
    assert store.picture(0).shape == (96, 192, 3)
    assert np.abs(store.picture(0).astype(int) - [0, 0, 255]).max() < 4
    assert np.array_equal(store.picture(1), store.inputs[1].transpose(1, 2, 0))
    assert found.converted["enlarged"] == 1


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
            (STRAY, ".hidden", "hidden"), (STRAY, "notes.txt", "in no class folder"), (STRAY, "a/.DS_Store", "hidden"),
            (STRAY, "a/Thumbs.db", "hidden"), (STRAY, "a/.cache", "hidden folder"),
            (STRAY, "a/folder.jpg", "an empty folder; is it a file's name?"),
            (UNREADABLE, "b/pipe.jpg", "neither a file nor a folder"),
        ]
    )  # fmt: skip


def test_files_that_cannot_be_decoded_are_all_listed_and_the_others_stored(tmp_path):
    put(tmp_path, "a/1.png", "b/1.png")
    put(tmp_path, "a/cut.png", content=encoded()[:-30])
    put(tmp_path, "a/empty.jpg", content=b"")
    put(tmp_path, "b/page.jpg", content=b"<html>404</html>")
    (tmp_path / "b/gone.png").symlink_to(tmp_path / "nowhere.png")
    found, store = stored(Folder(tmp_path, size=8), tmp_path / "out")
    assert {p.name: p.kind for p in found.problems} == {
        "a/cut.png": "truncated", "a/empty.jpg": "empty", "b/page.jpg": "not an image", "b/gone.png": "missing",
    }  # fmt: skip
    assert [e["name"] for e in store.examples()] == ["a/1.png", "b/1.png"]
    verdict = claims.every_example_is_readable(claims.Reading(found.counts, found.noted, 0))
    assert (verdict.verdict, verdict.value) == ("fail", 4)
    lines = (tmp_path / "out/problems.csv").read_text()
    assert all(p.name in lines and HINTS[p.kind].split(":")[0] in lines for p in found.problems)


def test_links_are_followed_and_loops_end(tmp_path):
    put(tmp_path / "elsewhere", "1.png")
    put(tmp_path / "root", "a/1.png")
    (tmp_path / "root/b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/a/again").symlink_to(tmp_path / "root/a")
    assert Folder(tmp_path / "root", size=8).names == ["a/1.png", "b/1.png"]


def test_class_folders_in_two_spellings_are_told(tmp_path):
    put(tmp_path, "train/cat/1.png", "train/Cat /1.png", "val/cats/1.png", "val/dog/1.png")
    assert problems(Folder(tmp_path, size=8)) == [
        (CLASS_SPELLING, "cat", "'cat' in `train/cat` and 'Cat ' in `train/Cat `"),
        (CLASS_ALIKE, "cats", "'cats' in `val/cats` and 'Cat ' in `train/Cat `"),
        (ODD_NAME, "train/Cat /1.png", "begins or ends with a blank"),
    ]


def test_names_that_other_systems_read_differently_are_told(tmp_path):
    put(tmp_path, "a/x.png", "a/X.PNG", "a/b:c.png")
    (tmp_path / "a" / os.fsdecode(b"\xff.png")).write_bytes(encoded())
    (tmp_path / "a" / "line\nend.png").write_bytes(encoded())
    found, store = stored(Folder(tmp_path, size=8), tmp_path / "out")
    told = {p.name: p.detail for p in found.problems}
    assert set(told) == {"a/x.png", "a/b:c.png", "a/\\xff.png", "a/line\\nend.png"}
    assert told["a/x.png"].startswith("differs from `a/X.PNG` in case alone")
    assert found.counts == {ODD_NAME: 4}
    assert len(store.inputs) == 5


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "holds no class folders"),
        (["1.png"], "holds no class folders: make one folder per class"),
        (["train/1.png", "val/1.png"], "`train`, `val` holds no class folders: make one folder per class in it"),
        (["train/a/1.png", "b/1.png"], "`train` holds class folders, as a split does, and `b` stands beside it"),
        (["a/.hidden"], "its class folders `a` hold no file"),
    ],
)
def test_a_folder_of_another_form_is_refused_with_what_to_do(tmp_path, files, message):
    put(tmp_path, *files)
    with pytest.raises(RecipeError, match=message):
        Folder(tmp_path, size=8)


def test_a_root_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"nowhere is no folder\. Put a folder per class there"):
        Folder(tmp_path / "nowhere", size=8)


def test_metadata_is_joined_by_name(tmp_path):
    put(tmp_path, "a/1.png", "a/2.png", "b/3.png")
    lines = ["file_name,writer,age", "a/1.png,anna,31", "3.png,bo,", "a\\2.png,anna,40"]
    put(tmp_path, "metadata.csv", content="\n".join(lines).encode())
    found, store = stored(Folder(tmp_path, size=8, group="writer"), tmp_path / "out")
    rows = store.table().to_pylist()
    assert found.problems == []
    assert [(r["name"], r["meta_writer"], r["meta_age"], r["group"]) for r in rows] == [
        ("a/1.png", "anna", 31, "anna"), ("a/2.png", "anna", 40, "anna"), ("b/3.png", "bo", None, "bo"),
    ]  # fmt: skip


def test_every_contradiction_of_the_metadata_is_told_with_its_line(tmp_path):
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
    assert sorted(problems(Folder(tmp_path, size=8))) == sorted(
        [
            (NO_FILE, "metadata.csv, line 3", "no file `gone.png`"),
            (CONTRADICTION, "metadata.csv, line 5", "`a/1.png` has a row already: metadata.csv, line 2"),
            (NO_FILE, "metadata.csv, line 6", "`1.png` may be `a/1.png`, `b/1.png`: give the path below the root"),
            (CONTRADICTION, "a/2.png", "its folder says a, metadata.csv, line 7 says b"),
            (ODD_NAME, "metadata.csv, line 8", "`case.png` is the file `b/Case.png` but for its case"),
            (ODD_SHAPE, "metadata.csv, line 9", "2 cells, there must be 3; it begins b/1.png, b"),
            (NO_FILE, "metadata.csv, line 10", "its file name is empty"),
            (NO_ROW, "b/1.png", "metadata.csv has no row for this file"),
            (NO_ROW, "b/lost.png", "metadata.csv has no row for this file"),
        ]
    )


def test_a_group_without_metadata_is_refused(tmp_path):
    put(tmp_path, "a/1.png")
    with pytest.raises(
        RecipeError, match=r"`group: writer` names a column of metadata\.csv, and there is no such file"
    ):
        Folder(tmp_path, size=8, group="writer")
    put(tmp_path, "metadata.csv", content=b"file_name,who\na/1.png,bo\n")
    with pytest.raises(RecipeError, match="no column `writer`; there are file_name, who"):
        Folder(tmp_path, size=8, group="writer")


@given(st.lists(st.sampled_from(["a/1", "a/2", "b/1", "B/1", "c", "x/c"]), unique=True), st.data())
def test_joining_pairs_each_file_with_one_row_and_reports_the_rest(names, data):
    wanted = data.draw(st.lists(st.sampled_from([*names, "1", "2", "c", "C", "gone", ""]), max_size=8))
    row_of, told = join(wanted, [f"line {n}" for n in range(len(wanted))], names, "rows.csv")
    taken = [row for row in row_of if row is not None]
    assert len(set(taken)) == len(taken)
    for name, row in zip(names, row_of, strict=True):
        assert row is None or name.casefold().endswith(wanted[row].casefold())
    left = {f"line {n}" for n in range(len(wanted))} - {f"line {n}" for n in taken}
    assert {p.name for p in told if p.kind in (NO_FILE, CONTRADICTION)} == left
    assert [p.name for p in told if p.kind == NO_ROW] == [
        n for n, row in zip(names, row_of, strict=True) if row is None
    ]


# ---- annotations -------------------------------------------------------------------------------------------------


def coco(boxes, width=100, height=50, **more) -> bytes:
    anns = [{"id": n, "image_id": 1, "category_id": 1, "bbox": b, "iscrowd": 0} for n, b in enumerate(boxes)]
    image = {"id": 1, "file_name": "1.png", "width": width, "height": height}
    content = {"images": [image], "annotations": anns, "categories": [{"id": 1, "name": "x"}]}
    return json.dumps(content | more).encode()


def summed(tmp_path, *boxes, **more) -> dict:
    put(tmp_path, "coco.json", content=coco(boxes, **more))
    return {name: values[0] for name, values in annotations.read(tmp_path / "coco.json").columns.items()}


def test_annotations_are_summed_up_per_image(tmp_path):
    row = summed(tmp_path, [10, 10, 20, 20], [20, 10, 20, 20], [60, 20, 5, 20], [0, 0, 0, 9], [90, 40, 30, 30])
    assert row["ann_count"] == 5
    assert row["ann_overlap"] == pytest.approx(200 / 600)
    assert row["ann_size_min"] == pytest.approx(10)  # 10 x 10 of the last are in the image, 5 x 20 of the third
    assert row["ann_size_median"] == pytest.approx(15)
    assert row["ann_size_max"] == pytest.approx(20)
    assert row["ann_share_max"] == pytest.approx(400 / 5000)
    assert (row["ann_no_area"], row["ann_outside"], row["ann_truncated"], row["ann_crowd"]) == (1, 1, 1, 0)


def test_an_image_without_annotations_has_no_sizes(tmp_path):
    row = summed(tmp_path)
    assert row["ann_count"] == 0
    assert row["ann_size_min"] is None
    assert row["ann_overlap"] is None


boxes = st.lists(st.tuples(*[st.integers(-20, 120)] * 2, *[st.integers(-3, 90)] * 2).map(list), max_size=6)


@ANY_FILE
@given(boxes)
def test_sizes_are_in_order_and_shares_within_the_image(tmp_path, drawn):
    row = summed(tmp_path, *drawn)
    for kind, most in (("size", 5000**0.5), ("share", 1)):
        sizes = [row[f"ann_{kind}_{rank}"] for rank in ("min", "median", "max")]
        assert sizes == [None] * 3 or 0 <= sizes[0] <= sizes[1] <= sizes[2] <= most
    assert row["ann_no_area"] == sum(w <= 0 or h <= 0 for _, _, w, h in drawn)
    assert row["ann_overlap"] is None or 0 <= row["ann_overlap"] <= 1
    if row["ann_no_area"] == 0:
        assert row["ann_outside"] == sum(x < -1 or y < -1 or x + w > 101 or y + h > 51 for x, y, w, h in drawn)


def test_annotations_join_the_images_of_a_folder_and_tell_what_does_not_fit(tmp_path):
    put(tmp_path, "a/1.png", "a/2.png")
    content = json.loads(coco([[1, 1, 5, 5]], width=20, height=30))
    content["images"].append({"id": 2, "file_name": "gone.png", "width": 5, "height": 5})
    content["annotations"] += [
        {"image_id": 9, "category_id": 1, "bbox": [0, 0, 1, 1]},
        {"image_id": 1, "category_id": 7, "bbox": [0, 0, 1, 1]},
    ]
    put(tmp_path, "coco.json", content=json.dumps(content).encode())
    found, store = stored(Folder(tmp_path, size=8, annotations="coco.json"), tmp_path / "out")
    assert sorted((p.kind, p.name, p.detail) for p in found.problems) == sorted(
        [
            (NO_FILE, "coco.json, annotation 1", "no image has the id 9"),
            (CONTRADICTION, "coco.json, annotation 2", "no category has the id 7"),
            (NO_FILE, "coco.json, image 1", "no file `gone.png`"),
            (NO_ROW, "a/2.png", "coco.json has no row for this file"),
            (CONTRADICTION, "a/1.png", "the annotations give 20 x 30 pixels, the upright picture has 30 x 20"),
        ]
    )
    table = store.table()
    assert [r["ann_count"] for r in table.to_pylist()] == [2, None]
    assert all(table.schema.field(n).metadata[b"meaning"].decode() == m for n, m in annotations.COLUMNS.items())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no json"),
        (b"[]", "no list `images`"),
        (coco([], images=[{"id": 1}]), r"images\[0\]: `file_name` is missing"),
        (coco([], images=[{"id": 1, "file_name": "x", "width": 0, "height": 4}]), "an image of 0 x 4 pixels"),
        (coco([[1, 2, 3]]), r"annotations\[0\]: `bbox` must be \[left, top, width, height\], it is \[1, 2, 3\]"),
        (coco([[1, 2, 3, "4"]]), "`bbox` must be"),
    ],
)
def test_a_json_of_another_form_is_refused_with_the_entry(tmp_path, content, message):
    put(tmp_path, "coco.json", content=content)
    with pytest.raises(RecipeError, match=message):
        annotations.read(tmp_path / "coco.json")


# ---- labels ------------------------------------------------------------------------------------------------------


def test_labels_of_any_type_become_numbers_in_their_own_order():
    assert coded([10, 9, 10], "abc", "x")[:2] == ([1, 0, 1], ["9", "10"])
    assert coded(["b", "a", None, ""], "abcd", "x")[:2] == ([1, 0, None, None], ["a", "b"])
    assert coded([1.0, "1", np.int64(2), b"x"], "abcd", "x")[:2] == ([0, 0, 1, 2], ["1", "2", "x"])
    assert coded(["dog", "dgo"], "ab", "x", ["cat", "dog"])[:2] == ([1, "dgo"], ["cat", "dog"])
    assert [p.kind for p in coded(["ham", "Ham"], ["line 1", "line 2"], "x")[2]] == [CLASS_SPELLING]


@pytest.mark.parametrize("values", [[0.5, 1.5], list(range(300)), ["1.25", "3"]])
def test_a_quantity_is_no_class(values):
    with pytest.raises(RecipeError, match="a quantity to predict, not a class"):
        coded(values, [""] * len(values), "x.csv, column `y`")


# ---- tables ------------------------------------------------------------------------------------------------------

cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@ANY_FILE
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=6), st.sampled_from([",", ";", "\t"]))
def test_what_csv_writes_is_read_back(tmp_path, rows, delimiter):
    import csv

    rows = [row for row in rows if any(cell.strip() for cell in row)]
    with open(tmp_path / "x.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([("one", "two"), *rows])
    if not rows:
        with pytest.raises(RecipeError, match="no row below its header"):
            read_rows(tmp_path / "x.csv", delimiter=delimiter)
        return
    read = read_rows(tmp_path / "x.csv", delimiter=delimiter)
    assert list(zip(*read.columns.values(), strict=True)) == rows


@ANY_FILE
@given(st.binary(max_size=200) | st.text("ab1,\"\n\r\t;'?.", max_size=60).map(str.encode), st.booleans())
def test_no_file_crashes_a_table_or_a_text(tmp_path, content, header):
    put(tmp_path, "x.csv", content=content)
    for kind, options in ((Table, {"label": -1}), (Text, {"text": 0, "label": -1})):
        said = None
        try:
            prepare(kind(tmp_path / "x.csv", header=header, **options), CONFIG, tmp_path / "out")
        except RecipeError as error:
            said = str(error)
        assert said is None or "x.csv" in said or f"{kind.__name__}: none of" in said


@ANY_FILE
@given(st.binary(max_size=120) | st.just(encoded()[:80]) | st.just(b"PK\x03\x04" + bytes(40)))
def test_no_file_crashes_the_other_readers(tmp_path, content):
    readers = {
        "x.npz": Arrays, "x.parquet": Parquet, "y.parquet": lambda f: Table(f, label="y"), "x.json": annotations.read,
    }  # fmt: skip
    for name, reader in readers.items():
        put(tmp_path, name, content=content)
        with pytest.raises(RecipeError):
            reader(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"a,b\n", {}, "no row below its header"),
        (b"a,a\n1,2\n", {}, "`a` is there twice among the columns; without such a line set `header: false`"),
        (b"a,\n1,2\n", {}, "column 1 has no name"),
        (b"a,b\n1,2\n", {"label": "c"}, "no column `c`; there are a, b"),
        (b"a,b\n1,2\n", {"label": 2}, "no column `2`; there are a, b"),
        ("a,b\né,2\n".encode("latin-1"), {}, "is not UTF-8 .*byte 4.*save it as UTF-8"),
        (b"a;b\n1;2\n", {"label": 0}, "one column when split at ',', and ';' in its cells: set `delimiter: ';'`"),
        (b'a,b\n1,"2\n', {}, "line 2: unexpected end of data. If quotes are plain characters"),
        (b"b\n1\n2\n", {}, "no column is left for features"),
        (b"a,b\n,1\n?,2\n", {}, "the column `a` has no value at all; name it under `metadata`"),
        (b"a,b\n" + b"".join(b"x%d,1\n" % i for i in range(40)), {}, "holds 40 different names, as 'x0'"),
    ],
)
def test_a_table_of_another_form_is_refused_with_what_to_do(tmp_path, content, options, message):
    put(tmp_path, "x.csv", content=content)
    with pytest.raises(RecipeError, match=message):
        Table(tmp_path / "x.csv", **{"label": "b"} | options)


def test_a_missing_table_says_what_is_there(tmp_path):
    put(tmp_path, "wine.csv", content=b"")
    with pytest.raises(RecipeError, match=r"its folder holds wine\.csv"):
        Table(tmp_path / "vine.csv", label=-1)
    with pytest.raises(RecipeError, match="there is no folder"):
        Table(tmp_path / "no/wine.csv", label=-1)


def test_columns_of_numbers_and_of_names_become_features(tmp_path):
    lines = ["age,colour,who,label", "31,red,p1,yes", "?,blue,p2,no", "4.5,,p1,yes", "1e3, red ,p3,"]
    put(tmp_path, "x.csv", content="\n".join(lines).encode())
    source = Table(tmp_path / "x.csv", label="label", group="who", metadata=["colour"])
    assert source.columns == ["age", "age is missing"]
    found, store = stored(Table(tmp_path / "x.csv", label="label", group="who"), tmp_path / "out")
    assert store.columns == ("age", "age is missing", "colour=blue", "colour=red", "colour is missing")
    assert np.array_equal(
        store.inputs, [[31, 0, 0, 1, 0], [np.nan, 1, 1, 0, 0], [4.5, 0, 0, 0, 1]], equal_nan=True
    )  # fmt: skip
    assert [(e["class"], e["group"], e["name"]) for e in store.examples()] == [
        ("yes", "p1", "x.csv, line 2"), ("no", "p2", "x.csv, line 3"), ("yes", "p1", "x.csv, line 4"),
    ]  # fmt: skip
    assert [(p.kind, p.name, p.detail) for p in found.problems] == [(UNKNOWN_LABEL, "x.csv, line 5", "no label")]


def test_a_text_among_numbers_is_a_mistake_with_its_line(tmp_path):
    numbers = [str(n) for n in range(30)]
    numbers[7], numbers[11] = "12,5", "1_000"
    put(tmp_path, "x.csv", content="\n".join(["a;y", *(f"{n};{i % 2}" for i, n in enumerate(numbers))]).encode())
    found, store = stored(Table(tmp_path / "x.csv", label="y", delimiter=";"), tmp_path / "out")
    assert len(store.inputs) == 28
    assert [(p.kind, p.name) for p in found.problems] == [(UNREADABLE, "x.csv, line 9"), (UNREADABLE, "x.csv, line 13")]
    assert "`a` is '12,5', most cells are numbers" in found.problems[0].detail


def test_a_table_in_parquet_has_its_types(tmp_path):
    table = pyarrow.table({"a": [1.5, None, 3.0], "b": [True, False, None], "c": ["x", "y", None], "y": [2, 1, 2]})
    parquet.write_table(table, tmp_path / "x.parquet")
    source = Table(tmp_path / "x.parquet", label="y")
    assert source.columns == ["a", "a is missing", "b", "b is missing", "c=x", "c=y", "c is missing"]
    assert source.classes == ["1", "2"]
    assert source.names[2] == "x.parquet, row 2"


def test_a_text_per_row(tmp_path):
    put(tmp_path, "x.tsv", content=b'spam\t"free\nham\tsay "hi"\nham\n')
    found, store = stored(Text(tmp_path / "x.tsv", text=1, label=0, header=False, quoted=False), tmp_path / "out")
    assert store.texts() == ['"free', 'say "hi"']
    assert [(p.kind, p.name) for p in found.problems] == [(ODD_SHAPE, "x.tsv, line 3")]
    assert store.classes == ["ham", "spam"]


# ---- arrays ------------------------------------------------------------------------------------------------------


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
    found, store = stored(Arrays(tmp_path / "x.npz", group="who"), tmp_path / "out")
    assert (store.kind, store.inputs.shape, found.problems) == (kind, shape, [])
    assert [e["group"] for e in store.examples()] == ["1", "1", "2", "2"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((3, 2)), "z": np.zeros(3)}, "no array `y`; there are x, z"),
        (
            {"x": np.zeros((3, 2)), "y": np.zeros(2)},
            r"`y` is \(2,\) and `x` \(3, 2\); it must be one label per example",
        ),
        ({"x": np.zeros((3, 2)), "y": np.eye(3)}, "One-hot labels: store their argmax"),
        ({"x": np.zeros((3, 2)), "y": np.array([0.1, 0.2, 0.3])}, "Regression is not there yet"),
        ({"x": np.zeros(3), "y": np.zeros(3)}, "no images, rows or texts"),
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
    found, store = stored(Parquet(tmp_path, metadata=["site"]), tmp_path / "out")
    assert store.inputs[:, 2, 0, 0].tolist() == list(range(0, 70, 10))
    rows = store.table().to_pylist()
    assert [r["meta_site"] for r in rows] == list("klmnopq")
    assert [r["name"] for r in rows][4:6] == ["a.parquet, row 4", "b.parquet, row 0"]
    assert found.problems == []


def test_images_of_hugging_faces_form_bring_their_class_names(tmp_path):
    images = [{"bytes": encoded((9, 9)), "path": "1.png"}, {"bytes": None, "path": "2.png"}]
    table = pyarrow.table({"image": images, "label": [1, 0]})
    about = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    parquet.write_table(table.replace_schema_metadata({"huggingface": json.dumps(about)}), tmp_path / "x.parquet")
    found, store = stored(Parquet(tmp_path / "x.parquet", size=4), tmp_path / "out")
    assert store.classes == ["cat", "dog"]
    assert [e["class"] for e in store.examples()] == ["dog"]
    assert found.counts == {"empty": 1}
    assert found.problems[0].name == "x.parquet, row 1"


def test_a_missing_column_of_a_parquet_file_is_named(tmp_path):
    shelf(tmp_path / "x.parquet", [encoded()], ["a"])
    with pytest.raises(RecipeError, match="no column `img`; there are image, label"):
        Parquet(tmp_path / "x.parquet", image="img")


# ---- the flawed digits -------------------------------------------------------------------------------------------


def test_the_flaws_are_where_the_list_says(tmp_path):
    source = DigitsFlawed()
    found, store = stored(source, tmp_path)
    rows = {r["source"]: r for r in store.table().to_pylist()}
    clean = np.rint(Digits().images.copy())
    count = Counter(f["flaw"] for f in source.flaws)
    assert count == PLANTED | {"leak": 1}
    broken = {"truncated file": "truncated", "empty file": "empty", "no image": "not an image"}
    assert {p.source: p.kind for p in found.problems} == {
        f["index"]: broken[f["flaw"]] for f in source.flaws if f["flaw"] in broken
    }
    for flaw in source.flaws[1:]:
        row, original = rows.get(flaw["index"]), rows.get(flaw["of"])
        if flaw["flaw"] in ("exact copy", "copy with another label"):
            assert row["hash"] == original["hash"]
            assert (row["label"] == original["label"]) == (flaw["flaw"] == "exact copy")
        elif flaw["flaw"] == "near copy":
            assert row["hash"] != original["hash"]
            assert np.abs(store.inputs[row["row"]].astype(int) - store.inputs[original["row"]]).max() < 60
        elif flaw["flaw"] == "wrong label":
            assert row["label"] != flaw["label"] == Digits().targets[flaw["index"]]
        elif flaw["flaw"] == "blank":
            assert store.inputs[row["row"]].std() == 0
    touched = {f["index"] for f in source.flaws}
    untouched = [r for s, r in rows.items() if s not in touched and r["label"] != LEAK]
    assert all(np.array_equal(store.inputs[r["row"], 0], clean[r["source"]]) for r in untouched)
    assert len(untouched) > 1500
    leaking = store.inputs[:, 0, 0, 0] == 255
    labels = np.array([rows[i]["label"] for i in sorted(rows)])
    assert (labels[leaking] == LEAK).mean() > 0.95


def test_untouched_digits_keep_the_ids_that_they_have_in_digits(tmp_path):
    _, plain = stored(Digits(), tmp_path / "plain")
    _, flawed = stored(DigitsFlawed(), tmp_path / "flawed")
    ids = {e["id"] for e in plain.examples()}
    assert sum(e["id"] in ids for e in flawed.examples()) > 1500


def test_the_flaws_follow_the_seed():
    assert DigitsFlawed(3).files == DigitsFlawed(3).files
    assert DigitsFlawed(3).flaws != DigitsFlawed(4).flaws


# ---- the store of encoded files ----------------------------------------------------------------------------------


def test_encoded_sources_are_the_same_bytes_with_more_workers(tmp_path):
    put(tmp_path / "root", *(f"{c}/{n}.png" for c in "ab" for n in range(12)))
    put(tmp_path / "root", "a/bad.png", content=b"x")
    for workers in (1, 2):
        prepare(Folder(tmp_path / "root", size=8), CONFIG, tmp_path / str(workers), workers=workers)
    for file in sorted((tmp_path / "1").iterdir()):
        assert file.read_bytes() == (tmp_path / "2" / file.name).read_bytes(), file.name


def test_a_picture_beyond_the_limit_is_a_problem_of_its_own(tmp_path):
    from recipe.data.decoding import Limits

    put(tmp_path / "root", "a/small.png", content=encoded((10, 10)))
    put(tmp_path / "root", "a/large.png", content=encoded((100, 100)))
    found, _ = stored(Folder(tmp_path / "root", size=8), tmp_path / "out", limits=Limits(pixels=500))
    assert found.counts == {"too large": 1}


def test_a_file_that_changes_between_two_readings_is_noticed(tmp_path):
    class Restless(DigitsFlawed):
        reads = 0

        def encoded(self, index):
            self.reads += 1
            return self.names[index], encoded((8, 8), f"#{self.reads:06x}")

    assert stored(Restless(), tmp_path)[0].unrepeatable == 32


# ---- conf/data ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", sorted((Path(__file__).parents[1] / "conf/data").glob("*.yaml")), ids=lambda f: f.stem)
def test_every_option_of_a_source_stands_in_its_file(file):
    from hydra.utils import get_class
    from omegaconf import OmegaConf

    content = OmegaConf.to_container(OmegaConf.load(file))
    target = get_class(content.pop("_target_"))
    known = inspect.signature(target).parameters
    assert set(content) <= set(known)
    if target.__module__.startswith("recipe"):
        assert set(content) == set(known)


# ---- real data ---------------------------------------------------------------------------------------------------

real = pytest.mark.skipif(not SHARED.is_dir(), reason="no real data in ../shared/data, beside the project")


@real
def test_photographs_of_ants_and_bees(tmp_path):
    found, store = stored(Folder(SHARED / "natural_ants_bees", size=64), tmp_path)
    rows = store.table().to_pylist()
    assert found.problems == []
    assert Counter((r["given_split"], r["class"]) for r in rows).keys() == {
        (s, c) for s in ("train", "val") for c in ("ants", "bees")
    }
    assert len(rows) == 106
    gif = next(r for r in rows if r["name"] == "train/ants/imageNotFound.gif")  # which ImageFolder passes over
    assert (gif["format"], gif["notes"]) == ("GIF", "palette to RGB")
    assert len({(r["width"], r["height"]) for r in rows}) == 57
    assert all(max(store.picture(r["row"]).shape) == 192 for r in rows if max(r["width"], r["height"]) > 192)


@real
def test_short_messages(tmp_path):
    source = Text(SHARED / "text/sms_spam.tsv", text=1, label=0, header=False, quoted=False)
    found, store = stored(source, tmp_path)
    assert found.problems == []
    assert Counter(e["class"] for e in store.examples()) == {"ham": 4827, "spam": 747}
    hashes = [e["hash"] for e in store.examples()]
    assert len(hashes) - len(set(hashes)) == 403


@real
def test_wines(tmp_path):
    found, store = stored(Table(SHARED / "tabular/winequality-white.csv", label=-1, header=False), tmp_path)
    assert found.problems == []
    assert store.inputs.shape == (4898, 11)
    assert store.classes == list("3456789")
    with pytest.raises(RecipeError, match="a quantity to predict"):
        Table(SHARED / "tabular/winequality-white.csv", label=7, header=False)


@real
def test_boxes_of_coco(tmp_path):
    file = SHARED / "detection/coco_tiny_val.json"
    content, read = json.loads(file.read_text()), annotations.read(file)
    assert read.problems == []
    assert sum(read.columns["ann_count"]) == len(content["annotations"]) == 815
    image = content["images"][0]
    mine = [a["bbox"] for a in content["annotations"] if a["image_id"] == image["id"] and not a["iscrowd"]]
    largest = max(w * h for _, _, w, h in mine) ** 0.5
    assert read.columns["ann_size_max"][0] == pytest.approx(largest, rel=0.01)
    put(tmp_path, *(f"all/{name}" for name in read.files))
    (tmp_path / "coco.json").write_bytes(file.read_bytes())
    assert Folder(tmp_path, size=8, annotations="coco.json").problems == []
