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
