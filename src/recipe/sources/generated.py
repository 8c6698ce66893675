"""Images that a function draws: domain randomisation."""

from collections.abc import Callable, Sequence

import numpy as np

from recipe.errors import RecipeError
from recipe.rng import key

Draw = Callable[[str, np.random.Generator, int], np.ndarray]


class Generated:
    """`each` images of each class, drawn by `draw(class, generator of random numbers, side)`.

    draw: gives (side, side) or (side, side, 3) bytes; conf names it with `_partial_: true`. An image depends on seed,
    class and number alone, so that it is the same whenever it is drawn.
    """

    def __init__(self, draw: Draw, classes: Sequence[str], each: int = 100, size: int = 32, seed: int = 0):
        if not callable(draw):
            raise RecipeError("`draw` needs the line `_partial_: true` below its `_target_`.")
        if each < 1 or size < 1:
            raise RecipeError(f"`each: {each}` and `size: {size}` must be at least 1.")
        self.draw, self.classes, self.each, self.size, self.seed = draw, [str(c) for c in classes], each, size, seed

    def __len__(self) -> int:
        return self.each * len(self.classes)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        label, number = divmod(index, self.each)
        name = self.classes[label]
        return self.draw(name, np.random.default_rng(key(self.seed, "generated", name, number)), self.size), label
