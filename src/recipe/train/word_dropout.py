"""The augmentation of texts: some of their words are unknown."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from recipe.errors import RecipeError
from recipe.train.image_ops import Strength

UNKNOWN = 1  # numbers up to it are padding and unknown words (data.tokens)


@dataclass(frozen=True)
class WordDropout:
    """Makes a share of the words of each text unknown, so that no single word decides.

    Bowman et al. 2016, Generating sentences from a continuous space. It also trains the vector of unknown words, which
    new texts have more of. length: the tokens of an encoded text; experiment.build sets it.
    """

    share: Strength = 0.1
    length: int = 0
    of_tokens: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.share, Tensor) and not 0 <= self.share <= 1:
            raise RecipeError(f"conf/augment: WordDropout has `share: {self.share}`, which must be from 0 to 1.")

    @property
    def draws(self) -> int:
        return self.length

    def on_batch(self, x: Tensor, u: Tensor) -> Tensor:
        """x (N, L) int64, u (L, N) in [0, 1)."""
        dropped = (u < self.share).T & (x > UNKNOWN)
        return torch.where(dropped, UNKNOWN, x)
