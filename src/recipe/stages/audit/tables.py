"""Feature columns: statistics of each row, and columns that are constant, duplicated or identify the row."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recipe.data.expected_repeats import Repeats, count_repeats

MEANINGS = {
    "missing": "share of the feature columns that are missing (NaN) in this row; 0 to 1",
    "finite": "whether no value is infinite",
    "extreme": "largest robust z (distance from the median over 1.4826 MAD) among the columns",
    "extreme_column": "the column with that largest robust z",
}
FAR = 1e6  # robust standard deviations: larger distances say no more and would overflow


@dataclass(frozen=True)
class ColumnProblems:
    """Columns that carry no information, or too much of it, by name."""

    constant: list[str]
    equal: list[tuple[str, str]]  # the second repeats the first
    identifiers: list[str]  # whole numbers, all distinct: a row number or a key
    missing: dict[str, float]  # share of missing values, of the columns that have any
    repeats: Repeats


def statistics(values: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Of values (N, F), NaN where missing: a column per name in MEANINGS."""
    finite = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
    z = np.abs(standardised(finite))
    z = np.where(np.isnan(z), 0.0, z)
    return {
        "missing": np.isnan(values).mean(1).astype(np.float32),
        "finite": ~np.isinf(values).any(1),
        "extreme": z.max(1).astype(np.float32),
        "extreme_column": np.array(names)[z.argmax(1)],
    }


def standardised(values: np.ndarray) -> np.ndarray:
    """Scaled by median and MAD, or by the standard deviation where most values are equal; constants become 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # from columns without any value
        middle = np.nan_to_num(np.nanmedian(values, axis=0))
        spread = 1.4826 * np.nan_to_num(np.nanmedian(np.abs(values - middle), axis=0))
        other = np.nan_to_num(np.nanstd(values, axis=0))
    spread = np.where(spread > 0, spread, other)
    with np.errstate(over="ignore"):
        away = (values - middle) / np.where(spread > 0, spread, 1)
    return np.where(spread > 0, np.clip(away, -FAR, FAR), 0 * values)


def column_problems(values: np.ndarray, names: Sequence[str]) -> ColumnProblems:
    """Of the columns of values (N, F)."""
    constant: list[str] = []
    identifiers: list[str] = []
    equal: list[tuple[str, str]] = []
    first: dict[bytes, str] = {}
    for name, column in zip(names, np.asarray(values).T, strict=True):
        known = column[np.isfinite(column)]
        distinct = np.unique(known)
        if len(distinct) <= 1:
            constant.append(name)
            continue
        if len(distinct) == len(column) > 20 and (known == np.rint(known)).all():
            identifiers.append(name)
        content = column.tobytes()
        if content in first:
            equal.append((first[content], name))
        first.setdefault(content, name)
    missing = dict(zip(names, np.isnan(values).mean(0).tolist(), strict=True))
    missing = {name: share for name, share in missing.items() if share > 0}
    return ColumnProblems(constant, equal, identifiers, missing, count_repeats(values))
