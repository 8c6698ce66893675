"""Relabelling in a real browser: several labels and quantities become lines that decisions.csv accepts."""

import numpy as np
import pytest
from browser import CHROMIUM, MISSING
from pages import READY, texts

from recipe.data.decisions import read_decisions
from recipe.explorer import Column, Roles, explorer
from recipe.tasks.labels import LabelSets, Quantities

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason=MISSING)]
COUNT = 40
IDS = [f"i{n}" for n in range(COUNT)]
NAMES = ["sky", "grass", "old, blue"]


def labels_page() -> str:
    """Every tenth example lacks a label."""
    given = [NAMES[: n % 3] if n % 10 else [] for n in range(COUNT)]
    suggested = [names if n % 10 else NAMES[:2] for n, names in enumerate(given)]
    columns = [
        Column("id", "", texts(IDS)),
        Column("class", "", texts("; ".join(names) for names in given), "; "),
        Column("suggested", "", texts("; ".join(names) for names in suggested), "; "),
        Column("suspicion", "", np.array([float(n % 10 == 0) for n in range(COUNT)])),
    ]
    return explorer(columns, Roles("id", "class", "suggested", "suspicion"), title="labels", classes=NAMES, entry="any")


def numbers_page(wrong: float = 0.25) -> str:
    """Two quantities, one of them with a value that has all digits of a float64."""
    true = np.stack([np.arange(COUNT) / 7, 1e9 + np.arange(COUNT)], 1)
    shown = [f"{a:.4g}; {b:.4g}" for a, b in true]
    columns = [
        Column("id", "", texts(IDS)),
        Column("class", "", texts(shown)),
        Column("suggested", "", texts(f"{a + wrong:.4g}; {b:.4g}" for a, b in true)),
        Column("suspicion", "", np.arange(COUNT) / COUNT),
        Column("residual", "", np.full(COUNT, wrong)),
        Column("doubt", "", texts("10 times too large" if n == COUNT - 1 else "" for n in range(COUNT))),
        Column("y_a", "", true[:, 0]),
        Column("y_b", "", true[:, 1]),
    ]
    roles = Roles("id", "class", "suggested", "suspicion", residual="residual", doubt="doubt")
    return explorer(columns, roles, title="numbers", classes=["a", "b"], entry="number", measured=["y_a", "y_b"])


def open_page(tab, folder, html: str, fragment: str = "") -> None:
    (folder / "page.html").write_text(html, encoding="utf-8")
    tab.open(folder / "page.html", fragment, ready=READY)


def views(tab) -> list[str]:
    return tab.run("[...document.querySelectorAll('#views button')].map(b => b.textContent)")


def decided(tab, folder, form):
    """The decisions of the page, each with the same reason, as decisions.csv is read."""
    tab.key("m")
    tab.write("#reason", "looked at it")
    tab.key("Enter")
    path = folder / "decisions.csv"
    path.write_text(tab.run("document.getElementById('lines').value"), encoding="utf-8")
    return {i: form.decided(d.label) for i, d in read_decisions(path, set(IDS), form).items()}


def test_labels_have_a_box_each_and_no_confusions(tab, tmp_path):
    open_page(tab, tmp_path, labels_page(), "#at=i10")
    assert views(tab) == ["Cards", "Table", "Suspects"]
    tab.key("r")
    boxes = "[...document.querySelectorAll('form.relabel input')].map(b => b.checked)"
    assert tab.run(boxes) == [True, True, False]  # as suggested
    tab.click("form.relabel label:nth-of-type(1) input")
    tab.click("form.relabel label:nth-of-type(3) input")
    tab.key("Enter")
    assert decided(tab, tmp_path, LabelSets(NAMES)) == {"i10": (0, 1, 1)}


def test_all_labels_can_be_taken_away(tab, tmp_path):
    open_page(tab, tmp_path, labels_page(), "#at=i12")
    tab.key("r")
    tab.run("document.querySelectorAll('form.relabel input').forEach(box => { box.checked = false })")
    tab.click("form.relabel button[type=submit]")
    assert decided(tab, tmp_path, LabelSets(NAMES)) == {"i12": (0, 0, 0)}


def test_suspect_labels_are_taken_over_with_a_click(tab, tmp_path):
    open_page(tab, tmp_path, labels_page(), "#view=suspects")
    assert "4 labels that differ from “suggested”" in tab.run("document.getElementById('count').textContent")
    tab.click(".suspect [data-act=relabel]")
    assert set(decided(tab, tmp_path, LabelSets(NAMES)).values()) == {(1, 1, 0)}


def test_quantities_have_a_field_each_that_holds_the_measured_value(tab, tmp_path):
    open_page(tab, tmp_path, numbers_page(), "#view=suspects")
    assert views(tab) == ["Cards", "Table", "Suspects"]
    first = "document.querySelector('.suspect').textContent"
    assert "5.571; 1e+09→5.821; 1e+09" in tab.run(first)
    assert "residual 0.25" in tab.run(first)
    assert "10 times too large" in tab.run(first)
    tab.click(".suspect [data-act=relabel]")
    fields = "[...document.querySelectorAll('form.relabel input')].map(f => f.value)"
    assert tab.run(fields) == ["5.5714288", "1000000039"]  # a prediction does not replace what was measured
    tab.write("form.relabel input", "0.55")
    tab.key("Enter")
    assert decided(tab, tmp_path, Quantities(["a", "b"])) == {"i39": (0.55, 1000000039.0)}


def test_an_empty_field_is_no_number(tab, tmp_path):
    open_page(tab, tmp_path, numbers_page(), "#at=i3")
    tab.key("r")
    tab.run("document.querySelector('form.relabel input').value = ''")
    tab.click("form.relabel button[type=submit]")
    assert tab.run("document.querySelector('form.relabel') !== null")
    assert tab.run("document.getElementById('marked').textContent") == "0"


def test_without_a_contradicted_label_there_is_no_view_of_suspects(tab, tmp_path):
    open_page(tab, tmp_path, numbers_page(wrong=0.0))
    assert views(tab) == ["Cards", "Table"]
