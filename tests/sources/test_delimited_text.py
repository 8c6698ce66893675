"""Delimited text as people's programs write it: encodings, delimiters, indices and lines that do not fit."""

import io

import numpy as np
import pandas
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sources import ANY_FILE, put

from recipe.errors import RecipeError
from recipe.problems import ASIDE, ASSUMED, RAGGED
from recipe.sources.read_table import read_rows
from recipe.sources.tables import Table, Text

WORDS = ["Orléans", "Besançon", "Nîmes", "Köln", "Ávila", "plain"]


def frame(n: int = 60) -> pandas.DataFrame:
    rng = np.random.default_rng(0)
    return pandas.DataFrame(
        {
            "x": rng.normal(size=n),
            "k": rng.integers(0, 9, n),
            "town": rng.choice(WORDS, n),
            "label": rng.choice(["oui", "non"], n),
        }
    )


def kinds(source) -> list[str]:
    return [problem.kind for problem in source.problems]


@ANY_FILE
@given(
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([".", ","]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "latin-1"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_pandas_writes_in_any_form_is_read_alike(tmp_path, sep, decimal, encoding, ends):
    data = frame()
    text = data.to_csv(index=False, sep=sep, decimal=decimal, lineterminator=ends)
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    (tmp_path / "plain.csv").write_text(data.to_csv(index=False), encoding="utf-8")
    source, plain = Table(tmp_path / "t.csv", label="label"), Table(tmp_path / "plain.csv", label="label")
    assert plain.problems == []
    assert source.columns == plain.columns
    assert np.array_equal(source.values, plain.values)
    assumed = (sep != ",") + (decimal != ".") + (encoding in ("cp1252", "latin-1"))
    assert kinds(source) == [ASSUMED] * assumed


def test_a_latin_file_is_read_with_a_note_that_shows_a_word(tmp_path):
    put(tmp_path, "x.csv", content="a,label\n1,z\nOrléans,b\n".encode("latin-1"))
    rows = read_rows(tmp_path / "x.csv")
    assert rows.columns["a"] == ["1", "Orléans"]
    (note,) = rows.problems
    assert note.detail.startswith("it is not UTF-8 (byte 15, line 3); it was read as cp1252, as 'Orléans'")


@pytest.mark.parametrize(
    ("encoding", "words"),
    [("cp1251", "Москва,Тула"), ("gb18030", "北京,上海"), ("shift_jis", "東京,大阪"), ("iso8859-7", "Αθήνα,Πάτρα")],
)
def test_other_alphabets_need_an_encoding_and_are_then_read(tmp_path, encoding, words):
    put(tmp_path, "x.csv", content=f"town,label\n{words}\n{words}\n".encode(encoding))
    with pytest.raises(RecipeError, match="name its encoding"):
        read_rows(tmp_path / "x.csv")
    assert read_rows(tmp_path / "x.csv", encoding=encoding).columns["town"] == [words.split(",")[0]] * 2


def test_an_encoding_that_is_named_is_obeyed(tmp_path):
    put(tmp_path, "x.csv", content="a,label\né,b\n".encode())
    assert read_rows(tmp_path / "x.csv", encoding="latin-1").columns["a"] == ["Ã©"]
    source = Text(tmp_path / "x.csv", text="a", label="label", encoding="latin-1")
    assert source.texts == ["Ã©"]


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ('a;b\n"x,1";2\n"y,2";4\n', {"a": ["x,1", "y,2"], "b": ["2", "4"]}),
        ("a|b\n1|2\n", {"a": ["1"], "b": ["2"]}),
        ("sep=;\na;b\n1;2\n", {"a": ["1"], "b": ["2"]}),
        ("a,b\nfree; call,1\nnow; or,2\n", {"a": ["free; call", "now; or"], "b": ["1", "2"]}),
        ("a,b\n1,2,\n3,4,\n", {"a": ["1", "3"], "b": ["2", "4"]}),
    ],
)
def test_the_delimiter_is_that_which_splits_every_line_alike(tmp_path, content, columns):
    put(tmp_path, "x.csv", content=content.encode())
    assert read_rows(tmp_path / "x.csv").columns == columns


@pytest.mark.parametrize("delimiter", ["", "\\t", "ab", 1])
def test_a_delimiter_that_is_not_one_character_is_refused(tmp_path, delimiter):
    (tmp_path / "x.csv").write_text("a\tlabel\n1\tx\n2\ty\n")
    with pytest.raises(RecipeError, match='must be one character; a tab is "\\\\t", in double quotes'):
        read_rows(tmp_path / "x.csv", delimiter=delimiter)


def test_the_delimiter_that_a_message_advises_is_read_by_yaml_as_it_is_meant(tmp_path):
    (tmp_path / "x.csv").write_text("a\tlabel\n1\tx\n2\ty\n")
    with pytest.raises(RecipeError) as refused:
        read_rows(tmp_path / "x.csv", delimiter=";")
    advised = str(refused.value).partition("set `")[2].partition("`")[0]
    assert list(read_rows(tmp_path / "x.csv", **yaml.safe_load(advised)).columns) == ["a", "label"]


@pytest.mark.parametrize("form", ["%Q", "%", "%d/%d", 5])
def test_an_invalid_format_of_dates_gives_one_line(tmp_path, form):
    (tmp_path / "x.csv").write_text("day,label\n2020-01-01,x\n2020-01-02,y\n")
    for more in ({}, {"metadata": ["day"]}):
        with pytest.raises(RecipeError, match=f"x.csv: `dates: {{day: {form}}}` is not a format such as %d/%m/%Y"):
            Table(tmp_path / "x.csv", "label", dates={"day": form}, **more)


def test_decimal_commas_between_semicolons_are_recognised_without_a_header(tmp_path):
    put(tmp_path, "x.csv", content=b"1,5;2,5;a\n3,5;4,5;b\n")
    source = Table(tmp_path / "x.csv", label=-1, header=False)
    assert source.values.tolist() == [[1.5, 2.5], [3.5, 4.5]]


def test_lines_that_do_not_fit_are_named_with_what_is_odd_there(tmp_path):
    lines = ["a,b,label", "1,2,x", "3,4,y,extra", "", "5", '"6\n7",8,x', "9,x"]
    put(tmp_path, "x.csv", content="\n".join(lines).encode())
    rows = read_rows(tmp_path / "x.csv")
    assert rows.places == ["x.csv, line 2", "x.csv, line 6"]
    surplus = "after the last column there is 'extra'"
    assert [(p.kind, p.name, p.detail) for p in rows.problems] == [
        (RAGGED, "x.csv, line 3", f"4 cells, there must be 3: {surplus}; it begins 3, 4, y, extra"),
        (RAGGED, "x.csv, line 5", "1 cells, there must be 3: no cell for `b`, `label`; it begins 5"),
        (RAGGED, "x.csv, line 8", "2 cells, there must be 3: no cell for `label`; it begins 9, x"),
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["pandas", "twice", "R", "parquet"])
def test_an_index_without_a_name_becomes_metadata(tmp_path, form):
    data = frame()
    file = tmp_path / ("t.parquet" if form == "parquet" else "t.csv")
    text = data.to_csv()
    if form == "parquet":
        data.sort_values("x").to_parquet(file)
    elif form == "pandas":
        file.write_text(text)
    elif form == "R":
        file.write_text(text.removeprefix(","))
    else:
        file.write_text(pandas.read_csv(io.StringIO(text)).to_csv(index=False))
    source = Table(file, label="label")
    assert "x" in source.columns
    assert len(source.metadata) == 1
    assert [p.kind for p in source.problems] == [ASIDE]
    assert sorted(map(int, next(iter(source.metadata.values())))) == list(range(60))


def test_a_column_without_a_name_gets_one(tmp_path):
    put(tmp_path, "x.csv", content=b"a,,label\n1,2,x\n3,4,y\n")
    source = Table(tmp_path / "x.csv", label="label")
    assert source.columns == ["a", "column 1"]
    assert kinds(source) == [ASSUMED]


def test_names_that_are_counted_are_no_numbers_of_a_first_row(tmp_path):
    put(tmp_path, "x.csv", content=b"0,1,2\n1.5,2,x\n3,4,y\n")
    assert Table(tmp_path / "x.csv", label="2").columns == ["0", "1"]
