"""Images: (C, H, W), all of one size; bytes from 0 to 255, or numbers from 0 to 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Images:
    name: str = "image"
    plural: str = "images"
    axes: tuple[str, ...] = ("channels", "height", "width")
    has_pixels: bool = True
    has_columns: bool = False

    def choose(self, *, images: T, features: T, texts: T) -> T:
        return images

    @property
    def impossible(self) -> dict[str, str]:
        return {"train.quantiles": "the inputs are not columns of a table"}


def share_of_size(size: Sequence[int], trained_with: Sequence[int]) -> float:
    """Height and width of images as a share of those that a network was trained with; the smaller one of the two."""
    return min(side / trained for side, trained in zip(size, trained_with, strict=True))
