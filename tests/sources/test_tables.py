"""Tables of features and of texts: every cell is read or its line is named."""

import dataclasses
import math

import numpy as np
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from sources import ANY_FILE, CONFIG, put, stored

from recipe.errors import RecipeError
from recipe.problems import CLASS_SPELLING, RAGGED, UNKNOWN_LABEL, UNREADABLE
from recipe.sources.feature_encoding import Layout, encode_features
from recipe.sources.label_encoding import encode_labels
from recipe.sources.read_table import read_rows
from recipe.sources.tables import Table, Text
from recipe.stages.prepare.write_store import prepare


def test_labels_of_any_type_become_numbers_in_their_own_order():
    assert encode_labels([10, 9, 10], "abc", "x")[:2] == ([1, 0, 1], ["9", "10"])
    assert encode_labels(["b", "a", None, ""], "abcd", "x")[:2] == ([1, 0, None, None], ["a", "b"])
    assert encode_labels([1.0, "1", np.int64(2), b"x"], "abcd", "x")[:2] == ([0, 0, 1, 2], ["1", "2", "x"])
    assert encode_labels(["dog", "dgo"], "ab", "x", ["cat", "dog"])[:2] == ([1, "dgo"], ["cat", "dog"])
    assert [p.kind for p in encode_labels(["ham", "Ham"], ["line 1", "line 2"], "x")[2]] == [CLASS_SPELLING]


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
        begins = tuple(f"{kind.__name__}: {words}" for words in ("none of", "there is only one class"))
        assert said is None or "x.csv" in said or said.startswith(begins)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"a,b\n", {}, "no row below its header"),
        (b"a,a\n1,2\n", {}, "two columns have the name `a`; without such a line set `header: false`"),
        (b"a,b\n1,2\n", {"label": "c"}, "no column `c`; there are a, b"),
        (b"a,b\n1,2\n", {"label": 2}, "no column `2`; there are a, b"),
        (
            "a,b\nмир,2\n".encode("cp1251"),
            {},
            "it is not UTF-8 .byte 4, line 2.*name its encoding",
        ),
        ("a,b\n1,2\n".encode("utf-16-le"), {}, "set `encoding: utf-16-le`"),
        (b"PK\x03\x04rest", {}, "a zip archive or an Excel workbook: save the sheet as CSV"),
        (b"a,b\n1,2\n", {"encoding": "utf-9"}, "Python knows no `encoding: utf-9`"),
        (b"a,b\n1,\xe9\n", {"encoding": "ascii"}, "is not ascii .*byte 6, line 2"),
        (b"a,b\n1,2\n", {"decimal": ";"}, 'must be "." or ","'),
        (b"a,b\n1,2\n", {"decimal": ",", "thousands": ","}, "they must differ"),
        (b"a,b\n1,2\n", {"dates": {"c": "%Y"}}, "no column `c`; there are a, b"),
        (b"a;b\n1;2\n", {"label": 0, "delimiter": ","}, "one column when split at ',', .* set `delimiter: \";\"`"),
        (b"5.1,3.5\n4.9,3.0\n", {}, "line 1 holds numbers, as 5.1, instead of names of columns; .*set `header: false`"),
        (b"a,b\n1,2,3\n1,2,3\n", {}, "line 1 names 2 columns, every row has 3 cells: the name of one is missing"),
        (b"a,b\n1,2,3\n1\n", {}, "no row has the 2 cells of the header; 1 cells, there must be 2"),
        (b'a,b\n1,"2\n', {}, "line 2: unexpected end of data. If quotes are plain characters"),
        (b"b\n1\n2\n", {}, "no column is left for features"),
        (b"a,b\n,1\n?,2\n", {}, "no column is left .*column `a`: all its cells are missing"),
        (
            b"a,b\n" + b"".join(b"x%d,1\n" % i for i in range(40)),
            {},
            "`a`: 40 different values in 40 rows",
        ),
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
    prepared, store = stored(Table(tmp_path / "x.csv", label="label", group="who"), tmp_path / "out")
    assert store.columns == ("age", "age is missing", "colour=blue", "colour=red", "colour is missing")
    assert np.array_equal(
        store.inputs, [[31, 0, 0, 1, 0], [np.nan, 1, 1, 0, 0], [4.5, 0, 0, 0, 1]], equal_nan=True
    )  # fmt: skip
    assert [(e["class"], e["group"], e["name"]) for e in store.examples()] == [
        ("yes", "p1", "x.csv, line 2"), ("no", "p2", "x.csv, line 3"), ("yes", "p1", "x.csv, line 4"),
    ]  # fmt: skip
    assert [(p.kind, p.name, p.detail) for p in prepared.problems] == [(UNKNOWN_LABEL, "x.csv, line 5", "no label")]


def test_a_text_among_numbers_is_a_mistake_with_its_line(tmp_path):
    numbers = [str(n) for n in range(30)]
    numbers[7], numbers[11] = "12,5", "1_000"
    lines = ["a;b;y", *(f"{n};{i}.5;{i % 2}" for i, n in enumerate(numbers))]  # a file with decimal points
    put(tmp_path, "x.csv", content="\n".join(lines).encode())
    prepared, store = stored(Table(tmp_path / "x.csv", label="y", delimiter=";"), tmp_path / "out")
    assert len(store.inputs) == 28
    unreadable = [(p.kind, p.name) for p in prepared.problems]
    assert unreadable == [(UNREADABLE, "x.csv, line 9"), (UNREADABLE, "x.csv, line 13")]
    assert "`a` is '12,5', most cells are numbers" in prepared.problems[0].detail


def test_a_table_in_parquet_has_its_types(tmp_path):
    table = pyarrow.table({"a": [1.5, None, 3.0], "b": [True, False, None], "c": ["x", "y", None], "y": [2, 1, 2]})
    parquet.write_table(table, tmp_path / "x.parquet")
    source = Table(tmp_path / "x.parquet", label="y")
    assert source.columns == ["a", "a is missing", "b", "b is missing", "c=x", "c=y", "c is missing"]
    assert source.classes == ["1", "2"]
    assert source.names[2] == "x.parquet, row 2"


def test_a_text_per_row(tmp_path):
    put(tmp_path, "x.tsv", content=b'spam\t"free\nham\tsay "hi"\nham\n')
    prepared, store = stored(Text(tmp_path / "x.tsv", text=1, label=0, header=False, quoted=False), tmp_path / "out")
    assert store.texts() == ['"free', 'say "hi"']
    assert [(p.kind, p.name) for p in prepared.problems] == [(RAGGED, "x.tsv, line 3")]
    assert list(store.task.classes) == ["ham", "spam"]


def test_names_in_order_become_their_places(tmp_path):
    (tmp_path / "t.csv").write_text("size,x,label\nmedium,1,a\nsmall,2,b\nlarge,3,a\n,4,b\nsmall,5,b\n")
    table = Table(str(tmp_path / "t.csv"), ordered={"size": ["small", "medium", "large"]})
    assert table.columns == ["size", "size is missing", "x"]
    assert table.values[:, 0].tolist() == pytest.approx([1, 0, 2, math.nan, 0], nan_ok=True)
    assert table.values[:, 1].tolist() == [0, 0, 0, 1, 0]
    layout = Layout.from_dict(dataclasses.asdict(table.layout))
    assert layout == table.layout
    assert layout.decode(table.values)["size"] == ["medium", "small", "large", "", "small"]
    assert not table.mistakes


def test_a_name_that_the_order_lacks_is_one_message(tmp_path):
    (tmp_path / "t.csv").write_text("size,label\nmedium,a\nhuge,b\nsmall,a\nhuge,b\ntiny,a\n")
    message = r"column `size` holds 'huge' \(2 cells\), and 1 other name, and `ordered` lists small, medium: add what"
    with pytest.raises(RecipeError, match=message):
        Table(str(tmp_path / "t.csv"), ordered={0: ["small", "medium"]})


def test_a_new_name_in_prediction_is_a_mistake_of_its_row(tmp_path):
    (tmp_path / "t.csv").write_text("size,label\nmedium,a\nsmall,b\n")
    layout = Table(str(tmp_path / "t.csv"), ordered={"size": ["small", "medium"]}).layout
    _, mistakes = encode_features(layout.features, {"size": ["small", "huge", ""]})
    assert [i for i in mistakes] == [1]
    assert "`size` is 'huge'; in order are small, medium" in mistakes[1][1]


@pytest.mark.parametrize("names", ["small", ["small"], ["small", "small"], []])
def test_an_order_lists_different_names(tmp_path, names):
    (tmp_path / "t.csv").write_text("size,label\nsmall,a\nbig,b\n")
    with pytest.raises(RecipeError, match="at least two different names, low to high"):
        Table(str(tmp_path / "t.csv"), ordered={"size": names})
