"""Statistics of the pixels of every example, in blocks, so that memory use does not grow with the data set."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BLOCK = 1 << 22  # values read at a time: 16 MB as float32, and a few times that in between
BINS = 17  # digits have 17 grey levels, and each gets its own
LINES = 64  # rows of a picture that are compressed and counted: more cost time without changing the result much
NARROW = 1e-35  # a range so narrow that its reciprocal nearly overflows float32 counts as zero
MEANINGS = {  # bytes are scaled to 0..1, floats are not scaled; grey is the mean of the channels
    "finite": "whether all values are finite (no NaN, no infinity)",
    "mean": "mean of all values",
    "std": "standard deviation of all values",
    "min": "smallest value",
    "max": "largest value",
    "contrast": "95th minus 5th percentile of the values",
    "red": "mean of the first channel",
    "green": "mean of the second channel",
    "blue": "mean of the third channel",
    "saturation": "mean over the pixels of (largest - smallest) / largest channel; 0 grey to 1 (HSV)",
    "red_green": "mean of red - green",
    "blue_yellow": "mean of blue - (red + green) / 2",
    "sharpness": "variance of the Laplacian over the variance of the grey values; blur lowers it, noise raises it",
    "upright": "horizontal minus vertical share of the gradient energy; -1 horizontal lines to 1 vertical lines",
    "border": "mean of the outermost ring of pixels",
    "centre_x": "horizontal centre of mass of what differs from the border, in widths: -0.5 left to 0.5 right",
    "centre_y": "vertical centre of mass of what differs from the border, in heights: -0.5 top to 0.5 bottom",
    "spread": "root mean square distance from that centre of mass, in widths and heights",
    "flat_rows": "longest run of equal rows, as a share of the height: 0.5 where half of the image is one grey",
    "entropy": "entropy in bits of a histogram of the values, 17 bins over the range of the data set; 0 to 4.1",
    "at_least": "share of values at the lower end of the data set's range, such as clipped shadows",
    "at_most": "share of values at the upper end of the data set's range, such as clipped highlights",
    "complexity": "size of the zlib-compressed 8-bit values over their number; near 0 blank, about 1 noise",
    "colours": "number of distinct colours, at 4 bits a channel; of grey, of distinct levels at 6 bits",
    "detail": "size of the zlib-compressed differences along the rows over their number; near 0 drawn, about 1 noise",
    "edges": "Gini index of the differences along the rows: near 1 a few sharp edges on flat areas, 0.25 noise",
}


@dataclass(frozen=True)
class Statistics:
    """A value per example in each column, on the scale of `scaled`."""

    columns: dict[str, np.ndarray]
    histograms: np.ndarray  # (N, BINS) shares of an example's values, between `low` and `high`
    low: float
    high: float


def blocks(inputs: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, float32 rows (n, C, H, W)) of the whole array, on one scale."""
    step = max(1, BLOCK // max(1, int(np.prod(inputs.shape[1:]))))
    for start in range(0, len(inputs), step):
        yield start, scaled(inputs[start : start + step])


def scaled(block: np.ndarray) -> np.ndarray:
    """Bytes are scaled to 0..1; floats are not scaled."""
    return block.astype(np.float32) / 255 if block.dtype == np.uint8 else np.asarray(block, np.float32)


@np.errstate(all="ignore")  # near the limit of float32 a sum is infinite or NaN, which is a usable result
def statistics(inputs: np.ndarray) -> Statistics:
    """Of inputs (N, C, H, W). Columns about colour exist where C is 3."""
    measured = [_moments(block) | _shapes(block) for _, block in blocks(inputs)]
    columns = {name: np.concatenate([m[name] for m in measured]) for name in measured[0]}
    whole = columns["finite"]
    low, high = (0.0, 1.0) if inputs.dtype == np.uint8 else _limits(columns["min"][whole], columns["max"][whole])
    shares = np.concatenate([_histograms(block, low, high) for _, block in blocks(inputs)])
    columns["entropy"] = -np.where(shares > 0, shares * np.log2(shares), 0).sum(1).astype(np.float32)
    measured = [_levels(block, low, high) for _, block in blocks(inputs)]
    columns |= {name: np.concatenate([m[name] for m in measured]) for name in measured[0]}
    return Statistics({name: columns[name] for name in MEANINGS if name in columns}, shares, low, high)


def _moments(block: np.ndarray) -> dict[str, np.ndarray]:
    flat = block.reshape(len(block), -1)
    finite = np.isfinite(flat).all(1)
    flat = np.where(finite[:, None], flat, np.nan)
    spread = np.percentile(flat, [5, 95], axis=1)
    columns = {
        "mean": flat.mean(1, dtype=np.float64),
        "std": flat.std(1, dtype=np.float64),
        "min": flat.min(1),
        "max": flat.max(1),
        "contrast": spread[1] - spread[0],
    }
    if block.shape[1] == 3:
        red, green, blue = np.moveaxis(np.where(finite[:, None, None, None], block, np.nan), 1, 0)
        top = np.maximum(np.maximum(red, green), blue)
        columns |= {
            name: part.mean((1, 2)) for name, part in zip(("red", "green", "blue"), (red, green, blue), strict=True)
        }
        chroma = (top - np.minimum(np.minimum(red, green), blue)) / np.where(np.abs(top) > 1e-6, top, np.inf)
        columns["saturation"] = chroma.mean((1, 2))
        columns["red_green"] = (red - green).mean((1, 2))
        columns["blue_yellow"] = (blue - (red + green) / 2).mean((1, 2))
    return {"finite": finite} | {name: values.astype(np.float32) for name, values in columns.items()}


def _shapes(block: np.ndarray) -> dict[str, np.ndarray]:
    """What depends on where the values are; NaN where an example has values that are not finite."""
    grey = block.mean(1)
    grey = np.where(np.isfinite(grey).all((1, 2), keepdims=True), grey, np.nan)
    _, height, width = grey.shape
    variance = grey.var((1, 2), dtype=np.float64)
    columns = {name: np.zeros(len(grey)) for name in ("sharpness", "upright")}
    if height > 2 and width > 2:
        centre = grey[:, 1:-1, 1:-1]
        right, left, below, above = grey[:, 1:-1, 2:], grey[:, 1:-1, :-2], grey[:, 2:, 1:-1], grey[:, :-2, 1:-1]
        columns["sharpness"] = (right + left + below + above - 4 * centre).var((1, 2)) / np.maximum(variance, 1e-12)
        x, y = ((a - b) ** 2 for a, b in ((right, left), (below, above)))
        x, y = x.sum((1, 2)), y.sum((1, 2))
        columns["upright"] = (x - y) / np.maximum(x + y, 1e-12)
    ring = np.ones((height, width), bool)
    ring[1:-1, 1:-1] = False
    columns["border"] = grey[:, ring].mean(1)
    columns |= _mass(grey, np.median(grey[:, ring], axis=1))
    equal = (block[:, :, 1:] == block[:, :, :-1]).all((1, 3))
    columns["flat_rows"] = (_longest(equal) + (height > 1) * equal.any(1)) / height
    return {name: np.asarray(values, np.float32) for name, values in columns.items()}


def _mass(grey: np.ndarray, background: np.ndarray) -> dict[str, np.ndarray]:
    """Centre of mass, and spread around it, of what differs from the background (N,)."""
    weight = np.abs(grey - background[:, None, None])
    total = np.maximum(weight.sum((1, 2)), 1e-12)
    y, x = (np.linspace(-0.5, 0.5, n) if n > 1 else np.zeros(1) for n in grey.shape[1:])
    along_x, along_y = weight.sum(1) / total[:, None], weight.sum(2) / total[:, None]
    cx, cy = along_x @ x, along_y @ y
    spread = np.sqrt(np.maximum(along_x @ x**2 - cx**2 + along_y @ y**2 - cy**2, 0))
    return {"centre_x": cx, "centre_y": cy, "spread": spread}


def _longest(marks: np.ndarray) -> np.ndarray:
    """(N,) the longest run of true values in each row of (N, M)."""
    run = best = np.zeros(len(marks), int)
    for column in marks.T:
        run = (run + 1) * column
        best = np.maximum(best, run)
    return best


def _limits(lows: np.ndarray, highs: np.ndarray) -> tuple[float, float]:
    """The data set's range without its outermost 1 % of examples, so that one extreme value does not set the bins."""
    if not len(lows):
        return 0.0, 1.0
    low, high = float(np.quantile(lows, 0.01)), float(np.quantile(highs, 0.99))
    return (low, high) if high - low > NARROW else (low, low + max(1.0, abs(low)))


def _histograms(block: np.ndarray, low: float, high: float) -> np.ndarray:
    flat = np.nan_to_num(block.reshape(len(block), -1), nan=low, posinf=high, neginf=low)
    bins = np.clip((flat - low) * (BINS / (high - low)), 0, BINS - 1).astype(np.int64)
    bins += np.arange(len(flat))[:, None] * BINS
    return np.bincount(bins.ravel(), minlength=len(flat) * BINS).reshape(len(flat), BINS) / flat.shape[1]


def _levels(block: np.ndarray, low: float, high: float) -> dict[str, np.ndarray]:
    """What is measured on the values as 256 levels of the data set's range."""
    values = np.nan_to_num(block, nan=low, posinf=high, neginf=low)
    level = np.clip(np.rint((values - low) * (255 / (high - low))), 0, 255).astype(np.uint8)
    flat = level.reshape(len(level), -1)
    columns = {
        "at_least": (flat == 0).mean(1),
        "at_most": (flat == 255).mean(1),
        "complexity": np.array([len(zlib.compress(row.tobytes(), 1)) / row.size for row in flat]),
    }
    columns |= _texture(level[:, :, :: -(-level.shape[2] // LINES)])
    return {name: values.astype(np.float32) for name, values in columns.items()}


def _texture(level: np.ndarray) -> dict[str, np.ndarray]:
    """Of (n, C, H, W) uint8: the number of colours, and how they change from one pixel to the next."""
    channels = level[:, :3]
    bits = 4 if channels.shape[1] == 3 else 6
    code = np.zeros((len(level), level.shape[2] * level.shape[3]), np.int32)
    for channel in np.moveaxis(channels, 1, 0):
        code = (code << bits) | (channel >> (8 - bits)).reshape(len(level), -1)
    steps = np.diff(level.transpose(0, 2, 3, 1), axis=2)  # modulo 256, as PNG's own filter
    size = np.abs(np.diff(level.astype(np.int16), axis=3)).max(1)
    return {
        "colours": np.array([len(np.unique(row)) for row in code]),
        "detail": np.array([len(zlib.compress(row.tobytes(), 1)) / row.size if row.size else 0.0 for row in steps]),
        "edges": _gini(size.reshape(len(level), size[0].size).astype(np.float64)),
    }


def _gini(values: np.ndarray) -> np.ndarray:
    """(n,) Gini index of each row of (n, M), none negative: 0 all equal, 1 all but one are zero, or all of them."""
    count = values.shape[1]
    rank = 2 * np.arange(1, count + 1) - count - 1
    total = values.sum(1)
    return np.where(total > 0, np.sort(values, axis=1) @ rank / np.maximum(count * total, 1), 1.0)
