"""Properties of every split: groups stay whole, nothing is lost, class shares hold, the order has no effect."""

import random
from collections import Counter
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipe.data.groups import linked_groups
from recipe.data.splits import assign, read_names, read_split, shares, write_split
from recipe.errors import RecipeError
from recipe.stages.split import checks as claims
from recipe.stages.split.divide import Plan, divide
from recipe.stages.split.validation import every_class_is_in_every_fold
from recipe.tasks.classification import Classification
from recipe.tasks.labels import ClassNumbers
from recipe.tasks.multilabel import Multilabel
from recipe.tasks.regression import Regression

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}


@given(st.lists(st.tuples(st.sampled_from("abcdefghij"), st.sampled_from("uvwxyz")), max_size=12))
def test_joined_is_the_connected_components(pairs):
    pairs = [(a, b) for a, b in pairs]
    names = "abcdefghijuvwxyz"
    groups = linked_groups(names, pairs)
    assert all(groups[a] == groups[b] for a, b in pairs)
    assert all(groups[top] == top and top <= name for name, top in groups.items())
    shuffled = pairs[::-1]
    assert linked_groups(names[::-1], [(b, a) for a, b in shuffled]) == groups


examples_ = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 40)), min_size=1, max_size=120
)  # (label, duplicate group)


def rows_of(drawn, groups=None):
    return [
        {"id": f"i{n}", "row": n, "label": label, "class": f"c{label}", "dup_group": f"d{copy}", "given_split": ""}
        | {"group": groups[n] if groups else ""}
        for n, (label, copy) in enumerate(drawn)
    ]


def split(rows, val, test, seed):
    return divide(rows, Classification(("c0", "c1", "c2", "c3")), Plan(val, test, seed)).parts


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
    names = assign([(label,) for label in labels], [f"x{n}" for n in range(len(labels))], shares(val, test), seed=0)
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
    count = Counter(assign([(label,) for label in labels], groups, SHARES, seed=0))
    assert {name: round(count[name] / 1800, 1) for name in SHARES} == SHARES


@pytest.mark.parametrize("seed", range(3))
def test_groups_of_every_size_are_shared_alike(seed):
    """Most rows have no copy, some have one, a few have many; patients differ in how many pictures they have."""
    draw = random.Random(seed)
    copied = [size for size in (1, 2, 3, 6) for _ in range({1: 600, 2: 300, 3: 150, 6: 50}[size])]
    patients = [1 + int(draw.expovariate(0.1)) for _ in range(400)]
    for sizes, near in ((copied, 0.02), (patients, 0.1)):
        groups = [str(g) for g, size in enumerate(sizes) for _ in range(size)]
        made = assign([(draw.randrange(3),) for _ in groups], groups, SHARES, seed)
        of_group = dict(zip(groups, made, strict=True))
        means = [fmean(size for g, size in enumerate(sizes) if of_group[str(g)] == name) for name in SHARES]
        assert means == pytest.approx([fmean(sizes)] * 3, rel=near)
        assert {name: round(made.count(name) / len(made), 2) for name in SHARES} == SHARES


def test_another_seed_is_another_split():
    rows = rows_of([(n % 2, n) for n in range(50)])
    assert split(rows, 0.2, 0.2, 0) == split(rows, 0.2, 0.2, 0) != split(rows, 0.2, 0.2, 1)


@pytest.mark.parametrize(("val", "test"), [(0.0, 0.2), (0.2, 0.0), (0.5, 0.5), (0.9, 0.3)])
def test_impossible_shares_are_refused(val, test):
    with pytest.raises(RecipeError, match=r"conf/split\.yaml: val .* must be above 0, and their sum below 1"):
        shares(val, test)


def test_lists_are_written_with_a_header_even_when_empty(tmp_path):
    parts = {"train": rows_of([(0, 0)]), "val": [], "test": []}
    write_split(parts, ["a", "b, c"], tmp_path)
    assert (tmp_path / "classes.csv").read_text() == 'label,class\n0,a\n1,"b, c"\n'
    assert (tmp_path / "val.csv").read_text() == "id,row,label\n"
    assert read_split(tmp_path, ClassNumbers(["a", "b, c"])) == {
        "train": [{"id": "i0", "row": 0, "label": 0}],
        "val": [],
        "test": [],
    }


# ---- labels and quantities -------------------------------------------------------------------------------------------


def labelled(task, values):
    """Examples with these labels, each a group of its own."""
    form = task.labels
    rows = rows_of([(0, n) for n in range(len(values))])
    return [r | {"label": form.stored(v), "class": form.shown(v)} for r, v in zip(rows, values, strict=True)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 1)] * 3), min_size=60, max_size=150), st.integers(0, 3))
def test_every_label_has_its_share_in_every_split(values, seed):
    made = divide(labelled(Multilabel(("a", "b", "c")), values), Multilabel(("a", "b", "c")), Plan(0.2, 0.2, seed))
    assert sum(map(len, made.parts.values())) == len(values)
    for label in range(3):
        total = sum(value[label] for value in values)
        for name, rows in made.parts.items():
            count = sum(made.task.labels.parsed(row["label"])[label] for row in rows)
            assert abs(count - SHARES[name] * total) <= 6
            assert count or total < 3


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=60, max_size=150), st.integers(0, 3))
def test_a_tenth_of_a_quantity_has_its_share_in_every_split(values, seed):
    task = Regression(("y",))
    made = divide(labelled(task, [(v,) for v in values]), task, Plan(0.2, 0.2, seed))
    middle = sorted(values)[len(values) // 2]
    for name, rows in made.parts.items():
        assert abs(len(rows) - SHARES[name] * len(values)) < 11  # each tenth is divided to an example
        above = sum(task.labels.parsed(row["label"])[0] > middle for row in rows)
        assert abs(above - SHARES[name] * sum(v > middle for v in values)) < 11


def test_lists_of_labels_and_quantities_are_read_back_exactly(tmp_path):
    for task, value, text in (
        (Multilabel(("a", "b")), (1, 0), "1;0"),
        (Regression(("y", "z")), (0.1 + 0.2, -0.0), "0.30000000000000004;-0.0"),
    ):
        write_split({"train": labelled(task, [value]), "val": [], "test": []}, task.names, tmp_path)
        assert (tmp_path / "train.csv").read_text() == f"id,row,label\ni0,0,{text}\n"
        assert read_split(tmp_path, task.labels)["train"] == [{"id": "i0", "row": 0, "label": text}]
        assert read_names(tmp_path) == list(task.names)


def test_a_label_that_a_split_lacks_closes_the_gate_by_its_name():
    task = Multilabel(("often", "once"))
    values = [(n % 2, int(n == 7)) for n in range(50)]
    made = divide(labelled(task, values), task, Plan(0.2, 0.2))
    verdict = claims.every_class_is_in_every_split(claims.Written(made.parts, made))
    assert verdict.closes
    assert verdict.value.startswith("1: once (1 example) is not in ")


def test_findings_have_the_words_of_the_task():
    labels, numbers = Multilabel(("often", "once")), Regression(("y",))
    of_labels = divide(labelled(labels, [(n % 2, int(n == 7)) for n in range(50)]), labels, Plan(0.2, 0.2, folds=5))
    of_numbers = divide(labelled(numbers, [(float(n),) for n in range(50)]), numbers, Plan(0.2, 0.2))
    sorted_parts = {"train": of_numbers.kept[:30], "val": of_numbers.kept[30:40], "test": of_numbers.kept[40:]}
    lacking = claims.every_class_is_in_every_split(claims.Written(of_labels.parts, of_labels))
    in_folds = every_class_is_in_every_fold(claims.Written(of_labels.parts, of_labels, folds=[("i7", 0)]))
    shares = claims.class_shares_agree(claims.Written(sorted_parts, of_numbers))
    assert "1 of 2 labels are missing from a split" in lacking.finding
    assert "2 of 2 labels are missing from a fold" in in_folds.finding
    assert "The decile shares of the splits differ" in shares.finding
    for verdict in (lacking, in_folds, shares):
        assert not verdict.ok
        assert "class" not in verdict.finding
        assert "rare" not in verdict.finding  # which is of classes


def test_rare_classes_are_no_question_of_quantities():
    task = Regression(("y",))
    rows = labelled(task, [(float(n),) for n in range(30)])
    with pytest.raises(RecipeError, match="`rare: drop` is of classes, and there are none: set `rare: ask`"):
        divide(rows, task, Plan(0.2, 0.2, rare="drop"))
    made = divide(rows, task, Plan(0.2, 0.2))
    assert claims.every_class_is_in_every_split(claims.Written(made.parts, made)).verdict == "skip"
    assert claims.class_shares_agree(claims.Written(made.parts, made)).ok
