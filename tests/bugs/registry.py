"""`@bug` puts a broken set-up into the catalogue."""

from collections.abc import Callable
from dataclasses import dataclass

from recipe.checks.setup import Setup

CATALOGUE: dict[str, "Bug"] = {}


@dataclass(frozen=True)
class Bug:
    """name: B01...; what: one line; gates: checks that must notice it, and whose name or hint points at the cause."""

    name: str
    what: str
    source: str
    gates: tuple[str, ...]
    setup: Callable[[int], Setup]


def bug(name: str, source: str, *gates: str):
    def wrap(function):
        CATALOGUE[name] = Bug(name, " ".join(function.__doc__.split()), source, gates, function)
        return function

    return wrap
