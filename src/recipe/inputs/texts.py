"""Texts: strings; as tokens (L,) they enter a network."""

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Texts:
    name: str = "text"
    plural: str = "texts"
    axes: tuple[str, ...] = ()
    has_pixels: bool = False
    has_columns: bool = False

    def choose(self, *, images: T, features: T, texts: T) -> T:
        return texts

    @property
    def impossible(self) -> dict[str, str]:
        return {
            "train.quantiles": "the inputs are not columns of a table",
            "train.mixup": "words cannot be mixed",
            "train.input_size": "the inputs are not images",
            "model.dropout2d": "the inputs are not images",
        }
