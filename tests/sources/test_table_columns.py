"""What the columns of a table become: numbers in any form, dates, names; and what is metadata, in one list."""

import datetime
import json
from dataclasses import asdict

import numpy as np
import pandas
import pytest
from clone import fresh
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import ANY_FILE, stored
from systems import project

from recipe.cli import main
from recipe.errors import RecipeError
from recipe.files import read_csv
from recipe.problems import AMBIGUOUS, ASIDE, ASSUMED, LEVEL_SPELLING, NOT_FINITE, ODD_VALUE, UNREADABLE
from recipe.serve.inputs import from_rows, request_inputs
from recipe.serve.system import load
from recipe.sources import dates
from recipe.sources.feature_encoding import Layout
from recipe.sources.numerals import number
from recipe.sources.tables import Table


def table(tmp_path, columns: dict, **options) -> Table:
    """A source of these columns and a label, from a csv."""
    rows = len(next(iter(columns.values())))
    data = pandas.DataFrame(columns | {"label": ["yes", "no"] * (rows // 2) + ["yes"] * (rows % 2)})
    data.to_csv(tmp_path / "t.csv", index=False)
    return Table(tmp_path / "t.csv", label="label", **options)


def listed(source: Table) -> list[tuple[str, str]]:
    return [(p.kind, p.name.removeprefix("t.csv, column ").strip("`")) for p in source.problems]


# ---- numbers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "decimal", "value", "unit"),
    [
        ("12", ".", 12, ""), ("-1.5e3", ".", -1500, ""), ("$1,234.50", ".", 1234.5, "$"), ("€ 12", ".", 12, "€"),
        ("12 EUR", ".", 12, "EUR"), ("1,234,567", ".", 1234567, ""), ("12.5 %", ".", 12.5, "%"),
        ("(1,234.50)", ".", -1234.5, ""), ("-$5", ".", -5, "$"), ("$-5", ".", -5, "$"), ("1'234.5", ".", 1234.5, ""),
        ("1 234.5", ".", 1234.5, ""), ("−3", ".", -3, ""), ("12,34,567", ".", 1234567, ""),
        ("1.234,50", ",", 1234.5, ""), ("0,5", ",", 0.5, ""), ("1.234.567", ",", 1234567, ""), (",5", ",", 0.5, ""),
        ("1\u202f234,5 €", ",", 1234.5, "€"),
    ],
)  # fmt: skip
def test_a_number_is_read_as_people_write_it(text, decimal, value, unit):
    assert number(text, decimal)[:2] == (value, unit)


@pytest.mark.parametrize(
    ("text", "decimal"),
    [
        ("1,5", "."), ("1,23", "."), ("0,123", "."), ("1.5", ","), ("1_000", "."), ("12a", "."), ("u12", "."),
        ("1.2.3", "."), ("--5", "."), ("$5$", "."), ("-(5)", "."), ("12:30", "."), ("2020-01-02", "."), ("", "."),
        ("1,234.5", ","), ("1,,234", "."),
    ],
)  # fmt: skip
def test_what_fits_no_form_is_no_number(text, decimal):
    assert number(text, decimal) is None


@given(st.floats(-1e12, 1e12), st.integers(0, 4), st.sampled_from(["$", "€", "", "USD "]), st.booleans())
def test_any_formatted_number_is_read_back(value, digits, unit, comma):
    text = f"{value:,.{digits}f}"
    expected = float(text.replace(",", ""))
    if comma:
        text = text.translate(str.maketrans(",.", ".,"))
    assert number(unit + text, "," if comma else ".")[0] == expected


def test_money_percent_and_thousands_become_numbers(tmp_path):
    source = table(
        tmp_path,
        {
            "price": ["$1,234.50", "$7.00", "", "12"] * 5,
            "share": ["12.5%", "3 %", "100%", "-0.1%"] * 5,
            "people": ["1,200", "950", "3,000,000", "12"] * 5,
        },
    )
    assert source.columns == ["price", "price is missing", "share", "people"]
    assert np.array_equal(source.values[:2], np.float32([[1234.5, 0, 12.5, 1200], [7, 0, 3, 950]]))
    assert source.values[2].tolist()[1:] == [1, 100, 3e6]
    assert listed(source) == [(ASSUMED, "price"), (ASSUMED, "share"), (ASSUMED, "people")]


def test_a_unit_that_the_others_do_not_have_is_a_mistake(tmp_path):
    source = table(tmp_path, {"a": ["$12"] * 18 + ["€13", "14"], "b": ["5%"] * 19 + ["0.05"], "c": [1] * 19 + ["5%"]})
    assert source.mistakes == {
        18: (UNREADABLE, "`a` is '€13', most cells are in $"),
        19: (UNREADABLE, "`b` is '0.05', most cells are in %; `c` is '5%', most cells are numbers without a unit"),
    }


def test_a_comma_that_can_be_read_in_two_ways_is_ambiguous(tmp_path):
    columns = {"a": ["1,234", "5,678", "2,000"] * 4, "b": list(range(12))}
    source = table(tmp_path, columns)
    assert listed(source) == [(AMBIGUOUS, "a")]
    assert 'set `thousands: ","` or `decimal: ","`' in source.problems[0].detail
    assert list(source.metadata) == ["a"]
    chosen = table(tmp_path, columns, thousands=",")
    assert chosen.values[:2, 0].tolist() == [1234, 5678]
    assert chosen.problems == []
    assert table(tmp_path, columns, decimal=",").values[:2, 0].tolist() == [np.float32(1.234), np.float32(5.678)]


def test_a_few_cells_with_a_comma_among_texts_are_no_decimals(tmp_path):
    source = table(tmp_path, {"a": ["5 75,", "x", "y"] * 4, "b": ["2,8", "3,25", "0,5"] * 4})
    assert source.columns == ["a=5 75,", "a=x", "a=y", "b"]
    assert listed(source)[0] == (ASSUMED, "t.csv")


def test_the_rest_of_the_file_decides_how_a_comma_is_read(tmp_path):
    columns = {"a": ["1,234", "5,678", "2,000"] * 4}
    assert table(tmp_path, columns | {"b": ["0,5", "0,25", "1,75"] * 4}).values[0, 0] == np.float32(1.234)
    assert table(tmp_path, columns | {"b": [0.5, 0.25, 1.75] * 4}).values[0, 0] == 1234
    dotted = table(tmp_path, {"a": ["1.234", "5.678", "2.000"] * 4, "b": ["0,5", "0,25", "1,75"] * 4})
    assert dotted.values[:2].tolist() == [[1234, 0.5], [5678, 0.25]]


def test_values_that_no_float_holds_are_named_with_column_and_line(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 3)).astype(object)
    x[3, 0], x[7, 1], x[7, 2], x[9, 2] = "inf", "1e300", "-Infinity", -999
    prepared, store = stored(table(tmp_path, dict(zip("abc", x.T, strict=True))), tmp_path / "out")
    named = [(p.kind, p.name, p.detail.split(",")[0]) for p in prepared.problems if p.source is not None]
    assert named == [(NOT_FINITE, "t.csv, line 5", "`a` is inf"), (NOT_FINITE, "t.csv, line 9", "`b` is 1e+300")]
    assert "`c` is -inf" in prepared.problems[-1].detail
    assert len(store.inputs) == 28
    (odd,) = [p for p in prepared.problems if p.kind == ODD_VALUE]
    assert (odd.name, odd.detail.startswith("-999 in line 11")) == ("t.csv, column `c`", True)


def test_codes_for_a_gap_are_noted_where_they_stand_apart(tmp_path):
    def odd(values) -> list:
        return [p.detail.split(",")[0] for p in table(tmp_path, {"a": values * 8}).problems if p.kind == ODD_VALUE]

    assert odd([5, 6, -999, 7]) == ["-999 in line 4"]
    assert odd([500, 600, 9999, 700]) == ["9999 in line 4"]
    assert odd([0, 9999, 20000, 5]) == []
    assert odd([-999, -500, 300, 999]) == []


# ---- dates ---------------------------------------------------------------------------------------------------------


FORMS = ["%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%b-%Y", "%B %d, %Y", "%Y%m%d", "%d/%m/%y"]
FORMS += ["%Y-%m-%dT%H:%M:%S", "%d/%m/%Y %H:%M", "%m/%d/%Y %I:%M %p"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(2060, 1, 1)), min_size=3),
    st.sampled_from(FORMS),
)
def test_dates_in_any_common_form_are_read_back_or_ambiguous(when, form):
    when = [*when, datetime.datetime(2021, 5, 30), datetime.datetime(2021, 12, 31)]  # a day that cannot be a month
    texts = list(dict.fromkeys(day.strftime(form) for day in when))
    (read,) = dates.formats_of(texts, [1] * len(texts), 0.9)
    back = dates.times(texts, read)
    assert back.tolist() == [datetime.datetime.strptime(text, form) for text in texts]


def test_a_date_becomes_year_month_weekday_and_days(tmp_path):
    source = table(
        tmp_path,
        {"when": ["31/12/2020", "01/03/2021", ""] * 4, "at": ["2020-01-01", "2020-01-02T12:00:00Z", "2020-02-01"] * 4},
    )
    assert source.columns == [
        "when (year)", "when (month)", "when (weekday)", "when (days since 2020-12-31)", "when is missing",
        "at (year)", "at (month)", "at (weekday)", "at (days since 2020-01-01)", "at (hour)",
    ]  # fmt: skip
    assert source.values[1].tolist() == [2021, 3, 0, 60, 0, 2020, 1, 3, 1.5, 12]
    assert np.isnan(source.values[2, :4]).all()
    assert [p.detail.partition(", from")[0] for p in source.problems] == [
        "dates as %d/%m/%Y (day/month/year), as 31/12/2020",
        "dates as ISO 8601, as 2020-12-31",
    ]


def test_a_date_that_can_be_read_in_two_ways_is_ambiguous(tmp_path):
    columns = {"when": ["01/02/2020", "03/04/2020"] * 6, "x": [0.5, 1.5] * 6}
    source = table(tmp_path, columns)
    assert listed(source) == [(AMBIGUOUS, "when")]
    assert 'set `dates: {when: "%m/%d/%Y" or "%d/%m/%Y"}`' in source.problems[0].detail
    chosen = table(tmp_path, columns, dates={"when": "%d/%m/%Y"})
    assert chosen.values[0, :2].tolist() == [2020, 2]
    assert chosen.problems == []


def test_a_day_that_does_not_exist_is_a_mistake_with_its_row(tmp_path):
    source = table(tmp_path, {"when": ["2020-01-02", "2020-02-01"] * 10 + ["2020-13-01"], "x": [0.5] * 21})
    assert source.mistakes == {
        20: (UNREADABLE, "`when` is '2020-13-01', which is not a date as ISO 8601, as 2020-12-31")
    }


# ---- names ---------------------------------------------------------------------------------------------------------


def test_truth_values_become_one_column_and_dashes_are_gaps(tmp_path):
    source = table(
        tmp_path, {"a": ["Yes", "no", "YES"] * 4, "b": ["True", "False", "-"] * 4, "rh": ["+", "-", "+"] * 4}
    )
    assert source.columns == ["a", "b", "b is missing", "rh=+", "rh=-"]
    assert source.values[:2].tolist() == [[1, 1, 0, 1, 0], [0, 0, 0, 0, 1]]
    assert source.values[2, 2] == 1


def test_rare_names_share_other_and_so_does_a_new_one(tmp_path):
    towns = [f"town{i}" for i in range(4) for _ in range(10)] + [f"rare{i}" for i in range(6)] + ["other"] * 2
    source = table(tmp_path, {"town": towns}, levels=4)
    assert source.columns == ["town=town0", "town=town1", "town=town2", "town=other"]
    assert source.values.sum(1).tolist() == [1] * 48
    assert (
        "11 different names: the 3 commonest have a column each, the others (18 rows, 37.5%) share `other`"
        in source.problems[0].detail
    )
    (tmp_path / "new.csv").write_text("town\nnowhere\ntown2\n")
    layout = Layout.from_dict(json.loads(json.dumps(asdict(source.layout))))
    assert [f.value.tolist() for f in from_rows(layout.read(tmp_path / "new.csv"), layout)] == [
        [0, 0, 0, 1],
        [0, 0, 1, 0],
    ]


def test_names_that_differ_in_case_are_noted_and_blanks_are_not(tmp_path):
    source = table(tmp_path, {"colour": [" red", "Red", "red", "blue"] * 4})
    assert source.columns == ["colour=Red", "colour=blue", "colour=red"]
    assert listed(source) == [(LEVEL_SPELLING, "colour")]
    assert source.problems[0].detail == "'red' (8 rows), 'Red' (4 rows): different names, perhaps of the same thing"


# ---- columns that become metadata -----------------------------------------------------------------------------------


def test_every_column_that_is_no_feature_is_in_one_list_and_the_rest_is_read(tmp_path):
    n, rng = 60, np.random.default_rng(0)
    numbers = [str(2**60 + 7 * i) for i in range(n)]
    source = table(
        tmp_path,
        {
            "x": rng.normal(size=n), "row": range(100, 100 + n), "user": [f"u{i}" for i in range(n)],
            "account": numbers, "patient_id": [f"p{i // 2}" if i < 40 else f"q{i}" for i in range(n)],
            "CustomerId": rng.permutation(900)[:n], "note": [f"a long text {i}" for i in range(n)],
            "nothing": [None] * n, "when": ["01/02/2020"] * n,
        },
    )  # fmt: skip
    assert source.columns == ["x"]
    names = ["row", "user", "account", "patient_id", "CustomerId", "note", "nothing", "when"]
    assert listed(source) == [(ASIDE if name != "when" else AMBIGUOUS, name) for name in names]
    assert list(source.metadata) == [name for name in names if name != "nothing"]
    assert "set `group` to this column" in source.problems[3].detail
    prepared, store = stored(source, tmp_path / "out")
    assert list(map(str, store.table()["meta_account"].to_pylist())) == numbers
    assert prepared.counts[ASIDE] == 7


def test_dates_of_metadata_are_kept_in_a_form_that_sorts(tmp_path):
    columns = {"x": [0.5] * 12, "when": ["31/12/2020", "01/03/2021"] * 6, "due": ["01/02/2020", "03/04/2020"] * 6}
    source = table(tmp_path, columns, metadata=["when", "due"], dates={"due": "%d/%m/%Y"})
    assert source.metadata["when"][:2] == ["2020-12-31", "2021-03-01"]
    assert source.metadata["due"][:2] == ["2020-02-01", "2020-04-03"]
    assert listed(source) == [(ASSUMED, "when")]


def test_a_column_that_has_a_role_is_not_judged(tmp_path):
    columns = {"x": np.linspace(0, 1, 30), "user": [f"u{i}" for i in range(30)], "when": ["01/02/2020"] * 30}
    assert table(tmp_path, columns, metadata=["user", "when"]).problems == []
    assert table(tmp_path, columns, metadata=["when"], group="user").problems == []


# ---- new rows ------------------------------------------------------------------------------------------------------


POOLS = ["$€%,.-+ 0123456789", "0123456789/:-T ", "ynYNtfTF", "abc ", ",.0123456789", "-+?", "01", "é\"'\n,;"]
CELLS = st.sampled_from(POOLS).flatmap(lambda pool: st.lists(st.text(pool, max_size=8), min_size=6, max_size=6))


@pytest.mark.slow
@ANY_FILE
@given(st.lists(CELLS, min_size=1, max_size=3), st.integers(1, 5), st.sampled_from([None, ",", "."]))
def test_whatever_the_cells_hold_new_rows_are_read_like_those_that_were_learned_from(tmp_path, cells, times, decimal):
    try:
        source = table(tmp_path, {f"c{i}": column * times for i, column in enumerate(cells)}, decimal=decimal)
    except RecipeError:
        return
    layout = Layout.from_dict(json.loads(json.dumps(asdict(source.layout), allow_nan=False)))
    rows = list(from_rows(layout.read(tmp_path / "t.csv"), layout))
    assert [row.value is None for row in rows] == [i in source.mistakes for i in range(len(source))]
    for row, expected in zip(rows, source.values, strict=True):
        assert row.value is None or np.array_equal(row.value, expected, equal_nan=True)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    root, rng, n = tmp_path_factory.mktemp("shop"), np.random.default_rng(0), 120
    days = [datetime.date(2020, 1, 1) + datetime.timedelta(int(d)) for d in rng.integers(0, 700, n)]
    data = pandas.DataFrame(
        {
            "town": [f"town{v}" for v in rng.zipf(1.4, n) % 50],
            "sold": [f"{day:%d/%m/%Y}" for day in days],
            "price": [f"${v:,.2f}" for v in rng.lognormal(7, 1, n)],
            "size": rng.normal(size=n),
            "share": [f"{v:.1f}%" for v in 100 * rng.random(n)],
            "member": rng.choice(["yes", "no", ""], n),
            "ref": [f"r{i}" for i in range(n)],
            "label": ["a", "b"] * (n // 2),
        }
    )
    data.to_csv(root / "shop.csv", index=False)
    return project(root, Table(str(root / "shop.csv"), "label", levels=6))


def predicted(made, path, tmp_path) -> list[dict]:
    main(["predict", str(path), "--system", str(made.system), "--out", str(tmp_path / "out.csv")])
    return read_csv(tmp_path / "out.csv")


def probabilities(rows: list[dict]) -> list[float]:
    return [float(row["p_a"]) for row in rows]


def test_new_rows_are_read_as_those_that_were_learned_from(shop, tmp_path):
    data = pandas.read_csv(shop.root / "shop.csv", dtype=str)
    whole = probabilities(predicted(shop, shop.root / "shop.csv", tmp_path))
    few = data.iloc[3:9][["price", "member", "sold", "town", "size", "share"]]  # other order, no ids and no label
    few.to_csv(tmp_path / "few.csv", index=False)
    assert probabilities(predicted(shop, tmp_path / "few.csv", tmp_path)) == pytest.approx(whole[3:9], abs=1e-6)
    few.to_csv(tmp_path / "semi.csv", index=False, sep=";", encoding="utf-16")
    assert probabilities(predicted(shop, tmp_path / "semi.csv", tmp_path)) == pytest.approx(whole[3:9], abs=1e-6)


def test_a_new_name_is_other_and_what_cannot_be_read_has_its_reason(shop, tmp_path):
    lines = [
        "town,sold,price,size,member,share",
        "Timbuktu,05/03/2021,$12.00,0.5,yes,1%",
        "town1,2021-03-05,12 €,x,perhaps,0.2",
    ]
    (tmp_path / "new.csv").write_text("\n".join(lines) + "\n")
    good, bad = predicted(shop, tmp_path / "new.csv", tmp_path)
    assert good["problem"] == ""
    assert bad["problem"].split("; ") == [
        "`sold` is '2021-03-05', which is not a date as %d/%m/%Y (day/month/year), as 31/12/2020",
        "`price` is '12 €', most cells are in $",
        "`size` is 'x', most cells are numbers",
        "`share` is '0.2', most cells are in %",
        "`member` is 'perhaps'",
        "known are true and false, yes and no",
    ]


def test_a_program_hands_in_typed_values(shop):
    form = load(shop.system).form
    data = pandas.read_csv(shop.root / "shop.csv").iloc[:8]
    typed = data.assign(
        sold=pandas.to_datetime(data.sold, format="%d/%m/%Y"),
        price=data.price.str.replace("[$,]", "", regex=True).astype(float),
        share=data.share.str.rstrip("%").astype(float),
        member=[None if member != member else member == "yes" for member in data.member],
    )
    for request in (data, typed):
        rows = [one.value for one in request_inputs(request, form)]
        assert np.array_equal(np.stack(rows), shop.store.inputs[:8], equal_nan=True)
    again = [one.value for one in request_inputs(pandas.DataFrame(form.layout.decode(shop.store.inputs[:8])), form)]
    assert np.allclose(np.stack(again), shop.store.inputs[:8], equal_nan=True)


@pytest.mark.slow
def test_a_table_as_it_comes_goes_through_prepare_and_audit(tmp_path):
    clone = fresh(tmp_path / "clone")
    rng, n = np.random.default_rng(0), 300
    label = rng.integers(0, 2, n)
    days = [datetime.date(2020, 1, 1) + datetime.timedelta(int(d)) for d in rng.integers(0, 700, n)]
    data = {
        "size": rng.normal(size=n) + label, "sold": [f"{day:%d/%m/%Y}" for day in days], "id": rng.permutation(n) + 7,
        "price": [f"${v:,.2f}" for v in rng.lognormal(7, 1, n)], "town": [f"t{v % 99}" for v in rng.zipf(1.3, n)],
        "leak": 2.0 * label + rng.normal(0, 1e-3, n), "label": np.where(label, "yes", "no"),
    }  # fmt: skip
    (clone.root / "data").mkdir(exist_ok=True)
    pandas.DataFrame(data).to_csv(clone.root / "data/table.csv")
    clone.choose(data={"name": "table"})
    said = clone.stages("prepare", "embed", "audit").text
    assert "prepare    table.csv, column `id`: column set aside: 300 different values in 300 rows" in said
    verdicts = {c["check"]: c for c in clone.report("prepare")["checks"] + clone.report("audit")["checks"]}
    assert str(verdicts["every_column_is_a_feature"]["value"]) == "2"  # the index, and `id`
    assert str(verdicts["tables_are_read_as_written"]["value"]) == "3"
    assert verdicts["no_single_number_tells_a_class"]["value"].endswith("(leak)")
    assert not [name for name, c in verdicts.items() if c["gate"] and c["verdict"] == "fail"]
