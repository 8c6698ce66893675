"""Sets of images for which the results of the probes are known: the class is what is drawn, where, beside what, etc.

Every set is 4 classes of 32 x 32 colour images (N, 3, 32, 32) of bytes, of equal size unless stated otherwise. Every
channel has independent noise, so that removing the colour helps in each set.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SIDE = 32
GLYPH = 5
CLASSES = 4
WRITER = 6  # examples of a writer
NOISE = 0.02  # standard deviation, on a scale of 0 to 1

STROKES = (  # GLYPH x GLYPH, with equally many pixels in each, so that the ink does not predict the class
    ("..#..", "..#..", "#####", "..#..", "..#.."),  # plus
    ("#...#", ".#.#.", "..#..", ".#.#.", "#...#"),  # cross
    ("#####", ".....", ".....", ".....", ".####"),  # rails
    (".....", ".###.", ".###.", ".###.", "....."),  # block
)


def glyphs() -> np.ndarray:
    return np.array([[[c == "#" for c in row] for row in glyph] for glyph in STROKES], np.float32)


def _canvas(n: int, rng) -> np.ndarray:
    return np.full((n, SIDE, SIDE), 0.3, np.float32)


def _finish(grey: np.ndarray, rng) -> np.ndarray:
    """Bytes, with independent noise in each channel."""
    colour = np.repeat(grey[:, None], 3, 1) + rng.normal(0, NOISE, (len(grey), 3, SIDE, SIDE)).astype(np.float32)
    return (colour.clip(0, 1) * 255).round().astype(np.uint8)


def _labels(n: int, rng) -> np.ndarray:
    return rng.permutation(np.arange(n) % CLASSES)


def _draw(canvas: np.ndarray, glyph: np.ndarray, y: int, x: int) -> None:
    canvas[y : y + GLYPH, x : x + GLYPH] += 0.55 * glyph


def _place(rng) -> np.ndarray:
    """Of a glyph, so far from the edge that every patch that shows it is inside the image."""
    return rng.integers(GLYPH, SIDE - 2 * GLYPH + 1, 2)


def glyph_anywhere(n: int, seed: int):
    """The class is which glyph it is; its place is random."""
    rng = np.random.default_rng(seed)
    labels, grey = _labels(n, rng), _canvas(n, rng)
    for image, label in zip(grey, labels, strict=True):
        _draw(image, glyphs()[label], *_place(rng))
    return _finish(grey, rng), labels


def direction(n: int, seed: int):
    """The class is the side of the plus on which the cross is; the pair is anywhere, which predicts a little."""
    rng = np.random.default_rng(seed)
    labels, grey = _labels(n, rng), _canvas(n, rng)
    for image, label in zip(grey, labels, strict=True):
        step = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)][label]) * 12
        low, high = np.maximum(0, -step), np.minimum(SIDE - GLYPH, SIDE - GLYPH - step)
        place = rng.integers(low, high + 1)
        _draw(image, glyphs()[0], *place)
        _draw(image, glyphs()[1], *(place + step))
    return _finish(grey, rng), labels


def direction_round(n: int, seed: int):
    """As `direction`, on a grid of 3 x 3 places that wraps around: either glyph is everywhere equally often."""
    rng = np.random.default_rng(seed)
    labels, grey = _labels(n, rng), _canvas(n, rng)
    for image, label in zip(grey, labels, strict=True):
        place, jitter = rng.integers(0, 3, 2), rng.integers(0, 4, 2)
        other = (place + [(0, 1), (1, 0), (0, -1), (-1, 0)][label]) % 3
        _draw(image, glyphs()[0], *(place * 11 + jitter))
        _draw(image, glyphs()[1], *(other * 11 + jitter))
    return _finish(grey, rng), labels


def quadrant(n: int, seed: int):
    """The class is the quarter of the image that holds the one glyph."""
    rng = np.random.default_rng(seed)
    labels, grey = _labels(n, rng), _canvas(n, rng)
    for image, label in zip(grey, labels, strict=True):
        place = np.array(divmod(label, 2)) * 12 + rng.integers(5, 11, 2)
        _draw(image, glyphs()[0], *place)
    return _finish(grey, rng), labels


def texture(n: int, seed: int):
    """The class is the direction of a texture of single pixels, at a random phase: none of it remains at half size."""
    rng = np.random.default_rng(seed)
    labels = _labels(n, rng)
    y, x = np.mgrid[:SIDE, :SIDE]
    waves = np.stack([(y % 2), (x % 2), ((x + y) % 2), ((y // 2 + x) % 2)]) * 2.0 - 1
    sign = rng.choice([-1, 1], n)[:, None, None]
    grey = _canvas(n, rng) + 0.15 * sign * waves[labels].astype(np.float32)
    return _finish(grey.astype(np.float32), rng), labels


def bright_quadrant(n: int, seed: int):
    """The class is the quarter that is brighter: two pixels a side are enough."""
    rng = np.random.default_rng(seed)
    labels, grey = _labels(n, rng), _canvas(n, rng)
    for image, label in zip(grey, labels, strict=True):
        row, column = divmod(label, 2)
        image[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16] += 0.2
    return _finish(grey, rng), labels


def brightness_of_class(n: int, seed: int):
    """The class is the brightness of the image, and nothing else: a glyph of one kind is anywhere."""
    rng = np.random.default_rng(seed)
    labels, grey = _labels(n, rng), _canvas(n, rng)
    for image, label in zip(grey, labels, strict=True):
        _draw(image, glyphs()[0], *_place(rng))
        image += 0.08 * (label - 1.5) + rng.normal(0, 0.04)
    return _finish(grey, rng), labels


def brightness_at_random(n: int, seed: int):
    """As `glyph_anywhere`, with random brightness: most of the variance, unrelated to the class."""
    rng = np.random.default_rng(seed)
    labels, grey = _labels(n, rng), _canvas(n, rng)
    for image, label in zip(grey, labels, strict=True):
        _draw(image, glyphs()[label], *_place(rng))
        image += rng.uniform(-0.2, 0.15)
    return _finish(grey, rng), labels


def hue(n: int, seed: int):
    """The class is the colour of the image, at equal brightness: red, green, blue, grey."""
    rng = np.random.default_rng(seed)
    labels, grey = _labels(n, rng), _canvas(n, rng)
    for image in grey:
        _draw(image, glyphs()[0], *_place(rng))
        image += rng.normal(0, 0.02)  # more than what rounding to bytes does to the brightness of a colour
    tints = np.array([(0.15, 0, 0), (0, 0.15, 0), (0, 0, 0.15), (0, 0, 0)])
    tints = tints - tints.mean(1, keepdims=True)
    images = _finish(grey, rng) / 255.0 + (tints[labels] * rng.uniform(0.5, 1, (n, 1)))[:, :, None, None]
    return (images.clip(0, 1) * 255).round().astype(np.uint8), labels


def writers(n: int, seed: int):
    """Runs of WRITER images by one writer, with one random brightness and one random class each."""
    rng = np.random.default_rng(seed)
    grey = _canvas(n, rng)
    writer = np.arange(n) // WRITER
    labels = rng.permutation(np.arange(writer[-1] + 1) % CLASSES)[writer]
    grey += rng.uniform(-0.2, 0.15, writer[-1] + 1).astype(np.float32)[writer, None, None]
    for image in grey:
        _draw(image, glyphs()[0], *_place(rng))
    return _finish(grey, rng), labels


def rare(n: int, seed: int):
    """Two classes, the second a tenth of the examples; otherwise as `glyph_anywhere`."""
    rng = np.random.default_rng(seed)
    labels, grey = rng.permutation((np.arange(n) % 10 == 0).astype(int)), _canvas(n, rng)
    for image, label in zip(grey, labels, strict=True):
        _draw(image, glyphs()[2 * label], *_place(rng))
    return _finish(grey, rng), labels


@dataclass(frozen=True)
class Planted:
    """verdicts: {(probe, factor): the correct verdict, which follows from how the set is made}; others may be any."""

    make: Callable[[int, int], tuple[np.ndarray, np.ndarray]]  # (n, seed) -> images, labels
    verdicts: dict[tuple[str, str], str]
    enough: int | None = None  # pixels: the smallest size that costs no accuracy
    group: int = 1  # examples in a group, one after the other

    def draw(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Images, labels, groups."""
        return *self.make(n, seed), np.arange(n) // self.group


LOCAL, CONTEXT, POSITION, RESOLUTION = ("local", ""), ("context", ""), ("position", ""), ("resolution", "")
BRIGHT = {name: (name, "brightness") for name in ("label gain", "variance", "removal")}
COLOUR = ("removal", "colour")

SETS = {
    "glyph anywhere": Planted(
        glyph_anywhere,
        {LOCAL: "yes", CONTEXT: "no", POSITION: "no", COLOUR: "yes", BRIGHT["label gain"]: "no"},
    ),
    "direction": Planted(direction, {CONTEXT: "yes", POSITION: "yes", BRIGHT["label gain"]: "no"}),
    "direction, round": Planted(direction_round, {LOCAL: "no", CONTEXT: "yes", POSITION: "no"}),
    "quadrant": Planted(
        quadrant,
        {
            LOCAL: "no",
            CONTEXT: "no",
            POSITION: "yes",
            COLOUR: "yes",
            ("removal", "position"): "no",
            ("label gain", "centre x"): "yes",
            ("label gain", "centre y"): "yes",
        },
    ),
    "texture": Planted(texture, {LOCAL: "yes", CONTEXT: "no", POSITION: "no", RESOLUTION: "no"}, enough=32),
    "bright quadrant": Planted(bright_quadrant, {RESOLUTION: "yes", BRIGHT["label gain"]: "no"}, enough=2),
    "brightness of class": Planted(
        brightness_of_class,
        {
            LOCAL: "no",
            CONTEXT: "no",
            POSITION: "no",
            BRIGHT["label gain"]: "yes",
            BRIGHT["variance"]: "yes",
            BRIGHT["removal"]: "no",
            COLOUR: "yes",
        },
    ),
    "brightness at random": Planted(
        brightness_at_random,
        {
            LOCAL: "yes",
            CONTEXT: "no",
            POSITION: "no",
            BRIGHT["label gain"]: "no",
            BRIGHT["variance"]: "yes",
            BRIGHT["removal"]: "yes",
            COLOUR: "yes",
        },
    ),
    "hue": Planted(
        hue,
        {COLOUR: "no", ("label gain", "red-green"): "yes", BRIGHT["label gain"]: "no", CONTEXT: "no"},
    ),
    "writers": Planted(
        writers,
        {BRIGHT["label gain"]: "no", BRIGHT["variance"]: "yes", CONTEXT: "no", POSITION: "no"},
        group=WRITER,
    ),
    "rare": Planted(rare, {LOCAL: "yes", CONTEXT: "no", POSITION: "no"}),
}
