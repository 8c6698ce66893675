"""docs/configuration.md: up to date, and every key of conf/ with type, default and comment."""

from pathlib import Path

import pytest

from recipe.config import reference

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_reference_is_up_to_date():
    committed = (ROOT / reference.PAGE).read_text(encoding="utf-8")
    assert committed == reference.page(ROOT), "run: python -m recipe.config.reference"


TEXT = """\
# What it is,
# in two lines.
defaults: [base, _self_]

first: 1   # one; with # inside
# above
# second
second: {a: 1.0e-3, b: [x, y]}  # a row of its own
third:     # a mapping
  deep: null   # of third
               # which goes on
  plain: word
list:
  - one  # not a key
  # nor this
after: "a # in quotes"
"""


def test_comments_belong_to_their_keys():
    intro, lines = reference.read(TEXT)
    assert intro == "What it is, in two lines."
    assert [tuple(line) for line in lines] == [
        ("first", "1", "one; with # inside"),
        ("second", "{a: 1.0e-3, b: [x, y]}", "above second a row of its own"),
        ("third", "", "a mapping"),
        ("third.deep", "null", "of third which goes on"),
        ("third.plain", "word", ""),
        ("list", "1 entries", ""),
        ("after", '"a # in quotes"', ""),
    ]


@pytest.mark.parametrize(
    "row",
    [
        "| `train.epochs` | a number | above 0 | `20` |",
        "| `halving` | a mapping or null |  |  |",
        "| `halving.factor` | a number | above 1 | `4` |",
        "| `rare` | text | ask, drop, train | `ask` |",
        "| `shares` | a list (a number each) | above 0 and at most 1 | `[0.125, 0.25, 0.5]` |",
        "| `size` | a whole number or a list (a whole number each) or null | at least 1 | `64` |",
    ],
)
def test_a_row_says_type_bounds_and_default(row):
    assert row in reference.page(ROOT)
