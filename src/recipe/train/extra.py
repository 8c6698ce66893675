"""A second source of examples, foreign or synthetic, in place of a share of those of each training batch.

Recipe 4, creative augmentation; domain randomisation (Tobin et al. 2017). Validation and test are real examples alone.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from recipe.errors import RecipeError
from recipe.rng import generator


@dataclass(frozen=True)
class Extra:
    """What conf/augment/extra.yaml names; recipe.experiment.extra_examples reads `data`, and a lane mixes it in.

    data: a data set with the same names of classes. share: of the examples of a batch, each drawn by itself. As an
    augmentation among others it leaves an image as it is.
    """

    data: Any = field(default=None, compare=False, repr=False)
    share: float = 0.5
    draws: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise RecipeError(f"conf/augment: Extra has `share: {self.share}`, which must be from 0 to 1.")

    def on_batch(self, x: Tensor, u: Tensor) -> Tensor:
        return x


@dataclass(frozen=True, eq=False)
class ExtraExamples:
    """x: (E, ...) as the real examples enter the net, on their device; y: (E,) class numbers."""

    x: Tensor
    y: Tensor
    share: float

    def mixed(self, x: Tensor, y: Tensor, seed: int, step: int) -> tuple[Tensor, Tensor]:
        """A batch x (B, ...) and y (B,), or probabilities (B, K), with a share of it replaced; new tensors.

        Which examples, and by which, depends on the seed and on the number of the step alone.
        """
        draw = generator(seed, "extra", step)
        replaced = torch.rand(len(x), generator=draw) < self.share
        by = torch.randint(len(self.x), (len(x),), generator=draw)[replaced].to(x.device)
        at = replaced.nonzero()[:, 0].to(x.device)
        targets = self.y[by] if y.ndim == 1 else F.one_hot(self.y[by], y.shape[1]).to(y.dtype)
        return x.index_copy(0, at, self.x[by]), y.index_copy(0, at, targets)
