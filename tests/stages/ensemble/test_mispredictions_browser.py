"""The page of mispredictions in a real browser: the wrong first, a cell of the table of confusions, the address."""

import json
import time

import numpy as np
import pytest
from browser import CHROMIUM, MISSING
from pages import HOSTILE, READY, choose, fragment, passing, sandboxed, shown_ids, texts

from recipe.data.decisions import parse
from recipe.explorer import Column, explorer
from recipe.stages.ensemble.mispredictions import ROLES, WARNING
from recipe.tasks.labels import ClassNumbers

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason=MISSING)]
COUNT, TRAIN = 240, 60
CLASSES = ["cat", "dog", "ice cream", "horse"]


def table(classes=CLASSES) -> list[Column]:
    """Examples of all classes, every sixth wrong, and training examples behind them."""
    rng, count = np.random.default_rng(0), COUNT + TRAIN
    label = np.arange(count) % len(classes)
    wrong = (np.arange(count) % 6 == 0) & (np.arange(count) < COUNT)
    predicted = np.where(wrong, (label + 1 + np.arange(count) // 6 % 2) % len(classes), label)
    loss = np.where(wrong, 2 + rng.random(count), rng.random(count) / 9)
    split = np.where(np.arange(count) >= COUNT, "train", np.where(np.arange(count) % 2, "val", "test"))
    names = np.array(classes, dtype=object)
    answer = [f"{names[a]} → {names[b]}" if a != b else names[a] for a, b in zip(label, predicted, strict=True)]
    return [
        Column("id", "name", texts(f"{k * 2654435761 % 2**32:08x}" for k in range(count))),
        Column("label", "of the class", names[label]),
        Column("predicted", "the answer", names[predicted]),
        Column("answer", "both", texts(answer)),
        Column("wrong", "the answer is not the label", wrong),
        Column("loss", "nats", loss),
        Column("confidence", "0 to 1", rng.random(count)),
        Column("split", "part", split.astype(object)),
        Column("test", WARNING, split == "test"),
    ]


def column(name: str) -> np.ndarray:
    return next(c.values for c in table() if c.name == name)[:COUNT]


def page(classes=CLASSES, **more) -> str:
    near = np.stack([COUNT + (np.arange(COUNT + TRAIN) + k) % TRAIN for k in range(5)], axis=1)
    return explorer(
        table(classes), ROLES, title="Mispredictions", classes=classes, neighbours=near,
        neighbours_heading="Nearest training examples", initial_filter={"wrong": ["yes"]},
        only_neighbours=np.arange(COUNT + TRAIN) >= COUNT,
        **{"picture": lambda i: np.full((8, 8), i % 256, np.uint8)} | more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mispredictions")


@pytest.fixture(scope="module")
def file(folder):
    (folder / "page.html").write_text(page(), encoding="utf-8")
    return folder / "page.html"


@pytest.fixture
def opened(tab, file):
    tab.open(file, ready=READY)
    return tab


def cell(label: str, predicted: str, classes=CLASSES) -> str:
    return f'#confusion [data-cell="{classes.index(label) * len(classes) + classes.index(predicted)}"]'


def counted(tab) -> np.ndarray:
    """(K, K) of the table of confusions."""
    rows = "[...document.querySelectorAll('#confusion tbody tr')].map(r => [...r.querySelectorAll('td')]"
    return np.array(tab.run(f"{rows}.map(c => Number(c.textContent)))"))


def expected(test=None) -> np.ndarray:
    label, predicted = ([CLASSES.index(v) for v in column(name)] for name in ("label", "predicted"))
    counts = np.zeros((4, 4), int)
    for i, (a, b) in enumerate(zip(label, predicted, strict=True)):
        counts[a, b] += test is None or test[i]
    return counts


def test_the_wrong_ones_are_shown_first_the_most_surprising_at_the_top(opened):
    wrong = column("wrong")
    assert passing(opened) == wrong.sum()
    order = column("id")[np.argsort(-np.where(wrong, column("loss"), -1), kind="stable")][: wrong.sum()]
    assert shown_ids(opened) == order.tolist()
    caption = opened.run("document.querySelector('.tiles .tile .t').textContent")
    assert caption in set(column("answer")[wrong])
    assert fragment(opened) == ""


def test_the_table_counts_right_answers_too_and_follows_other_filters(opened):
    assert (counted(opened) == expected()).all()
    assert "40 of 240 wrong (16.7 %)" in opened.run("document.querySelector('#confusion .more').textContent")
    opened.write("#query", "split = val and confidence > 0.3")
    assert (counted(opened) == expected((column("split") == "val") & (column("confidence") > 0.3))).all()


def test_a_cell_shows_its_examples_and_a_second_click_all(opened):
    table = expected()
    a, b = np.argwhere(table * (1 - np.eye(4, dtype=int)))[0]
    selector = cell(CLASSES[a], CLASSES[b])
    opened.click(selector)
    assert passing(opened) == table[a, b]
    ids = set(column("id")[(column("label") == CLASSES[a]) & (column("predicted") == CLASSES[b])])
    assert set(shown_ids(opened)) == ids
    assert opened.run(f"document.querySelector({json.dumps(selector)}).getAttribute('aria-pressed')") == "true"
    assert (counted(opened) == table).all()  # its own choice changes none of its counts
    opened.click(selector)
    assert passing(opened) == column("wrong").sum()


def test_a_cell_of_right_answers_leaves_the_filter_of_wrong_ones(opened):
    opened.click(cell("dog", "dog"))
    assert passing(opened) == expected()[1, 1]
    opened.click("#confusion .clear")
    assert passing(opened) == COUNT


def test_the_address_holds_the_cell_and_what_was_cleared(opened, file):
    table = expected()
    a, b = np.argwhere(table * (1 - np.eye(4, dtype=int)))[-1]
    opened.click(cell(CLASSES[a], CLASSES[b]))
    address = fragment(opened)
    opened.open(file, address, READY)
    assert passing(opened) == table[a, b]
    opened.click(cell(CLASSES[a], CLASSES[a]))
    address = fragment(opened)
    opened.open(file, address, READY)
    assert passing(opened) == table[a, a]
    opened.click("#chips .all")
    opened.key("s")
    address = fragment(opened)
    assert "among=wrong" in address.split("&")
    assert "sort=" in address
    order = shown_ids(opened)
    opened.open(file, address, READY)
    assert passing(opened) == COUNT
    assert shown_ids(opened) == order


def test_the_table_is_reached_and_walked_with_the_keyboard(opened):
    stops = opened.run("document.querySelectorAll('#confusion td button[tabindex=\"0\"]').length")
    assert stops == 1
    opened.run("document.querySelector('#query').focus()")
    for _ in range(30):
        opened.key("Tab")
        if opened.run("Boolean(document.activeElement.closest('#confusion td'))"):
            break
    start = int(opened.run("document.activeElement.dataset.cell"))
    table = expected()
    a, b = divmod(start, 4)
    opened.key("ArrowDown")
    down = next((r for r in range(a + 1, 4) if table[r, b]), a)
    assert int(opened.run("document.activeElement.dataset.cell")) == 4 * down + b
    opened.key("ArrowRight")
    right = next((c for c in range(b + 1, 4) if table[down, c]), b)
    here = 4 * down + right
    assert int(opened.run("document.activeElement.dataset.cell")) == here
    opened.key("Enter")
    assert passing(opened) == table[down, right]
    assert int(opened.run("document.activeElement.dataset.cell")) == here  # the focus stays where it was
    opened.key("Enter")
    assert passing(opened) in (column("wrong").sum(), COUNT)


def test_a_mistake_is_shown_beside_its_training_examples(opened):
    opened.click("[data-view=suspects]")
    assert opened.run("document.querySelector('[data-view=suspects]').textContent") == "Mistakes"
    first = opened.run(
        "[...document.querySelector('.suspect').querySelectorAll('.tile')].map(t => Number(t.dataset.i))"
    )
    assert all(i >= COUNT for i in first[1:])
    assert len(first) == 6
    assert "Nearest training examples" in opened.run("document.querySelector('#count').textContent")
    opened.click("[data-view=gallery]")
    opened.key("Home", "Enter")
    assert opened.run("document.querySelector('#panel .strip h2').textContent").startswith("Nearest training examples")
    assert opened.run("document.querySelectorAll('#panel .strip .elsewhere').length") == 0


def test_a_decision_on_a_test_example_comes_with_a_warning(opened, file):
    ids, split, wrong = column("id"), column("split"), column("wrong")
    test, val = (
        ids[wrong & (split == name)][0] if (wrong & (split == name)).any() else None for name in ("test", "val")
    )
    val = val or ids[split == "val"][0]
    opened.open(file, f"#open={test}", READY)
    assert "too good" in opened.run("document.querySelector('#panel .guard').textContent")
    opened.click("[data-act=drop]")
    opened.key("m")
    assert not opened.run("document.querySelector('#panel > .guard').hidden")
    opened.open(file, f"#open={val}", READY)
    assert opened.run("document.querySelector('#panel .guard')") is None
    opened.click("[data-act=drop]")
    opened.key("m")
    assert opened.run("document.querySelector('#panel > .guard').hidden")
    choose(opened, "#reason", "blurred")
    opened.run("document.querySelector('#reason').dispatchEvent(new Event('input'))")
    opened.click("#panel .acts button")
    lines = opened.run("document.querySelector('#lines').value")
    assert [d.action for d in parse(lines, "the page", set(ids), ClassNumbers(CLASSES)).values()] == ["drop"]


def test_hostile_class_names_show_as_text_and_nothing_overflows(tab, folder):
    names = list(dict.fromkeys(HOSTILE))
    (folder / "hostile.html").write_text(page(names), encoding="utf-8")
    for width in (1280, 560):
        tab.size(width, 800)
        tab.open(folder / "hostile.html", ready=READY)
        if width == 560:
            tab.click("#show-plots")
        assert tab.run("document.title") == "Mispredictions"
        assert tab.run("document.querySelector('#broken')") is None
        assert tab.run("(e => e.scrollWidth <= e.clientWidth)(document.querySelector('#plots'))")
        assert tab.run("document.documentElement.scrollWidth <= innerWidth")
        assert tab.run("document.querySelectorAll('#confusion tbody tr').length") == len(names)
        everything = tab.run("[...document.querySelectorAll('#confusion td button')].map(b => Number(b.dataset.cell))")
        off = next(c for c in everything if c // len(names) != c % len(names))
        tab.click(f'#confusion [data-cell="{off}"]')
        assert 0 < passing(tab) < 240


def test_many_classes_are_a_list_of_pairs(tab, folder):
    names = [f"class number {k}" for k in range(40)]
    (folder / "many.html").write_text(page(names), encoding="utf-8")
    tab.open(folder / "many.html", ready=READY)
    assert tab.run("document.querySelectorAll('#confusion li').length") == 20
    first = int(tab.run("document.querySelector('#confusion li button').dataset.cell"))
    count = int(tab.run("document.querySelector('#confusion li .n').textContent"))
    tab.click("#confusion li button")
    assert passing(tab) == count
    assert f"among=label,class%20number%20{first // 40}" in fragment(tab)


def test_a_sample_has_no_error_rate(tab, folder):
    """Every wrong one is on the page and few of the right: their share of the page means nothing."""
    (folder / "sample.html").write_text(page(limit=60), encoding="utf-8")
    tab.open(folder / "sample.html", ready=READY)
    summary = tab.run("document.querySelector('#confusion .more').textContent")
    assert "40 of 60 wrong (the others are a sample, so no error rate)" in summary


def test_it_works_in_a_sandboxed_frame_without_an_origin(tab, folder):
    (folder / "framed.html").write_text(sandboxed(page()), encoding="utf-8")
    tab.open(folder / "framed.html")
    with tab.frame():
        tab.wait(READY)
        assert passing(tab) == column("wrong").sum()
        tab.run("document.querySelector('#confusion td.same button').click()")
        assert passing(tab) == expected()[0, 0]


def test_five_thousand_photographs_with_sixty_columns_and_their_neighbours_fit_into_twenty_megabytes(tab, folder):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (50, 9, 9, 3)).astype(np.uint8)

    def photograph(i):
        plain = np.kron(np.roll(coarse[i % 50], i, axis=1), np.ones((8, 8, 1), np.uint8))[:70, :70]
        return plain + rng.integers(0, 24, plain.shape, dtype=np.uint8)

    total, shown = 40_000, 5_000
    label = np.arange(total) % 10
    predicted = np.where(np.arange(total) % 8 == 0, (label + 1) % 10, label)
    names = np.array([f"class {k}" for k in range(10)], dtype=object)
    columns = [
        Column("id", "", texts(f"{k:012x}" for k in range(total))),
        Column("label", "", names[label]),
        Column("predicted", "", names[predicted]),
        Column("answer", "", names[label] + " → " + names[predicted]),
        Column("wrong", "", label != predicted),
        *(Column(name, "", rng.random(total)) for name in ("loss", "confidence", "p_label", "agreement")),
        Column("split", "", texts(["val"] * total)),
        Column("test", "", np.zeros(total, bool)),
        *(Column(f"c{k}", "a number", rng.normal(size=total)) for k in range(49)),
    ]
    assert len(columns) == 60
    near = rng.integers(shown, total, (total, 5))
    html = explorer(
        columns, ROLES, title="", classes=names.tolist(), picture=photograph, neighbours=near,
        only_neighbours=np.arange(total) >= shown, initial_filter={"wrong": ["yes"]},
    )  # fmt: skip
    assert len(html.encode()) < 20e6
    (folder / "large.html").write_text(html, encoding="utf-8")
    began = time.monotonic()
    tab.open(folder / "large.html", ready=READY)
    assert passing(tab) == 625
    assert "625 of 5,000 wrong (12.5 %)" in tab.run("document.querySelector('#confusion .more').textContent")
    tab.click("#confusion td.same button")
    assert passing(tab) == expected_same(label, predicted)
    assert time.monotonic() - began < 20


def expected_same(label: np.ndarray, predicted: np.ndarray) -> int:
    return int(((label == 0) & (predicted == 0))[:5000].sum())
