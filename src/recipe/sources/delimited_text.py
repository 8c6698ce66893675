"""Reads delimited text, and recognises its encoding and delimiter where conf does not name them."""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from recipe.errors import RecipeError
from recipe.problems import shown

DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
OTHERS = ";,\t|"
LONGEST = 1 << 26  # characters in a cell; csv's default limit of 131,072 is too short for a long text
BOMS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
WESTERN = "cp1252"  # of Windows and Excel in Western Europe; equal to latin-1 except for 0x80 to 0x9f
SAMPLE = 100  # records that are split to recognise the delimiter
FRACTIONS = re.compile(r"\d;\s*-?\d")  # two numbers in one cell: the cells are separated by semicolons


def text_of(path: Path, encoding: str | None) -> tuple[str, str]:
    """(the file's text, a note on the assumed encoding: empty for UTF-8, or where `encoding` is given).

    A byte order mark decides; otherwise UTF-8, whose rules the accents of other encodings do not fulfil by chance;
    otherwise cp1252, where it gives single accents among plain letters. Raises RecipeError that suggests `encoding`
    where none of them fits.
    """
    content = path.read_bytes()
    if encoding is not None:
        return _decoded(path, content, encoding), ""
    if content.startswith(b"PK\x03\x04"):
        raise RecipeError(f"{path} is a zip archive or an Excel workbook: save the sheet as CSV, in UTF-8.")
    if mark := next((name for mark, name in BOMS if content.startswith(mark)), None):
        return _decoded(path, content, mark), ""
    start = content[:1000]
    if start.count(0) > len(start) / 4:
        order = "le" if start[1::2].count(0) >= start[::2].count(0) else "be"
        raise RecipeError(f"{path} has a zero in every other byte, as UTF-16 has: set `encoding: utf-16-{order}`.")
    try:
        return content.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        return _western(path, content, error.start)


def _decoded(path: Path, content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        where = f"byte {error.start}, line {_line(content, error.start)}"
        raise RecipeError(f"{path} is not {encoding} ({error.reason}, {where}): set another `encoding`.") from None
    except (UnicodeError, LookupError) as error:
        raise RecipeError(f"{path}: `encoding: {encoding}` cannot be used: {error}.") from None


def _line(content: bytes, at: int) -> int:
    return content.count(b"\n", 0, at) + 1


def _western(path: Path, content: bytes, at: int) -> tuple[str, str]:
    """Accents of Western Europe are single letters among plain ones; other alphabets' bytes come in runs."""
    where = f"it is not UTF-8 (byte {at}, line {_line(content, at)})"
    try:
        text = content.decode(WESTERN)
    except UnicodeDecodeError:
        text = ""
    accents = len(re.findall(r"[^\x00-\x7f]", text))
    in_runs = sum(map(len, re.findall(r"[^\x00-\x7f]{2,}", text)))
    if not text or in_runs > accents / 4 or re.search(r"[\x00-\x08\x0e-\x1f]", text):
        raise RecipeError(
            f"{path}: {where}, and does not read as {WESTERN} either. Save it as UTF-8, or name its encoding, as "
            "`encoding: latin-1`, cp1250 (Central Europe), cp1251 (Cyrillic), gb18030, shift_jis."
        )
    words = re.findall(r"[^\W\d_]*[^\x00-\x7f][^\W\d_]*", text)
    return text, f"{where}; it was read as {WESTERN}, as {shown(words[0])!r}: if that is wrong, set `encoding`"


def records(path: Path, text: str, delimiter: str, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """(the line where it begins, its cells) of every record that is not empty.

    Raises RecipeError where a quote is not closed, with the line.
    """
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    before = csv.field_size_limit(LONGEST)
    begin = 1
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)
        for cells in reader:
            if any(map(str.strip, cells)):
                yield begin, cells
            begin = reader.line_num + 1  # a cell in quotes may hold line ends
    except csv.Error as error:
        advice = " If quotes are plain characters here, set `quoted: false`." if quoted else ""
        raise RecipeError(f"{path}, line {begin}: {error}.{advice}") from None
    finally:
        csv.field_size_limit(before)


def delimiter_of(path: Path, text: str, quoted: bool) -> tuple[str, str]:
    """(the delimiter, a note: empty where it is the usual one for the file's ending).

    It is another one where the usual delimiter does not split the first record, or leaves numbers such as `1,5;2` in
    cells. Raises RecipeError for endings other than .csv, .tsv and .txt.
    """
    if sep := re.match(r"sep=(.)\r?\n", text):  # a line that Excel writes and reads
        return sep[1], ""
    usual = DELIMITERS.get(path.suffix.lower())
    if usual is None:
        raise RecipeError(f"{path}: a table ends in .csv, .tsv or .parquet; for another name give `delimiter`.")
    first = _first(path, text, usual, quoted)
    if not first:
        return usual, ""
    paired = sum(any(FRACTIONS.search(cell) for cell in cells) for cells in first)
    if len(first[0]) > 1 and paired <= (len(first) - 1) / 2:  # the first may be a header
        return usual, ""
    for other in (d for d in OTHERS if d != usual):
        widths = {len(cells) for cells in _first(path, text, other, quoted)}
        if len(widths) == 1 and min(widths) > 1:
            return other, f"its cells are separated by {other!r}, and not by {usual!r} as usual in {path.suffix}"
    return usual, ""


def _first(path: Path, text: str, delimiter: str, quoted: bool) -> list[list[str]]:
    """The first records; the last may be cut."""
    start = text[: 1 << 16]
    try:
        first = []
        for _, cells in records(path, start, delimiter, quoted):
            first.append(cells)
            if len(first) > SAMPLE:
                break
    except RecipeError:  # truncated within quotes, or this delimiter does not fit
        pass
    return first[:-1] if len(text) > len(start) and len(first) <= SAMPLE else first[:SAMPLE]
