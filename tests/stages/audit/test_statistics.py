"""Statistics of pixels: each answers to what it is named for, and to little else."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recipe.stages.audit import statistics
from recipe.stages.audit.statistics import MEANINGS


def measure(image: np.ndarray, channels_last: bool = True) -> dict[str, float]:
    """Of (H, W[, C]) bytes or floats."""
    image = image[..., None] if image.ndim == 2 else image
    measured = statistics.statistics(np.stack([image.transpose(2, 0, 1)] * 2)).columns
    return {name: column[0] for name, column in measured.items()}


@pytest.fixture
def leaf():
    """A smooth blob with a stripe, 24 x 24, grey."""
    y, x = np.mgrid[-1:1:24j, -1:1:24j]
    return np.rint(200 * np.exp(-4 * (x**2 + 2 * y**2)) + 30 * (np.abs(x - y) < 0.1)).astype(np.uint8)


def test_blur_lowers_the_sharpness_and_noise_lifts_it(leaf):
    blurred = sum(np.roll(leaf.astype(float), (a, b), (0, 1)) for a in (-1, 0, 1) for b in (-1, 0, 1)) / 9
    noisy = np.clip(leaf + np.random.default_rng(0).normal(0, 20, leaf.shape), 0, 255)
    soft, own, rough = (measure(i.astype(np.uint8))["sharpness"] for i in (blurred, leaf, noisy))
    assert soft < 0.5 * own < own < 0.5 * rough


def test_colour_is_measured_by_its_columns(leaf):
    red = np.stack([leaf, leaf // 4, leaf // 4], -1)
    measured, grey = measure(red), measure(np.stack([leaf] * 3, -1))
    assert measured["red"] > 3 * measured["green"]
    assert measured["red_green"] > 0.05
    assert measured["blue_yellow"] < 0
    assert (grey["saturation"], grey["red_green"], grey["blue_yellow"]) == (0, 0, 0)
    assert measured["saturation"] > 0.3
    assert "saturation" not in measure(leaf)


def test_centre_and_spread_follow_the_object():
    image = np.zeros((20, 40), np.uint8)
    image[2:6, 30:38] = 255
    measured = measure(image)
    assert measured["centre_x"] == pytest.approx(34 / 40 - 0.5, abs=0.02)
    assert measured["centre_y"] == pytest.approx(4 / 20 - 0.5, abs=0.03)
    larger = image.copy()
    larger[2:18, 4:38] = 255
    assert measure(larger)["spread"] > 1.5 * measured["spread"]


def test_stripes_have_a_direction(leaf):
    stripes = np.tile(np.arange(24) // 3 % 2 * 200, (24, 1)).astype(np.uint8)
    assert measure(stripes)["upright"] == pytest.approx(1)
    assert measure(stripes.T)["upright"] == pytest.approx(-1)


def test_a_grey_half_is_measured(leaf):
    leaf[12:] = 128
    assert measure(leaf)["flat_rows"] == pytest.approx(0.5)


def test_border_and_ends_of_the_range(leaf):
    framed = leaf.copy()
    framed[[0, -1]] = framed[:, [0, -1]] = 255
    assert measure(framed)["border"] == 1
    assert measure(framed)["at_most"] == pytest.approx(92 / 576, abs=1e-6)
    assert measure(np.zeros_like(leaf))["at_least"] == 1


def test_noise_cannot_be_compressed(leaf):
    noise = np.random.default_rng(0).integers(0, 256, (24, 24), np.uint8)
    assert measure(np.zeros_like(leaf))["complexity"] < 0.05 < measure(leaf)["complexity"] < 0.8
    assert measure(noise)["complexity"] > 0.95


@example(np.array([[[[0, np.finfo(np.float32).tiny]]]], np.float32))  # the reciprocal of its range is infinite
@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, st.tuples(*[st.integers(1, 6)] * 4), elements=st.floats(width=32)))
def test_any_numbers_can_be_measured(inputs):
    measured = statistics.statistics(inputs).columns
    assert set(measured) <= set(MEANINGS)
    assert all(len(column) == len(inputs) for column in measured.values())
    whole = np.isfinite(inputs).all((1, 2, 3))
    assert (measured["finite"] == whole).all()


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, st.tuples(*[st.integers(1, 6)] * 4)))
def test_of_bytes_every_number_is_finite_and_blocks_do_not_matter(inputs):
    measured = statistics.statistics(inputs).columns
    assert all(np.isfinite(column).all() for column in measured.values())
    alone = statistics.statistics(inputs[:1]).columns
    assert all(np.isclose(measured[name][0], alone[name][0], rtol=1e-5, atol=1e-6) for name in measured)
