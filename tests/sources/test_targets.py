"""What is to be predicted: the words of conf, in tables, texts, arrays, parquet and folders."""

import csv

import numpy as np
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from sources import ANY_FILE, encoded, problems, put, stored

from recipe.errors import RecipeError
from recipe.problems import TASK, UNKNOWN_LABEL
from recipe.sources.arrays import Arrays, Parquet
from recipe.sources.folder import Folder
from recipe.sources.tables import Table, Text


def table(tmp_path, *lines: str, **words) -> Table:
    put(tmp_path, "x.csv", content="\n".join(lines).encode())
    return Table(tmp_path / "x.csv", **words)


def facts(source, tmp_path) -> tuple[dict, list, list]:
    """(the task of store.json, the column `label`, the column `class`) of a source that is prepared."""
    prepared, store = stored(source, tmp_path / "out")
    examples = store.examples()
    assert prepared.problems == list(source.problems) or all(p.source is not None for p in prepared.problems)
    return store.task.facts(), [e["label"] for e in examples], [e["class"] for e in examples]


# ---- one table, three tasks ----------------------------------------------------------------------------------------

LINES = (
    "size,red,round,tags,kind,weight",
    "1,1,yes,red;round,apple,150.5",
    "2,0,no,,pear,1e2",
    "3,0,yes,round,apple,99",
    "4,1,no,red,pear,120.25",
)


def test_a_quantity(tmp_path):
    source = table(tmp_path, *LINES, target="weight", unit="g", metadata=["tags"])
    task, label, shown = facts(source, tmp_path)
    assert task == {"name": "regression", "targets": ["weight"], "unit": "g"}
    assert label == ["150.5", "100.0", "99.0", "120.25"]
    assert shown == ["150.5 g", "100 g", "99 g", "120.2 g"]
    assert "weight" not in source.columns
    assert problems(source) == []


def test_several_quantities(tmp_path):
    task, label, _ = facts(table(tmp_path, *LINES, target=["weight", 0], metadata=["tags"]), tmp_path)
    assert task == {"name": "regression", "targets": ["weight", "size"], "unit": ""}
    assert label[0] == "150.5;1.0"


def test_columns_of_labels(tmp_path):
    source = table(tmp_path, *LINES, labels=["red", "round"], metadata=["tags"])
    task, label, shown = facts(source, tmp_path)
    assert task == {"name": "multilabel", "labels": ["red", "round"]}
    assert (label, shown) == (["1;1", "0;0", "0;1", "1;0"], ["red; round", "", "round", "red"])
    assert problems(source) == []


@pytest.mark.parametrize("separator", [None, ";"])
def test_a_column_of_labels(tmp_path, separator):
    source = table(tmp_path, *LINES, labels={"column": "tags", "separator": separator})
    task, label, shown = facts(source, tmp_path)
    assert task == {"name": "multilabel", "labels": ["red", "round"]}
    assert (label, shown) == (["1;1", "0;0", "0;1", "1;0"], ["red; round", "", "round", "red"])
    details = [detail for kind, _, detail in problems(source) if kind == TASK]
    assert details[-1] == "1 empty cell, the first in line 3, read as none of the labels"
    assert (details[0].startswith("`;` separates the labels of a cell")) == (separator is None)


def test_classes_as_before(tmp_path):
    source = table(tmp_path, *LINES, label="kind", metadata=["tags"])
    assert facts(source, tmp_path)[:2] == ({"name": "classification", "classes": ["apple", "pear"]}, [0, 1, 0, 1])


# ---- `task: auto` --------------------------------------------------------------------------------------------------


def column(tmp_path, values, **words) -> Table:
    return table(tmp_path, "a,y", *(f"{n % 5},{value}" for n, value in enumerate(values)), **{"label": "y"} | words)


def test_real_numbers_are_a_quantity_with_a_note_that_target_silences(tmp_path):
    source = column(tmp_path, [0.5, 1.5, 2, 4])
    assert source.target_columns == ["y"]
    ((kind, place, detail),) = problems(source)
    assert (kind, place) == (TASK, "x.csv, column `y`")
    assert detail == (
        "4 different numbers, 0.5 among them, are read as a quantity: `target: y` says so, `task: classification` "
        "makes each a class"
    )
    assert problems(column(tmp_path, [0.5, 1.5, 2, 4], label=None, target="y")) == []
    assert column(tmp_path, [0.5, 1.5, 2, 4], task="classification").classes == ["0.5", "1.5", "2", "4"]
    assert column(tmp_path, range(300)).target_columns == ["y"]


def test_many_ordered_numbers_are_classes_with_a_note_that_names_the_word(tmp_path):
    ages = [age for age in range(3, 20) for _ in range(1 + 20 - abs(age - 10))]
    source = column(tmp_path, ages)
    assert source.classes == list(map(str, range(3, 20)))
    ((kind, _, detail),) = problems(source)
    assert kind == TASK
    assert detail == (
        "17 different whole numbers, from 3 to 19, are read as classes: if they are a quantity, write `target: y` in "
        "place of `label`; else `task: classification`"
    )
    assert problems(column(tmp_path, ages, task="classification")) == []
    assert column(tmp_path, ages, task="regression").target_columns == ["y"]


@pytest.mark.parametrize(
    "values",
    [
        [n % 10 for n in range(100)],  # digits
        [n % 100 for n in range(1000)],  # a hundred classes of ten
        [3, 4, 5, 6, 7, 8, 9] * 3,  # few
        [f"c{n % 30}" for n in range(300)],
    ],
)
def test_numbers_of_classes_get_no_note(tmp_path, values):
    assert problems(column(tmp_path, values)) == []


def test_lists_of_names_and_of_numbers_in_parquet(tmp_path):
    def source(values, **words):
        columns = {"a": [1.0, 2.0, 4.0], "y": values}
        parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
        return Table(tmp_path / "x.parquet", **{"label": "y"} | words)

    names = source([["b", "a"], [], ["a"]])
    assert (names.labels, names.targets) == (["a", "b"], [(1, 1), (0, 0), (1, 0)])
    assert problems(names)[0][2] == "its lists are several labels of an example: `labels: y` says so"
    numbers = source([[0.5, 1.0], [2.0, 3.5], [4.0, 8.0]])
    assert (numbers.target_columns, numbers.targets[1]) == (["y 0", "y 1"], (2.0, 3.5))
    indicators = source([[0, 1, 1], [1, 0, 0], [0, 0, 0]], label=None, labels={"column": "y"})
    assert (indicators.labels, indicators.targets[0]) == (["y 0", "y 1", "y 2"], (0, 1, 1))
    unknown = source([["b", "a"], ["c"], None], label=None, labels={"column": "y"}, classes=["b", "a"])
    prepared, store = stored(unknown, tmp_path / "out")
    assert [(p.kind, p.detail) for p in prepared.problems if p.source is not None] == [
        (UNKNOWN_LABEL, "label 'c'; known are b, a"), (UNKNOWN_LABEL, "no label"),
    ]  # fmt: skip
    assert [e["label"] for e in store.examples()] == ["1;1"]


# ---- exact ---------------------------------------------------------------------------------------------------------

finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.slow
@ANY_FILE
@given(st.lists(st.tuples(finite, finite), min_size=2, max_size=6, unique_by=(lambda v: v[0], lambda v: v[1])))
def test_every_number_of_a_table_is_stored_to_the_last_bit(tmp_path, values):
    with open(tmp_path / "x.csv", "w", newline="") as file:
        csv.writer(file).writerows([("a", "y", "z"), *((n, repr(y), repr(z)) for n, (y, z) in enumerate(values))])
    source = Table(tmp_path / "x.csv", target=["y", "z"])
    _, label, _ = facts(source, tmp_path)
    assert label == [f"{y!r};{z!r}" for y, z in values]


@pytest.mark.slow
@ANY_FILE
@given(st.lists(st.sets(st.sampled_from(["a", "b c", "3"])), min_size=2, max_size=6))
def test_names_in_cells_and_columns_of_0_and_1_are_the_same_labels(tmp_path, sets):
    names = ["3", "a", "b c"]
    rows = [(n, "|".join(sorted(inside)), *(int(name in inside) for name in names)) for n, inside in enumerate(sets)]
    with open(tmp_path / "x.csv", "w", newline="") as file:
        csv.writer(file).writerows([("n", "tags", *names), *rows])
    words = {"column": "tags", "separator": "|"}
    if not any(sets):
        with pytest.raises(RecipeError, match="column `tags`: no cell names a label"):
            Table(tmp_path / "x.csv", labels=words)
        return
    by_name = Table(tmp_path / "x.csv", labels=words, classes=names, metadata=names)
    by_column = Table(tmp_path / "x.csv", labels=names, metadata=["tags"])
    assert facts(by_name, tmp_path)[:2] == facts(by_column, tmp_path)[:2]


# ---- other sources -------------------------------------------------------------------------------------------------


def test_texts_have_targets_like_tables(tmp_path):
    put(tmp_path, "x.csv", content="\n".join(["text,stars,topics", "good,4.5,a|b", "bad,1,b", "so so,3,a"]).encode())
    assert Text(tmp_path / "x.csv", text="text", target="stars").targets == [(4.5,), (1.0,), (3.0,)]
    topics = Text(tmp_path / "x.csv", text="text", labels={"column": "topics"})
    assert (topics.labels, topics.targets) == (["a", "b"], [(1, 1), (0, 1), (1, 0)])


@pytest.mark.parametrize(
    ("y", "words", "task", "label"),
    [
        (np.array([0.5, 1.25, 3]), {"target": "y"}, {"name": "regression", "targets": ["y"], "unit": "m"}, "1.25"),
        (np.eye(3)[:, :2] * 2.5, {"target": "y"}, {"name": "regression", "targets": ["y 0", "y 1"]}, "0.0;2.5"),
        (np.eye(3)[:, :2], {"labels": "y"}, {"name": "multilabel", "labels": ["y 0", "y 1"]}, "0;1"),
        (np.eye(3)[:, :2].astype(bool), {}, {"name": "multilabel", "labels": ["y 0", "y 1"]}, "0;1"),
        (np.eye(3)[:, :2], {"labels": "y", "classes": ["u", "v"]}, {"name": "multilabel", "labels": ["u", "v"]}, "0;1"),
        (np.eye(3), {}, {"name": "classification", "classes": ["0", "1", "2"]}, 1),
        (np.array([4, 5, 6]), {"label": "y"}, {"name": "classification", "classes": ["4", "5", "6"]}, 1),
    ],
)
def test_arrays(tmp_path, y, words, task, label):
    np.savez(tmp_path / "x.npz", x=np.arange(12.0).reshape(3, 4), y=y)
    words = words | ({"unit": "m"} if task.get("unit") else {})
    found, labels, _ = facts(Arrays(tmp_path / "x.npz", **words), tmp_path)
    assert ({"unit": ""} if task["name"] == "regression" else {}) | task == found
    assert labels[1] == label


def test_images_in_parquet(tmp_path):
    images = [encoded(colour=c) for c in ("red", "blue", "green")]
    columns = {"image": images, "age": [30.5, None, 40.0], "a": [1, 0, 1], "b": [0, 0, 1]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
    prepared, store = stored(Parquet(tmp_path / "x.parquet", target="age"), tmp_path / "out")
    assert [e["label"] for e in store.examples()] == ["30.5", "40.0"]
    assert [(p.kind, p.name, p.detail) for p in prepared.problems] == [
        (UNKNOWN_LABEL, "x.parquet, row 1", "no value of `age`")
    ]
    assert facts(Parquet(tmp_path / "x.parquet", labels=["a", "b"]), tmp_path)[1] == ["1;0", "0;0", "1;1"]
    with pytest.raises(RecipeError, match=r"no column `aeg`; there are image, age, a, b\. Did you mean `age`\?"):
        Parquet(tmp_path / "x.parquet", target="aeg")


PHOTOS = ["file_name,age,smiles,hat,place", "1.png,30.5,1,0,x", "2.png,41,0,0,y", "sub/3.png,28,1,1,x"]


def test_a_folder_with_metadata(tmp_path):
    put(tmp_path, "1.png", "2.png", "sub/3.png")
    put(tmp_path, "metadata.csv", content="\n".join(PHOTOS).encode())
    task, label, shown = facts(Folder(tmp_path, size=8, target="age", unit="years"), tmp_path.parent / "one")
    assert task == {"name": "regression", "targets": ["age"], "unit": "years"}
    assert (label, shown[0]) == (["30.5", "41.0", "28.0"], "30.5 years")
    several = Folder(tmp_path, size=8, labels=["smiles", "hat"])
    assert several.metadata == {"age": ["30.5", "41", "28"], "place": ["x", "y", "x"]}
    assert facts(several, tmp_path.parent / "two")[1] == ["1;0", "0;0", "1;1"]
    assert Folder(tmp_path, size=8, label="place").classes == ["x", "y"]
    assert Folder(tmp_path, size=8, target="age", table="metadata.csv").targets == [(30.5,), (41.0,), (28.0,)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"labels": "train.csv"}, r"`labels: train\.csv` must be a list of columns; a csv is `table: train\.csv`"),
        ({"task": "regression"}, r"`task: regression` needs the columns of metadata\.csv: `target` or `labels`"),
        ({"target": "age", "classes_at": 1}, "`classes_at` reads the classes from folders, `target` reads them from"),
    ],
)
def test_words_that_a_folder_refuses(tmp_path, words, message):
    put(tmp_path, "1.png", "2.png", "sub/3.png")
    put(tmp_path, "metadata.csv", content="\n".join(PHOTOS).encode())
    with pytest.raises(RecipeError, match=message):
        Folder(tmp_path, size=8, **words)


def test_given_splits_of_a_folder_of_quantities_are_kept(tmp_path):
    rows = [f"{split}/{n}.png,{n}.5" for split in ("train", "val", "test") for n in range(2)]
    put(tmp_path, *(row.split(",")[0] for row in rows))
    put(tmp_path, "metadata.csv", content="\n".join(["file_name,age", *rows]).encode())
    source = Folder(tmp_path, size=8, target="age")
    assert sorted(source.given_split) == ["test", "test", "train", "train", "val", "val"]


# ---- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"label": "kind", "target": "weight"}, "`label: kind` .* and `target: weight` .* keep one of them"),
        ({"labels": ["red"], "target": "weight"}, "`target: weight` .* and `labels: .* keep one of them"),
        ({"target": "weight", "task": "classification"}, "`target: weight` .* `task: classification` contradicts"),
        ({"labels": ["red"], "task": "regression"}, "`labels: .* `task: regression` contradicts"),
        ({"target": "weight", "classes": ["a"]}, "`classes` names classes or labels, and a quantity has none"),
        ({"labels": ["red"], "unit": "g"}, "`unit: g` is of a quantity, and classes have none"),
        ({"label": "kind", "unit": "g"}, "column `kind` holds classes, and `unit: g` is of a quantity"),
        ({"labels": {"col": "tags"}}, 'must be a list of columns of 0 and 1, or {column: NAME, separator: ";"}'),
        ({"target": "wieght"}, r"no column `wieght`; there are .*\. Did you mean `weight`\?"),
        ({"labels": ["red", "ruond"]}, r"no column `ruond`; .* Did you mean `round`\?"),
        ({"labels": {"column": "tag"}}, r"no column `tag`; .* Did you mean `tags`\?"),
        ({"labels": ["red", "red"]}, "the column `red` is listed twice"),
        ({"target": []}, "`target` lists no column"),
        (
            {"target": "kind"},
            r"x\.csv, column `kind`: a quantity is to be predicted, and this column holds texts: 'apple' \(line 2\), "
            r"'pear' \(line 3\)\. Name a column of numbers; for classes write `label`",
        ),
        (
            {"labels": ["red", "weight"]},
            r"column `weight`: `labels` lists columns of 0 and 1, and this one holds '150\.5' \(line 2\), '1e2' \(line",
        ),
        ({"labels": ["red"], "classes": ["a", "b"]}, "`labels` lists 1 columns, `classes` 2 names"),
    ],
)
def test_words_that_contradict_each_other_or_the_file_give_one_line(tmp_path, words, message):
    with pytest.raises(RecipeError, match=message) as raised:
        table(tmp_path, *LINES, **words)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["5", "5.0", "5"], "column `y`: every value is 5, so there is nothing to predict"),
        (["", "?", "nan"], "column `y`: all its values are missing"),
        (['"1,234"', '"2,345"', '"7,001"'], 'set `decimal: ","` or `decimal: "."`'),
    ],
)
def test_a_column_without_a_quantity(tmp_path, cells, message):
    with pytest.raises(RecipeError, match=message):
        table(tmp_path, "a,y", *(f"{n},{cell}" for n, cell in enumerate(cells)), target="y")


def test_numbers_that_are_none_are_listed_as_unknown_labels(tmp_path):
    cells = [*map(str, range(40)), "inf", "-inf", "nan", "", "tall"]
    source = table(tmp_path, "a,y", *(f"{n % 7},{cell}" for n, cell in enumerate(cells)), target="y")
    prepared, store = stored(source, tmp_path / "out")
    assert store.inputs.shape == (40, 1)
    assert [(p.kind, p.name, p.detail) for p in prepared.problems] == [
        (UNKNOWN_LABEL, "x.csv, line 42", "`y` is inf, which is not a finite number"),
        (UNKNOWN_LABEL, "x.csv, line 43", "`y` is -inf, which is not a finite number"),
        (UNKNOWN_LABEL, "x.csv, line 44", "no value of `y`"),
        (UNKNOWN_LABEL, "x.csv, line 45", "no value of `y`"),
        (UNKNOWN_LABEL, "x.csv, line 46", "`y` is 'tall', which is not a number"),
    ]


def test_cells_that_are_no_labels_are_listed(tmp_path):
    rows = [f"{n % 7},{n % 2},{(n + 1) % 2}" for n in range(40)]
    source = table(tmp_path, "a,p,q", *rows, "1,,1", "1,1,2", labels=["p", "q"])
    prepared, store = stored(source, tmp_path / "out")
    assert len(store.inputs) == 40
    assert [(p.name, p.detail) for p in prepared.problems] == [
        ("x.csv, line 42", "no value for the label `p`"),
        ("x.csv, line 43", "the label `q` is '2', neither 0 nor 1"),
    ]


def test_money_and_decimal_commas_are_quantities_with_their_unit(tmp_path):
    lines = ["a;y", *(f"{n};{n},5 €" for n in range(6))]
    put(tmp_path, "x.csv", content="\n".join(lines).encode())
    source = Table(tmp_path / "x.csv", target="y")
    assert (source.targets[2], source.unit) == ((2.5,), "€")


# ---- own data sets -------------------------------------------------------------------------------------------------


class Own:
    kind, columns = "features", ("a", "b")

    def __init__(self, targets, **offers):
        self.rows = targets
        for name, value in offers.items():
            setattr(self, name, value)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return np.array([index, index % 3], np.float32), self.rows[index]


@pytest.mark.parametrize(
    ("targets", "offers", "labels"),
    [
        ([1.5, np.float32(0.1), 3], {"target_columns": ["y"]}, ["1.5", "0.10000000149011612", "3.0"]),
        ([[1, 2], (3, 4.5), np.array([5, 6])], {"target_columns": ["y", "z"]}, ["1.0;2.0", "3.0;4.5", "5.0;6.0"]),
        ([[1, 0], (True, True), np.array([0, 1])], {"labels": ["u", "v"]}, ["1;0", "1;1", "0;1"]),
        ([1, 0, 1], {"classes": ["u", "v"], "labels": np.array([1, 0, 1])}, [1, 0, 1]),  # as torchvision's STL10
    ],
)
def test_own_data_sets(tmp_path, targets, offers, labels):
    source = Own(targets, **offers)
    source.problems = []
    assert facts(source, tmp_path)[1] == labels


@pytest.mark.parametrize(
    ("offers", "message"),
    [
        ({}, "it has no classes"),
        ({"classes": ["a", "b"], "labels": ["a", "b"]}, "has d.classes and d.labels: keep the one that says what"),
        ({"labels": np.array([0, 1, 1])}, "it has no classes"),
        ({"labels": ["a", "b;c"]}, "the label `b;c` contains `;`, which joins labels"),
        ({"target_columns": ["y", "y"]}, r"the quantity `y` is named twice in d\.target_columns"),
    ],
)
def test_own_data_sets_that_do_not_say_what_they_predict(tmp_path, offers, message):
    with pytest.raises(RecipeError, match=message):
        stored(Own([1.0, 2.0], **offers), tmp_path)
