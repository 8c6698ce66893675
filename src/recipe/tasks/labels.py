"""The label of one example: as a source gives it, as files hold it, as a person reads and writes it, as a tensor.

A label is a class number, a tuple of 0 and 1 (one for each label of the task), or a tuple of floats (one for each
quantity). In examples.parquet and in the lists of a split a class number is a whole number; the others are a text whose
values are joined by `;`. That text is exact: `parsed` gives what `stored` was given, to the last bit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from recipe.problems import UNKNOWN_LABEL, BadExample, shown

JOINT = ";"
NAMED = 8  # names that a message lists


class LabelForm(Protocol):
    """Of a task: `Task.labels`."""

    @property
    def entry(self) -> str:
        """How a page lets a person enter it: `one` of the names, `any` of them, or a `number` for each."""

    @property
    def meanings(self) -> dict[str, str]:
        """Of the columns `label` and `class` of examples.parquet."""

    def read(self, value: Any) -> Any:
        """The label that a source gives; raises BadExample where it is none."""

    def stored(self, label: Any) -> Any:
        """As examples.parquet and the lists hold it."""

    def parsed(self, stored: Any) -> Any:
        """The inverse of `stored`, whether it was read from parquet or from csv."""

    def shown(self, label: Any) -> str:
        """As a person reads it: the column `class`."""

    def decided(self, text: str) -> Any:
        """The label that a person writes in decisions.csv; raises ValueError that says what may be written."""

    def tensor(self, labels: Sequence[Any]) -> Tensor:
        """What metrics call `actual`: (N,) int64, or (N, K) float64."""


@dataclass(frozen=True)
class ClassNumbers:
    """names: of the classes."""

    names: Sequence[str]
    entry = "one"

    @property
    def meanings(self) -> dict[str, str]:
        return {"label": "class number from the source, before decisions.csv", "class": "name of the class"}

    def read(self, value: Any) -> int:
        label = _scalar(value)
        if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < len(self.names):
            known = _some(self.names) if isinstance(label, str) else f"the whole numbers 0 to {len(self.names) - 1}"
            raise BadExample(UNKNOWN_LABEL, "no label" if label is None else f"label {label!r}; known are {known}")
        return label

    def stored(self, label: int) -> int:
        return label

    def parsed(self, stored: Any) -> int:
        return int(stored)

    def shown(self, label: int) -> str:
        return self.names[label]

    def decided(self, text: str) -> int:
        if text not in self.names:
            raise ValueError(f"no such class; there are {', '.join(self.names)}")
        return list(self.names).index(text)

    def tensor(self, labels: Sequence[int]) -> Tensor:
        return torch.tensor(list(labels), dtype=torch.int64)


@dataclass(frozen=True)
class LabelSets:
    """names: of the labels, of which an example has any number."""

    names: Sequence[str]
    entry = "any"

    @property
    def meanings(self) -> dict[str, str]:
        order = ", ".join(self.names)
        return {
            "label": f"1 where the source gives a label, else 0, joined by `;`, before decisions.csv: {order}",
            "class": "names of the labels of this example, joined by `;`",
        }

    def read(self, value: Any) -> tuple[int, ...]:
        texts = [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else []
        if texts and all(isinstance(text, str) for text in texts):
            raise BadExample(UNKNOWN_LABEL, f"label {JOINT.join(map(str, texts))!r}; known are {_some(self.names)}")
        row = _row(value, self.names)
        for name, entry in zip(self.names, row, strict=True):
            if entry is None or entry != entry:
                raise BadExample(UNKNOWN_LABEL, f"no value for the label `{shown(name)}`")
            if entry not in (0, 1):  # True and 1.0 equal 1
                raise BadExample(UNKNOWN_LABEL, f"the label `{shown(name)}` is {entry!r}, neither 0 nor 1")
        return tuple(int(entry) for entry in row)

    def stored(self, label: Sequence[int]) -> str:
        return JOINT.join(map(str, label))

    def parsed(self, stored: str) -> tuple[int, ...]:
        return tuple(map(int, stored.split(JOINT)))

    def shown(self, label: Sequence[int]) -> str:
        return f"{JOINT} ".join(name for name, on in zip(self.names, label, strict=True) if on)

    def decided(self, text: str) -> tuple[int, ...]:
        given = [name.strip() for name in text.split(JOINT) if name.strip()]
        if unknown := [name for name in given if name not in self.names]:
            raise ValueError(f"no label `{unknown[0]}`; there are {', '.join(self.names)}, joined by `{JOINT}`")
        return tuple(int(name in given) for name in self.names)

    def tensor(self, labels: Sequence[Sequence[int]]) -> Tensor:
        return _rows(labels, self.names)


@dataclass(frozen=True)
class Quantities:
    """names: of the quantities."""

    names: Sequence[str]
    unit: str = ""
    entry = "number"

    @property
    def meanings(self) -> dict[str, str]:
        unit = f", in {self.unit}" if self.unit else ""
        return {
            "label": f"{', '.join(self.names)}{unit}, joined by `;`, from the source, before decisions.csv",
            "class": "the same to four digits, with its unit",
        }

    def read(self, value: Any) -> tuple[float, ...]:
        row = _row(value, self.names)
        for name, entry in zip(self.names, row, strict=True):
            if entry is None:
                raise BadExample(UNKNOWN_LABEL, f"no value of `{shown(name)}`")
            if isinstance(entry, str | bool) or not isinstance(entry, int | float):
                raise BadExample(UNKNOWN_LABEL, f"`{shown(name)}` is {shown(str(entry))[:40]!r}, which is not a number")
            if not math.isfinite(entry):
                raise BadExample(UNKNOWN_LABEL, f"`{shown(name)}` is {entry}, which is not a finite number")
        return tuple(float(entry) for entry in row)

    def stored(self, label: Sequence[float]) -> str:
        return JOINT.join(map(repr, label))

    def parsed(self, stored: str) -> tuple[float, ...]:
        return tuple(map(float, stored.split(JOINT)))

    def shown(self, label: Sequence[float]) -> str:
        return f"{JOINT} ".join(f"{value:.4g} {self.unit}".rstrip() for value in label)

    def decided(self, text: str) -> tuple[float, ...]:
        try:
            values = self.parsed(text)
        except ValueError:
            values = ()
        if len(values) != len(self.names) or not all(map(math.isfinite, values)):
            many = f" for each of {', '.join(self.names)}, joined by `{JOINT}`" if len(self.names) > 1 else ""
            raise ValueError(f"it must be a number{many}, as in {JOINT.join(['9.5'] * len(self.names))}")
        return values

    def tensor(self, labels: Sequence[Sequence[float]]) -> Tensor:
        return _rows(labels, self.names)


def _scalar(value: Any) -> Any:
    """A number or text of NumPy or torch as Python's."""
    return value.item() if math.prod(getattr(value, "shape", (0,))) == 1 else value


def _row(value: Any, names: Sequence[str]) -> list[Any]:
    """The values of a label, one for each name; raises BadExample where there is another number of them."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if value is None:
        raise BadExample(UNKNOWN_LABEL, "no label")
    row = [_scalar(entry) for entry in value] if isinstance(value, list | tuple) else [value]
    if len(row) != len(names):
        text = shown(str(value))[:40]
        raise BadExample(UNKNOWN_LABEL, f"label {text!r}; it must be {len(names)} values: {_some(names)}")
    return row


def _rows(labels: Sequence[Sequence[float]], names: Sequence[str]) -> Tensor:
    return torch.tensor([list(label) for label in labels], dtype=torch.float64).reshape(len(labels), len(names))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED])
