"""The kinds of problems of an example or its source, each with what to do about it; problems.csv lists each problem."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

UNREADABLE, UNKNOWN_LABEL, ODD_SHAPE = "unreadable", "unknown label", "odd shape"
UNKNOWN_SPLIT, NOT_FINITE = "unknown split", "not finite"
CLASS_SPELLING, CLASS_ALIKE = "spelling", "names alike"
NO_FILE, NO_ROW, CONTRADICTION = "row without a file", "file without a row", "contradiction"
ODD_NAME, STRAY, LINK = "odd name", "stray file", "link not followed"
NO_EXAMPLE, CLASS_LEVEL = "class without an example", "level of the classes"
# of tables
RAGGED, AMBIGUOUS, ASIDE = "ragged row", "two readings", "column set aside"
ASSUMED, LEVEL_SPELLING, ODD_VALUE = "read as", "level spelling", "odd value"
TASK = "task"  # what kind of target a column was taken for

PROBLEM, NOTE = "problem", "note"  # levels: a problem closes a gate, a note does not
# kinds at the level of a note
NOTE_KINDS = {ODD_NAME, STRAY, LINK, NO_EXAMPLE, CLASS_ALIKE, ASIDE, ASSUMED, LEVEL_SPELLING, ODD_VALUE, TASK}

# {kind: what to do about it}; decode.metadata.PROBLEMS has the kinds of files that cannot be decoded
HINTS = {
    UNREADABLE: "Correct it at the source, or remove it there.",
    UNKNOWN_LABEL: "Correct or add it; where the source lists the classes or labels, add its name there.",
    NOT_FINITE: "A division by zero, a missing value: correct it where the file is made, or leave the example out.",
    UNKNOWN_SPLIT: "Write train, val or test there, or use no column of splits (`split: null`).",
    ODD_SHAPE: "All examples must have one shape and type: convert those that differ, or set `size` of the data.",
    CLASS_SPELLING: "One class or label with two spellings: rename one of them, or merge the two.",
    CLASS_ALIKE: "Perhaps one class or label in singular and plural: merge them if so.",
    NO_FILE: "Correct the name in the row, remove the row, or bring the file back.",
    NO_ROW: "Add a row for the file, or take the file out of the data set.",
    CONTRADICTION: "Two places contradict each other about one example: correct one of them.",
    ODD_NAME: "Rename it so that every system reads it alike; letters of any language and blanks inside are fine.",
    RAGGED: "A cell that holds the delimiter or a line end must be in double quotes; correct the line, or remove it.",
    AMBIGUOUS: "Set the right reading under `data` in params.yaml.",
    ASIDE: "Nothing to do if that is right. To confirm it, add it to `metadata` of the data in params.yaml.",
    ASSUMED: "Nothing to do if that is right.",
    TASK: "Nothing to do if that is right; the word in the detail says so, and the note disappears.",
    LEVEL_SPELLING: "If they mean the same, use one spelling in the file.",
    ODD_VALUE: "If it stands for a missing value, leave the cell empty: -999 and the like are read as numbers.",
    STRAY: "Not read. Remove it, or move it into the folder of its class if it is an example.",
    LINK: "Not read through the link. Remove the link, or put a copy there if it should be another example.",
    CLASS_LEVEL: "Set the level of folders that holds the classes in params.yaml: data: {name: folder, classes_at: 2}.",
    NO_EXAMPLE: "Put its files there, or remove the folder if it is not a class.",
}


class BadExample(Exception):
    """The example cannot be stored: (kind of problem, detail)."""


@dataclass(frozen=True)
class Problem:
    """One line of problems.csv."""

    kind: str
    name: str  # of the file, or the place of the row
    detail: str
    source: int | None = None  # index in the data set; None where it is not about one example

    @property
    def level(self) -> str:
        return NOTE if self.kind in NOTE_KINDS else PROBLEM

    def row(self, hints: Mapping[str, str]) -> dict:
        return problem_row(self.level, self.source, self.name, self.kind, self.detail, hints[self.kind])


COLUMNS = ["level", "source", "name", "problem", "detail", "hint"]


def problem_row(level: str, source: int | None, *texts: str) -> dict:
    """texts: name, problem, detail, hint."""
    return dict(zip(COLUMNS, (level, "" if source is None else source, *texts), strict=True))


def sort_rows(rows: list[dict]) -> list[dict]:
    """Problems in the order of the source; then notes, rare kinds first, so that common notes do not hide them."""
    often = Counter(row["problem"] for row in rows)

    def place(row: dict) -> tuple:
        at = -1 if row["source"] == "" else row["source"]
        return (0, 0, "", at) if row["level"] == PROBLEM else (1, often[row["problem"]], row["problem"], at)

    return sorted(rows, key=place)


JOINERS = "\u200c\u200d"  # invisible, but part of how Persian, Indic scripts and emoji are written
WRITTEN = JOINERS + "\u3000"  # not printable for Python; the last is the blank of Chinese and Japanese


def shown(name: str) -> str:
    """A file's name as text that can be written: bytes that are not UTF-8, and control characters, as escapes."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() or c in WRITTEN else c.encode("unicode_escape").decode() for c in text)


# What Windows reserves or forbids: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
FORBIDDEN = re.compile(r'[<>:"|?*\\]')
RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[1-9\u00b9\u00b2\u00b3])[ .]*(\.|$)", re.IGNORECASE)


def odd_name(name: str) -> str:
    """Why systems may read a file's name (parts separated by `/`) differently; empty where they do not."""
    if shown(name) != name and any("\udc80" <= c <= "\udcff" for c in name):
        return "has bytes that are not UTF-8"
    if invisible := [c for c in name if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") and c not in JOINERS]:
        return f"has the invisible character U+{ord(invisible[0]):04X}"
    if not unicodedata.is_normalized("NFC", name):
        return "has decomposed letters (NFD, as old macOS writes them), which other systems compose to another name"
    if forbidden := FORBIDDEN.search(name):
        return f"has the character {forbidden[0]!r}, which Windows forbids"
    for part in name.split("/"):
        if part != part.strip():
            return "begins or ends with a blank"
        if part.endswith("."):
            return "ends with a dot, which Windows removes"
        if RESERVED.match(part):
            return f"`{part}` is a device's name on Windows"
    return ""


DASHES = re.compile(r"(?<=[^\W\d_])[-\u2010-\u2015](?=[^\W\d_])")  # between letters: guinea-pig
BLANKS = re.compile(r"[\s_\u00ad\u200b\u2060\ufeff]+")


def plain_spelling(name: str) -> str:
    """The name without differences in case, blanks, underscores, dashes between letters and normal form.

    A sign is part of a name: -1 and 1, A and A-, C and C++ are different.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    return BLANKS.sub(" ", DASHES.sub(" ", folded)).strip()


def spelling_problems(places: Mapping[str, str]) -> Iterable[Problem]:
    """A problem for names of classes or labels with the same `plain_spelling`, or that differ in a plural's s.

    places: {name: its first place}.
    """
    by_key = defaultdict(list)
    for name in places:
        by_key[plain_spelling(name)].append(name)
    for names in by_key.values():
        for name in names[1:]:
            detail = f"{name!r} in {places[name]} and {names[0]!r} in {places[names[0]]}"
            yield Problem(CLASS_SPELLING, shown(name), shown(detail))
    for key, (name, *_) in by_key.items():
        if len(key) > 2 and f"{key}s" in by_key:
            other = by_key[f"{key}s"][0]
            yield Problem(
                CLASS_ALIKE, shown(other), shown(f"{other!r} in {places[other]} and {name!r} in {places[name]}")
            )
