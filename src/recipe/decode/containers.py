"""What the bytes of a file show before anything is decoded: its kind, whether it is complete, and where it ends."""

import math
import re
import zlib
from dataclasses import dataclass
from pathlib import PurePath

SIGNS = (  # the first bytes of every kind that is decoded; the kinds are named as Pillow names them
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"GIF8[79]a", "GIF"),
    (rb"RIFF.{4}WEBP", "WEBP"),
    (rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", "BMP"),  # the second header has one of seven lengths
    (rb"II[*+]\0|MM\0[*+]", "TIFF"),
    (rb"\0\0\x01\0[^\0]", "ICO"),
    (rb"P[1-6fF]\s", "PPM"),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", "JPEG2000"),
    (rb"....ftypavi[fs]", "AVIF"),
)
DECODED = tuple(kind for _, kind in SIGNS)
PICTURES = (  # images that no decoder here reads
    (rb"....ftyp(hei|hev|mif1|msf1)", "HEIC"),
    (rb"8BPS", "PSD"),
    (rb"%PDF", "PDF"),
    (rb"%!PS", "EPS"),
    (rb"qoif", "QOI"),
    (rb"(?i:\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!doctype svg[^>]*>\s*)?<svg)", "SVG"),
)
OTHERS = (
    (rb"(?i:\s*(<!doctype html|<html|<head|<body))", "HTML"),
    (rb"\s*<\?xml", "XML"),
    (rb"PK\x03\x04", "ZIP"),
    (rb"\x1f\x8b", "GZIP"),
    (rb"....ftyp|RIFF.{4}AVI |\x1aE\xdf\xa3", "a film"),
    (rb"\x93NUMPY", "a NumPy array"),
    (rb"version https://git-lfs", "a Git LFS pointer, whose file was not fetched"),
    (rb"[\t\r\n -~]{16}", "text"),
)
_SIGNS = tuple((re.compile(sign, re.DOTALL), kind) for sign, kind in SIGNS + PICTURES + OTHERS)
NAMES = {
    "JPEG": "jpg jpeg jpe jfif mpo",
    "PNG": "png apng",
    "GIF": "gif",
    "WEBP": "webp",
    "BMP": "bmp dib",
    "TIFF": "tif tiff",
    "ICO": "ico",
    "PPM": "ppm pgm pbm pnm pfm",
    "JPEG2000": "jp2 j2k jpx jpf jpc j2c",
    "AVIF": "avif",
    "HEIC": "heic heif",
    "PSD": "psd",
    "PDF": "pdf",
    "EPS": "eps ps",
    "QOI": "qoi",
    "SVG": "svg",
}
BY_NAME = {ending: kind for kind, endings in NAMES.items() for ending in endings.split()}
MARKER = re.compile(rb"\xff[^\0\x01\xd0-\xd7\xff]")  # of JPEG; stuffed bytes and restart markers lie inside the data
ZEROS = 64  # bytes
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True)
class Container:
    """What the file's structure shows.

    bits: per channel, from the header, or NaN. end: bytes up to the end of the picture, or None where the format does
    not say. cut: the file ends too early. fault: the first damage, in words. exif: the content of PNG's eXIf chunk.
    """

    bits: float = math.nan
    end: int | None = None
    cut: bool = False
    fault: str = ""
    note: str = ""
    exif: bytes = b""


def kind_of(content: bytes) -> str:
    """The kind of the content: one in DECODED or PICTURES, or a word for what else it is; "" if unknown."""
    return next((kind for sign, kind in _SIGNS if sign.match(content, 0, 1024)), "")


def kind_by_name(name: str) -> str:
    """The kind that the ending of a file name promises; "" for an unknown ending."""
    return BY_NAME.get(PurePath(name).suffix[1:].strip().lower(), "")


def walk(kind: str, content: bytes) -> Container:
    """Follows the file's structure from its start to its end without decoding anything."""
    walker = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp}.get(kind)
    return walker(content) if walker else Container()


def _jpeg(content: bytes) -> Container:
    at, bits, fault, sequential = 2, math.nan, "", False
    first_symbols: dict[int, int] = {}
    while marker := MARKER.search(content, at):
        at, code = marker.end(), content[marker.end() - 1]
        if code == 0xD9:
            return Container(bits, at, fault=fault)
        if code == 0xD8:
            continue
        length = int.from_bytes(content[at : at + 2])
        if length < 2:
            fault = fault or f"a segment of {length} bytes at byte {at}"
        if code in FRAMES:
            bits, sequential = float(content[at + 2]) if at + 2 < len(content) else math.nan, code in (0xC0, 0xC1)
        elif code == 0xC4:
            first_symbols |= _first_symbols(content[at + 2 : at + length])
        elif code == 0xDA and sequential and first_symbols.get(0x10, 0) & 15:
            fault = fault or _zeroed(content, at + length)
        at += length
    # damage in a header can hide the end from this walk, but not from one that looks for it alone
    return Container(bits, cut=not content.rstrip(b"\0").endswith(b"\xff\xd9"), fault=fault)


def _first_symbols(tables: bytes) -> dict[int, int]:
    """{class and number of a Huffman table: the symbol whose code is all zeros}, of one DHT segment."""
    symbols, at = {}, 0
    while at + 17 < len(tables):
        symbols[tables[at]] = tables[at + 17]
        at += 17 + sum(tables[at + 1 : at + 17])
    return symbols


def _zeroed(content: bytes, start: int) -> str:
    """A fault where the coded picture from `start` on holds a long run of zeros, as a bad disk leaves it.

    It applies only where zeros are the code of a coefficient and not of an end of block, as in the standard tables:
    there 64 bytes would be two whole blocks of -1 and more. libjpeg decodes them without a warning, and sometimes finds
    the right position again after them.
    """
    marker = MARKER.search(content, start)
    end = marker.start() if marker else len(content)
    first = content.find(bytes(ZEROS), start, end)
    if first < 0:
        return ""
    run = end - first - len(content[first:end].lstrip(b"\0"))
    return f"{run:,} zero bytes inside the picture, from byte {first}"


def _png(content: bytes) -> Container:
    at, bits, fault, shown, exif = 8, math.nan, "", False, b""
    while at + 8 <= len(content):
        length, name = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8]
        end = at + 12 + length
        if not name.isalpha():
            return Container(bits, fault=fault or f"no chunk begins at byte {at}")
        if end > len(content):
            return Container(bits, cut=True, fault=fault)
        if zlib.crc32(content[at + 4 : end - 4]) != int.from_bytes(content[end - 4 : end]):
            fault = fault or f"wrong checksum of the chunk {name.decode('ascii')} at byte {at}"
        if name == b"IHDR" and length == 13:
            bits = float(content[at + 16])
        if name == b"eXIf":
            exif = content[at + 8 : end - 4]
        if name == b"IEND":
            return Container(bits, end, fault=fault, exif=exif)
        shown, at = shown or name == b"IDAT", end
    # all pixels may be there: the decoder decides
    return Container(bits, cut=not shown or at < len(content), fault=fault, note="no IEND", exif=exif)


def _webp(content: bytes) -> Container:
    length = int.from_bytes(content[4:8], "little")
    end = 8 + length + length % 2
    return Container(8.0, end, cut=len(content) < 8 + length)
