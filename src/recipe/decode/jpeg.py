"""Decodes JPEG by libjpeg-turbo, whose warnings are the only sign of damage inside the data; estimates its quality."""

import math
import re
from typing import Any

import numpy as np

from recipe.decode.bad_file import BadFile, one_line

# libjpeg's warnings about headers that are odd but not damaged; it then stops looking, and Pillow decodes
HARMLESS = re.compile("unknown Adobe color|unknown JFIF|Invalid SOS parameters|subsampling", re.IGNORECASE)
# libjpeg's luminance table at quality 50 (ITU-T T.81, table K.1), row by row
LUMINANCE = np.array(
    [
        *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
        *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
        *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
    ]
)
# the sum of that table at each quality 1..100, as libjpeg scales and clips it; a sum does not depend on the order
_SCALES = np.array([5000 // q if q < 50 else 200 - 2 * q for q in range(1, 101)])
SUMS = np.clip((LUMINANCE * _SCALES[:, None] + 50) // 100, 1, 255).sum(1)


def jpeg_quality(tables: dict[int, list[int]]) -> float:
    """The quality of libjpeg's scale, 1 to 100, whose luminance table is nearest to the file's."""
    table = tables.get(0) or next(iter(tables.values()), None)
    if not table:
        return math.nan
    return float(1 + np.abs(SUMS - sum(table)).argmin())


def decode_jpeg(content: bytes, image: Any, metadata: dict[str, Any], notes: list[str]) -> np.ndarray | None:
    """(H, W, C) by libjpeg-turbo, with its warnings as errors; None where Pillow has to decode the file."""
    import simplejpeg

    form = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}[image.mode]
    try:
        pixels = simplejpeg.decode_jpeg(content, form, strict=True)
    except ValueError as error:
        metadata["decoder"] = message = one_line(error)
        if "memory" in message.lower():
            raise MemoryError from None
        if not HARMLESS.search(message):
            problem = "truncated" if "premature end of jpeg file" in message.lower() else "damaged"
            raise BadFile(problem, f"libjpeg says: {message}.") from None
        notes.append("odd JPEG header, so damage was not looked for")
        return None
    return None if form == "CMYK" else pixels
