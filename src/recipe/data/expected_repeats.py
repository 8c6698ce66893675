"""How many equal rows of a table are to be expected because its columns take few values.

Two rows are compared column by column. How often all columns agree is predicted from the pairs of rows that agree on
all columns but one, and on all but two: given the rest, agreement in one column is taken to be independent of agreement
in another, so that of columns j and k

    expected pairs of equal rows = (all but j agree) * (all but k agree) / (all but j and k agree)

with numerator and denominator summed over pairs of columns. That is the two-source estimate of Sekar and Deming 1949
(Journal of the American Statistical Association 44:101-115), with the correction of Chapman 1951, on the patterns of
agreement of Fellegi and Sunter 1969 (the same journal, 64:1183-1210).

The compared rows are alike in all other columns, so columns may depend on each other; equal rows are left out of the
estimate, so copies do not explain themselves.
"""

from dataclasses import dataclass

import numpy as np

WIDEST = 8  # columns that form pairs: those in which most otherwise equal rows differ
ERRORS = 3.0  # standard errors of a count that chance may add
FACTOR = 3.0  # the estimate is 0.65 to 1.4 of the true count for three or more columns correlated by up to 0.85


@dataclass(frozen=True)
class Repeats:
    """Equal rows of a table.

    rows: those that equal an earlier row. distinct: how many different rows occur more than once. most: how often the
    commonest row occurs. expected: how many of `rows` the columns explain.
    """

    rows: int
    distinct: int
    most: int
    expected: float
    count: int  # of all rows

    @property
    def excess(self) -> bool:
        """More rows repeat than the columns explain."""
        return bool(self.rows > FACTOR * self.expected + ERRORS * max(1.0, self.expected) ** 0.5)

    @property
    def doubled(self) -> bool:
        """Most of the different rows are repeated: the table was read or joined twice, or resampled."""
        return self.excess and self.distinct > 0.5 * (self.count - self.rows)


def count_repeats(values: np.ndarray) -> Repeats:
    """The repeated rows of a table (N, columns); equal means the same to the last bit, and all NaN are equal."""
    if not len(values):
        return Repeats(0, 0, 0, 0.0, 0)
    codes = np.stack([_codes(column, j) for j, column in enumerate(np.asarray(values).T)], 1)
    _, times = np.unique(_sums(codes), return_counts=True)
    rows = int(len(codes) - len(times))
    again = times[times > 1]
    if not rows:
        return Repeats(0, 0, 1, 0.0, len(codes))
    share = min(1.0, _expected_pairs(codes) / _pairs(times))
    return Repeats(rows, len(again), int(again.max()), rows * share, len(codes))


def _codes(column: np.ndarray, place: int) -> np.ndarray:
    """(N,) a random 64-bit number per different value of a column: rows are equal where their sums are equal."""
    _, which = np.unique(column, return_inverse=True)
    numbers: np.ndarray = np.random.default_rng(place).integers(0, 2**64, which.max() + 1, dtype=np.uint64)
    return numbers[which]


def row_codes(values: np.ndarray) -> np.ndarray:
    """(N,) a code per row of a table (N, columns): equal where rows are equal."""
    return _sums(np.stack([_codes(column, j) for j, column in enumerate(np.asarray(values).T)], 1))


def _sums(codes: np.ndarray) -> np.ndarray:
    sums: np.ndarray = codes.sum(1, dtype=np.uint64)
    return sums


def _pairs(times: np.ndarray) -> float:
    """How many pairs groups of these sizes contain."""
    times = times.astype(float)
    return float((times * (times - 1)).sum() / 2)


def _expected_pairs(codes: np.ndarray) -> float:
    whole = _sums(codes)

    def agreeing(*without: int) -> float:
        left = whole - _sums(codes[:, list(without)])
        return _pairs(np.unique(left, return_counts=True)[1])

    equal = agreeing()
    if codes.shape[1] < 2:
        return equal  # a single column gives no estimate
    alone = np.array([agreeing(j) for j in range(codes.shape[1])]) - equal  # pairs that differ in j and nowhere else
    largest = np.argsort(-alone, kind="stable")[:WIDEST]
    alike, other = 0.0, 0.0
    for at, j in enumerate(largest):
        for k in largest[at + 1 :]:
            both = agreeing(j, k) - alone[j] - alone[k] - equal  # pairs that differ in j and in k
            alike, other = alike + alone[j] * alone[k], other + both + 1
    return float(alike / max(other, 1.0))
