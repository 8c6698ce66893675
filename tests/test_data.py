"""The store round trip, decisions, and the split's promises."""

import json
import random
import tracemalloc
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from PIL import Image
from sklearn.datasets import load_breast_cancer

from recipe.config import change, compose
from recipe.data.batches import load
from recipe.data.decisions import Decision, decide, read_decisions
from recipe.data.groups import joined
from recipe.data.images import as_array
from recipe.data.prepare import prepare
from recipe.data.problems import ODD_SHAPE, UNKNOWN_LABEL, UNREADABLE
from recipe.data.split import assign, read_split, shares, split, write_split
from recipe.data.store import COLUMNS, Store
from recipe.data.tables import Table
from recipe.errors import RecipeError
from recipe.files import write_csv
from recipe.floors import train_floors

CONFIG = {"_target_": "somewhere.Set"}
GREY = np.arange(30, dtype=np.uint8).reshape(6, 5)
COLOUR = np.arange(90, dtype=np.uint8).reshape(6, 5, 3)


class Set:
    """A data set from a list of (image, label); an exception in the list is raised when it is read."""

    def __init__(self, items, classes=("a", "b"), groups=None):
        self.items, self.classes = items, classes
        if groups is not None:
            self.groups = groups

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        if isinstance(self.items[index], Exception):
            raise self.items[index]
        return self.items[index]


def column(found, name):
    return found.table[name].to_pylist()


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
    array = as_array(image)
    assert array.dtype == expected.dtype
    assert np.array_equal(array, expected)
    assert array.flags.c_contiguous


def test_a_palette_becomes_its_colours_and_not_its_numbers():
    image = Image.new("P", (2, 2), 1)
    image.putpalette([0, 0, 0, 250, 10, 20])
    assert as_array(image)[:, 0, 0].tolist() == [250, 10, 20]


@pytest.mark.parametrize("image", ["a.png", None, np.zeros((2, 3, 4, 5)), np.zeros((0, 3)), np.array(["x"])])
def test_what_is_no_image_is_refused(image):
    with pytest.raises((TypeError, ValueError)):
        as_array(image)


# ---- store ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [np.asarray, Image.fromarray, torch.from_numpy])
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
def test_store_round_trip(tmp_path, form, shape):
    images = [grey(i, shape) for i in range(6)]
    channels_first = [a if a.ndim == 2 else a.transpose(2, 0, 1) for a in images]
    given_ = channels_first if form is torch.from_numpy else images
    found = prepare(Set([(form(a.copy()), i % 2) for i, a in enumerate(given_)]), CONFIG, tmp_path)
    store = Store.open(CONFIG, tmp_path)
    assert found.problems == []
    assert np.array_equal(store.inputs, np.stack(channels_first).reshape(store.inputs.shape))
    assert store.inputs.dtype == np.uint8
    assert [(e["row"], e["label"], e["class"], e["source"]) for e in store.examples()] == [
        (i, i % 2, "ab"[i % 2], i) for i in range(6)
    ]
    assert store.classes == ["a", "b"]
    assert store.fingerprint == found.fingerprint


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
    found = prepare(Set(items), CONFIG, tmp_path)
    assert [p.source for p in found.problems] == [1, 2, 3, 4, 5, 6, 7]
    assert found.counts == {UNREADABLE: 2, UNKNOWN_LABEL: 4, ODD_SHAPE: 1}
    assert column(found, "source") == [0, 8]
    assert len(Store.open(CONFIG, tmp_path).inputs) == 2
    assert len((tmp_path / "problems.csv").read_text().splitlines()) == 8


def test_problems_has_its_header_without_problems(tmp_path):
    prepare(Set([(grey(0), 0)]), CONFIG, tmp_path)
    assert (tmp_path / "problems.csv").read_text() == "source,name,problem,detail,hint\n"


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
def test_a_source_that_is_no_data_set_is_told_why(tmp_path, source, message):
    with pytest.raises(RecipeError, match=message):
        prepare(source, CONFIG, tmp_path)
    assert not list(tmp_path.iterdir())  # nothing half-written


def test_a_store_of_other_data_is_refused(tmp_path):
    prepare(Set([(GREY, 0)]), CONFIG, tmp_path)
    with pytest.raises(RecipeError, match=r"holds somewhere\.Set, the configuration asks for other\.Set"):
        Store.open({"_target_": "other.Set"}, tmp_path)


def test_images_of_any_size_come_in_by_a_transform_in_conf(tmp_path):
    from recipe.parts import part, plain

    for name, size in (("ants", (30, 20)), ("bees", (16, 40))):
        (tmp_path / "all" / name).mkdir(parents=True)
        Image.new("RGB", size, "red").save(tmp_path / "all" / name / "1.png")
    resize = {"_target_": "torchvision.transforms.v2.Resize", "size": [8, 8]}
    data = {"_target_": "torchvision.datasets.ImageFolder", "root": str(tmp_path / "all")}
    assert prepare(part(OmegaConf.create({"data": data}), "data"), data, tmp_path / "odd").counts[ODD_SHAPE] == 1
    cfg = OmegaConf.create({"data": data | {"transform": resize}})
    found = prepare(part(cfg, "data"), plain(cfg, "data"), tmp_path / "even")
    assert (found.problems, found.shape, found.said.classes) == ([], (3, 8, 8), ["ants", "bees"])
    assert json.loads((tmp_path / "even/store.json").read_text())["data"]["transform"]["size"] == [8, 8]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([(2, 3), (3, 2), (1, 4)])), min_size=1, max_size=30))
def test_the_arrays_of_the_commonest_shape_stay_in_their_order(tmp_path, drawn):
    images = [grey(seed, shape) for seed, shape in drawn]
    found = prepare(Set([(image, n % 2) for n, image in enumerate(images)]), CONFIG, tmp_path)
    shape = Counter(shape for _, shape in drawn).most_common(1)[0][0]
    kept = [n for n, image in enumerate(images) if image.shape == shape]
    store = Store.open(CONFIG, tmp_path)
    assert np.array_equal(store.inputs, np.stack([images[n][None] for n in kept]))
    assert [(e["row"], e["source"], e["label"]) for e in store.examples()] == [
        (row, n, n % 2) for row, n in enumerate(kept)
    ]
    assert found.counts == ({ODD_SHAPE: len(images) - len(kept)} if len(images) > len(kept) else {})
    assert [p.source for p in found.problems] == [n for n in range(len(images)) if n not in kept]


def test_a_shape_in_between_leaves_no_trace(tmp_path):
    """Types of other sizes, where the bytes that are kept move forward in the file."""
    floats, odd = np.arange(40, dtype=np.float32).reshape(2, 4, 5), np.ones((90, 90), np.float32)
    prepare(Set([(odd, 0), (floats[0], 1), (grey(1), 0), (floats[1], 1)]), CONFIG, tmp_path)
    assert np.array_equal(Store.open(CONFIG, tmp_path).inputs, floats[:, None])
    assert (tmp_path / "inputs.npy").stat().st_size == 128 + floats.nbytes


def test_images_of_every_size_are_refused_with_what_to_do(tmp_path):
    source = Set([(grey(n, (2 + n, 3)), 0) for n in range(150)])
    with pytest.raises(RecipeError, match=r"100 different shapes, as \(1, 2, 3\) and \(1, 101, 3\)\. Give .* `size`"):
        prepare(source, CONFIG, tmp_path)
    assert not list(tmp_path.iterdir())
    most = Set([(grey(n), 0) for n in range(130)] + source.items[:120])
    assert prepare(most, CONFIG, tmp_path).counts == {ODD_SHAPE: 120}


cells = st.one_of(st.none(), st.integers(), st.floats(), st.booleans(), st.text(max_size=6), st.lists(st.integers()))


@given(st.lists(cells, min_size=2, max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_metadata_of_any_type_is_stored(tmp_path, values):
    source = Set([(grey(n), 0) for n in range(len(values))])
    source.metadata = {"x": values}
    prepare(source, CONFIG, tmp_path)
    read = Store.open(CONFIG, tmp_path).table()["meta_x"].to_pylist()
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


# ---- features and texts ----------------------------------------------------------------------------------------


class Wide(Set):
    kind, columns = "features", ("age", "height")


def test_rows_of_features_are_stored_with_what_is_missing(tmp_path):
    items = [([1, 2.5], 0), (np.array([np.nan, 4]), 1), (torch.tensor([5.0, 6.0]), 0), ([7.0], 1), ("ab", 0)]
    found = prepare(Wide(items), CONFIG, tmp_path)
    store = Store.open(CONFIG, tmp_path)
    assert (store.kind, store.columns, store.inputs.dtype) == ("features", ("age", "height"), np.float32)
    assert np.array_equal(store.inputs, np.array([[1, 2.5], [np.nan, 4], [5, 6]], np.float32), equal_nan=True)
    assert found.counts == {ODD_SHAPE: 1, UNREADABLE: 1}
    with pytest.raises(RecipeError, match="there are no pictures"):
        store.picture(0)


def test_texts_are_stored_and_told_apart(tmp_path):
    texts = ["hello", "", "a\nb\0c", "naïve \U0001f600", "hello", "half \ud800"]
    source = Set([(text, n % 2) for n, text in enumerate(texts)] + [(None, 0)])
    source.kind = "text"
    found = prepare(source, CONFIG, tmp_path)
    store = Store.open(CONFIG, tmp_path)
    assert store.texts() == [*texts[:5], "half \\ud800"]
    assert store.inputs.shape == (6, 0)
    assert found.counts == {UNREADABLE: 1}
    ids = [e["id"] for e in store.examples()]
    assert ids[4] == f"{ids[0]}-2"
    assert len(set(ids)) == 6


# ---- batches -------------------------------------------------------------------------------------------------


def lists_of(folder, **rows):
    for name, chosen in rows.items():
        write_csv(folder / f"{name}.csv", [{"id": f"i{r}", "row": r, "label": r % 2} for r in chosen])


def test_each_column_is_standardised_by_its_known_training_values(tmp_path):
    values = np.array([[1, 1e9, 7, 3], [3, 1e9 + 4e8, 7, np.nan], [np.nan, 1e9 - 4e8, 7, np.nan], [9, 0, 8, 5]])
    source = Wide([(row, n % 2) for n, row in enumerate(values)])
    source.columns = list("abcd")
    prepare(source, CONFIG, tmp_path)
    lists_of(tmp_path, train=[0, 1, 2], val=[3])
    data = load(CONFIG, "cpu", lists=tmp_path, folder=tmp_path)
    assert data.train.x.mean(0).abs().max() < 1e-6
    assert data.train.x[:, 0].tolist() == pytest.approx([-(0.5**0.5), 0.5**0.5, 0])  # missing: the mean
    assert data.train.x[:, 1].std().item() == pytest.approx(1)
    assert data.train.x[:, 2].tolist() == [0, 0, 0]
    assert data.val.x[0].tolist() == pytest.approx([7 / 2**0.5, -2.5, 1, 2])  # a constant column keeps its unit
    assert tuple(data.pictures(data.train.x).shape) == (3, 1, 2, 2)
    assert data.pictures(data.train.x)[0, 0, 1, 0] == 0.5


def test_a_table_is_learned_beside_its_floors(tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[1])
    frame = load_breast_cancer(as_frame=True).frame
    frame.to_csv(tmp_path / "x.csv", index=False)
    prepare(Table(tmp_path / "x.csv", label="target"), CONFIG, tmp_path)
    rows = [e | {"dup_group": e["id"]} for e in Store.open(CONFIG, tmp_path).examples()]
    write_split(split(rows, 0.2, 0.2, seed=0), tmp_path)
    data = load(CONFIG, "cpu", lists=tmp_path, folder=tmp_path)
    cfg = change(compose("baseline"), {"seeds": 1, "train.steps": 200, "train.eval_every": 100})
    cfg.model = OmegaConf.load("conf/model/mlp.yaml")
    run = SimpleNamespace(lane=lambda *args, **more: None, checkpoints=None, say=lambda text: None)
    floors = train_floors(cfg, data, run)
    assert [floor.name for floor in floors] == ["constant", "linear", "mlp"]  # a convnet needs neighbouring pixels
    assert floors[-1].score()["val_accuracy"] > 0.9 > floors[0].score()["val_accuracy"] + 0.2


def test_images_are_standardised_by_the_training_pixels_of_each_channel(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (9, 4, 5, 3), dtype=np.uint8)
    prepare(Set([(image, n % 2) for n, image in enumerate(images)]), CONFIG, tmp_path)
    lists_of(tmp_path, train=range(6), val=[6, 7], test=[8])
    data = load(CONFIG, "cpu", lists=tmp_path, folder=tmp_path)
    assert data.train.x.mean((0, 2, 3)).abs().max() < 1e-6
    back = data.pictures(data.val.x) * 255
    assert np.allclose(back.permute(0, 2, 3, 1).numpy(), images[6:8], atol=1e-3)


def test_texts_cannot_be_trained_on_yet_and_are_told_so(tmp_path):
    source = Set([("a", 0), ("b", 1)])
    source.kind = "text"
    prepare(source, CONFIG, tmp_path)
    with pytest.raises(RecipeError, match=r"somewhere\.Set gives texts, and no model here reads them yet.*data: table"):
        load(CONFIG, "cpu", lists=tmp_path, folder=tmp_path)


# ---- decisions -----------------------------------------------------------------------------------------------


@pytest.fixture
def decisions(tmp_path):
    def write(*lines, header="id,action,label,reason"):
        path = tmp_path / "decisions.csv"
        path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        return read_decisions(path, {"x1", "x2"}, ["cat", "dog"])

    return write


def test_decisions_are_read(decisions):
    found = decisions('x1,relabel,dog,"looked twice, is a dog"', "", "x2,drop,,blank")
    assert found["x1"] == Decision("x1", "relabel", "dog", "looked twice, is a dog")
    assert found["x2"].action == "drop"
    assert decisions() == {}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["x9,drop,,r"], r"line 2: no example `x9`"),
        (["x1,drop,,r", "", "x2,delete,,r"], r"line 4: no action `delete`; there are drop, relabel, keep"),
        (["x1,relabel,cow,r"], r"line 2: relabel to `cow`: no such class; there are cat, dog"),
        (["x1,relabel,,r"], r"line 2: relabel to ``"),
        (["x1,keep,dog,r"], r"line 2: `keep` takes no label.*is `relabel` meant"),
        (["x1,drop,,"], r"line 2: a decision needs a reason"),
        (["x1,drop,,r", "x1,keep,,r"], r"line 3: `x1` is decided twice"),
        (["x1,drop,,blank, or nearly"], r"line 2: 5 cells, there must be 4.*double quotes"),
        (["x1,drop,r"], r"line 2: 3 cells"),
    ],
)
def test_a_wrong_decision_is_named_by_its_line(decisions, lines, message):
    with pytest.raises(RecipeError, match=message):
        decisions(*lines)


def test_a_wrong_header_is_named_even_without_decisions(decisions):
    with pytest.raises(
        RecipeError, match="its first line must be id,action,label,reason, it is id;action;label;reason"
    ):
        decisions(header="id;action;label;reason")


def test_missing_decisions_say_what_to_write(tmp_path):
    with pytest.raises(RecipeError, match=r"decisions.csv is missing.*one line: id,action,label,reason"):
        read_decisions(tmp_path / "decisions.csv", set(), [])


def test_decisions_are_obeyed():
    examples = [{"id": i, "label": 0, "class": "cat"} for i in ("a", "b", "c")]
    found = {"a": Decision("a", "drop", "", "r"), "b": Decision("b", "relabel", "dog", "r")}
    found["c"] = Decision("c", "keep", "", "r")
    assert decide(examples, found, ["cat", "dog"]) == [
        {"id": "b", "label": 1, "class": "dog"},
        {"id": "c", "label": 0, "class": "cat"},
    ]


# ---- split ---------------------------------------------------------------------------------------------------

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}


@given(st.lists(st.tuples(st.sampled_from("abcdefghij"), st.sampled_from("uvwxyz")), max_size=12))
def test_joined_is_the_connected_components(pairs):
    pairs = [(a, b) for a, b in pairs]
    names = "abcdefghijuvwxyz"
    found = joined(names, pairs)
    assert all(found[a] == found[b] for a, b in pairs)
    assert all(found[top] == top and top <= name for name, top in found.items())
    shuffled = pairs[::-1]
    assert joined(names[::-1], [(b, a) for a, b in shuffled]) == found


examples_ = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 40)), min_size=1, max_size=120
)  # (label, duplicate group)


def rows_of(drawn, groups=None):
    return [
        {"id": f"i{n}", "row": n, "label": label, "dup_group": f"d{copy}", "group": groups[n] if groups else ""}
        for n, (label, copy) in enumerate(drawn)
    ]


@settings(max_examples=60, deadline=None)
@given(examples_, st.integers(0, 3), st.booleans())
def test_groups_stay_whole_and_nothing_is_lost(drawn, seed, grouped):
    groups = [f"g{(7 * n) % 11}" for n in range(len(drawn))] if grouped else None
    rows = rows_of(drawn, groups)
    parts = split(rows, 0.2, 0.2, seed)
    assert sorted(r["id"] for part in parts.values() for r in part) == sorted(r["id"] for r in rows)
    for column in ("dup_group", "group"):
        where = {(r[column], name) for name, part in parts.items() for r in part if r[column]}
        assert max(Counter(value for value, _ in where).values(), default=1) == 1
    assert all([r["row"] for r in part] == sorted(r["row"] for r in part) for part in parts.values())


@settings(max_examples=40, deadline=None)
@given(examples_, st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_split_does_not_depend_on_the_order(drawn, seed, order):
    rows = rows_of(drawn)
    first = split(rows, 0.25, 0.15, seed)
    order.shuffle(rows)
    assert split(rows, 0.25, 0.15, seed) == first


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(3, 60), min_size=1, max_size=6), st.floats(0.05, 0.4), st.floats(0.05, 0.4))
def test_each_class_has_its_shares_to_an_example_and_is_in_every_split(sizes, val, test):
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    names = assign(labels, [f"x{n}" for n in range(len(labels))], shares(val, test), seed=0)
    count = Counter(zip(labels, names, strict=True))
    for label, size in enumerate(sizes):
        for name, share in shares(val, test).items():
            assert count[label, name] >= 1
            # within one example; further off only where a class is too small for its share to be one
            assert abs(count[label, name] - share * size) < 1.01 or min(share * size for share in (val, test)) < 1


def test_shares_hold_with_large_groups():
    draw = random.Random(0)
    groups = [f"w{draw.randrange(60)}" for _ in range(1800)]
    labels = [draw.randrange(10) for _ in groups]
    count = Counter(assign(labels, groups, SHARES, seed=0))
    assert {name: round(count[name] / 1800, 1) for name in SHARES} == SHARES


def test_another_seed_is_another_split():
    rows = rows_of([(n % 2, n) for n in range(50)])
    assert split(rows, 0.2, 0.2, 0) == split(rows, 0.2, 0.2, 0) != split(rows, 0.2, 0.2, 1)


@pytest.mark.parametrize(("val", "test"), [(0.0, 0.2), (0.2, 0.0), (0.5, 0.5), (0.9, 0.3)])
def test_impossible_shares_are_refused(val, test):
    with pytest.raises(RecipeError, match=r"conf/split\.yaml: val .* must be above 0, and their sum below 1"):
        shares(val, test)


def test_lists_are_written_with_a_header_even_when_empty(tmp_path):
    parts = {"train": rows_of([(0, 0)]), "val": [], "test": []}
    write_split(parts, tmp_path)
    assert (tmp_path / "val.csv").read_text() == "id,row,label\n"
    assert read_split(tmp_path) == {"train": [{"id": "i0", "row": 0, "label": 0}], "val": [], "test": []}
