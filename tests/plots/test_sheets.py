"""Sheets of pictures: every picture is whole, any text is drawn, and the same sheet is the same bytes."""

import numpy as np
import pytest
from PIL import Image

from recipe.plots import sheets

TEXTS = ["7 → 1  99%", "猫", "two\nlines", "", "nul\0", "$a_b$", "\udcff", "x" * 200]
PICTURES = np.random.default_rng(0).random((len(TEXTS), 1, 8, 8)).astype(np.float32)


def test_a_tile_keeps_proportions_on_white():
    tile = sheets.tile(np.zeros((1, 4, 8)), 0, 1)
    assert tile.shape == (sheets.TILE, sheets.TILE, 3)
    rows = np.flatnonzero((tile == 0).all((1, 2)))
    assert (len(rows), rows[0]) == (sheets.TILE // 2, sheets.TILE // 4)


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_a_tile_is_grey_or_the_first_three_channels(channels):
    image = np.arange(channels, dtype=float)[:, None, None] / 4
    tile = sheets.tile(image, 0, 1)
    assert tile[0, 0].tolist() == ([0, 64, 128] if channels >= 3 else [0, 0, 0])


@pytest.mark.parametrize(
    "draw",
    [
        lambda file: sheets.pictures(file, PICTURES, TEXTS, columns=3, bad=(1,)),
        lambda file: sheets.rows(file, [(text, PICTURES) for text in TEXTS]),
        lambda file: sheets.contact_sheet(file, [(TEXTS[2], [sheets.tile(p, 0, 1) for p in PICTURES], TEXTS)], 3),
    ],
    ids=["pictures", "rows", "contact sheet"],
)
def test_any_text_is_drawn_and_the_same_sheet_is_the_same_bytes(tmp_path, draw):
    for name in ("a.png", "b.png"):
        draw(tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert np.asarray(Image.open(tmp_path / "a.png")).std() > 0


def test_pictures_are_where_the_layout_says(tmp_path):
    sheets.pictures(tmp_path / "a.png", np.zeros((5, 1, 8, 8)), [""] * 5, columns=4)
    dark = np.asarray(Image.open(tmp_path / "a.png"))[..., 0] == 0
    assert dark.sum() == 5 * 84 * 84
    assert [dark[118:].any(), dark[118:, 94:].any()] == [True, False]  # the fifth begins the second row


def test_a_sheet_of_nothing_is_a_file(tmp_path):
    sheets.pictures(tmp_path / "a.png", [], [])
    sheets.contact_sheet(tmp_path / "b.png", [("none", [], [])], 7)
    assert {Image.open(tmp_path / name).mode for name in ("a.png", "b.png")} == {"RGB"}
