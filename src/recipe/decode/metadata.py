"""The metadata columns of an image file, and the problems for which a file cannot be used."""

import math
from typing import Any

from recipe.decode.containers import kind_by_name

FILE_METADATA = {  # column: its meaning; numbers are NaN and texts empty where the value is not known
    "file_bytes": "length of the file, bytes",
    "file_sha256": "SHA-256 of the file's bytes, hexadecimal",
    "format": "format of the content: JPEG, PNG, GIF, WEBP, BMP, TIFF, ICO, PPM, JPEG2000, AVIF, or what it is instead",
    "format_by_name": "the format that the ending of the file's name promises",
    "mode": "Pillow's mode of the stored picture: L, RGB, P, CMYK, I;16, ...",
    "bits": "bits per channel as stored, 1 to 32",
    "width": "pixels, after rotation by EXIF",
    "height": "pixels, after rotation by EXIF",
    "aspect": "width / height",
    "orientation": "EXIF orientation, 1 (upright) to 8; 1 where there is none",
    "alpha_share": "share of pixels that are not opaque, 0 to 1",
    "frames": "pictures in the file",
    "jpeg_quality": "quality 1 to 100 of libjpeg's scale whose luminance table is nearest to the file's; JPEG only",
    "trailing_bytes": "bytes behind the end of the picture; JPEG, PNG and WebP only",
    "bytes_per_pixel": "file_bytes / (width * height): how little it can be compressed",
    "decoder": "the decoder's error or warning, empty where there was none",
}
TEXTS = ("file_sha256", "format", "format_by_name", "mode", "decoder")
PROBLEMS = {  # kind: what to do about it
    "missing": "There is no such file, or a link points to nothing: restore the file, or remove it from the list.",
    "not a file": "A folder, pipe or device has the name of an image: move it out of the data.",
    "unreadable": "The system refused to read the file: check its permissions and the disk.",
    "empty": "The file has no bytes: copy or download it again.",
    "only zeros": "The file holds nothing but zero bytes, as after a broken download: copy or download it again.",
    "not an image": "The content is something else, often a saved error page: download it again.",
    "unknown format": "An image that is not decoded here: convert it to PNG or JPEG.",
    "too large": "More pixels than the limit: make it smaller, or raise the limit if it is meant.",
    "truncated": "The end of the file is missing: copy or download it again.",
    "damaged": "Bytes in the file were changed: restore the file from its source.",
    "several pictures": "The file holds frames or pages: keep the one that is meant, as a separate file.",
    "no range": "Black and white are not known: set `value_range: [black, white]` of the data in params.yaml.",
    "too slow": "Decoding took longer than the limit: save the picture again, or leave it out.",
    "out of memory": "Decoding needs more memory than the limit: save the picture again, or leave it out.",
    "decoder crashed": "The decoder crashed on this file: save the picture again, or leave it out.",
}


def unknown_metadata(name: str | None) -> dict[str, Any]:
    """The metadata of a file of which nothing but its name is known."""
    metadata: dict[str, Any] = {column: "" if column in TEXTS else math.nan for column in FILE_METADATA}
    return metadata | {"format_by_name": kind_by_name(name or "")}
