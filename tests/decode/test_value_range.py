"""What is black and what is white: measured, noted where values do not fill their range, and set by the user."""

import io
import itertools
import json
import re
import struct
import zlib
from functools import cache

import numpy as np
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from PIL import Image
from pyarrow import parquet
from sources import CONFIG, Set, encoded, stored
from zoo import photograph, png

from recipe.config.instantiate import part
from recipe.data.store import Store
from recipe.decode.pool import decode
from recipe.decode.value_range import BYTE, DEEP, ValueRange, dataset_values, picture_values, stored_values
from recipe.errors import RecipeError
from recipe.serve.inputs import InputForm, example_request, read_inputs, request_inputs
from recipe.sources.arrays import Arrays, Parquet
from recipe.sources.folder import Folder
from recipe.stages.prepare import checks as claims
from recipe.stages.prepare.write_store import prepare

TWELVE = ValueRange(0, 4095)


def saved(values: np.ndarray, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind)
    return file.getvalue()


def tiff(values: np.ndarray, deflated: bool, order: str) -> bytes:
    """A TIFF of 16 bit colour, which Pillow does not write. values: (H, W, 3) uint16; order: < or >."""
    height, width, channels = values.shape
    data = values.astype(f"{order}u2").tobytes()
    data = zlib.compress(data) if deflated else data
    places = 8 + 2 + 12 * 10 + 4
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, places), (259, 3, 1, 8 if deflated else 1),
        (262, 3, 1, 2), (273, 4, 1, places + 2 * channels), (277, 3, 1, channels), (278, 4, 1, height),
        (279, 4, 1, len(data)), (284, 3, 1, 1),
    ]  # fmt: skip
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    for tag, kind, count, value in tags:
        short = kind == 3 and count == 1
        head += struct.pack(f"{order}HHI", tag, kind, count)
        head += struct.pack(f"{order}HH", value, 0) if short else struct.pack(f"{order}I", value)
    return head + struct.pack(f"{order}I", 0) + struct.pack(f"{order}{channels}H", *[16] * channels) + data


def xrays(count: int = 12, seed: int = 0) -> list[np.ndarray]:
    """(64, 64) uint16 of 12 bits."""
    rng = np.random.default_rng(seed)
    return [rng.normal(1500 + 300 * (i % 2), 250, (64, 64)).clip(0, 4095).astype(np.uint16) for i in range(count)]


def folder_of(root, pictures, ending="png", kind="PNG"):
    for i, picture in enumerate(pictures):
        (root / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        (root / "ab"[i % 2] / f"{i:03d}.{ending}").write_bytes(saved(picture, kind))
    return root


def verdict(decoded):
    return claims.values_fill_their_range(claims.Reading(decoded.counts, decoded.converted, 0, decoded.values))


def noted(pictures) -> bool:
    """Whether the note is made of pictures, each with its `white`."""
    values = dataset_values(np.array([picture_values(p, white) for p, white in pictures], np.float64), None, True)
    return not claims.values_fill_their_range(claims.Reading({}, {}, 0, values)).ok


# ---- what is noted -------------------------------------------------------------------------------------------------


@cache
def small(seed: int) -> np.ndarray:
    """A photograph of 60 x 80 pixels, not to be changed: the same ones serve all examples."""
    return photograph(seed, 60, 80)


def deep(bits: int, offset: int = 0, seed: int = 0) -> tuple[np.ndarray, float]:
    grey = small(seed).mean(2) / 255
    return (np.rint(grey * (2**bits - 1) + offset) / DEEP).astype(np.float32), DEEP


@given(st.integers(9, 14), st.booleans())
def test_pictures_of_fewer_bits_than_their_files_are_noted(bits, hot):
    pictures = [deep(bits, seed=seed) for seed in range(5)]
    if hot:
        pictures[0][0][0, :2] = 1.0  # hot pixels are none of the range
    assert noted(pictures)


@settings(deadline=None)
@given(st.integers(20_000, 40_000))
def test_values_around_an_offset_are_noted(offset):
    assert noted([deep(12, offset, seed) for seed in range(5)])


@settings(deadline=None)
@given(st.floats(0.35, 1.0))
def test_pictures_of_16_bits_are_not_noted(brightness):
    assert not noted([(deep(16, seed=seed)[0] * np.float32(brightness), DEEP) for seed in range(5)])


@settings(deadline=None)
@given(st.sampled_from([1, 3, 9, 16, 20, 31]), st.integers(0, 100))
def test_masks_digits_and_label_maps_in_bytes_are_noted(top, seed):
    rng = np.random.default_rng(seed)
    assert noted([(rng.integers(0, top + 1, (20, 20), dtype=np.uint8), BYTE) for _ in range(5)])


@settings(deadline=None)
@given(st.floats(0.05, 0.3), st.integers(0, 100))
def test_dark_photographs_are_not_noted(brightness, seed):
    dark = [(small(seed + i) * brightness).astype(np.uint8) for i in range(6)]
    for picture in dark:
        picture[5:7, 5:7] = 200  # a lamp
    assert not noted([(picture, BYTE) for picture in dark])
    assert not noted([(small(seed + i), BYTE) for i in range(6)])


def test_one_bright_picture_among_a_hundred_does_not_hide_the_others():
    pictures = [deep(12, seed=seed) for seed in range(150)]
    assert noted([*pictures, deep(16)])


def test_floats_that_fill_no_range_are_noted_with_what_was_measured(tmp_path):
    rng = np.random.default_rng(0)
    source = Set([(rng.normal(0, 1, (3, 8, 8)).astype(np.float32), i % 2) for i in range(20)])
    prepared = prepare(source, CONFIG, tmp_path)
    assert (verdict(prepared).verdict, verdict(prepared).bound) == ("fail", "a known range")
    assert "the values of black and white are not known" in prepared.values.sentence()
    assert "where the data set is made" in prepared.values.sentence()  # it has no value_range


# ---- set by the user -----------------------------------------------------------------------------------------------


def test_xrays_of_12_bits_fill_the_range_that_the_note_names(tmp_path):
    folder_of(tmp_path / "images", xrays())
    before, dark = stored(Folder(str(tmp_path / "images"), size=32, channels=1), tmp_path / "before")
    assert verdict(before).verdict == "fail"
    assert before.values.sentence().startswith("Nearly all stored values lie between ")
    assert "% of the range from 0 to 65,535. Set `value_range: [0, 4095]` (12 bits) or" in before.values.sentence()
    assert dark.inputs.max() < 0.06
    source = Folder(str(tmp_path / "images"), size=32, channels=1, value_range=[0, 4095])
    after, store = stored(source, tmp_path / "after")
    assert verdict(after).verdict == "pass"
    assert np.allclose(store.inputs, dark.inputs * 65535 / 4095, atol=1e-6)
    assert store.picture(0).max() > 100  # what people see, too
    assert store.table()["id"].equals(dark.table()["id"])  # decisions.csv still names them
    assert store.fingerprint != dark.fingerprint
    assert json.loads((tmp_path / "after/store.json").read_text())["value_range"] == {"low": 0, "high": 4095}


@given(st.integers(0, 60_000), st.integers(256, 5_000), st.randoms())
def test_no_two_of_16_bits_become_one(low, width, random):
    on = ValueRange(low, min(low + width, 65535))
    levels = np.array(sorted({random.randint(low, int(on.high)) for _ in range(50)}))
    values = on((levels / 65535).astype(np.float32)[None], DEEP, [])
    assert (np.diff(values) > 0).all()
    assert values.dtype == np.float32
    assert (values >= 0).all()
    assert (values <= 1).all()
    assert np.allclose(values[0], (levels - low) / (on.high - low), atol=2e-5)
    assert np.allclose(on.inverse(values)[0], levels, atol=0.1)


@pytest.mark.parametrize("pack", ["PNG", *itertools.product((False, True), "<>")])
def test_colour_of_16_bits_keeps_all_of_them(pack):
    values = np.random.default_rng(0).integers(0, 4096, (9, 11, 3)).astype(np.uint16)
    if pack == "PNG":
        rows = np.concatenate([np.zeros((9, 1), np.uint8), values.astype(">u2").view(np.uint8).reshape(9, -1)], axis=1)
        content = png(11, 9, 16, 2, rows.tobytes())
    else:
        content = tiff(values, *pack)
    plain, ranged = next(decode([content])), next(decode([content], value_range=TWELVE))
    assert plain.notes == ranged.notes == ("16 bit colour to 0..1",)
    assert np.array_equal(np.rint(plain.image * 65535), values)
    assert np.allclose(ranged.image, values / 4095, atol=1e-6)
    assert plain.content == ranged.content
    assert plain.picture_values == ranged.picture_values


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_a_range_mends_files_whose_black_and_white_nobody_knows(dtype):
    values = np.random.default_rng(0).normal(0, 400, (20, 30)).astype(dtype)
    content = saved(values, "TIFF")
    assert next(decode([content])).problem == "no range"
    decoded = next(decode([content], value_range=ValueRange(-2000, 2000)))
    assert decoded.problem == ""
    assert np.allclose(decoded.image[..., 0], (values + 2000.0) / 4000, atol=1e-6)
    assert decoded.notes == ()


def test_values_beyond_the_range_are_noted():
    decoded = next(decode([saved(np.full((10, 10), 5000, np.uint16))], value_range=TWELVE))
    assert "beyond the range: 100.0% of the values" in decoded.notes
    assert decoded.image.max() == 1


@pytest.mark.parametrize("words", [{"size": [8, 8, 8]}, {"value_range": [4095, 0]}], ids=str)
def test_a_value_that_a_source_refuses_names_its_place_once(tmp_path, words):
    target = {"_target_": "recipe.sources.folder.Folder", "root": str(tmp_path), "size": 8, **words}
    with pytest.raises(RecipeError, match=f"^params.yaml or conf/data: `{next(iter(words))}: "):
        part(OmegaConf.create({"data": target}), "data")


@pytest.mark.parametrize("wrong", [[5], [5, 1], [0, 0], "auto", 5, [0, float("nan")], [0, True], [0, "255"], []])
def test_what_is_no_range_is_refused(tmp_path, wrong):
    folder_of(tmp_path, xrays(2))
    with pytest.raises(RecipeError, match=r"`value_range: .*` must be two numbers"):
        Folder(str(tmp_path), size=8, value_range=wrong)


# ---- every source, and what a model is asked later -------------------------------------------------------------------


def sources(tmp_path):
    """{name: (source without a range, with one, a path for predictions)}"""
    rng = np.random.default_rng(0)
    pictures = xrays()
    root = folder_of(tmp_path / "images", pictures)
    table = {"image": [saved(p) for p in pictures], "label": [i % 2 for i in range(len(pictures))]}
    parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
    labels = np.arange(len(pictures)) % 2
    np.savez(tmp_path / "deep.npz", x=np.stack(pictures), y=labels)
    np.savez(tmp_path / "signed.npz", x=np.stack(pictures).astype(np.int16), y=labels)
    masks = tmp_path / "masks.npz"
    np.savez(masks, x=rng.integers(0, 17, (12, 8, 8), dtype=np.uint8), y=labels)
    given = {"value_range": [0, 4095]}
    return {
        "folder": (lambda **more: Folder(str(root), size=32, channels=1, **more), given, root),
        "parquet": (lambda **more: Parquet(str(tmp_path / "a.parquet"), **more), given, root),
        "deep": (lambda **more: Arrays(str(tmp_path / "deep.npz"), **more), given, tmp_path / "deep.npz"),
        "signed": (lambda **more: Arrays(str(tmp_path / "signed.npz"), **more), given, tmp_path / "signed.npz"),
        "masks": (lambda **more: Arrays(str(masks), **more), {"value_range": [0, 16]}, masks),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["folder", "parquet", "deep", "signed", "masks"])
def test_the_range_holds_for_every_source_and_every_prediction(tmp_path, name):
    make, given, path = sources(tmp_path)[name]
    before, _ = stored(make(), tmp_path / "before")
    assert not verdict(before).ok
    line = ", ".join(map(str, given["value_range"]))
    assert f"`value_range: [{line}]`" in before.values.sentence() or name == "signed"
    after, store = stored(make(**given), tmp_path / "after")
    assert verdict(after).ok
    high = 255 if store.inputs.dtype == np.uint8 else 1
    assert store.inputs.max() - store.inputs.min() > 0.2 * high
    form = InputForm.of_facts(json.loads((tmp_path / "after/store.json").read_text()))
    asked = [f.value for f in read_inputs(path, form, 1)]
    assert sorted(a.tobytes() for a in asked) == sorted(np.asarray(x).tobytes() for x in store.inputs)
    again = [f.value for f in request_inputs(example_request(form, store), form)]
    assert np.allclose(np.stack(again).astype(float), store.inputs[:2].astype(float), atol=1e-4 * high)


def test_a_store_without_a_range_is_read_as_before():
    facts = {"kind": "image", "shape": [1, 8, 8], "dtype": "uint8", "columns": [], "files": None, "layout": None}
    assert InputForm.of_facts(facts).value_range is None


def test_stored_values_are_those_of_the_file():
    assert stored_values(np.array([0, 7, 255], np.uint8), BYTE).tolist() == [0, 7, 255]
    assert stored_values(np.array([0, 7, 255], np.uint8), DEEP).tolist() == [0, 1799, 65535]
    assert stored_values(np.array([0.5], np.float32), 1.0).tolist() == [0.5]
    assert (
        picture_values(np.full((3, 3), np.nan, np.float32), 1.0)[0]
        != picture_values(np.full((3, 3), 0.5, np.float32), 1.0)[0]
    )


def test_the_example_of_a_plain_folder_is_an_image_as_before(tmp_path):
    for name in ("a/1.png", "b/2.png"):
        (tmp_path / "images" / name).parent.mkdir(parents=True)
        (tmp_path / "images" / name).write_bytes(encoded())
    prepare(Folder(str(tmp_path / "images"), size=16), CONFIG, tmp_path)
    form = InputForm.of_facts(json.loads((tmp_path / "store.json").read_text()))
    assert list(example_request(form, Store.open(CONFIG, tmp_path)).columns) == ["image"]


def test_a_range_is_for_images(tmp_path):
    np.savez(tmp_path / "rows.npz", x=np.ones((4, 3)), y=[0, 1, 0, 1])
    with pytest.raises(RecipeError, match="`value_range` is for the black and white of images"):
        Arrays(str(tmp_path / "rows.npz"), value_range=[0, 1])


def test_an_own_data_set_may_give_a_range(tmp_path):
    source = Set([(np.full((4, 4), 2000 + i, np.uint16), i % 2) for i in range(4)])
    source.value_range = [0, 4000]
    _, store = stored(source, tmp_path)
    assert np.allclose(store.inputs[:, 0, 0, 0], (2000 + np.arange(4)) / 4000)


@given(st.lists(st.tuples(*[st.floats(-1e6, 1e6, width=32)] * 2), min_size=1, max_size=5))
def test_every_suggestion_is_a_range(ends):
    pictures = [np.linspace(*sorted(pair), 50, dtype=np.float32) for pair in ends]
    values = dataset_values(np.array([picture_values(p[None], float("nan")) for p in pictures]), None, True)
    sentence = values.sentence()
    assert ("pictures are blank" in sentence) == (values.least == values.largest)
    for low, high in re.findall(r"`value_range: \[(\S+), (\S+)\]`", sentence):
        if float(low) != float(high):  # as far as six digits tell
            ValueRange.of([float(low), float(high)])
    assert "blank" in sentence or "`value_range: [" in sentence
