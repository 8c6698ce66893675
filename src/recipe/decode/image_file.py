"""Decodes one image file: what kind of file it is, its pixels, and whether they can be trusted.

JPEG is decoded by libjpeg-turbo through simplejpeg, because Pillow hides libjpeg's warnings and they are the only sign
of damage inside the data; Pillow decodes everything else. Both may crash, so `recipe.decode.pool` runs this module in
another process.
"""

import hashlib
import io
import math
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recipe.decode.bad_file import BadFile, one_line
from recipe.decode.containers import DECODED, PICTURES, Container, kind_of, walk
from recipe.decode.jpeg import decode_jpeg, jpeg_quality
from recipe.decode.metadata import unknown_metadata
from recipe.decode.pixels import (
    NoRange,
    Pixels,
    as_pixels,
    content_hash,
    low_bytes,
    oddities,
    same_rows,
    sixteen_bits,
    upright,
)
from recipe.decode.value_range import DEEP, PictureValues, ValueRange, picture_values
from recipe.problems import shown


@dataclass
class FileResult:
    """What decoding one file gave; the fields are those of recipe.decode.pool.Decoded."""

    file_metadata: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    image: np.ndarray | None = None
    problem: str = ""
    detail: str = ""
    content: str = ""
    picture_values: PictureValues | None = None


def decode_file(content: bytes, name: str | None, max_pixels: int, value_range: ValueRange | None = None) -> FileResult:
    """Decodes one encoded file. Raises nothing except what ends the process.

    value_range: the stored values of black and white that the user gave.
    """
    result = FileResult(
        unknown_metadata(name) | {"file_bytes": len(content), "file_sha256": hashlib.sha256(content).hexdigest()}
    )
    try:
        decoded = _decoded(content, name, max_pixels, value_range is not None, result)
        result.content = content_hash(np.ascontiguousarray(decoded.pixels.transpose(2, 0, 1)))
        result.picture_values = picture_values(decoded.pixels, decoded.white)
        image = decoded.pixels
        if value_range is not None:
            image = value_range(image, decoded.white, result.notes)
        result.notes += oddities(image)
        result.image = image
    except BadFile as error:
        result.problem, result.detail = error.args
    except MemoryError:
        result.problem, result.detail = "out of memory", "The decoder needs more memory than the limit."
    except Exception as error:  # an error in this module: one file must not end the run
        result.problem, result.detail = "decoder crashed", f"{type(error).__name__}: {one_line(error)}."
    return result


def _decoded(content: bytes, name: str | None, max_pixels: int, range_given: bool, result: FileResult) -> Pixels:
    """The upright pixels; fills in the metadata and notes of `result` on the way. Raises BadFile."""
    metadata, notes = result.file_metadata, result.notes
    kind = metadata["format"] = kind_of(content)
    _refuse_other(kind, content)
    if name is not None:
        notes += _odd_name(name, kind, metadata["format_by_name"])
    container = walk(kind, content)
    if kind == "JPEG" and container.bits in (12, 16):
        raise BadFile("unknown format", f"A JPEG of {container.bits:g} bits per channel is not decoded here.")
    image = _opened(content, kind, container, metadata)
    metadata["bits"] = _bits(image) if math.isnan(container.bits) else container.bits
    _set_size(metadata, image.size)
    _refuse_size(image.size, max_pixels)  # before anything that may decode
    metadata["orientation"] = _orientation(image, container, notes)
    if metadata["orientation"] >= 5 and kind != "TIFF":  # Pillow rotates TIFFs itself
        _set_size(metadata, image.size[::-1])
    _count_frames(image, kind, metadata, notes)
    if container.end is not None:
        metadata["trailing_bytes"] = len(content) - container.end
        if metadata["trailing_bytes"] and image.format != "MPO":
            notes.append("trailing bytes")
    if container.note:
        notes.append(container.note)
    _refuse_damage(content, kind, container)
    decoded, turn = _pixels(content, kind, image, max_pixels, range_given, result)
    metadata["alpha_share"] = decoded.alpha
    _refuse_size(_width_and_height(decoded.pixels), max_pixels)  # again: a header may say less than the data hold
    if turn != 1:
        decoded = decoded._replace(pixels=upright(decoded.pixels, turn))
    if metadata["orientation"] != 1:
        notes.append("rotated by EXIF")
    _set_size(metadata, _width_and_height(decoded.pixels))
    return decoded


def _refuse_other(kind: str, content: bytes) -> None:
    if not content:
        raise BadFile("empty", "The file has 0 bytes.")
    if kind in DECODED:
        return
    if not content.strip(b"\0"):
        raise BadFile("only zeros", f"All {len(content):,} bytes are zero.")
    if kind in [word for _, word in PICTURES]:
        raise BadFile("unknown format", f"It is {kind}, which is not decoded here; convert it to PNG or JPEG.")
    start = content[:12].hex(" ")
    raise BadFile("not an image", f"It is {kind}." if kind else f"It begins with {start}, as no image format does.")


def _width_and_height(pixels: np.ndarray) -> tuple[int, int]:
    return pixels.shape[1], pixels.shape[0]


def _refuse_size(size: tuple[int, int], max_pixels: int) -> None:
    wide, high = size
    if not wide * high:
        raise BadFile("damaged", "The header says that the picture has no pixels.")
    if wide * high > max_pixels:
        millions = f"{wide * high / 1e6:,.1f} million pixels, more than {max_pixels / 1e6:g} million"
        raise BadFile("too large", f"The header says {wide:,} x {high:,} = {millions}.")


def _odd_name(name: str, kind: str, by_name: str) -> list[str]:
    notes = []
    if by_name != kind:
        ending = os.path.splitext(name)[1].encode("utf-8", "replace").decode()[:12]
        notes.append(f"wrong ending: {kind} named {ending if by_name else ending or 'without an ending'}")
    if name != name.strip() or shown(name) != name:
        notes.append("odd name: blanks around it, or characters that do not show")
    return notes


def _opened(content: bytes, kind: str, container: Container, metadata: dict[str, Any]) -> Any:
    """Pillow's image, of which only the header has been read."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # the size of a picture above the limit is reported, too; _pixels sets it
    try:
        image: Any = Image.open(io.BytesIO(content), formats=(kind,))
    except MemoryError:
        raise
    except Exception as error:  # a damaged header may raise anything
        metadata["decoder"] = message = one_line(error)
        if container.cut:
            raise BadFile("truncated", "The file ends so early that nothing can be decoded.") from None
        raise BadFile("damaged", f"Its header cannot be read: {container.fault or message}.") from None
    metadata["mode"] = image.mode
    if kind == "JPEG":
        metadata["jpeg_quality"] = jpeg_quality(image.quantization)
    return image


def _bits(image: Any) -> float:
    known = {"1": 1.0, "I": 32.0, "F": 32.0}
    stored = image.tag_v2.get(258, ()) if image.format == "TIFF" else ()
    return float(max(stored)) if stored else 16.0 if "16" in image.mode else known.get(image.mode, 8.0)


def _orientation(image: Any, container: Container, notes: list[str]) -> int:
    from PIL import Image

    if image.format == "JPEG" and not image.info.keys() & {"exif", "xmp"}:
        return 1
    try:
        if image.format == "PNG":  # Pillow's getexif decodes the picture first
            tags = Image.Exif()
            tags.load(container.exif and b"Exif\0\0" + container.exif)
        else:
            tags = image.getexif()
        value = tags.get(0x0112, 1)
    except Exception:  # the picture does not depend on it
        notes.append("EXIF cannot be read")
        return 1
    if value in range(1, 9):
        return int(value)
    notes.append("unknown EXIF orientation")
    return 1


def _set_size(metadata: dict[str, Any], size: tuple[int, int]) -> None:
    wide, high = size
    metadata["width"], metadata["height"] = wide, high
    if wide and high:
        metadata["aspect"] = wide / high
        metadata["bytes_per_pixel"] = metadata["file_bytes"] / (wide * high)


def _count_frames(image: Any, kind: str, metadata: dict[str, Any], notes: list[str]) -> None:
    """Stores the number of pictures in the file; raises BadFile where it is not clear which one is meant."""
    try:
        frames = metadata["frames"] = len(image.ico.entry) if kind == "ICO" else getattr(image, "n_frames", 1)
    except MemoryError:
        raise
    except Exception as error:  # counting reads the whole file
        raise BadFile("damaged", f"Its frames cannot be counted: {one_line(error)}.") from None
    if frames > 1 and kind == "ICO":
        notes.append("the largest of several sizes")
    elif frames > 1 and kind == "JPEG":  # phones append a preview or a depth map to the photograph
        notes.append("the first of several pictures (MPO)")
    elif frames > 1:
        raise BadFile("several pictures", f"The file holds {frames} frames or pages.")


def _refuse_damage(content: bytes, kind: str, container: Container) -> None:
    if container.cut:
        raise BadFile("truncated", f"The file ends before the picture does{_missing(content, kind)}.")
    if container.fault:
        raise BadFile("damaged", f"The file was changed since it was written: {container.fault}.")


def _missing(content: bytes, kind: str) -> str:
    """How much of a truncated picture is missing, in words, by what a lenient decoder leaves blank; "" if unknown."""
    from PIL import Image, ImageFile

    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        with Image.open(io.BytesIO(content), formats=(kind,)) as image:
            pixels = np.asarray(image.convert("RGB"))
    except Exception:  # the share is not known
        return ""
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    share = same_rows(pixels) / len(pixels)
    return f"; about {share:.0%} of its rows are missing" if share > 0.005 else ""


def _pixels(
    content: bytes, kind: str, image: Any, max_pixels: int, range_given: bool, result: FileResult
) -> tuple[Pixels, int]:
    """(what was decoded, the EXIF orientation that still has to be applied)."""
    from PIL import Image

    metadata, notes = result.file_metadata, result.notes

    if kind == "JPEG":
        pixels = decode_jpeg(content, image, metadata, notes)
        if pixels is not None:
            return Pixels(pixels), metadata["orientation"]
    turn = 1 if kind == "TIFF" else metadata["orientation"]  # Pillow rotates TIFFs itself
    Image.MAX_IMAGE_PIXELS = max_pixels  # of a picture inside the picture, as a PNG in an icon
    try:
        deep = metadata["bits"] == 16 and image.mode in ("RGB", "RGBA")
        if deep and (low := low_bytes(content, kind, image)):
            image.load()
            low.load()
            return sixteen_bits(low, image, notes), turn
        image.load()
        if deep:
            notes.append("16 bits read as 8")
            return as_pixels(image, notes, range_given)._replace(white=DEEP), turn
        return as_pixels(image, notes, range_given), turn
    except MemoryError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadFile("too large", f"It holds a picture of more than {max_pixels / 1e6:g} million pixels.") from None
    except NoRange as error:
        raise BadFile("no range", f"It holds {error}; what is black and what is white is not known.") from None
    except Exception as error:  # a decoder may raise anything; a bad file is a finding
        metadata["decoder"] = message = one_line(error)
        if "truncated" in message:
            detail = f"The file ends before the picture does{_missing(content, kind)}."
            raise BadFile("truncated", detail) from None
        raise BadFile("damaged", f"It cannot be decoded: {message}.") from None
