"""Annotations in COCO form, summed up per image."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sources import ANY_FILE, put, stored

from recipe.errors import RecipeError
from recipe.problems import CONTRADICTION, NO_FILE, NO_ROW
from recipe.sources.coco import COLUMNS, read_annotations
from recipe.sources.folder import Folder


def coco(boxes, width=100, height=50, **more) -> bytes:
    anns = [{"id": n, "image_id": 1, "category_id": 1, "bbox": b, "iscrowd": 0} for n, b in enumerate(boxes)]
    image = {"id": 1, "file_name": "1.png", "width": width, "height": height}
    content = {"images": [image], "annotations": anns, "categories": [{"id": 1, "name": "x"}]}
    return json.dumps(content | more).encode()


def summed(tmp_path, *boxes, **more) -> dict:
    put(tmp_path, "coco.json", content=coco(boxes, **more))
    return {name: values[0] for name, values in read_annotations(tmp_path / "coco.json").columns.items()}


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


def test_annotations_join_the_images_of_a_folder_and_report_what_does_not_fit(tmp_path):
    put(tmp_path, "a/1.png", "b/2.png")
    content = json.loads(coco([[1, 1, 5, 5]], width=20, height=30))
    content["images"].append({"id": 2, "file_name": "gone.png", "width": 5, "height": 5})
    content["annotations"] += [
        {"image_id": 9, "category_id": 1, "bbox": [0, 0, 1, 1]},
        {"image_id": 1, "category_id": 7, "bbox": [0, 0, 1, 1]},
    ]
    put(tmp_path, "coco.json", content=json.dumps(content).encode())
    prepared, store = stored(Folder(tmp_path, size=8, annotations="coco.json"), tmp_path / "out")
    assert sorted((p.kind, p.name, p.detail) for p in prepared.problems) == sorted(
        [
            (NO_FILE, "coco.json, annotation 1", "no image has the id 9"),
            (CONTRADICTION, "coco.json, annotation 2", "no category has the id 7"),
            (NO_FILE, "coco.json, image 1", "no file `gone.png`"),
            (NO_ROW, "b/2.png", "coco.json has no row for this file"),
            (CONTRADICTION, "a/1.png", "the annotations give 20 x 30 pixels, the upright picture has 30 x 20"),
        ]
    )
    table = store.table()
    assert [r["ann_count"] for r in table.to_pylist()] == [2, None]
    assert all(table.schema.field(n).metadata[b"meaning"].decode() == m for n, m in COLUMNS.items())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not valid JSON"),
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
        read_annotations(tmp_path / "coco.json")
