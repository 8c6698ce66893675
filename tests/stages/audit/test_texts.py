"""Texts and feature columns in the audit: planted oddities are measured, clean ones are left in peace."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipe.stages.audit import near_texts, tables, texts
from recipe.stages.audit.shortcuts import sentence
from recipe.stages.audit.single_words import word_shortcut
from recipe.tasks.classification import Classification
from recipe.tasks.multilabel import Multilabel
from recipe.tasks.regression import Regression

LINES = [
    "Free entry in a weekly competition, text WIN to 80086 now",
    "I will be home at seven and then we can cook together",
    "The meeting about the new school has been moved to Friday",
    "Did you see the match last night? What a goal that was",
    "Please call our service team on 0800 100 200 before noon",
]


def row(name: str, text: str) -> float:
    return texts.statistics([*LINES, text])[name][-1]


def test_statistics_of_texts():
    assert row("characters", "four") == 4
    assert row("words", "one two  three") == 3
    assert row("rare_words", "the zebra") == 0.5  # `the` occurs elsewhere
    assert row("non_ascii", "größe") == pytest.approx(2 / 5)
    assert row("upper_case", "AbcD") == 0.5
    assert row("other_script", "ok привет") == pytest.approx(6 / 8)
    assert row("other_script", "größer! 42") == 0
    assert row("digits", "a1b2") == 0.5
    assert row("odd_characters", "ab\ufffd\x00") == 0.5
    assert row("odd_characters", "a\tb\n") == 0


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(), min_size=1, max_size=8))
def test_any_texts_can_be_measured(some):
    measured = texts.statistics(some)
    assert list(measured) == list(texts.MEANINGS)
    assert all(np.isfinite(column).all() and len(column) == len(some) for column in measured.values())
    texts.copies(some)


@pytest.mark.parametrize(
    ("copy", "kind"),
    [
        ("free entry in a weekly competition  text win to 80086 NOW!", "case, blanks or signs"),
        ("Free entry in a weekly competition, text WIN to 80011 now", "digits"),
        ("Free entry in our weekly competition, text WIN to 80086 now", "near"),
    ],
)
def test_copies_are_detected_and_their_difference_is_named(copy, kind):
    copies = texts.copies([*LINES, copy])
    assert [(a, b, k) for a, b, _, k in copies] == [(0, 5, kind)]


def test_texts_of_one_kind_are_no_copies():
    animals = [("ants", "bees", "river"), ("cats", "dogs", "gate"), ("owls", "mice", "barn"), ("elk", "wolves", "lake")]
    lines = [f"On day {n} we saw {a} and {b} by the {c}" for n, (a, b, c) in enumerate(animals)]
    assert texts.copies([*LINES, *lines, "ok", "ok?no", "yes"]) == []


# ---- feature columns -----------------------------------------------------------------------------------------------


def test_rows_with_missing_and_extreme_values():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 3)) * [1, 100, 0.01]
    values[3, 1], values[4, 0], values[5, 2] = np.nan, np.inf, 5.0
    measured = tables.statistics(values, ["a", "b", "c"])
    assert measured["missing"][3] == pytest.approx(1 / 3)
    assert measured["missing"].sum() == pytest.approx(1 / 3)
    assert np.flatnonzero(~measured["finite"]).tolist() == [4]
    assert measured["extreme"].argmax() == 5
    assert measured["extreme_column"][5] == "c"


def test_columns_that_say_nothing_are_named():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 100))
    values = np.stack([a, np.full(100, 3.0), b, a, np.arange(100) * 7.0, np.where(b > 1, np.nan, b)], 1)
    problems = tables.column_problems(values, ["a", "still", "b", "again", "key", "gaps"])
    assert (problems.constant, problems.equal, problems.identifiers) == (["still"], [("a", "again")], ["key"])
    assert problems.missing == {"gaps": pytest.approx((b > 1).mean())}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.floats(width=32), min_size=3, max_size=3), min_size=1, max_size=20))
def test_any_numbers_can_be_measured(rows):
    values = np.array(rows, np.float32)
    measured = tables.statistics(values, ["a", "b", "c"])
    assert list(measured) == list(tables.MEANINGS)
    tables.column_problems(values, ["a", "b", "c"])


def test_near_copies_of_many_texts_are_those_of_few(monkeypatch):
    draw = np.random.default_rng(0)
    words = ["".join(draw.choice(list("abcdefghij"), 6)) for _ in range(300)]
    made = [list(draw.choice(words, 12)) for _ in range(150)]
    made += [[*each[:place], "changed", *each[place + 1 :]] for each, place in zip(made[:60], range(60), strict=True)]
    lines = [" ".join(each) for each in made]
    all_pairs = list(near_texts.near_pairs(lines))
    assert 55 <= len(all_pairs) <= 60
    monkeypatch.setattr(near_texts, "EXACT", 0)
    assert list(near_texts.near_pairs(lines)) == all_pairs


def test_a_minhash_signature_estimates_the_similarity():
    a, b = "the quick brown fox jumps over the lazy dog again", "the quick brown fox jumps over the lazy cat again"
    shingles = [{t[i : i + 5] for i in range(len(t) - 4)} for t in (a, b)]
    true = len(shingles[0] & shingles[1]) / len(shingles[0] | shingles[1])
    equal = (near_texts.signature(a) == near_texts.signature(b)).mean()
    assert equal == pytest.approx(true, abs=0.15)
    assert near_texts.signature("").shape == near_texts.signature(a).shape


def test_the_word_that_says_the_class_or_the_quantity_is_named():
    draw = np.random.default_rng(0)
    y = draw.integers(0, 2, 300)
    lines = [f"{'Win' if c and i % 10 else 'see'} you {draw.integers(50)} today" for i, c in enumerate(y)]
    best = word_shortcut(lines, y, Classification(("ham", "spam")))
    assert (best.name, best.target) in {("win", 0), ("win", 1), ("see", 0), ("see", 1)}
    assert best.value == pytest.approx(0.9, abs=0.03)
    assert "The most predictive single word is the word `" in sentence(best, Classification(("ham", "spam")))
    assert "its presence identifies class" in sentence(best, Classification(("ham", "spam")))
    quantities = y[:, None] * 10.0 + draw.normal(size=(300, 1))
    assert word_shortcut(lines, quantities, Regression(("price",))).name in ("win", "see")
    assert word_shortcut(lines, np.stack([y, 1 - y], 1), Multilabel(("a", "b"))).value == pytest.approx(0.9, abs=0.03)


def test_no_word_is_named_where_none_is_common_or_none_says_anything():
    task, y = Classification(("a", "b")), np.arange(200) % 2
    assert word_shortcut([f"w{i}" for i in range(200)], y, task).value == 0
    assert sentence(word_shortcut([""] * 200, y, task), task) == ""
    some = [f"w{i} {'x' if (i // 2) % 2 else 'z'}" for i in range(200)]
    assert word_shortcut(some, y, task).value < 0.05
