"""Feature columns: what each row looks like, and columns that are constant, equal or name the row."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recipe.data.expected_repeats import Repeats, count_repeats

MEANINGS = {
    "missing": "share of the feature columns that are missing (NaN); 0 to 1",
    "finite": "no infinity among the values",
    "extreme": "largest robust z (distance from the median over 1.4826 MAD) among the columns",
    "extreme_column": "the column that is so extreme",
}
FAR = 1e6  # spreads: farther away is no more telling, and would overflow


@dataclass(frozen=True)
class Columns:
    """Findings about whole columns, by name."""

    constant: list[str]
    equal: list[tuple[str, str]]  # the second repeats the first
    identifiers: list[str]  # whole numbers, all different: a row number or a key
    missing: dict[str, float]  # share, where there are any
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
    """By median and MAD, by the standard deviation where most values are equal; constants become 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of columns without any value
        middle = np.nan_to_num(np.nanmedian(values, axis=0))
        spread = 1.4826 * np.nan_to_num(np.nanmedian(np.abs(values - middle), axis=0))
        other = np.nan_to_num(np.nanstd(values, axis=0))
    spread = np.where(spread > 0, spread, other)
    with np.errstate(over="ignore"):
        away = (values - middle) / np.where(spread > 0, spread, 1)
    return np.where(spread > 0, np.clip(away, -FAR, FAR), 0 * values)


def columns(values: np.ndarray, names: Sequence[str]) -> Columns:
    """What is wrong with whole columns of values (N, F)."""
    constant, identifiers, first, equal = [], [], {}, []
    for name, column in zip(names, np.asarray(values).T, strict=True):
        known = column[np.isfinite(column)]
        different = np.unique(known)
        if len(different) <= 1:
            constant.append(name)
            continue
        if len(different) == len(column) > 20 and (known == np.rint(known)).all():
            identifiers.append(name)
        content = column.tobytes()
        if content in first:
            equal.append((first[content], name))
        first.setdefault(content, name)
    missing = dict(zip(names, np.isnan(values).mean(0).tolist(), strict=True))
    missing = {name: share for name, share in missing.items() if share > 0}
    return Columns(constant, equal, identifiers, missing, count_repeats(values))
