"""Digits in the fonts that matplotlib ships: an example of a function for recipe.sources.generated.Generated."""

import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np

from recipe.errors import RecipeError

FAMILIES = ("DejaVuSans", "DejaVuSerif", "STIXGeneral", "cmr10", "cmss10", "cmtt10")  # those with ordinary digits
POINTS = 64  # height of a digit before it is made smaller
TURN, SLANT = 12.0, 0.3  # at most: degrees of rotation; shift of the top, as a share of the height


def font_digit(name: str, rng: np.random.Generator, size: int) -> np.ndarray:
    """(size, size) bytes: the digit `name` in white on black, in a random font, slant and rotation, as high as the
    image."""
    from PIL import Image, ImageDraw, ImageFont

    files = _fonts()
    font = ImageFont.truetype(files[rng.integers(len(files))], POINTS)
    canvas = Image.new("L", (3 * POINTS, 3 * POINTS))
    middle = 1.5 * POINTS
    ImageDraw.Draw(canvas).text((middle, middle), name, fill=255, font=font, anchor="mm")
    slant = rng.uniform(-SLANT, SLANT)
    canvas = canvas.transform(
        canvas.size, Image.Transform.AFFINE, (1, slant, -slant * middle, 0, 1, 0), Image.Resampling.BILINEAR
    )
    canvas = canvas.rotate(rng.uniform(-TURN, TURN), Image.Resampling.BILINEAR)
    digit = canvas.crop(canvas.getbbox())
    side = max(digit.size)
    square = Image.new("L", (side, side))
    square.paste(digit, ((side - digit.width) // 2, (side - digit.height) // 2))
    return np.asarray(square.resize((size, size), Image.Resampling.BOX))


@lru_cache(1)
def _fonts() -> list[str]:
    found = importlib.util.find_spec("matplotlib")
    folder = Path(found.origin).parent / "mpl-data/fonts/ttf" if found and found.origin else Path("no matplotlib")
    files = sorted(str(f) for f in folder.glob("*.ttf") if f.stem.startswith(FAMILIES) and "Display" not in f.stem)
    if not files:
        raise RecipeError(f"{folder} holds no fonts: pip install matplotlib")
    return files
