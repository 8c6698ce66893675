"""What is known about an image file: the columns, and the problems for which it cannot be used."""

import math

from recipe.decode.containers import kind_by_name

FILE_METADATA = {  # numbers are nan and texts empty where they are not known
    "file_bytes": "length of the file, bytes",
    "file_sha256": "SHA-256 of the file's bytes, hexadecimal",
    "format": "what the content is: JPEG, PNG, GIF, WEBP, BMP, TIFF, ICO, PPM, JPEG2000, AVIF, or what it is instead",
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
    "decoder": "what the decoder said, empty where it did not complain",
}
TEXTS = ("file_sha256", "format", "format_by_name", "mode", "decoder")
PROBLEMS = {
    "missing": "Nothing is there, or a link that points to nothing: restore the file, or take it off the list.",
    "not a file": "A folder, pipe or device stands under the name of an image: move it out of the data.",
    "unreadable": "The system refused to read the file: look at its permissions and at the disk.",
    "empty": "The file has no bytes: copy or download it again.",
    "only zeros": "The file holds nothing but zero bytes, as after a broken download: copy or download it again.",
    "not an image": "The content is something else, often a saved error page: download it again.",
    "unknown format": "An image that is not decoded here: convert it to PNG or JPEG.",
    "too large": "More pixels than the limit: make it smaller, or raise the limit if it is meant.",
    "truncated": "The end of the file is missing: copy or download it again.",
    "damaged": "Bytes in the file were changed: restore it from its source.",
    "several pictures": "Frames of an animation or pages: keep the one that is meant, as a file of its own.",
    "no range": "What is black and white is not known: write `value_range: [black, white]` to the data in params.yaml.",
    "too slow": "Decoding took longer than the limit: store it anew, or leave it out.",
    "out of memory": "Decoding wants more memory than the limit: store it anew, or leave it out.",
    "decoder crashed": "The decoder died of this file: store it anew, or leave it out.",
}


def unknown(name: str | None) -> dict:
    """Every fact of a file of which nothing but its name is known."""
    return {fact: "" if fact in TEXTS else math.nan for fact in FILE_METADATA} | {
        "format_by_name": kind_by_name(name or "")
    }
