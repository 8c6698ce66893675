"""From a source to the store and back: pixels, features and texts, and what is refused."""

import json
import tracemalloc
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from PIL import Image
from sources import CONFIG, Set, Wide

from recipe.data.images import as_array
from recipe.data.store import COLUMNS, Store
from recipe.errors import RecipeError
from recipe.problems import ODD_SHAPE, UNKNOWN_LABEL, UNREADABLE
from recipe.stages.prepare.write_store import prepare

GREY = np.arange(30, dtype=np.uint8).reshape(6, 5)
COLOUR = np.arange(90, dtype=np.uint8).reshape(6, 5, 3)


def column(prepared, name):
    return prepared.table[name].to_pylist()


def grey(seed, shape=(4, 5)):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# ---- images --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.fromarray(GREY), GREY[None]),
        (Image.fromarray(COLOUR), COLOUR.transpose(2, 0, 1)),
        (GREY, GREY[None]),
        (COLOUR, COLOUR.transpose(2, 0, 1)),
        (COLOUR.transpose(2, 0, 1), COLOUR.transpose(2, 0, 1)),  # channels first can only be meant
        (torch.from_numpy(GREY), GREY[None]),
        (torch.from_numpy(COLOUR).permute(2, 0, 1), COLOUR.transpose(2, 0, 1)),
        (torch.from_numpy(COLOUR), COLOUR.transpose(2, 0, 1)),  # channels last can only be meant
        (torch.from_numpy(GREY)[None] / 255, (GREY / 255).astype(np.float32)[None]),
        (GREY.astype(np.float64), GREY.astype(np.float32)[None]),
        (GREY > 9, (GREY > 9).astype(np.uint8)[None] * 255),
        (Image.fromarray(GREY).convert("1"), np.asarray(Image.fromarray(GREY).convert("1").convert("L"))[None]),
        (np.full((2, 2), 65535, np.uint16), np.ones((1, 2, 2), np.float32)),
    ],
)
def test_an_image_of_any_kind_becomes_channels_height_width(image, expected):
    array, _ = as_array(image, [])
    assert array.dtype == expected.dtype
    assert np.array_equal(array, expected)
    assert array.flags.c_contiguous


def test_a_palette_becomes_its_colours_and_not_its_numbers():
    image = Image.new("P", (2, 2), 1)
    image.putpalette([0, 0, 0, 250, 10, 20])
    assert as_array(image, [])[0][:, 0, 0].tolist() == [250, 10, 20]


@pytest.mark.parametrize("image", ["a.png", None, np.zeros((2, 3, 4, 5)), np.zeros((0, 3)), np.array(["x"])])
def test_what_is_no_image_is_refused(image):
    with pytest.raises((TypeError, ValueError)):
        as_array(image, [])


# ---- store ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [np.asarray, Image.fromarray, torch.from_numpy])
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
def test_store_round_trip(tmp_path, form, shape):
    images = [grey(i, shape) for i in range(6)]
    channels_first = [a if a.ndim == 2 else a.transpose(2, 0, 1) for a in images]
    given_ = channels_first if form is torch.from_numpy else images
    prepared = prepare(Set([(form(a.copy()), i % 2) for i, a in enumerate(given_)]), CONFIG, tmp_path)
    store = Store.open(CONFIG, tmp_path)
    assert prepared.problems == []
    assert np.array_equal(store.inputs, np.stack(channels_first).reshape(store.inputs.shape))
    assert store.inputs.dtype == np.uint8
    assert [(e["row"], e["label"], e["class"], e["source"]) for e in store.examples()] == [
        (i, i % 2, "ab"[i % 2], i) for i in range(6)
    ]
    assert list(store.task.classes) == ["a", "b"]
    assert store.fingerprint == prepared.fingerprint


def test_labels_of_torch_and_numpy_are_numbers_too(tmp_path):
    items = [(grey(0), np.int64(1)), (grey(1), torch.tensor(0)), (grey(2), torch.tensor([1])), (grey(3), 1)]
    assert column(prepare(Set(items), CONFIG, tmp_path), "label") == [1, 0, 1, 1]


def test_every_problem_is_listed_and_none_is_stored(tmp_path):
    items = [(grey(i), i % 2) for i in range(9)]
    items[1] = OSError("image file is truncated")
    items[2] = (grey(2), 2)
    items[3] = (grey(3), -1)
    items[4] = (grey(4), "b")
    items[5] = (grey(5), 1.5)
    items[6] = (grey(6, (5, 4)), 0)
    items[7] = "no pair"
    prepared = prepare(Set(items), CONFIG, tmp_path)
    assert [p.source for p in prepared.problems] == [1, 2, 3, 4, 5, 6, 7]
    assert prepared.counts == {UNREADABLE: 2, UNKNOWN_LABEL: 4, ODD_SHAPE: 1}
    assert column(prepared, "source") == [0, 8]
    assert len(Store.open(CONFIG, tmp_path).inputs) == 2
    assert len((tmp_path / "problems.csv").read_text().splitlines()) == 8


def test_problems_has_its_header_without_problems(tmp_path):
    prepare(Set([(grey(0), 0)]), CONFIG, tmp_path)
    assert (tmp_path / "problems.csv").read_text() == "level,source,name,problem,detail,hint\n"


def test_ids_follow_the_content_and_not_the_order(tmp_path):
    items = [(grey(i), 0) for i in (0, 1, 1, 2)]
    ids = column(prepare(Set(items), CONFIG, tmp_path), "id")
    assert len(set(ids)) == 4
    assert ids[2] == f"{ids[1]}-2"
    assert sorted(column(prepare(Set(items[::-1]), CONFIG, tmp_path), "id")) == sorted(ids)


def test_a_random_transform_shows_when_read_again(tmp_path):
    class Noisy(Set):
        def __getitem__(self, index):
            return np.random.randint(0, 256, (3, 3)).astype(np.uint8), 0

    assert prepare(Noisy([None] * 5), CONFIG, tmp_path).unrepeatable == 5
    assert prepare(Set([(grey(0), 0)]), CONFIG, tmp_path).unrepeatable == 0


def test_the_store_is_the_same_bytes_again(tmp_path):
    for name in ("one", "two"):
        prepare(Set([(grey(i), i % 2) for i in range(5)]), CONFIG, tmp_path / name)
    files = sorted(f.name for f in (tmp_path / "one").iterdir())
    assert files == [
        "examples.parquet", "inputs.npy", "previews.parquet", "problems.csv", "store.json", "texts.parquet",
    ]  # fmt: skip
    assert all((tmp_path / "one" / f).read_bytes() == (tmp_path / "two" / f).read_bytes() for f in files)


def test_the_fingerprint_moves_with_a_pixel_and_with_a_label(tmp_path):
    items = [(grey(i), 0) for i in range(3)]
    first = prepare(Set(items), CONFIG, tmp_path).fingerprint
    assert prepare(Set([*items[:2], (grey(2), 1)]), CONFIG, tmp_path).fingerprint != first
    assert prepare(Set([*items[:2], (grey(9), 0)]), CONFIG, tmp_path).fingerprint != first


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (object(), "is not a data set: it has no __len__"),
        (Set([], classes=()), "is not a data set: it has no classes"),
        (Set([(GREY, 0)], classes=("a", "a")), "the class `a` is named twice"),
        (Set([(GREY, 0)], groups=["x", "y"]), "d.groups has 2 entries for 1 examples"),
        (Set([OSError("gone")]), "none of 1 examples could be read; OSError: gone"),
        (Set([]), "none of 0 examples could be read; it is empty"),
    ],
)
def test_a_source_that_is_not_a_data_set_is_refused_with_the_reason(tmp_path, source, message):
    with pytest.raises(RecipeError, match=message):
        prepare(source, CONFIG, tmp_path)
    assert not list(tmp_path.iterdir())  # nothing half-written


def test_a_store_of_other_data_is_refused(tmp_path):
    prepare(Set([(GREY, 0)]), CONFIG, tmp_path)
    with pytest.raises(RecipeError, match=r"holds somewhere\.Set, the configuration names other\.Set"):
        Store.open({"_target_": "other.Set"}, tmp_path)


def test_images_of_any_size_come_in_by_a_transform_in_conf(tmp_path):
    from recipe.config.instantiate import part, plain

    for name, size in (("ants", (30, 20)), ("bees", (16, 40))):
        (tmp_path / "all" / name).mkdir(parents=True)
        Image.new("RGB", size, "red").save(tmp_path / "all" / name / "1.png")
    resize = {"_target_": "torchvision.transforms.v2.Resize", "size": [8, 8]}
    data = {"_target_": "torchvision.datasets.ImageFolder", "root": str(tmp_path / "all")}
    assert prepare(part(OmegaConf.create({"data": data}), "data"), data, tmp_path / "odd").counts[ODD_SHAPE] == 1
    cfg = OmegaConf.create({"data": data | {"transform": resize}})
    prepared = prepare(part(cfg, "data"), plain(cfg, "data"), tmp_path / "even")
    assert (prepared.problems, prepared.shape, prepared.description.task.names) == ([], (3, 8, 8), ("ants", "bees"))
    assert json.loads((tmp_path / "even/store.json").read_text())["data"]["transform"]["size"] == [8, 8]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([(2, 3), (3, 2), (1, 4)])), min_size=1, max_size=30))
def test_the_arrays_of_the_commonest_shape_stay_in_their_order(tmp_path, drawn):
    images = [grey(seed, shape) for seed, shape in drawn]
    prepared = prepare(Set([(image, n % 2) for n, image in enumerate(images)]), CONFIG, tmp_path)
    shape = Counter(shape for _, shape in drawn).most_common(1)[0][0]
    kept = [n for n, image in enumerate(images) if image.shape == shape]
    store = Store.open(CONFIG, tmp_path)
    assert np.array_equal(store.inputs, np.stack([images[n][None] for n in kept]))
    assert [(e["row"], e["source"], e["label"]) for e in store.examples()] == [
        (row, n, n % 2) for row, n in enumerate(kept)
    ]
    assert prepared.counts == ({ODD_SHAPE: len(images) - len(kept)} if len(images) > len(kept) else {})
    assert [p.source for p in prepared.problems] == [n for n in range(len(images)) if n not in kept]


def test_a_shape_in_between_leaves_no_trace(tmp_path):
    """Types of other sizes, where the bytes that are kept move forward in the file."""
    floats, odd = np.arange(40, dtype=np.float32).reshape(2, 4, 5), np.ones((90, 90), np.float32)
    prepare(Set([(odd, 0), (floats[0], 1), (grey(1), 0), (floats[1], 1)]), CONFIG, tmp_path)
    assert np.array_equal(Store.open(CONFIG, tmp_path).inputs, floats[:, None])
    assert (tmp_path / "inputs.npy").stat().st_size == 128 + floats.nbytes


def test_images_of_every_size_are_refused_with_what_to_do(tmp_path):
    source = Set([(grey(n, (2 + n, 3)), 0) for n in range(150)])
    with pytest.raises(RecipeError, match=r"100 different shapes, such as \(1, 2, 3\) and \(1, 101, 3\)\. Set `size`"):
        prepare(source, CONFIG, tmp_path)
    assert not list(tmp_path.iterdir())
    most = Set([(grey(n), 0) for n in range(130)] + source.items[:120])
    assert prepare(most, CONFIG, tmp_path).counts == {ODD_SHAPE: 120}


cells = st.one_of(st.none(), st.integers(), st.floats(), st.booleans(), st.text(max_size=6), st.lists(st.integers()))


def columns_of(length: int):
    """Lists of 12 columns, for one preparation each: that is what takes time."""
    return st.lists(st.lists(cells, min_size=length, max_size=length), min_size=12, max_size=12)


@pytest.mark.slow
@given(st.integers(2, 4).flatmap(columns_of))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_metadata_of_any_type_is_stored(tmp_path, columns):
    source = Set([(grey(n), 0) for n in range(len(columns[0]))])
    source.metadata = {f"x{n}": values for n, values in enumerate(columns)}
    prepare(source, CONFIG, tmp_path)
    table = Store.open(CONFIG, tmp_path).table()
    for n, values in enumerate(columns):
        read = table[f"meta_x{n}"].to_pylist()
        assert [v is None for v in read] == [v is None or v == "" for v in values]


def test_every_column_says_what_it_means(tmp_path):
    source = Set([(grey(0), 0), (grey(1), 1)])
    source.metadata = {"site": ["a", "b"], "age": ["31", ""], "weight": [1.5, None], "code": ["007", "1"]}
    source.metadata["account"] = ["1" * 20, "2"]
    source.names, source.given_split = ["x/0.png", "x/1.png"], ["train", "test"]
    prepare(source, CONFIG, tmp_path)
    table = Store.open(CONFIG, tmp_path).table()
    assert table.column_names == [*COLUMNS, *(f"meta_{name}" for name in source.metadata)]
    assert all(table.schema.field(name).metadata[b"meaning"] for name in table.column_names)
    rows = table.to_pylist()
    assert [(r["name"], r["given_split"]) for r in rows] == [("x/0.png", "train"), ("x/1.png", "test")]
    assert [tuple(r[f"meta_{c}"] for c in source.metadata) for r in rows] == [
        ("a", 31, 1.5, "007", "1" * 20),
        ("b", None, None, "1", "2"),
    ]


@pytest.mark.slow
def test_a_source_of_any_length_needs_little_memory(tmp_path):
    class Long(Set):
        def __getitem__(self, index):
            return np.full((3, 32, 32), index % 251, np.uint8), index % 2

    peaks = []
    for length in (3000, 12000):
        prepare(Long([None] * 100), CONFIG, tmp_path)  # imports and caches
        tracemalloc.start()
        prepare(Long([None] * length), CONFIG, tmp_path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # 9,000 images of 3 kB more: what stays in memory is their rows
    assert (peaks[1] - peaks[0]) / 9000 < 1200


# ---- features and texts --------------------------------------------------------------------------------------


def test_rows_of_features_are_stored_with_what_is_missing(tmp_path):
    items = [([1, 2.5], 0), (np.array([np.nan, 4]), 1), (torch.tensor([5.0, 6.0]), 0), ([7.0], 1), ("ab", 0)]
    prepared = prepare(Wide(items), CONFIG, tmp_path)
    store = Store.open(CONFIG, tmp_path)
    assert (store.kind.name, store.columns, store.inputs.dtype) == ("features", ("age", "height"), np.float32)
    assert np.array_equal(store.inputs, np.array([[1, 2.5], [np.nan, 4], [5, 6]], np.float32), equal_nan=True)
    assert prepared.counts == {ODD_SHAPE: 1, UNREADABLE: 1}
    with pytest.raises(RecipeError, match="there are no pictures"):
        store.picture(0)


def test_texts_are_stored_and_have_their_own_ids(tmp_path):
    texts = ["hello", "", "a\nb\0c", "naïve \U0001f600", "hello", "half \ud800"]
    source = Set([(text, n % 2) for n, text in enumerate(texts)] + [(None, 0)])
    source.kind = "text"
    prepared = prepare(source, CONFIG, tmp_path)
    store = Store.open(CONFIG, tmp_path)
    assert store.texts() == [*texts[:5], "half \\ud800"]
    assert store.inputs.shape == (6, 0)
    assert prepared.counts == {UNREADABLE: 1}
    ids = [e["id"] for e in store.examples()]
    assert ids[4] == f"{ids[0]}-2"
    assert len(set(ids)) == 6
