"""Texts and feature columns in the audit: planted oddities are measured, clean ones are left in peace."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipe.stages.audit import tables, texts

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
