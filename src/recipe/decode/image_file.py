"""One encoded image: what the file is, its pixels, and whether they can be trusted.

Decoders: libjpeg-turbo through simplejpeg for JPEG, since Pillow hides libjpeg's warnings and they are the only sign of
damage inside the data; Pillow for everything else. Both may crash: `recipe.decode.pool` runs this in another process.
"""

import hashlib
import io
import math
import os
import re
from dataclasses import dataclass, field

import numpy as np

from recipe.decode.containers import DECODED, PICTURES, Container, kind_of, walk
from recipe.decode.metadata import unknown
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

# what libjpeg says of headers that are odd but no damage; it then looks no further, and Pillow decodes
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


class BadFile(Exception):
    """A file that cannot be used: (problem, detail)."""


@dataclass
class FileResult:
    """As recipe.decode.pool.Decoded, of one file."""

    facts: dict
    notes: list[str] = field(default_factory=list)
    image: np.ndarray | None = None
    problem: str = ""
    detail: str = ""
    content: str = ""
    picture_values: PictureValues | None = None


def decode_file(content: bytes, name: str | None, pixels: int, on: ValueRange | None = None) -> FileResult:
    """Of one encoded file; raises nothing but what ends the process. pixels: the limit; on: a person's range."""
    result = FileResult(
        unknown(name) | {"file_bytes": len(content), "file_sha256": hashlib.sha256(content).hexdigest()}
    )
    try:
        decoded = _decoded(content, name, pixels, on is not None, result.facts, result.notes)
        result.content = content_hash(np.ascontiguousarray(decoded.pixels.transpose(2, 0, 1)))
        result.picture_values = picture_values(decoded.pixels, decoded.white)
        image = decoded.pixels if on is None else on(decoded.pixels, decoded.white, result.notes)
        result.notes += oddities(image)
        result.image = image
    except BadFile as refused:
        result.problem, result.detail = refused.args
    except MemoryError:
        result.problem, result.detail = "out of memory", "The decoder asked for more memory than the limit."
    except Exception as error:  # of what is ours around the decoders: one file does not end the run
        result.problem, result.detail = "decoder crashed", f"{type(error).__name__}: {_words(error)}."
    return result


def _decoded(content: bytes, name: str | None, limit: int, ranged: bool, facts: dict, notes: list[str]) -> Pixels:
    kind = facts["format"] = kind_of(content)
    _refuse_other(kind, content)
    if name is not None:
        notes += _odd_name(name, kind, facts["format_by_name"])
    container = walk(kind, content)
    if kind == "JPEG" and container.bits in (12, 16):
        raise BadFile("unknown format", f"A JPEG of {container.bits:g} bits per channel is not decoded here.")
    image = _opened(content, kind, container, facts)
    facts["bits"] = _bits(image) if math.isnan(container.bits) else container.bits
    _size(facts, image.size)
    _refuse_size(image.size, limit)  # before anything that may decode
    facts["orientation"] = _orientation(image, container, notes)
    if facts["orientation"] >= 5 and kind != "TIFF":  # Pillow turns these by itself
        _size(facts, image.size[::-1])
    _count_frames(image, kind, facts, notes)
    if container.end is not None:
        facts["trailing_bytes"] = len(content) - container.end
        if facts["trailing_bytes"] and image.format != "MPO":
            notes.append("trailing bytes")
    if container.note:
        notes.append(container.note)
    _refuse_damage(content, kind, container)
    decoded, turn = _pixels(content, kind, image, limit, ranged, facts, notes)
    facts["alpha_share"] = decoded.alpha
    _refuse_size(decoded.pixels.shape[1::-1], limit)  # again: a header may say less than the data hold
    if turn != 1:
        decoded = decoded._replace(pixels=upright(decoded.pixels, turn))
    if facts["orientation"] != 1:
        notes.append("rotated by EXIF")
    _size(facts, decoded.pixels.shape[1::-1])
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


def _refuse_size(size: tuple[int, int], limit: int) -> None:
    wide, high = size
    if not wide * high:
        raise BadFile("damaged", "The header says that the picture has no pixels.")
    if wide * high > limit:
        mega = f"{wide:,} x {high:,} = {wide * high / 1e6:,.1f} million pixels, more than {limit / 1e6:g} million"
        raise BadFile("too large", f"The header says {mega}.")


def _odd_name(name: str, kind: str, by_name: str) -> list[str]:
    found = []
    if by_name != kind:
        ending = os.path.splitext(name)[1].encode("utf-8", "replace").decode()[:12]
        found.append(f"wrong ending: {kind} named {ending if by_name else ending or 'without an ending'}")
    if name != name.strip() or shown(name) != name:
        found.append("odd name: blanks around it, or characters that do not show")
    return found


def _opened(content: bytes, kind: str, container: Container, facts: dict):
    """Pillow's image, its header read."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # so that the size is known where it is over the limit; _pixels sets it
    try:
        image = Image.open(io.BytesIO(content), formats=(kind,))
    except MemoryError:
        raise
    except Exception as error:  # a damaged header may raise anything
        facts["decoder"] = said = _words(error)
        if container.cut:
            raise BadFile("truncated", "The file ends so early that nothing can be decoded.") from None
        raise BadFile("damaged", f"Its header cannot be read: {container.fault or said}.") from None
    facts["mode"] = image.mode
    if kind == "JPEG":
        facts["jpeg_quality"] = _quality(image.quantization)
    return image


def _bits(image) -> float:
    known = {"1": 1.0, "I": 32.0, "F": 32.0}
    stored = image.tag_v2.get(258, ()) if image.format == "TIFF" else ()
    return float(max(stored)) if stored else 16.0 if "16" in image.mode else known.get(image.mode, 8.0)


def _quality(tables: dict) -> float:
    table = tables.get(0) or next(iter(tables.values()), None)
    if not table:
        return math.nan
    return float(1 + np.abs(SUMS - sum(table)).argmin())


def _orientation(image, container: Container, notes: list[str]) -> int:
    from PIL import Image

    if image.format == "JPEG" and not image.info.keys() & {"exif", "xmp"}:
        return 1
    try:
        if image.format == "PNG":  # Pillow's own way decodes the picture first
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


def _size(facts: dict, size: tuple[int, int]) -> None:
    wide, high = size
    facts["width"], facts["height"] = wide, high
    if wide and high:
        facts["aspect"] = wide / high
        facts["bytes_per_pixel"] = facts["file_bytes"] / (wide * high)


def _count_frames(image, kind: str, facts: dict, notes: list[str]) -> None:
    """Raises Refused where it is not clear which picture is meant."""
    try:
        frames = facts["frames"] = len(image.ico.entry) if kind == "ICO" else getattr(image, "n_frames", 1)
    except MemoryError:
        raise
    except Exception as error:  # frames are found by walking through the file
        raise BadFile("damaged", f"Its frames cannot be counted: {_words(error)}.") from None
    if frames > 1 and kind == "ICO":
        notes.append("the largest of several sizes")
    elif frames > 1 and kind == "JPEG":  # telephones put a preview or a depth map behind the photograph
        notes.append("the first of several pictures (MPO)")
    elif frames > 1:
        raise BadFile("several pictures", f"The file holds {frames} frames or pages.")


def _refuse_damage(content: bytes, kind: str, container: Container) -> None:
    if container.cut:
        raise BadFile("truncated", f"The file ends before the picture does{_missing(content, kind)}.")
    if container.fault:
        raise BadFile("damaged", f"The file was changed since it was written: {container.fault}.")


def _missing(content: bytes, kind: str) -> str:
    """How much of a cut picture is missing, in words, by what a lenient decoder leaves blank; "" if it cannot say."""
    from PIL import Image, ImageFile

    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        with Image.open(io.BytesIO(content), formats=(kind,)) as image:
            pixels = np.asarray(image.convert("RGB"))
    except Exception:  # nothing can be said
        return ""
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    share = same_rows(pixels) / len(pixels)
    return f"; about {share:.0%} of its rows are missing" if share > 0.005 else ""


def _pixels(
    content: bytes, kind: str, image, limit: int, ranged: bool, facts: dict, notes: list[str]
) -> tuple[Pixels, int]:
    """(what was decoded, the orientation that is still to be applied)."""
    from PIL import Image

    if kind == "JPEG":
        pixels = _jpeg(content, image, facts, notes)
        if pixels is not None:
            return Pixels(pixels), facts["orientation"]
    turn = 1 if kind == "TIFF" else facts["orientation"]  # Pillow turns TIFFs by itself
    Image.MAX_IMAGE_PIXELS = limit  # for what is packed inside, as a PNG in an icon
    try:
        deep = facts["bits"] == 16 and image.mode in ("RGB", "RGBA")
        if deep and (low := low_bytes(content, kind, image)):
            image.load()
            low.load()
            return sixteen_bits(low, image, notes), turn
        image.load()
        if deep:
            notes.append("16 bits read as 8")
            return as_pixels(image, notes, ranged)._replace(white=DEEP), turn
        return as_pixels(image, notes, ranged), turn
    except MemoryError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadFile("too large", f"It holds a picture of more than {limit / 1e6:g} million pixels.") from None
    except NoRange as what:
        raise BadFile("no range", f"It holds {what}; what is black and what is white is not known.") from None
    except Exception as error:  # a decoder may raise anything; a bad file is a finding
        facts["decoder"] = said = _words(error)
        if "truncated" in said:
            said = f"The file ends before the picture does{_missing(content, kind)}."
            raise BadFile("truncated", said) from None
        raise BadFile("damaged", f"It cannot be decoded: {said}.") from None


def _jpeg(content: bytes, image, facts: dict, notes: list[str]) -> np.ndarray | None:
    """(H, W, C) by libjpeg-turbo, which is asked for its warnings; None where Pillow has to decode it."""
    import simplejpeg

    form = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}[image.mode]
    try:
        pixels = simplejpeg.decode_jpeg(content, form, strict=True)
    except ValueError as error:
        facts["decoder"] = said = _words(error)
        if "memory" in said.lower():
            raise MemoryError from None
        if not HARMLESS.search(said):
            problem = "truncated" if "premature end of jpeg file" in said.lower() else "damaged"
            raise BadFile(problem, f"libjpeg says: {said}.") from None
        notes.append("odd JPEG header, so damage was not looked for")
        return None
    return None if form == "CMYK" else pixels


def _words(error: Exception) -> str:
    """An exception in a line, without the addresses that change with every run."""
    said = re.sub(r" ?<_io\.BytesIO object at 0x[0-9a-f]+>", "", str(error))
    return " ".join(said.split())[:200].rstrip(".") or type(error).__name__
