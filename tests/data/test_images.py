"""Images at the size of the net, and at that of a preview."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from recipe.data.images import Fit, preview
from recipe.errors import RecipeError

images = st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.booleans(), st.integers(0, 9))


@settings(max_examples=150, deadline=None)
@given(images, st.integers(1, 30), st.integers(1, 30), st.sampled_from(["crop", "pad"]), st.sampled_from([1, 3]))
def test_every_image_gets_the_size_and_stays_within_its_values(drawn, height, width, how, channels):
    h, w, c, floats, seed = drawn
    image = np.random.default_rng(seed).integers(3, 250, (h, w, c), dtype=np.uint8)
    image = image.astype(np.float32) / 255 if floats else image
    fitted, _ = Fit([height, width], how, channels)(image)
    assert fitted.shape == (height, width, channels)
    assert fitted.dtype == image.dtype
    lowest = 0 if how == "pad" else image.min()
    slack = 1e-5 if floats else 1
    assert lowest - slack <= fitted.min() <= fitted.max() <= image.max() + slack


def test_a_smaller_image_is_the_mean_over_areas_and_the_right_size_is_left_alone():
    image = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    halved, notes = Fit([4, 6])(image)
    assert np.abs(halved - image.reshape(4, 2, 6, 2, 3).mean((1, 3))).max() <= 1  # Pillow rounds after each axis
    assert notes == ()
    same, notes = Fit([8, 12])(image)
    assert np.array_equal(same, image)
    assert notes == ()


def test_crop_keeps_the_middle_and_pad_keeps_it_all():
    image = np.zeros((10, 30, 1), np.uint8)
    image[:, 10:20], image[:, :2] = 255, 100
    assert (Fit(10, channels=1)(image)[0] == 255).all()
    padded, _ = Fit(30, "pad", 1)(image)
    assert np.array_equal(padded[10:20], image)
    assert padded[:10].max() == padded[20:].max() == 0


def test_channels_are_converted_and_noted():
    grey = np.full((4, 4, 1), 77, np.uint8)
    assert Fit(4)(grey)[0][0, 0].tolist() == [77, 77, 77]
    assert Fit(4)(grey)[1] == ("grey as three equal channels",)
    colour = np.zeros((4, 4, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
    luma, notes = Fit(4, channels=1)(colour)
    assert (luma == 76).all()  # 0.299 * 255
    assert notes == ("colour to grey",)
    assert Fit(8)(colour)[1] == ("enlarged",)


@pytest.mark.parametrize(
    ("given_", "message"),
    [({"size": 0}, "size: 0"), ({"size": [3]}, "size"), ({"size": 8, "how": "squeeze"}, "fit: squeeze"),
     ({"size": 8, "channels": 4}, "channels: 4")],
)  # fmt: skip
def test_an_impossible_fit_is_refused(given_, message):
    with pytest.raises(RecipeError, match=message):
        Fit(**given_)


def test_a_preview_is_a_small_jpeg_of_any_image():
    for image in (
        np.zeros((400, 300, 3), np.uint8),
        np.full((2, 900, 1), 0.5, np.float32),
        np.ones((1, 1, 4), np.uint8),
    ):
        picture = Image.open(io.BytesIO(preview(image)))
        assert picture.format == "JPEG"
        assert max(picture.size) == min(192, max(image.shape[:2]))
