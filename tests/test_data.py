"""The store round trip, decisions, and the split's promises."""

import json
import random
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from PIL import Image

from recipe.data.decisions import Decision, decide, read_decisions
from recipe.data.groups import joined
from recipe.data.images import as_array
from recipe.data.split import assign, read_split, shares, split, write_split
from recipe.data.store import ODD_SHAPE, UNKNOWN_LABEL, UNREADABLE, Store, prepare
from recipe.errors import RecipeError

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
    assert [r["label"] for r in prepare(Set(items), CONFIG, tmp_path).rows] == [1, 0, 1, 1]


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
    assert [p["source"] for p in found.problems] == [1, 2, 3, 4, 5, 6, 7]
    assert [found.count(kind) for kind in (UNREADABLE, UNKNOWN_LABEL, ODD_SHAPE)] == [2, 4, 1]
    assert [r["source"] for r in found.rows] == [0, 8]
    assert len(Store.open(CONFIG, tmp_path).inputs) == 2
    assert len((tmp_path / "problems.csv").read_text().splitlines()) == 8


def test_problems_has_its_header_without_problems(tmp_path):
    prepare(Set([(grey(0), 0)]), CONFIG, tmp_path)
    assert (tmp_path / "problems.csv").read_text() == "source,problem,detail\n"


def test_ids_follow_the_content_and_not_the_order(tmp_path):
    items = [(grey(i), 0) for i in (0, 1, 1, 2)]
    ids = [r["id"] for r in prepare(Set(items), CONFIG, tmp_path).rows]
    assert len(set(ids)) == 4
    assert ids[2] == f"{ids[1]}-2"
    assert sorted(r["id"] for r in prepare(Set(items[::-1]), CONFIG, tmp_path).rows) == sorted(ids)


def test_a_random_transform_shows_when_read_again(tmp_path):
    class Noisy(Set):
        def __getitem__(self, index):
            return np.random.randint(0, 256, (3, 3)).astype(np.uint8), 0

    assert prepare(Noisy([None] * 5), CONFIG, tmp_path).unrepeatable == 5
    assert prepare(Set([(grey(0), 0)]), CONFIG, tmp_path).unrepeatable == 0


def test_the_store_is_the_same_bytes_again(tmp_path):
    for name in ("one", "two"):
        prepare(Set([(grey(i), i % 2) for i in range(5)]), CONFIG, tmp_path / name)
    files = ("inputs.npy", "examples.csv", "problems.csv", "store.json")
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
    assert prepare(part(OmegaConf.create({"data": data}), "data"), data, tmp_path / "odd").count(ODD_SHAPE) == 1
    cfg = OmegaConf.create({"data": data | {"transform": resize}})
    found = prepare(part(cfg, "data"), plain(cfg, "data"), tmp_path / "even")
    assert (found.problems, found.shape, found.classes) == ([], (3, 8, 8), ["ants", "bees"])
    assert json.loads((tmp_path / "even/store.json").read_text())["data"]["transform"]["size"] == [8, 8]


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
