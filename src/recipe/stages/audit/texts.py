"""Texts: statistics of each one, and near copies."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

SHINGLE = 5  # characters
ALIKE = 0.7  # Jaccard similarity of shingles; one short word changed in a sentence of ten words leaves 0.75 to 0.9
WORD = re.compile(r"\w+(?:'\w+)?")
MEANINGS = {
    "characters": "length in characters",
    "words": "number of words",
    "rare_words": "share of its words that no other example contains; 0 to 1",
    "odd_characters": "share of control, private-use, unassigned and replacement characters; 0 to 1",
    "non_ascii": "share of characters outside ASCII; 0 to 1",
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
        "upper_case": [_share(sum(map(str.isupper, text)), sum(map(str.isalpha, text))) for text in texts],
        "digits": [_share(sum(map(str.isdigit, text)), len(text)) for text in texts],
    }
    return {name: np.array(columns[name], np.float32) for name in MEANINGS}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _odd(character: str) -> bool:
    return character == "\ufffd" or (character not in "\t\n\r" and unicodedata.category(character) in ODD)


def copies(texts: Sequence[str]) -> list[tuple[int, int, float, str]]:
    """(a, b, similarity, kind) of texts that differ a little; a < b, without the pairs of equal texts.

    kind: `case, blanks or signs` where the words are the same, `digits` where only digits of the words differ, else
    `near`, by the Jaccard similarity of character shingles (Broder 1997) among texts that share a rare shingle.
    """
    plain = [" ".join(words(text)) for text in texts]
    pairs: dict[tuple[int, int], tuple[float, str]] = {}
    for kind, key in (("case, blanks or signs", plain), ("digits", [re.sub(r"\d", "0", text) for text in plain])):
        for rows in _same(key):
            for a, b in pairwise(rows):
                if texts[a] != texts[b]:
                    pairs.setdefault((a, b), (1.0, kind))
    shingles = [{text[i : i + SHINGLE] for i in range(max(1, len(text) - SHINGLE + 1))} for text in plain]
    holders: defaultdict[str, list[int]] = defaultdict(list)
    for row, each in enumerate(shingles):
        for shingle in each:
            holders[shingle].append(row)
    for row, each in enumerate(shingles):
        # prefix filter (Bayardo et al. 2007): texts so similar share one of their rarest shingles
        rarest = sorted(each, key=lambda s: (len(holders[s]), s))[: len(each) - int(np.ceil(ALIKE * len(each))) + 1]
        others = {other for shingle in rarest if len(holders[shingle]) <= 200 for other in holders[shingle]}
        for other in sorted(o for o in others if o > row and plain[o] != plain[row]):
            least, most = sorted((len(each), len(shingles[other])))
            if least < ALIKE * most:
                continue
            similarity = _share(len(each & shingles[other]), len(each | shingles[other]))
            if similarity >= ALIKE and least >= 4 * SHINGLE:  # short texts are similar by chance
                pairs.setdefault((row, other), (similarity, "near"))
    return [(a, b, *pairs[a, b]) for a, b in sorted(pairs)]


def _same(keys: Sequence[str]) -> list[list[int]]:
    """The rows of each key that occurs more than once; empty keys aside."""
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        if key:
            rows[key].append(row)
    return [same for same in rows.values() if len(same) > 1]
