"""Every kind of problem has its check, its words and the place where it stands."""

import os
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from recipe.problems import CLASS_ALIKE, CLASS_SPELLING, WRITTEN, odd_name, plain_spelling, shown, spelling_problems
from recipe.stages.prepare import checks as claims
from recipe.stages.prepare.write_store import HINTS
from recipe.verdict import checks_of


def test_every_kind_of_problem_closes_or_notes_exactly_one_check():
    for kind in HINTS:
        failed = [c for c, f in checks_of(claims).items() if not f(claims.Reading({kind: 1}, {}, 0)).ok]
        assert len(failed) == 1, (kind, failed)


@pytest.mark.parametrize(
    ("names", "kinds"),
    [
        (["cat", "Cat "], [CLASS_SPELLING]),
        (["guinea pig", "guinea_pig", "Guinea-Pig"], [CLASS_SPELLING] * 2),
        (["caf\u00e9", "cafe\u0301"], [CLASS_SPELLING]),  # one accent, in two forms
        (["cat", "cats"], [CLASS_ALIKE]),
        (["bus", "glass", "gas", "0", "0s", "dog"], []),
        (["-1", "1", "+1", "A", "A-", "A+", "C", "C++", "C#", "+", "-", "0", "-0", "1-2", "12", "1 2"], []),
        (["b-", "-b", "b", "b--", "<5", ">5", "5", "5%", "5\u00b2", "52", "\u2460", "$", "!"], []),
        (["Stra\u00dfe", "STRASSE"], [CLASS_SPELLING]),
        (["cat", "cat\u200b"], [CLASS_SPELLING]),
        (["\u8682\u8681", "\u871c\u8702"], []),
    ],
)
def test_classes_in_two_spellings_are_reported_with_both_places(names, kinds):
    results = list(spelling_problems({name: f"line {n}" for n, name in enumerate(names)}))
    assert [p.kind for p in results] == kinds
    assert all("line 0" in p.detail for p in results)


@given(st.binary(max_size=20))
def test_any_name_can_be_shown(name):
    text = shown(os.fsdecode(name))
    assert text.encode().decode() == text
    assert all(c.isprintable() or c in WRITTEN for c in text)


def test_blanks_and_joiners_that_a_language_writes_are_shown_as_they_are():
    for name in ("\u3042\u3000\u3044", "\u0645\u06cc\u200c\u062e\u0648"):  # of Japanese, of Persian
        assert shown(name) == name
    assert shown("a\u202eb\u200bc\x1b") == r"a\u202eb\u200bc\x1b"


@given(st.text(max_size=8), st.text(max_size=8))
def test_names_that_differ_in_more_than_case_blanks_or_normal_form_are_different(one, other):
    """What is left of a name: every letter, digit and sign but blanks, underscores and dashes between letters."""

    def rest(name: str) -> str:
        name = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        between = [c for c in range(1, len(name) - 1) if name[c - 1].isalpha() and name[c + 1].isalpha()]
        invisible = "_\u00ad\u200b\u2060\ufeff"
        kept = [c for i, c in enumerate(name) if not (i in between and unicodedata.category(c) == "Pd")]
        return "".join(c for c in kept if not c.isspace() and c not in invisible)

    assume(rest(one) != rest(other))
    assert plain_spelling(one) != plain_spelling(other)


@given(st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=6))
def test_a_sign_more_is_another_class_and_a_blank_or_case_more_is_not(name):
    for sign in "+-#!*'":
        assert plain_spelling(name + sign) != plain_spelling(name) != plain_spelling(sign + name)
    assert plain_spelling(f" {name}__") == plain_spelling(name)
    assert plain_spelling(unicodedata.normalize("NFD", name)) == plain_spelling(name)
    assert plain_spelling(name.upper()) == plain_spelling(name.upper().lower())


@pytest.mark.parametrize(
    "name",
    [
        "a/b-1_2.JPG", "a b.jpg", "a .jpg/b", "\u00e4.jpg", "\u8682\u8681/\u7167\u7247 1.png",
        "caf\u00e9 d'\u00e9t\u00e9/1.png", "bees & wasps/(\u043a\u043e\u043f\u0438\u044f) #1%20,'x'.png",
        "a;b$`!~@^{}[]+=.png", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.png",
        "\u3042\u3000\u3044.png", "console/context.png", "com10/lpt.png", ".a.png", "\u2460.png",
    ],
)  # fmt: skip
def test_names_of_any_language_are_plain(name):
    assert odd_name(name) == ""


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("e\u0301.jpg", "decomposed letters"), ("\u304b\u3099/1.png", "decomposed letters"),
        ("a\n.jpg", "invisible character U+000A"), ("a\u200b/1.jpg", "U+200B"), ("\ufeffa.jpg", "U+FEFF"),
        ("a\u202egpj.exe", "U+202E"), ("\udcff.png", "not UTF-8"), ("a/b /c.png", "a blank"), (" a.jpg", "a blank"),
        ("a/b./c.png", "ends with a dot"), ("a:b", "':'"), ("what?.png", "'?'"),
        ("a|b", "'|'"), ("a\\b", "Windows forbids"),
        ("con/1.png", "`con` is a device's name"), ("a/NUL.txt.png", "`NUL.txt.png`"), ("Com1", "`Com1`"),
    ],
)  # fmt: skip
def test_names_that_differ_between_systems_are_odd(name, detail):
    assert detail in odd_name(name)
