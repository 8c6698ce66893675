"""The explorer's page: what it holds and what it must not. What a user does with it: test_explorer_browser.py."""

import base64
import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import COUNT, page, payload, picture, texts, values

from recipe.explorer import PAGE, Column, Roles, explorer, sample_rows
from recipe.explorer.columns import encode
from recipe.explorer.sheets import sheets

# ---- what the page holds -----------------------------------------------------------------------------------


def test_the_same_examples_are_the_same_bytes():
    assert page() == page()


def test_the_page_loads_nothing_from_outside():
    html = page()
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?!data:)""", html.split("<body>")[0])
    assert "default-src 'none'" in html
    scripts = "".join(file.read_text() for file in PAGE.glob("*.js"))
    assert not re.search(
        r"\beval\b|new Function|innerHTML|insertAdjacentHTML|document\.write|https?://(?!www\.w3)", scripts
    )
    assert not re.search(r"localStorage|sessionStorage|\balert\(|\bconfirm\(|\bprompt\(|clipboard", scripts)


def test_report_and_explorer_share_their_colours():
    report = (PAGE.parents[1] / "stages" / "report" / "report.css").read_text()
    page_css = (PAGE / "page.css").read_text()
    colour = r"--(page|card|ink|soft|faint|line|wash|accent|accent-wash|bad|bad-wash|picture): (#\w+)"
    screen = report.split("@media print")[0]
    assert re.findall(colour, screen) == re.findall(colour, page_css)
    assert len(re.findall(colour, page_css)) == 24


NUMBERS = [np.float32, np.float64, np.int64, np.uint8, np.int16]


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(NUMBERS), st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=20))
def test_numbers_arrive_as_they_left(kind, numbers):
    sent = np.array(numbers).astype(kind)
    arrived = values(encode("x", "", sent))
    within = np.float32 if sent.dtype == np.float32 else np.float64
    assert np.array_equal(arrived.astype(within), sent.astype(within))


def test_missing_and_infinite_numbers_arrive_as_such():
    arrived = values(encode("x", "", np.array([np.nan, np.inf, -np.inf, 0.5])))
    assert np.array_equal(arrived, [np.nan, np.inf, -np.inf, 0.5], equal_nan=True)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(st.characters(codec=None)), min_size=1, max_size=12))
def test_texts_arrive_as_they_left_and_cannot_end_the_script(words):
    ids = texts(str(k) for k in range(len(words)))
    html = explorer([Column("id", "", ids), Column("name", "", texts(words))], Roles("id"), title="".join(words))
    html.encode("utf-8")  # a lone half of a surrogate pair cannot be written
    name = payload(html)["columns"][1]
    assert [name["words"][code] for code in values(name)] == words
    assert len(re.findall("<script", html)) == len(
        re.findall("<script", explorer([Column("id", "", ids)], Roles("id"), title=""))
    )


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(1, 300), st.integers(0, 400), st.integers(0, 5))
def test_a_sample_has_every_flagged_example_once(count, most, flags, seed):
    flagged = np.random.default_rng(seed).permutation(count) < flags
    rows = sample_rows(flagged, most, seed)
    assert np.array_equal(np.unique(rows), rows)
    assert set(np.flatnonzero(flagged)) <= set(rows.tolist()) or count <= most
    assert len(rows) == min(count, max(most, flagged.sum() + most // 5))


def test_a_sample_is_drawn_evenly():
    rows = sample_rows(np.zeros(100_000, bool), 5000, 0)
    share = np.histogram(rows, bins=10, range=(0, 100_000))[0] / 500
    assert abs(share - 1).max() < 0.2


def test_a_sample_is_announced_and_has_the_neighbours_of_flagged_examples():
    flagged = np.zeros(COUNT, bool)
    flagged[[5, 50]] = True
    sent = payload(page(flagged=flagged, limit=40))
    assert sent["counts"] == "40 of 300 examples: all 2 flagged and a random sample of the others"
    assert sent["shown"] == 40
    row = values(sent["columns"][6])
    near = values(sent["neighbours"]).reshape(-1, 3)
    at = row[:40].tolist().index(50)
    assert (near[at] >= 0).all()
    assert row[near[at]].tolist() == [51, 52, 53]
    assert sent["rows"] <= 50
    assert payload(page())["counts"] == "300 examples"


@pytest.mark.parametrize(
    ("columns", "roles", "named"),
    [
        ([Column("id", "", texts("ab")), Column("id", "", texts("ab"))], Roles("id"), "more than one column"),
        ([Column("id", "", texts("ab")), Column("x", "", np.zeros(3))], Roles("id"), "different lengths"),
        (
            [Column("id", "", texts("ab"))],
            Roles("id", group="dup"),
            "the role group names no column: 'dup'; the columns are id",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_refused(columns, roles, named):
    with pytest.raises(ValueError, match=named):
        explorer(columns, roles, title="")


def pixels(sent: dict, i: int) -> np.ndarray:
    """The thumbnail of row `i`, out of its sheet."""
    from PIL import Image

    sheet = Image.open(io.BytesIO(base64.b64decode(sent["sheets"][i // sent["each"]].split(",")[1])))
    at, (width, height) = i % sent["each"], sent["cell"]
    w, h = values(sent["sizes"]).reshape(-1, 2)[i].tolist()
    x, y = at % sent["across"] * width, at // sent["across"] * height
    return np.asarray(sheet.convert("RGB"))[y : y + h, x : x + w]


def test_small_pictures_arrive_exactly_and_each_in_its_place():
    sent = sheets(picture, list(range(COUNT)))
    for i in (0, 31, 32, 299):
        assert (pixels(sent, i) == 255 * i // COUNT).all()
        assert pixels(sent, i).shape == (8, 8, 3)


def test_large_pictures_are_shrunk_by_area_and_keep_their_shape():
    def wide(i):
        return np.kron(np.array([[0, 255]], np.uint8), np.ones((100, 100), np.uint8))

    thumbnail = pixels(sheets(wide, [0]), 0).astype(float)
    assert thumbnail.shape == (32, 64, 3)
    assert thumbnail[:, :30].max() < 12
    assert thumbnail[:, 34:].min() > 243


def test_a_picture_that_cannot_be_read_has_no_size():
    sent = sheets(lambda i: None if i == 1 else picture(i), [0, 1, 2])
    assert values(sent["sizes"]).reshape(-1, 2).tolist() == [[8, 8], [0, 0], [8, 8]]


@pytest.mark.parametrize("kind", ["grey", "colour", "one channel"])
def test_pictures_of_every_kind(kind):
    shape = {"grey": (9, 5), "colour": (9, 5, 3), "one channel": (9, 5, 1)}[kind]
    assert pixels(sheets(lambda i: np.full(shape, 7, np.uint8), [0]), 0).shape == (9, 5, 3)
