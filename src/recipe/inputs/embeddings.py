"""Embeddings: (D,) numbers that a frozen network has computed of an image, without names, none missing.

What enters the network that is trained, never what is stored: the source gave images.
"""

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

NOTHING = -1  # in a row of the tokens that a pretrained network reads, after the end of its text


@dataclass(frozen=True)
class Embeddings:
    name: str = "embedding"
    plural: str = "embeddings"
    axes: tuple[str, ...] = ("features",)
    has_pixels: bool = False
    has_columns: bool = False

    def choose(self, *, images: T, features: T, texts: T) -> T:
        return features

    @property
    def impossible(self) -> dict[str, str]:
        return {
            "train.quantiles": "the inputs are not columns of a table",
            "train.input_size": "the inputs are not images",
            "model.dropout2d": "the inputs are not images",
        }
