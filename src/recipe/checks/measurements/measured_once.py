"""A measurement of a Setup is made once, for all claims that need it."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from recipe.checks.setup import Setup

P = ParamSpec("P")
T = TypeVar("T")


def measured_once(measure: Callable[Concatenate[Setup, P], T]) -> Callable[Concatenate[Setup, P], T]:
    """Keeps the results of `measure(setup, *arguments)` in the Setup. The arguments must be hashable."""

    @wraps(measure)
    def measured(s: Setup, *args: P.args, **kwargs: P.kwargs) -> T:
        key = (measure, args, tuple(kwargs.items()))
        if key not in s.measured:
            s.measured[key] = measure(s, *args, **kwargs)
        return s.measured[key]

    return measured


def hand_over(measurement: Callable, source: Setup, target: Setup) -> None:
    """Gives the results of one measurement to another Setup, for which they hold as well."""
    measure: Any = measurement.__wrapped__  # type: ignore[attr-defined]  # set by `wraps`
    target.measured.update({key: result for key, result in source.measured.items() if key[0] is measure})
