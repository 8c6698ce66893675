"""The contract of a kind of input: all that differs between images, rows of features and texts, in one object.

The source chooses it by its `kind`, and store.json holds its name; a frozen network makes embeddings of it.
"""

from typing import Protocol, TypeVar

T = TypeVar("T")


class Inputs(Protocol):
    """Implemented by the modules beside this one."""

    @property
    def name(self) -> str:
        """image, features or text: the word of a source and of store.json; of what is never stored: embedding."""

    @property
    def plural(self) -> str:
        """As in a sentence."""

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes of one stored input; none where it is no array."""

    def choose(self, *, images: T, features: T, texts: T) -> T:
        """The one of three that is for this kind: where a stage reads, measures, writes or draws something else for
        each."""

    @property
    def impossible(self) -> dict[str, str]:
        """Dotted keys of a config that inputs of this kind cannot have, with the reason."""

    @property
    def has_pixels(self) -> bool:
        """An input is a picture: (C, H, W)."""

    @property
    def has_columns(self) -> bool:
        """An input is a row of named numbers (F,), of which some may be missing."""
