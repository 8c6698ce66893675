"""Words of the training texts: what is learned, what is cut, what is unknown, and what comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipe.data.tokens import PADDING, UNKNOWN, Words
from recipe.errors import RecipeError

TEXTS = ["A cat, a dog.", "The cat's away", "a cat runs"]


def test_words_that_are_in_too_few_texts_are_unknown():
    fitted = Words(least=2).fit(TEXTS)
    assert fitted.words == ("a", "cat")  # `a` is twice in the first text, and in two texts
    assert fitted.encode(["a bird, a cat"]).tolist() == [[2, UNKNOWN, UNKNOWN, 2, 3, PADDING][: fitted.length]]
    assert fitted.size == 4


def test_the_commonest_words_are_kept():
    assert Words(least=1, most=2).fit(TEXTS).words == ("a", "cat")


def test_the_length_is_that_of_the_longest_training_text_and_longer_ones_are_cut():
    fitted = Words(least=1).fit(TEXTS)
    assert fitted.length == 6
    assert fitted.encode(["a " * 9, ""]).tolist() == [[2] * 6, [PADDING] * 6]


def test_case_counts_where_it_is_asked_to():
    assert Words(least=1, lowercase=False).fit(["No no NO"]).size == 5
    assert Words(least=1).fit(["No no NO"]).size == 3


def test_what_the_network_sees_comes_back():
    fitted = Words(least=1).fit(TEXTS)
    assert fitted.decode(fitted.encode(["The bird, a dog"])[0]) == "the … , a dog"


def test_facts_build_the_same():
    fitted = Words(least=1).fit(TEXTS)
    facts = fitted.facts()
    again = Words(length=facts["length"], lowercase=facts["lowercase"], words=tuple(facts["words"]))
    assert again.encode(TEXTS).equal(fitted.encode(TEXTS))


def test_texts_without_a_word_are_a_message():
    with pytest.raises(RecipeError, match="none of the 2 training texts has a word"):
        Words().fit(["", "  "])


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5), st.lists(st.text(max_size=30), max_size=5))
def test_any_text_becomes_numbers_of_the_vocabulary(train, others):
    try:
        fitted = Words(least=1).fit(train)
    except RecipeError:
        return
    rows = fitted.encode(others)
    assert rows.shape == (len(others), fitted.length)
    if len(others):
        assert 0 <= rows.min() <= rows.max() < fitted.size
