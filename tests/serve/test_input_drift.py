"""What is told from the training examples, and what is not."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_data import data

from recipe.serve.input_drift import drift, training_range


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 999), st.integers(2, 40), st.integers(1, 6), st.floats(-1e4, 1e4), st.floats(1e-3, 1e4))
def test_no_training_row_is_odd_and_every_one_in_other_units_is(seed, count, columns, offset, scale):
    raw = drawn(seed, count, columns) * scale + offset
    raw[:, 0] = offset  # of one value
    known = training_range(data(raw))
    assert drift(known, raw, ()) == [""] * count
    far = raw.clone()
    far[:, -1] = raw[:, -1].max() + 3 * (scale + abs(offset)) + 1
    told = drift(known, far, ())
    assert all(text.startswith(f"column {columns - 1} is ") for text in told)


def test_a_missing_value_is_not_odd():
    raw = drawn(0, 20, 3)
    assert drift(training_range(data(raw)), torch.tensor([[torch.nan, 0.5, 0.5]]), ("a", "b", "c")) == [""]


@given(st.integers(0, 999), st.sampled_from([(1, 8, 8), (3, 6, 9)]), st.sampled_from([1 / 255, 1 / 16, 16.0, 255.0]))
def test_no_image_of_a_kind_is_odd_and_every_one_on_another_scale_is(seed, shape, scale):
    """Also where the channels lie apart: what a constant shift of a channel adds is no contrast."""
    shift = torch.linspace(0.1, 0.5, shape[0])[:, None, None]
    raw = drawn(seed, 200, *shape) / 2 + shift
    known, new = training_range(data(raw[:150])), raw[150:]
    assert drift(known, new, ()) == [""] * 50
    assert all(text.startswith("its contrast is ") for text in drift(known, new * scale, ()))


@given(st.integers(0, 999), st.floats(-1e3, 1e3), st.floats(0.1, 1e3))
def test_a_column_may_go_beyond_by_its_own_range_and_not_further(seed, offset, scale):
    raw = drawn(seed, 20, 2) * scale + offset
    known, (low, high) = training_range(data(raw)), (raw.amin(0), raw.amax(0))
    apart = high - low
    assert drift(known, torch.stack([high + 0.9 * apart, low - 0.9 * apart]), ()) == ["", ""]
    assert "" not in drift(known, torch.stack([high + 1.1 * apart, low - 1.1 * apart]), ())


def test_a_contrast_may_be_half_or_double_and_no_further():
    raw = drawn(0, 300, 1, 12, 12)
    known = training_range(data(raw))
    for scale in (0.6, 1.6):
        assert drift(known, raw * scale, ()) == [""] * 300
    for scale in (0.4, 2.5):
        assert "" not in drift(known, raw * scale, ())


def test_images_without_contrast_are_like_each_other():
    raw = drawn(0, 30, 1, 1, 1).expand(30, 3, 4, 4).contiguous()
    assert drift(training_range(data(raw)), raw, ()) == [""] * 30


@pytest.mark.parametrize("count", [1, 3, 2500])
def test_the_images_that_are_looked_at_lie_all_over_the_training_set(count):
    """Sorted by contrast, the first thousand would not tell the ends."""
    raw = drawn(1, count, 1, 4, 4) * torch.linspace(0.1, 1, count)[:, None, None, None]
    known = training_range(data(raw))
    each = raw.flatten(1).std(1, correction=0).numpy()
    assert known.low[0] == pytest.approx(np.quantile(each, 0.01), rel=0.1)
    assert known.high[0] == pytest.approx(np.quantile(each, 0.99), rel=0.1)
