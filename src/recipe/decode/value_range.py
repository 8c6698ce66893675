"""The values of black and white: the stored values of pictures, and the range that the user may give for them.

Pictures of 12 bits in files of 16 use a sixteenth of the range of the files' type, and end in 0..0.06 of 0..1. `white`
is the stored value that the type maps to 1: 255 of bytes, 65,535 of 16 bits, 1 of floats in 0..1, NaN where the type
does not define it. All values in this module are stored values unless it says otherwise.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recipe.errors import RecipeError

BYTE, DEEP = 255.0, 65535.0
SAMPLE = 1 << 16  # values of a picture from which its percentiles are computed
TAILS = (0.1, 99.9)  # percentiles of a picture: hot pixels and burnt-in marks do not count
ASIDE = 0.01  # share of the pictures left out at either end
BEYOND = 0.01  # larger shares of a picture's values outside the range get a note
DEPTHS = (9, 10, 11, 12, 14)  # bits of scanners and cameras that write files of 16 bits


@dataclass(frozen=True)
class ValueRange:
    """Stored values from `low`, which becomes 0, to `high`, which becomes 1; what lies beyond becomes 0 or 1."""

    low: float
    high: float

    @classmethod
    def of(cls, given: "Sequence[float] | ValueRange | None") -> "ValueRange | None":
        """The range that conf/data/ gives; raises RecipeError where the setting is not a range."""
        if given is None or isinstance(given, ValueRange):
            return given
        numbers = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
        finite = all(isinstance(n, (int, float)) and not isinstance(n, bool) and math.isfinite(n) for n in numbers)
        if len(numbers) != 2 or not finite or not numbers[0] < numbers[1]:
            raise RecipeError(
                f"`value_range: {given}` must be two numbers, the stored value that becomes black and a "
                "larger one that becomes white, as `value_range: [0, 4095]` for 12 bits; null: the range of the type."
            )
        return cls(float(numbers[0]), float(numbers[1]))

    def __call__(self, pixels: np.ndarray, white: float, notes: list[str]) -> np.ndarray:
        """Decoded pixels scaled by this range: bytes stay bytes, all others become float32 in 0..1."""
        values = stored_values(pixels, white)
        beyond = float(((values < self.low) | (values > self.high)).mean())
        if beyond > BEYOND:
            notes.append(f"beyond the range: {beyond:.1%} of the values")
        values = np.clip((values - np.float32(self.low)) / np.float32(self.high - self.low), 0, 1)
        return np.rint(values * 255).astype(np.uint8) if pixels.dtype == np.uint8 and white == BYTE else values

    def inverse(self, values: np.ndarray) -> np.ndarray:
        """The stored values that became these, except for rounding and for values outside the range."""
        if values.dtype == np.uint8:
            return np.rint(values / 255 * (self.high - self.low) + self.low).astype(np.uint8)
        return values * np.float32(self.high - self.low) + np.float32(self.low)


def white_of(pixels: np.ndarray) -> float:
    """`white` of an array that has not been scaled."""
    if pixels.dtype in (np.uint8, bool):
        return BYTE
    if pixels.dtype == np.uint16:
        return DEEP
    if pixels.dtype.kind != "f":
        return math.nan
    low, high = (ends.reduce(pixels, axis=None) for ends in (np.fmin, np.fmax))  # NaNs are ignored
    return 1.0 if low >= 0 and high <= 1 else math.nan


def stored_values(pixels: np.ndarray, white: float) -> np.ndarray:
    """float32 stored values of decoded pixels, which are bytes, or floats that were divided by `white`."""
    values = pixels.astype(np.float32)
    if pixels.dtype == np.uint8:
        return values if white == BYTE else values * np.float32(white / BYTE)
    return values if math.isnan(white) or white == 1 else values * np.float32(white)


# ---- measured ------------------------------------------------------------------------------------------------------


class PictureValues(NamedTuple):
    """Of one picture: where its values lie without a thousandth at either end, the least, the largest, and `white`.

    All values of bytes count, because a dark photograph has a few bright pixels and a mask has none.
    """

    low: float
    high: float
    least: float
    largest: float
    white: float


def picture_values(pixels: np.ndarray, white: float) -> PictureValues:
    """pixels: as decoded, of any shape."""
    if pixels.dtype == np.uint8 and white == BYTE:
        low, high = float(pixels.min()), float(pixels.max())
        return PictureValues(low, high, least=low, largest=high, white=white)
    finite = pixels if np.isfinite(pixels).all() else pixels[np.isfinite(pixels)]
    if not finite.size:
        return PictureValues(low=math.nan, high=math.nan, least=math.nan, largest=math.nan, white=white)
    step = max(1, finite.size // SAMPLE)
    # a step that shares a factor with the row length would visit only some columns or channels
    while step > 1 and math.gcd(step, math.prod(finite.shape[1:])) > 1:
        step += 1
    low, high = np.percentile(stored_values(finite.reshape(-1)[::step], white), TAILS).tolist()
    least, largest = stored_values(np.array([finite.min(), finite.max()], finite.dtype), white).tolist()
    return PictureValues(low, high, least, largest, white)


@dataclass(frozen=True)
class DatasetValues:
    """Where the stored values of a data set lie, and their possible range from `black` to `white` (NaN: not known)."""

    low: float  # without a thousandth of each picture and 1 % of the pictures; likewise `high`
    high: float
    least: float  # of all values
    largest: float
    black: float
    white: float
    given: bool  # by the user
    settable: bool  # the source has the setting `value_range`

    @property
    def share(self) -> float:
        """The share of the possible range that the values fill; NaN where the range is not known."""
        low, high = max(self.low, self.black), min(self.high, self.white)
        return max(0.0, high - low) / (self.white - self.black)

    @property
    def bytes(self) -> bool:
        return self.white == BYTE and not self.given

    @property
    def shown(self) -> str:
        return f"{_number(self.low)} to {_number(self.high)}"

    def sentence(self) -> str:
        """What was measured, and what to do about it."""
        if self.least == self.largest:
            return f"Every stored value is {_number(self.least)}: the pictures are blank."
        if math.isnan(self.white):
            where = "and the values of black and white are not known"
        else:
            where = f"which is {self.share:.1%} of the range from {_number(self.black)} to {_number(self.white)}"
        ends = f"{_number(self.low)} and {_number(self.high)} (all of them from {_number(self.least)} to "
        values = f"Nearly all stored values lie between {ends}{_number(self.largest)}), {where}."
        if not self.settable:
            return f"{values} Scale them to 0..1 where the data set is made; training standardises them in any case."
        lines = [f"`value_range: [{_plain(low)}, {_plain(high)}]` ({why})" for (low, high), why in self.suggestions()]
        return (
            f"{values} Set {' or '.join(lines)} of the data in params.yaml: it applies to every example, split and "
            "prediction."
        )

    def suggestions(self) -> list[tuple[tuple[float, float], str]]:
        """Ranges, each with its reason: that of the bits in use, where the values fill them, and the measured one."""
        bits = next((b for b in DEPTHS if self.largest < 2**b), 16) if self.white == DEEP else 16
        span = self.high - self.low
        # rare bright values may distinguish the classes; values far outside are hot pixels and marks
        low = self.least if self.low - self.least <= span else self.low
        high = self.largest if self.largest - self.high <= span else self.high
        low, high = (low, high) if low < high else (self.least, self.largest)
        why = "all that was measured" if (low, high) == (self.least, self.largest) else "nearly all that was measured"
        by_bits = [((0, 2**bits - 1), f"{bits} bits")] if bits < 16 and 4 * span >= 2**bits else []
        return [*by_bits, ((low, high), why)]


def dataset_values(pictures: np.ndarray, given: ValueRange | None, settable: bool) -> DatasetValues | None:
    """The values of all pictures with the commonest `white`; None where there are no pictures.

    pictures: (N, 5), a PictureValues each.
    """
    pictures = pictures[np.isfinite(pictures[:, 0])]
    if not len(pictures):
        return None
    whites, counts = np.unique(pictures[:, 4], return_counts=True)  # NaN is one of them
    white = float(whites[counts.argmax()])
    same = np.isnan(pictures[:, 4]) if math.isnan(white) else pictures[:, 4] == white
    low, high, least, largest, _ = pictures[same].T
    black = math.nan if math.isnan(white) else 0.0
    return DatasetValues(
        low=float(np.quantile(low, ASIDE)),
        high=float(np.quantile(high, 1 - ASIDE)),
        least=float(least.min()),
        largest=float(largest.max()),
        black=given.low if given else black,
        white=given.high if given else white,
        given=given is not None,
        settable=settable,
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _plain(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.6g}"
