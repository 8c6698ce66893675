"""Images: (C, H, W), all of one size; bytes from 0 to 255, or numbers from 0 to 1."""

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
