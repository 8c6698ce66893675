"""Texts as rows of numbers: the words of the training split, in the order of a text.

A vocabulary that saw validation or test would know words that a new text need not have, so it is learned from training
texts alone. Words that occur there less than `least` times are unknown, as new words are: with 1 the number of unknown
words would never be trained, and validation would meet it untrained.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from recipe.errors import RecipeError
from recipe.inputs.embeddings import NOTHING

PADDING, UNKNOWN = 0, 1  # numbers of no word; the first word has 2
WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")  # words with their apostrophes, and each other sign


class Tokenizer(Protocol):
    """What makes rows of numbers of texts; fitted to the training texts."""

    @property
    def size(self) -> int:
        """Numbers that an encoded text may hold: 0 to size - 1, PADDING and UNKNOWN among them."""

    def fit(self, texts: Sequence[str]) -> "Tokenizer":
        """Fitted to training texts."""

    def encode(self, texts: Sequence[str]) -> Tensor:
        """(N, L) int64, PADDING after the end of a text; L is that of every split."""

    def decode(self, row: Tensor) -> str:
        """What of a text (L,) the network sees."""

    def facts(self) -> dict[str, Any]:
        """What a saved system holds to build it again, as plain data."""

    @classmethod
    def of_facts(cls, facts: dict[str, Any]) -> "Tokenizer":
        """The fitted tokenizer of these facts."""


@dataclass(frozen=True)
class Words:
    """A number for each word of the training texts.

    least: training texts that a word is in, below which it is unknown. most: words in the vocabulary, the commonest.
    length: words of a text at which it is cut; None: those of the longest training text, LONGEST at most.
    """

    LONGEST = 512

    least: int = 2
    most: int = 20_000
    length: int | None = None
    lowercase: bool = True
    words: tuple[str, ...] = ()
    number: dict[str, int] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        self.number.update({word: i for i, word in enumerate(self.words, UNKNOWN + 1)})

    @property
    def size(self) -> int:
        return UNKNOWN + 1 + len(self.words)

    def split(self, text: str) -> list[str]:
        return WORD.findall(text.lower() if self.lowercase else text)

    def fit(self, texts: Sequence[str]) -> "Words":
        """Raises RecipeError where no training text has a word."""
        split = [self.split(text) for text in texts]
        found = Counter(word for words in split for word in set(words))
        common = sorted((w for w, n in found.items() if n >= self.least), key=lambda w: (-found[w], w))[: self.most]
        if not found:
            raise RecipeError(
                f"none of the {len(texts):,} training texts has a word: see the texts in the audit's page."
            )
        length = self.length or min(self.LONGEST, max(map(len, split)))
        return Words(self.least, self.most, length, self.lowercase, tuple(common))

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """How many words each text has."""
        return [len(self.split(text)) for text in texts]

    def encode(self, texts: Sequence[str]) -> Tensor:
        rows = torch.full((len(texts), self.length or 0), PADDING)
        for row, text in zip(rows, texts, strict=True):
            numbers = [self.number.get(word, UNKNOWN) for word in self.split(text)[: self.length]]
            row[: len(numbers)] = torch.tensor(numbers, dtype=torch.long)
        return rows

    def decode(self, row: Tensor) -> str:
        """Words with spaces between them; `…` for an unknown one."""
        return " ".join("…" if n == UNKNOWN else self.words[n - 2] for n in row.tolist() if n != PADDING)

    def facts(self) -> dict[str, Any]:
        return {"length": self.length, "lowercase": self.lowercase, "words": list(self.words)}

    @classmethod
    def of_facts(cls, facts: dict[str, Any]) -> "Words":
        words = tuple(map(str, facts["words"]))
        return cls(length=int(facts["length"]), lowercase=bool(facts["lowercase"]), words=words)


def tokens_of(facts: Mapping[str, Any], texts: Sequence[str]) -> Tensor:
    """(N, L) int64: the tokens that a pretrained network reads of texts, NOTHING after the end of each. facts:
    recipe.models.encoder.Encoder.facts."""
    import tokenizers  # here: it is optional

    tokenizer = tokenizers.Tokenizer.from_str(facts["tokenizer"])
    ids = [encoded.ids for encoded in tokenizer.encode_batch(list(texts))]
    length = max(map(len, ids), default=0)
    return torch.tensor([[*each, *([NOTHING] * (length - len(each)))] for each in ids], dtype=torch.long)
