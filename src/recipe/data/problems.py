"""What can be wrong with an example or with its source, each kind with where to look; problems.csv lists every one."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

UNREADABLE, UNKNOWN_LABEL, ODD_SHAPE = "unreadable", "unknown label", "odd shape"
CLASS_SPELLING, CLASS_ALIKE = "class spelling", "class names alike"
NO_FILE, NO_ROW, CONTRADICTION = "row without a file", "file without a row", "contradiction"
ODD_NAME, STRAY = "odd name", "stray file"

# kind: what to do about it. A file that cannot be decoded has the decoder's own kinds beside these.
HINTS = {
    UNREADABLE: "Mend it at the source, or remove it there.",
    UNKNOWN_LABEL: "Correct the label, or name its class where the source lists the classes.",
    ODD_SHAPE: "All examples must have one shape and type: resize and convert in the source's file in conf/data/.",
    CLASS_SPELLING: "One class, spelt in two ways: rename one of them, or merge the two.",
    CLASS_ALIKE: "Perhaps one class in singular and plural: merge them if so.",
    NO_FILE: "Correct the name in the row, remove the row, or bring the file back.",
    NO_ROW: "Add a row for the file, or take the file out of the data set.",
    CONTRADICTION: "Two places say different things about one example: correct one of them.",
    ODD_NAME: "Rename it: letters, digits, dots, dashes and underscores are read alike by every system and tool.",
    STRAY: "Not read. Remove it, or move it into the folder of its class if it is an example.",
}


@dataclass(frozen=True)
class Problem:
    """One line of problems.csv."""

    kind: str
    name: str  # of the file or row, or the place
    detail: str
    source: int | None = None  # index in the data set; None where it is no example

    def row(self, hints: Mapping[str, str]) -> dict:
        index = "" if self.source is None else self.source
        return {
            "source": index, "name": self.name, "problem": self.kind, "detail": self.detail, "hint": hints[self.kind],
        }  # fmt: skip


COLUMNS = ["source", "name", "problem", "detail", "hint"]


def shown(name: str) -> str:
    """A file's name as text that can be written: bytes that are no UTF-8, and control characters, as escapes."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def odd_name(name: str) -> str:
    """What is odd about a file's name, empty where nothing is."""
    parts = name.split("/")
    if shown(name) != name:
        return "has bytes or control characters that are no text"
    if any(part != part.strip() for part in parts):
        return "begins or ends with a blank"
    if odd := sorted({c for c in name if not c.isascii()}):
        return f"has the character {odd[0]!r}, written in different ways by different systems"
    if odd := sorted(set(re.findall(r"""[<>:"'|?*\\&;$`]""", name))):
        return f"has the character {odd[0]!r}, which shells or other systems read as something else"
    return ""


def spelt(places: Mapping[str, str]) -> Iterable[Problem]:
    """The class names that differ only in case, blanks, dashes or accents' form, or in a plural's s.

    places: {class name: where it stands first}.
    """
    by_key = defaultdict(list)
    for name in places:
        plain = unicodedata.normalize("NFKC", name).casefold()
        by_key[re.sub(r"[\s_\-]+", " ", plain).strip()].append(name)
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
