"""The table of examples that a page shows, and what its columns mean to the page."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Column:
    """A column of the table of examples."""

    name: str
    meaning: str  # shown beside every value: what it is, its unit and range
    values: np.ndarray  # (N,) numbers (NaN is missing), bools or text ("" is missing)
    separator: str = ""  # of a text that lists several values: each value has its own bar


@dataclass(frozen=True)
class Roles:
    """Names of the columns that the page uses in a special way; empty where there is none.

    The page has a view of the duplicates where a `group` has several examples, of label suspects where there is
    `suspect` and another label is `suggested` for an example, of confusions where there are `label` and `suggested` of
    classes. With `wrong`, it shows a table of confusions beside the gallery.
    """

    id: str  # text, different for each example: what decisions.csv names
    label: str = ""  # name of the class as given
    suggested: str = ""  # name of the class that a model or the neighbours suggest
    suspect: str = ""  # number, high for a label that looks wrong
    group: str = ""  # text, equal for duplicates
    wrong: str = ""  # yes or no: `suggested` is not `label`
    order: str = ""  # number: at first the page is sorted by it, the largest first
    caption: str = ""  # below each picture at first; else the label
    residual: str = ""  # number: of a quantity, shown in place of its suspicion
    doubt: str = ""  # text, empty for most: what may be wrong, shown there too
    guarded: str = ""  # yes or no: a decision about it comes with a warning, which is the meaning of the column


def count_rows(columns: Sequence[Column], roles: Roles) -> int:
    """The number of examples.

    Raises ValueError when columns differ in length, share a name, or a role names no column.
    """
    names = [c.name for c in columns]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"more than one column is called {', '.join(repeated)}")
    for role, name in vars(roles).items():
        if name and name not in names:
            raise ValueError(f"the role {role} names no column: {name!r}; the columns are {', '.join(names)}")
    lengths = {len(c.values) for c in columns}
    if len(lengths) != 1:
        raise ValueError(f"columns of different lengths: { {c.name: len(c.values) for c in columns} }")
    return lengths.pop()
