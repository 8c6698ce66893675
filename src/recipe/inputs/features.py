"""Rows of features: (F,) numbers with names, NaN where one is missing."""

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Features:
    name: str = "features"
    plural: str = "rows of features"
    axes: tuple[str, ...] = ("features",)
    has_pixels: bool = False
    has_columns: bool = True

    def choose(self, *, images: T, features: T, texts: T) -> T:
        return features

    @property
    def impossible(self) -> dict[str, str]:
        return {"train.input_size": "the inputs are not images", "model.dropout2d": "the inputs are not images"}
