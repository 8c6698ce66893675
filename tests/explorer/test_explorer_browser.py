"""The explorer in a real browser: what a user does with it, and that the console stays silent."""

import json
import re

import numpy as np
import pytest
from browser import CHROMIUM, MISSING
from pages import (
    CLASSES,
    COUNT,
    HOSTILE,
    PICTURES,
    READY,
    choose,
    column,
    fragment,
    page,
    passing,
    picture,
    sandboxed,
    shown_ids,
    table,
    texts,
)  # fmt: skip

from recipe.data.decisions import read_decisions
from recipe.explorer import Column, Roles, explorer
from recipe.tasks.labels import ClassNumbers

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason=MISSING)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("explorer")


@pytest.fixture(scope="module")
def small(folder):
    (folder / "small.html").write_text(page(), encoding="utf-8")
    return folder / "small.html"


@pytest.fixture
def opened(tab, small):
    tab.open(small, ready=READY)
    return tab


def rows_of(tab, selector: str) -> list[list[int]]:
    """The examples in each element that matches."""
    tiles = "[...e.querySelectorAll('.tile')].map(t => Number(t.dataset.i))"
    return tab.run(f"[...document.querySelectorAll({json.dumps(selector)})].map(e => {tiles})")


# ---- filter ------------------------------------------------------------------------------------------------

finite = np.isfinite(column("outlier").astype(float))
QUERIES = {
    "": np.ones(COUNT, bool),
    "row < 10": np.arange(COUNT) < 10,
    "row >= 10 and row <= 19 or row = 3": np.isin(np.arange(COUNT), [3, *range(10, 20)]),
    "not (row < 290)": np.arange(COUNT) >= 290,
    "outlier > 1.5": np.nan_to_num(column("outlier"), nan=-9) > 1.5,
    "missing(outlier)": np.isnan(column("outlier")),
    "outlier != 0": ~np.isnan(column("outlier")),
    f"outlier = {column('outlier')[3]!r}".replace("np.float32(", "").replace(")", ""): np.arange(COUNT) == 3,
    "class = cat": column("class") == "cat",
    'class != "ice cream"': column("class") != "ice cream",
    "class in (dog, 'ice cream')": np.isin(column("class").astype(str), ["dog", "ice cream"]),
    'class = "<script>alert(""x"")</script>"': column("class") == CLASSES[3],
    "class != suggested": column("class") != column("suggested"),
    "flags contains NEAR": np.array(["near" in f for f in column("flags")]),
    "missing(flags)": column("flags") == "",
    "grey": column("grey"),
    "not grey and `two words` > 40": ~column("grey") & (column("two words") > 40),
    "grey = no": ~column("grey"),
    "id contains 3fa": np.array(["3fa" in i for i in column("id")]),
    "dog": np.array([a == "dog" or b == "dog" for a, b in zip(column("class"), column("suggested"), strict=True)]),
    "row > `two words` and row < 2": np.arange(COUNT) == 1,
}  # fmt: skip


def test_every_form_of_a_filter_selects_what_it_says(opened):
    for query, expected in QUERIES.items():
        opened.write("#query", query)
        assert opened.run("document.querySelector('#error').hidden"), query
        assert passing(opened) == expected.sum(), query
        assert set(shown_ids(opened)) <= set(column("id")[expected]), query


ERRORS = {
    "lable = 3": r"Character 1: there is no column “lable”\. The columns are id, class, suggested",
    "rov < 3": r"Character 1: there is no column “rov”\. Did you mean row\?",
    "row < 3 and": r"Character 12: a column is missing at the end",
    "row < cat": r"Character 7: row is numeric, and “cat” is not a number",
    "class > cat": r"Character 7: class is text: compare it with = != contains in, not >",
    "row": r"Character 1: “row” is a column: compare it, as in row > 1",
    "(row < 3": r"Character 9: “\)” is missing at the end",
    "row < 3 row > 1": r"Character 9: expected “and” or “or” before “row”",
    'class = "cat': r'Character 9: the quoted text that starts here has no closing "',
    "row !! 3": r"Character 5: “!” has no meaning here",
    "grey = perhaps": r"Character 8: grey is yes or no, and “perhaps” is neither",
    "row free": r"Character 5: expected one of = .* after row",
    "missing(rows)": r"Character 9: there is no column “rows”\. Did you mean row",
}


def test_a_wrong_filter_says_where_and_leaves_the_last_one(opened):
    opened.write("#query", "row < 10")
    for query, message in ERRORS.items():
        opened.write("#query", query)
        assert re.search(message, opened.run("document.querySelector('#error').textContent")), query
        assert opened.run("document.querySelector('#query').getAttribute('aria-invalid')") == "true"
        assert passing(opened) == 10, query
    opened.write("#query", "row < 5")
    assert opened.run("document.querySelector('#error').hidden")


def test_nothing_of_a_filter_is_run(opened):
    for query in ("alert(1)", "constructor = 1", "__proto__ = 1", "row < document.title", "`; document.title = 1`"):
        opened.write("#query", query)
    assert opened.run("document.title") == "A small set"


# ---- order -------------------------------------------------------------------------------------------------


def test_sorting_puts_missing_last_in_both_directions(opened):
    score = column("outlier").astype(float)
    present = np.flatnonzero(~np.isnan(score))
    choose(opened, "#sort", "outlier")
    down = shown_ids(opened)
    assert down[:20] == column("id")[present[np.argsort(-score[present], kind="stable")]][:20].tolist()
    opened.click("#turn")
    assert shown_ids(opened)[:20] == column("id")[present[np.argsort(score[present], kind="stable")]][:20].tolist()
    opened.key("End")
    assert opened.run("document.querySelector('.tile.active').getAttribute('aria-label')").startswith(column("id")[7])


def test_the_shuffle_has_every_example_once_and_a_key_draws_another(opened):
    first = shown_ids(opened)
    assert first != column("id")[: len(first)].tolist()
    opened.key("s")
    second = shown_ids(opened)
    assert second != first
    opened.open(opened.run("location.href.split('#')[0]"), "#seed=1", READY)
    assert shown_ids(opened) == second


def test_side_by_side_has_a_column_for_every_value(opened):
    choose(opened, "#group", "split")
    heads = opened.run("[...document.querySelectorAll('.heads > span')].map(e => e.textContent)")
    assert heads == ["train200 · 66.7 %", "val100 · 33.3 %"]
    place = "[e.getAttribute('aria-label').slice(0, 8), parseFloat(e.style.left)]"
    places = opened.run(f"[...document.querySelectorAll('.tiles > .tile')].map(e => {place})")
    border = opened.run("parseFloat(document.querySelectorAll('.heads > span')[1].style.left)")
    split = dict(zip(column("id"), column("split"), strict=True))
    assert all((split[name] == "val") == (x >= border) for name, x in places)


# ---- distributions -----------------------------------------------------------------------------------------


def test_a_brush_filters_the_gallery_and_the_other_plots(opened):
    opened.drag("[data-column=outlier] svg", 0.5, 0.8)
    low, high = (
        float(v)
        for v in opened.run("[...document.querySelectorAll('[data-column=outlier] .ends input')].map(e => e.value)")
    )
    score = column("outlier")
    within = (score >= low) & (score <= high)
    assert passing(opened) == pytest.approx(within.sum(), abs=2)  # the fields show four digits
    assert 20 < passing(opened) < 200
    counts = opened.run("[...document.querySelectorAll('[data-column=class] .n')].map(e => Number(e.textContent))")
    assert sum(counts) == passing(opened)
    opened.click("[data-column=outlier] .clear")
    assert passing(opened) == COUNT


def test_a_range_can_be_typed_and_missing_values_have_a_button(opened):
    opened.write("[data-column=outlier] .ends input", "1")
    opened.key("Enter")
    score = column("outlier")
    assert passing(opened) == (np.isfinite(score) & (score >= 1)).sum()
    assert opened.run("document.querySelector('[data-column=outlier] .none').textContent") == "missing 2"
    opened.click("[data-column=outlier] .none")
    assert passing(opened) == (np.isfinite(score) & (score >= 1)).sum() + 2
    opened.click("[data-column=outlier] .clear")
    opened.click("[data-column=outlier] .none")
    assert sorted(shown_ids(opened)) == sorted(column("id")[[7, 8]])


def test_bins_of_whole_numbers_hold_equally_many_and_the_last_one_its_end(opened):
    choose(opened, "#add", "row")
    heights = opened.run("document.querySelector('[data-column=row] .all').getAttribute('d').match(/v-[0-9.]+/g)")
    assert len(set(heights[:-1])) == 1
    opened.drag("[data-column=row] svg", 0.5, 1)
    first, last = opened.run(
        "[...document.querySelectorAll('[data-column=row] .ends input')].map(e => Number(e.value))"
    )
    assert last >= 299
    assert passing(opened) == 300 - first
    assert 140 <= passing(opened) <= 160


def test_bars_choose_values_and_lists_count_each_of_theirs(opened):
    names = opened.run("[...document.querySelectorAll('[data-column=flags] .bar .t')].map(e => e.textContent)")
    assert names == ["(none)", "outlier", "near copy"]
    opened.click("[data-column=flags] .bar:nth-child(3)")
    assert passing(opened) == 6
    opened.click("[data-column=flags] .bar:nth-child(2)")
    assert passing(opened) == 12
    opened.click("[data-column=flags] .bar:nth-child(2)")
    opened.click("[data-column=flags] .bar:nth-child(3)")
    assert passing(opened) == COUNT


def test_any_column_can_be_plotted_and_hidden(opened):
    before = opened.run("document.querySelectorAll('.plot').length")
    choose(opened, "#add", "two words")
    assert opened.run("document.querySelector('.plot').dataset.column") == "two words"
    opened.drag("[data-column='two words'] svg", 0, 0.1)
    assert 0 < passing(opened) < 50
    opened.click("[data-column='two words'] header .icon:last-child")
    assert opened.run("document.querySelectorAll('.plot').length") == before


# ---- one example -------------------------------------------------------------------------------------------


def fact(tab, name: str) -> list[str]:
    rows = "[...document.querySelectorAll('#panel dl.facts > div')]"
    row = f"{rows}.find(e => e.querySelector('dt').textContent === {json.dumps(name)})"
    return tab.run(f"[...{row}.querySelectorAll('dd')].map(e => e.textContent)")


def test_a_click_shows_the_whole_row_with_its_meaning_neighbours_and_duplicates(opened):
    opened.write("#query", "row = 4")
    opened.click(".tiles > .tile")
    assert opened.run("document.querySelector('#panel .id').textContent") == column("id")[4]
    shown = opened.run("[...document.querySelectorAll('#panel dt')].map(e => e.textContent)")
    assert shown == [c.name for c in table()] + ["flagged"]
    assert fact(opened, "row")[0] == "4"
    assert fact(opened, "row")[2] == "place in the file"
    assert fact(opened, "row")[1] == "2 %"  # 4 of 300 lie below
    assert opened.run("document.querySelectorAll('#panel .tick').length") > 3
    strips = rows_of(opened, "#panel .strip")
    assert strips == [[5, 6, 7], [3, 5]]
    opened.click("#panel .strip .tile")
    assert opened.run("document.querySelector('#panel .id').textContent") == column("id")[5]
    opened.key("Escape")
    assert opened.run("document.querySelector('#panel').hidden")


def test_the_keyboard_alone_moves_opens_and_marks(opened):
    active = "document.querySelector('[id].active')?.getAttribute('aria-label').slice(0, 8)"
    opened.key("Home")
    ids = shown_ids(opened)
    assert opened.run(active) == ids[0]
    opened.key("ArrowRight", "j", "ArrowLeft")
    assert opened.run(active) == ids[1]
    across = opened.run("document.querySelector('.tiles').children.length")
    opened.key("ArrowDown")
    assert opened.run(active) == ids[1 + across]
    opened.key("k", "ArrowUp")
    assert opened.run(active) == ids[0]
    opened.key("End")
    last = opened.run(active)
    opened.key("PageUp", "PageDown", "End")
    assert opened.run(active) == last
    assert opened.run("document.querySelector('#stage').getAttribute('aria-activedescendant')").startswith("x")
    opened.key("Enter")
    assert opened.run("document.querySelector('#panel .id').textContent") == last
    opened.key("d", "Escape", "/")
    assert opened.run("document.activeElement.id") == "query"
    opened.key("d", "Escape")  # a letter in the field is no command
    assert opened.run("document.querySelector('#query').value") == "d"
    assert opened.run("document.querySelector('#marked').textContent") == "1"
    opened.key("?")
    assert not opened.run("document.querySelector('#help').hidden")
    opened.key("Escape", "2")
    assert opened.run("document.querySelector('#help').hidden")
    assert opened.run("document.querySelector('#stage').dataset.view") == "table"


def test_the_focus_is_never_lost_to_the_top_of_the_page(opened):
    focus = "document.activeElement.dataset.view ?? document.activeElement.id"
    opened.run("document.querySelector('[data-view=table]').focus()")
    opened.key("Enter")
    assert opened.run(focus) == "table"
    opened.run("document.querySelector('.heads button').focus()")
    opened.key("Enter")
    assert opened.run("document.activeElement.id") == "stage"
    opened.key("Home", "Enter")
    opened.run("document.querySelector('#panel [data-act=drop]').focus()")
    opened.key("Enter")
    assert opened.run("document.querySelector('#marked').textContent") == "1"
    assert opened.run("document.activeElement.id") == "stage"
    opened.click("[data-column=class] .bar")
    assert opened.run("document.activeElement.id") == "stage"
    opened.run("document.querySelector('.chip').focus()")
    opened.key("Enter")
    assert passing(opened) == COUNT
    assert opened.run("document.activeElement.id") == "stage"


def test_a_selection_grows_with_shift_and_is_marked_at_once(opened):
    opened.key("Home")
    opened.key("ArrowRight", "ArrowRight", modifiers=8)
    assert "3 selected" in opened.run("document.querySelector('#count').textContent")
    opened.click(".tiles > .tile:nth-child(5)", modifiers=2)
    opened.key("c")
    assert opened.run("document.querySelector('#marked').textContent") == "4"
    opened.key("u")
    assert opened.run("document.querySelector('#marked').textContent") == "0"


# ---- views -------------------------------------------------------------------------------------------------


def test_duplicates_have_a_row_each_and_those_with_different_labels_come_first(opened):
    opened.click("[data-view=duplicates]")
    groups = rows_of(opened, ".group")
    assert sorted(groups) == [[3 * k, 3 * k + 1, 3 * k + 2] for k in range(10)]
    label = column("class")
    differ = [len({label[i] for i in rows}) > 1 for rows in groups]
    assert differ == sorted(differ, reverse=True)
    labelled = opened.run("[...document.querySelectorAll('.group')].map(e => e.textContent.includes('labels differ'))")
    assert labelled == differ


def test_suspects_come_worst_first_with_suggestion_and_neighbours(opened):
    opened.click("[data-view=suspects]")
    rows = rows_of(opened, ".suspect")
    score = column("suspicion")
    assert [row[0] for row in rows] == np.argsort(-score, kind="stable")[: len(rows)].tolist()
    assert all(row[1:] == [(row[0] + k) % COUNT for k in (1, 2, 3)] for row in rows)
    opened.click(".suspect [data-act=relabel]")
    mark = opened.run("document.querySelector('.suspect .tile').getAttribute('aria-label')")
    assert mark.endswith(f"marked relabel {column('suggested')[rows[0][0]]}")


def test_a_cell_of_the_confusions_shows_its_examples(opened):
    opened.click("[data-view=confusions]")
    given, suggested = column("class"), column("suggested")
    opened.click("[aria-label='cat, suggested dog: show examples']")
    assert passing(opened) == ((given == "cat") & (suggested == "dog")).sum() > 0
    assert opened.run("document.querySelector('#stage').dataset.view") == "gallery"


def test_the_table_sorts_by_its_heads_and_draws_only_what_is_seen(opened):
    opened.click("[data-view=table]")
    opened.run(
        "[...document.querySelectorAll('.heads button')].find(e => e.textContent.startsWith('suspicion')).click()"
    )
    first = opened.run("document.querySelector('.record .id').textContent")
    assert first == column("id")[np.argmax(column("suspicion"))]
    assert opened.run("document.querySelectorAll('.record').length") < 60
    opened.run("document.querySelector('#stage').scrollTop = 1e6")
    opened.wait(
        "document.querySelectorAll('.record').length && parseFloat(document.querySelector('.record').style.top) > 5000"
    )
    assert opened.run("document.querySelectorAll('.record').length") < 60


# ---- decisions ---------------------------------------------------------------------------------------------


def test_marks_are_lines_that_decisions_csv_accepts(opened, tmp_path):
    opened.key("Home", "d", "ArrowRight", "c", "ArrowRight", "r")
    opened.run("document.querySelector('#relabel').selectedIndex = 4")
    opened.key("Enter", "m")
    assert opened.run("document.querySelector('#lines').value") == "id,action,label,reason\n"
    assert "3 of 3 marks without a reason" in opened.run("document.querySelector('#panel .status').textContent")
    opened.write("#reason", 'blurred, "very" much, = 1')
    opened.key("Enter")
    (tmp_path / "decisions.csv").write_text(opened.run("document.querySelector('#lines').value"), encoding="utf-8")
    decisions = read_decisions(tmp_path / "decisions.csv", set(column("id")), ClassNumbers(CLASSES))
    assert [(d.action, d.label) for d in decisions.values()] == [("drop", ""), ("keep", ""), ("relabel", CLASSES[4])]
    assert {d.reason for d in decisions.values()} == {'blurred, "very" much, = 1'}
    assert list(decisions) == shown_ids(opened)[:3]


# ---- the address -------------------------------------------------------------------------------------------


EVERYTHING = """[
    ...["#panel", "#plots", "#chips", "#count"].map(name => document.querySelector(name).innerText),
    ...[...document.querySelectorAll(".tile")].map(e => [e.dataset.i, e.dataset.mark, e.className, e.style.left]),
    ...[...document.querySelectorAll(".now, .brush")].map(e => e.getAttribute("d") ?? e.getAttribute("x")),
    document.querySelector("#query").value,
    document.querySelector("#marked").textContent,
]"""


def test_the_address_gives_the_same_view_again(opened, small):
    opened.drag("[data-column=outlier] svg", 0.2, 0.9)
    opened.click("[data-column=class] .bar:nth-child(4)")
    choose(opened, "#add", "two words")
    choose(opened, "#sort", "row")
    choose(opened, "#group", "split")
    opened.write("#query", 'row > 5 and class != "a,b&c=d#"')
    opened.run("document.querySelector('#stage').focus()")
    opened.key("Home", "ArrowRight", "d", "Enter")
    before, address = opened.run(EVERYTHING), fragment(opened)
    assert before[-1] == "1"
    opened.open(small, address, READY)
    assert opened.run(EVERYTHING) == before
    assert fragment(opened) == address


def test_another_fragment_changes_the_page_without_loading_it(opened):
    opened.run("window.same = true")
    opened.run("location.hash = '#q=row%20%3C%203'")
    opened.wait("document.querySelector('#count b').textContent === '3'")
    assert opened.run("window.same")


@pytest.mark.parametrize(
    "broken",
    [
        "#q=%",
        "#view=nowhere&sort=x&side=y&at=z&size=a&plots=q",
        "#range=class,1,2",
        "#&&=&=,",
        f"#mark={column('id')[0]},constructor,,a reason",
    ],
)
def test_a_broken_fragment_does_no_harm(tab, small, broken):
    tab.open(small, broken, READY)
    assert passing(tab) == COUNT
    assert tab.run("document.querySelector('#marked').textContent") == "0"


# ---- hostile content, narrow windows, sandboxes ------------------------------------------------------------


def hostile(**options) -> str:
    names = [HOSTILE[k % len(HOSTILE)] for k in range(60)]
    columns = [
        Column("id", HOSTILE[0], texts(f"{k} {name}"[:200] for k, name in enumerate(names))),
        Column(HOSTILE[1], HOSTILE[4], texts(names)),
        Column("suggested", HOSTILE[5], texts(names[1:] + names[:1])),
        Column(HOSTILE[9], "", np.arange(60.0)),
        Column("nothing", "", np.full(60, np.nan)),
        Column("endless", "", np.full(60, np.inf)),
        Column("always", "", np.full(60, 3.5)),
        Column("group", "", texts(names)),
    ]
    roles = Roles("id", HOSTILE[1], "suggested", HOSTILE[9], "group")
    return explorer(columns, roles, title=HOSTILE[0] + HOSTILE[3], summary=HOSTILE[5], classes=HOSTILE, **options)


@pytest.mark.parametrize("kind", ["pictures", "texts", "rows"])
def test_hostile_names_show_as_text_in_every_view_and_nothing_overflows(tab, folder, kind):
    options = {"pictures": {"picture": picture}, "texts": {"text": [HOSTILE[k % 11] for k in range(60)]}, "rows": {}}[
        kind
    ]
    (folder / "hostile.html").write_text(hostile(**options), encoding="utf-8")
    tab.size(560, 800)
    tab.open(folder / "hostile.html", ready=READY)
    for view in ("gallery", "table", "duplicates", "suspects", "confusions"):
        tab.click(f"[data-view={view}]")
        tab.run("document.querySelector('#stage').focus()")
        tab.key("Home", "Enter")
        assert tab.run(
            "document.documentElement.scrollWidth <= innerWidth && document.body.scrollWidth <= innerWidth"
        ), view
        panel = tab.run("(e => e.hidden || e.scrollWidth <= e.clientWidth)(document.querySelector('#panel'))")
        assert panel, view
        tab.key("Escape")
    tab.click("#show-plots")
    for name in ("group", HOSTILE[1], "nothing", "endless", "always", HOSTILE[9]):
        choose(tab, "#add", name)
    assert tab.run("(e => e.scrollWidth <= e.clientWidth)(document.querySelector('#plots'))")
    tab.key("?")
    assert tab.run("document.title").startswith("<script>document.title='broken'</script>")
    assert tab.run("document.querySelector('#broken')") is None
    assert tab.run("document.scripts.length") == 1  # the payload's element is gone, the page's script is left
    assert HOSTILE[0] in tab.run("document.querySelector('#help').textContent")


@pytest.mark.parametrize("dark", [False, True])
def test_nothing_overflows_at_560_pixels(tab, small, dark):
    tab.size(560, 900, dark)
    tab.open(small, ready=READY)
    for view in ("gallery", "table", "duplicates", "suspects", "confusions"):
        tab.click(f"[data-view={view}]")
        assert tab.run("document.documentElement.scrollWidth") <= 560, view
    assert tab.run("document.querySelector('#plots').getBoundingClientRect().width") == 0
    tab.click("#show-plots")
    assert tab.run("document.querySelector('#plots').getBoundingClientRect().width") > 200


def test_the_gallery_leaves_room_for_its_scrollbar(opened):
    """Laid out as wide as without one, its last column would be cut off, and a second scrollbar lie below."""
    assert opened.run("(e => e.scrollHeight > e.clientHeight)(document.querySelector('#stage'))")
    assert opened.run("(e => e.offsetWidth > e.clientWidth)(document.querySelector('#stage'))"), "no scrollbar here"
    assert opened.run("(e => e.scrollWidth <= e.clientWidth)(document.querySelector('#stage'))")


def test_it_works_in_a_sandboxed_frame_without_an_origin(tab, folder):
    (folder / "framed.html").write_text(sandboxed(page()), encoding="utf-8")
    tab.open(folder / "framed.html")
    with tab.frame():
        tab.wait(READY)
        assert tab.run("self.origin") == "null"
        tab.wait(PICTURES)
        tab.run("document.querySelector('#query').value = 'row < 7'")
        tab.run("document.querySelector('#query').dispatchEvent(new Event('input'))")
        assert passing(tab) == 7
        tab.run("document.querySelector('.tiles > .tile').click()")
        tab.run("document.querySelector('[data-act=drop]').click()")
        tab.run("document.querySelector('#show-help').click()")
        tab.wait("performance.getEntriesByName('address').length")
        address = tab.run("document.querySelector('#address').value")
        assert "q=row%20%3C%207" in address
        choose(tab, "#address", "#q=row%20%3C%203")
        assert passing(tab) == 3
        white = "(c => c.getContext('2d').getImageData(4, 4, 1, 1).data[3])(document.querySelector('.tile canvas'))"
        assert tab.run(white) == 255  # a thumbnail has been drawn


def test_pictures_are_drawn_from_their_place_in_the_sheet(opened):
    opened.wait(PICTURES)
    pixel = "[Number(e.dataset.i), e.firstChild.getContext('2d').getImageData(4, 4, 1, 1).data[0]]"
    drawn = opened.run(f"[...document.querySelectorAll('.tiles > .tile')].map(e => {pixel})")
    assert len(drawn) > 100
    assert all(grey == 255 * i // COUNT for i, grey in drawn)


def test_every_control_has_a_name(opened):
    opened.key("Home", "Enter", "d")
    opened.click("[data-view=suspects]")
    named = "e.textContent.trim() || e.ariaLabel || e.labels?.length"
    controls = "[...document.querySelectorAll('button, input, select, textarea')]"
    unnamed = opened.run(f"{controls}.filter(e => !({named})).map(e => e.outerHTML)")
    assert unnamed == []


def test_a_sample_leaves_the_neighbours_it_brings_out_of_the_gallery(tab, folder):
    flagged = np.zeros(COUNT, bool)
    flagged[[5, 50]] = True
    (folder / "sample.html").write_text(page(flagged=flagged, limit=40), encoding="utf-8")
    tab.open(folder / "sample.html", f"#open={column('id')[50]}", READY)
    assert "40 of 300 examples: all 2 flagged and a random sample of the others" in tab.run(
        "document.querySelector('#summary').textContent"
    )
    assert passing(tab) == len(shown_ids(tab)) == 40
    tab.click("#panel .strip .tile")
    assert tab.run("document.querySelector('#panel .id').textContent") == column("id")[51]
    assert fact(tab, "row")[0] == "51"


def test_a_neighbour_that_is_not_on_the_page_has_a_place_and_no_picture(tab, folder):
    (folder / "missing.html").write_text(page(flagged=None, limit=100), encoding="utf-8")
    tab.open(folder / "missing.html", "#view=suspects", READY)
    assert tab.run("document.querySelectorAll('.suspect .elsewhere').length") > 0
    tab.key("1")
    assert len(shown_ids(tab)) == 100
    assert tab.run("[...document.querySelectorAll('.tiles > .tile')].every(e => e.querySelector('canvas'))")
