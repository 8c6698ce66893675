"""Every kind of problem has its check, its words and the place where it stands."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipe.checks import prepare as claims
from recipe.checks.verdict import checks_of
from recipe.data.prepare import HINTS
from recipe.data.problems import CLASS_ALIKE, CLASS_SPELLING, odd_name, shown, spelt


def test_every_kind_of_problem_closes_or_notes_exactly_one_check():
    for kind in HINTS:
        failed = [c for c, f in checks_of(claims).items() if not f(claims.Reading({kind: 1}, 0, 0)).ok]
        assert len(failed) == 1, (kind, failed)


@pytest.mark.parametrize(
    ("names", "kinds"),
    [
        (["cat", "Cat "], [CLASS_SPELLING]),
        (["guinea pig", "guinea_pig", "Guinea-Pig"], [CLASS_SPELLING] * 2),
        (["caf\u00e9", "cafe\u0301"], [CLASS_SPELLING]),  # one accent, in two forms
        (["cat", "cats"], [CLASS_ALIKE]),
        (["bus", "glass", "gas", "0", "0s", "dog"], []),
    ],
)
def test_classes_in_two_spellings_are_told_with_both_places(names, kinds):
    found = list(spelt({name: f"line {n}" for n, name in enumerate(names)}))
    assert [p.kind for p in found] == kinds
    assert all("line 0" in p.detail for p in found)


@given(st.binary(max_size=20))
def test_any_name_can_be_shown(name):
    text = shown(os.fsdecode(name))
    assert text.encode().decode() == text
    assert text.isprintable()


def test_odd_names_are_told_apart_from_plain_ones():
    assert not any(odd_name(name) for name in ("a/b-1_2.JPG", "a b.jpg", "a .jpg/b"))
    assert all(odd_name(name) for name in (" a.jpg", "\u00e4.jpg", "a\n.jpg", "a:b", "a/b /c.png"))
