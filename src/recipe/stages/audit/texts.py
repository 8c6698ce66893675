"""Texts: statistics of each one, and near copies."""

import functools
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from recipe.stages.audit.near_texts import near_pairs

WORD = re.compile(r"\w+(?:'\w+)?")
MEANINGS = {
    "characters": "length in characters",
    "words": "number of words",
    "rare_words": "share of its words that no other example contains; 0 to 1",
    "odd_characters": "share of control, private-use, unassigned and replacement characters; 0 to 1",
    "non_ascii": "share of characters outside ASCII; 0 to 1",
    "other_script": "share of its letters that are of another script than most letters of the data set; 0 to 1",
    "upper_case": "share of its letters that are upper case; 0 to 1",
    "digits": "share of characters that are digits; 0 to 1",
}
ODD = {"Cc", "Cf", "Co", "Cs", "Cn"}  # Unicode general categories


def words(text: str) -> list[str]:
    return WORD.findall(text.casefold())


def statistics(texts: Sequence[str]) -> dict[str, np.ndarray]:
    """A column per name in MEANINGS."""
    tokens = [words(text) for text in texts]
    holders = Counter(word for each in tokens for word in set(each))
    odd = [sum(_odd(c) for c in text) for text in texts]
    columns = {
        "characters": [len(text) for text in texts],
        "words": [len(each) for each in tokens],
        "rare_words": [_share(sum(holders[w] == 1 for w in each), len(each)) for each in tokens],
        "odd_characters": [_share(n, len(text)) for n, text in zip(odd, texts, strict=True)],
        "non_ascii": [_share(sum(ord(c) > 127 for c in text), len(text)) for text in texts],
        "other_script": _other_script(texts),
        "upper_case": [_share(sum(map(str.isupper, text)), sum(map(str.isalpha, text))) for text in texts],
        "digits": [_share(sum(map(str.isdigit, text)), len(text)) for text in texts],
    }
    return {name: np.array(columns[name], np.float32) for name in MEANINGS}


def _other_script(texts: Sequence[str]) -> list[float]:
    """The share of each text's letters that are of another script than the commonest one of all."""
    scripts = [Counter(filter(None, map(_script, text))) for text in texts]
    (common, _), *_ = sum(scripts, Counter()).most_common(1) or [("", 0)]
    return [_share(each.total() - each[common], each.total()) for each in scripts]


@functools.cache
def _script(character: str) -> str:
    """`LATIN`, `CYRILLIC`, `CJK`, ...: the first word of a letter's name in Unicode; empty for other characters."""
    return unicodedata.name(character, "").split(" ", 1)[0] if character.isalpha() else ""


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _odd(character: str) -> bool:
    return character == "\ufffd" or (character not in "\t\n\r" and unicodedata.category(character) in ODD)


def copies(texts: Sequence[str]) -> list[tuple[int, int, float, str]]:
    """(a, b, similarity, kind) of texts that differ a little; a < b, without the pairs of equal texts.

    kind: `case, blanks or signs` where the words are the same, `digits` where only digits of the words differ, else
    `near`, by the Jaccard similarity of character shingles.
    """
    plain = [" ".join(words(text)) for text in texts]
    pairs: dict[tuple[int, int], tuple[float, str]] = {}
    for kind, key in (("case, blanks or signs", plain), ("digits", [re.sub(r"\d", "0", text) for text in plain])):
        for rows in _same(key):
            for a, b in pairwise(rows):
                if texts[a] != texts[b]:
                    pairs.setdefault((a, b), (1.0, kind))
    for a, b, similarity in near_pairs(plain):
        pairs.setdefault((a, b), (similarity, "near"))
    return [(a, b, *pairs[a, b]) for a, b in sorted(pairs)]


def _same(keys: Sequence[str]) -> list[list[int]]:
    """The rows of each key that occurs more than once; empty keys aside."""
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        if key:
            rows[key].append(row)
    return [same for same in rows.values() if len(same) > 1]
