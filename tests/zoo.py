"""Odd image files, each with the verdict that is right, and the healthy twin of each format. Made anew, the same bytes.

Two of them are as in real data sets: an HTML page saved under an image's name, and a Git LFS pointer.
"""

import io
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

HTML = b"<!DOCTYPE html>\n<html><head><title>404</title></head><body>Not Found</body></html>\n"
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect/></svg>'
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"
ROTATED = "rotated by EXIF"
WHITE = "alpha composited on white"


@dataclass(frozen=True)
class Odd:
    """file: what decode is given. notes: exactly those that are right. pixels: (H, W, C) where they are known."""

    file: Path | bytes | tuple[str, bytes]
    problem: str = ""
    notes: tuple[str, ...] = ()
    pixels: np.ndarray | None = None


def photograph(seed: int = 0, height: int = 240, width: int = 320) -> np.ndarray:
    """(H, W, 3) uint8: soft shapes, edges and a little noise, so that it compresses as photographs do."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    picture = np.zeros((height, width, 3))
    for _ in range(12):
        frequency, phase = rng.normal(0, 6, 2), rng.uniform(0, 6)
        wave = np.sin(frequency[0] * x + frequency[1] * y + phase)
        picture += np.where(rng.random() < 0.5, wave, np.sign(wave))[..., None] * rng.normal(0, 20, 3)
    return np.clip(picture + 128 + rng.normal(0, 8, picture.shape), 0, 255).astype(np.uint8)


def saved(array: np.ndarray | Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(out, kind, **options)
    return out.getvalue()


def png(width: int, height: int, bits: int, colour: int, rows: bytes | None = None) -> bytes:
    """By hand, since Pillow writes no 16 bit colour. `rows` begin with their filter bytes; None: all zero."""
    deflate = zlib.compressobj(9)
    if rows is None:
        stride = 1 + -(-width * bits * {0: 1, 2: 3, 4: 2, 6: 4}[colour] // 8)
        pixels = b"".join(deflate.compress(bytes(stride)) for _ in range(height)) + deflate.flush()
    else:
        pixels = deflate.compress(rows) + deflate.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, chunks))


def _chunk(part: tuple[bytes, bytes]) -> bytes:
    name, content = part
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def changed(content: bytes, at: int, to: bytes) -> bytes:
    return content[:at] + to + content[at + len(to) :]


def flipped(content: bytes, at: int) -> bytes:
    return changed(content, at, bytes([content[at] ^ 0x20]))


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def as_seen(array: np.ndarray, orientation: int) -> np.ndarray:
    """The stored picture of which EXIF's `orientation` makes `array`: the inverse turn."""
    turns: dict[int, Callable] = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: np.rot90(a, 2),
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),  # stored lying on its side; a viewer turns it clockwise
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }
    return np.ascontiguousarray(turns[orientation](array))


def zoo(folder: Path) -> dict[str, Odd]:
    """{what it is: the file and its verdict}; files of the disk are written to `folder`."""
    photo = photograph()
    grey = photo[..., 0]
    jpeg, lossless = saved(photo, "JPEG", quality=90), saved(photo, "PNG")
    return (
        _healthy(photo, jpeg, lossless)
        | _cut(photo, jpeg, lossless)
        | _changed(photo, jpeg, lossless)
        | _no_images(jpeg, lossless)
        | _modes(photo, grey)
        | _turned(photo)
        | _several(photo)
        | _sizes(photo)
        | _names(folder, jpeg, lossless)
    )


def _healthy(photo, jpeg, lossless) -> dict[str, Odd]:
    grey = photo[..., 0]
    return {
        "JPEG": Odd(("a.jpg", jpeg)),
        "JPEG, progressive": Odd(("a.jpeg", saved(photo, "JPEG", progressive=True))),
        "JPEG, grey": Odd(("a.JPG", saved(grey, "JPEG"))),
        "JPEG with restart markers": Odd(("a.jpg", saved(photo, "JPEG", restart_marker_rows=1))),
        "JPEG, 4:4:4, optimised": Odd(("a.jpg", saved(photo, "JPEG", subsampling=0, optimize=True))),
        "JPEG with a preview inside": Odd(("a.jpg", jpeg[:2] + _preview(photo) + jpeg[2:])),
        "JPEG with unknown Adobe colours": Odd(("a.jpg", jpeg[:2] + _adobe(9) + jpeg[2:])),
        "PNG": Odd(("a.png", lossless), pixels=photo),
        "PNG, grey": Odd(("a.png", saved(grey, "PNG")), pixels=grey[..., None]),
        "WebP": Odd(("a.webp", saved(photo, "WEBP"))),
        "WebP, lossless": Odd(("a.webp", saved(photo, "WEBP", lossless=True)), pixels=photo),
        "GIF": Odd(("a.gif", saved(grey, "GIF")), "", ("palette to RGB",), np.dstack([grey] * 3)),
        "BMP": Odd(("a.bmp", saved(photo, "BMP")), pixels=photo),
        "TIFF": Odd(("a.tif", saved(photo, "TIFF", compression="tiff_lzw")), pixels=photo),
        "PPM": Odd(("a.ppm", saved(photo, "PPM")), pixels=photo),
        "JPEG 2000": Odd(("a.jp2", saved(photo, "JPEG2000")), pixels=photo),
        "AVIF": Odd(("a.avif", saved(photo, "AVIF"))),
        "bytes without a name": Odd(jpeg),
    }


def _preview(photo) -> bytes:
    """An application segment that holds a whole small JPEG, as cameras write it."""
    small = b"Preview\0" + saved(photo[::8, ::8], "JPEG")
    return b"\xff\xe4" + struct.pack(">H", len(small) + 2) + small


def _adobe(transform: int) -> bytes:
    return b"\xff\xee" + struct.pack(">H5sHHHB", 14, b"Adobe", 100, 0, 0, transform)


def _cut(photo, jpeg, lossless) -> dict[str, Odd]:
    progressive = saved(photo, "JPEG", progressive=True)
    files = {f"{kind} cut at half": (name, content[: len(content) // 2]) for kind, (name, content) in {
        "JPEG": ("a.jpg", jpeg), "JPEG, progressive,": ("a.jpg", progressive), "PNG": ("a.png", lossless),
        "WebP": ("a.webp", saved(photo, "WEBP")), "GIF": ("a.gif", saved(photo[..., 0], "GIF")),
        "BMP": ("a.bmp", saved(photo, "BMP")), "PPM": ("a.ppm", saved(photo, "PPM")),
        "TIFF": ("a.tif", saved(photo, "TIFF")),
    }.items()}  # fmt: skip
    files |= {
        "JPEG 20 bytes short": ("a.jpg", jpeg[:-20]),
        "JPEG 2 bytes short": ("a.jpg", jpeg[:-2]),
        "JPEG, end filled with zeros": ("a.jpg", jpeg[: len(jpeg) // 2] + bytes(len(jpeg) // 2)),
        "JPEG, header only": ("a.jpg", jpeg[:20]),
        "PNG, header only": ("a.png", lossless[:33]),
        "PNG 20 bytes short": ("a.png", lossless[:-20]),
    }
    return {name: Odd(file, "truncated") for name, file in files.items()}


def _changed(photo, jpeg, lossless) -> dict[str, Odd]:
    middle, rng = len(jpeg) // 2, np.random.default_rng(1)
    texts = lossless[:33] + _chunk((b"tEXt", b"Comment\0hello")) + lossless[33:]
    webp = saved(photo, "WEBP")
    files = {
        "JPEG, bytes changed in the middle": ("a.jpg", changed(jpeg, middle, rng.bytes(200))),
        "JPEG, 4 kB zeroed": ("a.jpg", changed(jpeg, middle, bytes(4096))),
        "JPEG, tables overwritten": ("a.jpg", changed(jpeg, 30, bytes(100))),
        "PNG, one byte flipped": ("a.png", flipped(lossless, len(lossless) // 2)),
        "PNG, header flipped": ("a.png", flipped(lossless, 18)),
        "PNG, comment flipped": ("a.png", flipped(texts, 50)),
        "WebP, zeroed inside": ("a.webp", changed(webp, 20, bytes(200))),
        "JPEG 2000 cut at half": ("a.jp2", _half(saved(photo, "JPEG2000"))),
        "AVIF cut at half": ("a.avif", _half(saved(photo, "AVIF"))),
        "ICO cut at half": ("a.ico", _half(saved(photo[:64, :64], "ICO", sizes=[(64, 64)]))),
        "PNG without width": ("a.png", png(0, 5, 8, 2, b"")),
    }
    return {name: Odd(file, "damaged") for name, file in files.items()}


def _half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _no_images(jpeg, lossless) -> dict[str, Odd]:
    return {
        "zero bytes": Odd(("a.jpg", b""), "empty"),
        "all zeros": Odd(("a.jpg", bytes(5000)), "only zeros"),
        "HTML named .jpg": Odd(("a.jpg", HTML), "not an image"),
        "Git LFS pointer": Odd(("a.jpg", LFS), "not an image"),
        "text": Odd(("a.png", b"this is no image, but a note about one"), "not an image"),
        "ZIP": Odd(("a.png", b"PK\x03\x04" + bytes(60)), "not an image"),
        "random bytes": Odd(("a.jpg", np.random.default_rng(5).bytes(3000)), "not an image"),
        "SVG": Odd(("a.svg", SVG), "unknown format"),
        "HEIC": Odd(("a.heic", b"\0\0\0\x18ftypheic" + bytes(90)), "unknown format"),
        "PSD": Odd(("a.psd", b"8BPS\0\x01" + bytes(90)), "unknown format"),
        "JPEG of 12 bits": Odd(("a.jpg", _twelve_bits(jpeg)), "unknown format"),
        "JPEG of JFIF revision 12": Odd(
            ("a.jpg", changed(jpeg, 11, b"\x0c")), notes=("odd JPEG header, so damage was not looked for",)
        ),
        "PNG without IEND": Odd(("a.png", lossless[:-12]), notes=("no IEND",)),
        "JPEG with bytes behind": Odd(("a.jpg", jpeg + b"more" * 9), notes=("trailing bytes",)),
        "PNG with bytes behind": Odd(("a.png", lossless + b"more"), notes=("trailing bytes",)),
        "WebP with bytes behind": Odd(
            ("a.webp", saved(photograph(), "WEBP") + b"more"), notes=("trailing bytes",)
        ),
    }  # fmt: skip


def _twelve_bits(jpeg: bytes) -> bytes:
    frame = jpeg.index(b"\xff\xc0")
    return changed(jpeg, frame, b"\xff\xc1" + jpeg[frame + 2 : frame + 4] + b"\x0c")


def _modes(photo, grey) -> dict[str, Odd]:
    import simplejpeg

    image, deep = Image.fromarray(photo), (grey.astype(np.uint16) * 257 - 3 * (grey > 0)).astype(np.uint16)
    cmyk = 255 - np.asarray(image.convert("CMYK"))  # as Adobe stores it
    alpha = np.where(np.arange(320) < 160, 0, 255).astype(np.uint8) * np.ones((240, 1), np.uint8)
    rgba, white = np.dstack([photo, alpha]), np.where(alpha[..., None] > 0, photo, 255)
    palette = image.quantize(16)
    colour = (photo.astype(np.uint16) * 257 - 3 * (photo > 0)).astype(">u2")
    rows = np.concatenate([np.zeros((240, 1), np.uint8), colour.view(np.uint8).reshape(240, -1)], axis=1)
    seen = np.where(alpha[..., None] > 0, colour / 65535, 1.0)
    deep_alpha = np.dstack([colour, alpha.astype(">u2") * 257]).astype(">u2")
    deep_rows = np.concatenate([np.zeros((240, 1), np.uint8), deep_alpha.view(np.uint8).reshape(240, -1)], axis=1)
    floats = grey.astype(np.float32)
    broken = floats / 255
    broken[5, 5] = np.nan
    one = image.convert("1")
    return {
        "CMYK JPEG": Odd(("a.jpg", saved(image.convert("CMYK"), "JPEG")), notes=("CMYK to RGB",)),
        "YCCK JPEG": Odd(("a.jpg", simplejpeg.encode_jpeg(cmyk, colorspace="CMYK")), notes=("CMYK to RGB",)),
        "16 bit grey PNG": Odd(
            ("a.png", saved(deep, "PNG")), "", ("16 bit grey to 0..1",), deep[..., None] / 65535
        ),
        "16 bit grey TIFF": Odd(
            ("a.tif", saved(deep, "TIFF")), "", ("16 bit grey to 0..1",), deep[..., None] / 65535
        ),
        "16 bit grey PGM": Odd(
            ("a.pgm", b"P5 320 240 65535\n" + deep.astype(">u2").tobytes()), "", ("16 bit grey to 0..1",),
            deep[..., None] / 65535,
        ),
        "16 bit RGB PNG": Odd(
            ("a.png", png(320, 240, 16, 2, rows.tobytes())), "", ("16 bit colour to 0..1",), colour / 65535
        ),
        "16 bit RGBA PNG": Odd(
            ("a.png", png(320, 240, 16, 6, deep_rows.tobytes())), "", ("16 bit colour to 0..1", WHITE), seen
        ),
        "palette": Odd(
            ("a.png", saved(palette, "PNG")), "", ("palette to RGB",), np.asarray(palette.convert("RGB"))
        ),
        "palette with transparency": Odd(
            ("a.png", saved(palette, "PNG", transparency=0)), notes=("palette to RGB", WHITE)
        ),
        "RGBA": Odd(("a.png", saved(rgba, "PNG")), "", (WHITE,), white),
        "RGBA, all opaque": Odd(
            ("a.png", saved(image.convert("RGBA"), "PNG")), "", ("opaque alpha dropped",), photo
        ),
        "grey with alpha": Odd(
            ("a.png", saved(Image.fromarray(np.dstack([grey, alpha])), "PNG")), "", (WHITE,),
            np.where(alpha > 0, grey, 255)[..., None],
        ),
        "RGB with one transparent colour": Odd(
            ("a.png", saved(photo, "PNG", transparency=tuple(map(int, photo[0, 0])))), notes=(WHITE,)
        ),
        "1 bit": Odd(
            ("a.png", saved(one, "PNG")), "", ("1 bit to grey",), np.asarray(one)[..., None].astype(np.uint8) * 255
        ),
        "float TIFF, 0 to 1": Odd(("a.tif", saved(floats / 255, "TIFF")), pixels=floats[..., None] / 255),
        "float TIFF, 0 to 255": Odd(("a.tif", saved(floats, "TIFF")), "no range"),
        "float TIFF with NaN": Odd(("a.tif", saved(broken, "TIFF")), "no range"),
        "32 bit integer TIFF": Odd(("a.tif", saved(grey.astype(np.int32) * 999, "TIFF")), "no range"),
    }  # fmt: skip


def _turned(photo) -> dict[str, Odd]:
    results = {}
    for orientation in range(1, 9):
        stored, notes = as_seen(photo, orientation), (ROTATED,) if orientation > 1 else ()
        tags = {"exif": exif(orientation)}
        smooth = saved(stored, "JPEG", quality=100, subsampling=0, **tags)
        results[f"JPEG, EXIF orientation {orientation}"] = Odd(("a.jpg", smooth), notes=notes)
        results[f"PNG, EXIF orientation {orientation}"] = Odd(("a.png", saved(stored, "PNG", **tags)), "", notes, photo)
        tiff = saved(stored, "TIFF", tiffinfo={0x0112: orientation})
        results[f"TIFF, orientation {orientation}"] = Odd(("a.tif", tiff), "", notes, photo)
    webp = saved(as_seen(photo, 6), "WEBP", lossless=True, exif=exif(6))
    unknown, bad = exif(77), b"Exif\0\0" + b"II*\0" + b"\xff" * 40
    return results | {
        "WebP, EXIF orientation 6": Odd(("a.webp", webp), "", (ROTATED,), photo),
        "JPEG, EXIF orientation 77": Odd(
            ("a.jpg", saved(photo, "JPEG", exif=unknown)), notes=("unknown EXIF orientation",)
        ),
        "JPEG, EXIF of rubbish": Odd(("a.jpg", saved(photo, "JPEG", exif=bad))),
    }


def _several(photo) -> dict[str, Odd]:
    frames = [Image.fromarray(photograph(seed, 60, 80)) for seed in range(3)]
    many = {"save_all": True, "append_images": frames[1:]}
    greys = [frame.convert("L") for frame in frames]
    return {
        "animated GIF": Odd(
            ("a.gif", saved(greys[0], "GIF", save_all=True, append_images=greys[1:])), "several pictures"
        ),
        "animated WebP": Odd(("a.webp", saved(frames[0], "WEBP", **many)), "several pictures"),
        "animated PNG": Odd(("a.png", saved(frames[0], "PNG", **many)), "several pictures"),
        "TIFF of three pages": Odd(("a.tif", saved(frames[0], "TIFF", **many)), "several pictures"),
        "MPO": Odd(
            ("a.jpg", saved(frames[0], "MPO", **many)), notes=("the first of several pictures (MPO)",)
        ),
        "ICO of three sizes": Odd(
            ("a.ico", saved(photo[:64, :64], "ICO", sizes=[(16, 16), (32, 32), (64, 64)])),
            "", ("the largest of several sizes",), photo[:64, :64],
        ),
    }  # fmt: skip


def _sizes(photo) -> dict[str, Odd]:
    half = photo.copy()
    half[120:] = 128
    flat = ("flat: no contrast",)
    return {
        "400 million pixels in 48 kB": Odd(("a.png", png(20_000, 20_000, 1, 0)), "too large"),
        "icon that is larger inside": Odd(("a.ico", _icon(png(9000, 9000, 1, 0))), "too large"),
        "121 million pixels": Odd(("a.png", png(11_000, 11_000, 1, 0)), "too large"),
        "1 x 1": Odd(("a.png", saved(photo[:1, :1], "PNG")), "", ("odd shape: 1 x 1", *flat), photo[:1, :1]),
        "4000 x 3": Odd(("a.png", saved(photograph(0, 3, 4000), "PNG")), notes=("odd shape: 4000 x 3",)),
        "black": Odd(("a.png", saved(photo * 0, "PNG")), notes=flat),
        "white": Odd(("a.jpg", saved(photo * 0 + 255, "JPEG")), notes=flat),
        "flat": Odd(("a.jpg", saved(photo * 0 + 90, "JPEG")), notes=flat),
        "grey lower half": Odd(("a.png", saved(half, "PNG")), "", ("one grey below: 50% of the rows",), half),
    }


def _icon(picture: bytes) -> bytes:
    """An icon whose list says 16 x 16 pixels, whatever the picture has."""
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(picture), 22) + picture


def _names(folder: Path, jpeg: bytes, lossless: bytes) -> dict[str, Odd]:
    def written(name: str, content: bytes) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    odd = ("odd name: blanks around it, or characters that do not show",)
    (folder / "folder.jpg").mkdir()
    (folder / "link.jpg").symlink_to(folder / "nothing.jpg")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    os.mkfifo(folder / "pipe.jpg")
    results = {
        "PNG named .jpg": Odd(written("png.jpg", lossless), notes=("wrong ending: PNG named .jpg",)),
        "JPEG named .png": Odd(written("jpeg.png", jpeg), notes=("wrong ending: JPEG named .png",)),
        "JPEG without an ending": Odd(written("jpeg", jpeg), notes=("wrong ending: JPEG named without an ending",)),
        "ending in capitals": Odd(written("CAPITALS.JPG", jpeg)),
        "blanks inside the name": Odd(written("a b  c.jpg", jpeg)),
        "blanks around the name": Odd(written(" a.jpg ", jpeg), notes=odd),
        "letters of the world": Odd(written("ö日本🐜.jpg", jpeg)),
        "a new line in the name": Odd(written("new\nline.jpg", jpeg), notes=odd),
        "a name that is no Unicode": Odd(Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.jpg")), notes=odd),
        "link to a file": Odd(folder / "linked.jpg"),
        "dangling link": Odd(folder / "link.jpg", "missing"),
        "link to itself": Odd(folder / "loop.jpg", "unreadable"),
        "a file in place of a folder": Odd(folder / "CAPITALS.JPG" / "a.jpg", "missing"),
        "no such file": Odd(folder / "nothing.jpg", "missing"),
        "a zero byte in the name": Odd(Path("zero\0byte.jpg"), "missing"),
        "half a character in the name": Odd(Path("half\ud800.jpg"), "missing"),
        "folder named .jpg": Odd(folder / "folder.jpg", "not a file"),
        "named pipe": Odd(folder / "pipe.jpg", "not a file"),
    }
    results["a name that is no Unicode"].file.write_bytes(jpeg)
    (folder / "linked.jpg").symlink_to(folder / "CAPITALS.JPG")
    if os.geteuid():  # root may read everything
        results["without permission"] = Odd(written("closed.jpg", jpeg), "unreadable")
        (folder / "closed.jpg").chmod(0)
    return results
