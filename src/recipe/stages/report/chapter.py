"""A stage that ran, ready to be shown: its checks with what there is to see, and its pictures."""

import base64
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from recipe.formatting import line, slug
from recipe.stages.report.evidence import CheckResult, Stage

IMAGES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Picture:
    file: str
    caption: str
    anchor: str
    source: str  # data: URI
    link: str  # relative to the page
    width: int
    height: int


@dataclass(frozen=True)
class CheckRow:
    """A check with what there is to see; each picture is on the page once, other places link to it."""

    check: CheckResult
    pictures: list[Picture]
    links: list[tuple[str, str]]  # (text, href)
    missing: list[str]


class Chapter:
    """A stage that ran, ready to be shown."""

    def __init__(self, stage: Stage, runs: Path, to: Path):
        self.stage, self._folder, self._to = stage, runs / stage.name, to
        captions = {f: c for f, c in stage.figures.items() if Path(f).suffix.lower() in IMAGES}
        shown: set[str] = set()
        # a check that does not hold shows its pictures; one that holds links to the figure
        self.rows = [self._row(check, captions, shown) for check in stage.checks]
        self.figures = [p for f, c in captions.items() if f not in shown and (p := self._picture(f, c))]
        self.missing = [line(f, 120) for f in stage.figures if self._inside(f) is None]
        named = dict.fromkeys(f for check in stage.checks for f in check.evidence if f.endswith(".html"))
        self.pages = [(line(f, 120), self._link(path)) for f in named if (path := self._inside(f))]

    def _row(self, check: CheckResult, captions: dict[str, str], shown: set[str]) -> CheckRow:
        pictures: list[Picture] = []
        links: list[tuple[str, str]] = []
        missing: list[str] = []
        for file in check.evidence:
            name, path = line(file, 120), self._inside(file)
            if path is None:
                missing.append(name)
            elif path.suffix.lower() not in IMAGES:
                links.append((name, self._link(path)))
            elif file in shown or (file in captions and check.state in ("pass", "skip")):
                links.append((name, f"#{self._anchor(file)}"))
            elif picture := self._picture(file, captions.get(file, "")):
                shown.add(file)
                pictures.append(picture)
        return CheckRow(check, pictures, links, missing)

    def _picture(self, file: str, caption: str) -> Picture | None:
        if (path := self._inside(file)) is None:
            return None
        content, kind = path.read_bytes(), IMAGES[path.suffix.lower()]
        # PNG keeps its size in bytes 16 to 23
        width, height = (
            struct.unpack(">II", content[16:24]) if content[:4] == b"\x89PNG" and len(content) > 24 else (0, 0)
        )
        source = f"data:{kind};base64,{base64.b64encode(content).decode()}"
        return Picture(line(file, 120), caption, self._anchor(file), source, self._link(path), width, height)

    def _inside(self, file: str) -> Path | None:
        """The file, if it is there and inside the stage's folder: a report.json may name anything."""
        try:
            path = self._folder / file
            inside = path.resolve().is_relative_to(self._folder.resolve()) and path.is_file()
        except (OSError, ValueError):
            return None
        return path if inside else None

    def _link(self, path: Path) -> str:
        return quote(os.path.relpath(path, self._to))

    def _anchor(self, file: str) -> str:
        return f"{self.stage.name}-{slug(file)}"
