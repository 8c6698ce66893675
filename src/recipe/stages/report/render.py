"""Evidence to pages a person reads: one HTML file without network, and its Markdown twin.

The only importer of jinja2. A number that is in no report.json is on no page.
"""

import base64
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from recipe import formatting
from recipe.files import write_text
from recipe.stages.report import axis_scale, evidence
from recipe.stages.report.evidence import Check, Evidence, Stage

IMAGES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".svg": "image/svg+xml"}


def render_report(runs: Path, to: Path | None = None, own: dict | None = None) -> None:
    """Writes report.html and report.md into `to` (default: `runs`), from each stage's report.json and pictures.

    own: the content of the report stage itself, which is not on disk while that stage runs.
    """
    runs, to = Path(runs), Path(to or runs)
    found = evidence.read(runs, own)
    context = {
        "found": found,
        "ladder": ladder(found),
        "gaps": gaps(found),
        "chapters": [Chapter(stage, runs, to) for stage in found.ran],
    }
    write_text(to / "report.html", page("report.html", **context))
    write_text(to / "report.md", page("report.md", **context))


# ---- templates ---------------------------------------------------------------------------------------------


def page(template: str, **context) -> str:
    """A template of this folder, filled; values are escaped for HTML, or for Markdown in a .md template."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_markdown if template.endswith(".md") else None,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = {name: getattr(formatting, name) for name in ("line", "number", "percent", "points", "metric", "count")}
    environment.filters |= words | {"code": _code, "slug": slug}
    return environment.get_template(template).render(**context).strip() + "\n"


def _markdown(value):
    """Text as Markdown that shows exactly this text, also inside a table; our own markup stays as it is."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    text = formatting.line(value, 2000)
    text = re.sub(r"[\\`*\[\]|~]|(?<!\w)_|_(?!\w)", lambda m: "\\" + m[0], text)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("$", "&#36;")):
        text = text.replace(character, entity)
    return Markup(text)


def _code(value) -> Markup:
    """A code span, which may stand in a table."""
    text = formatting.line(value).replace("`", "'").replace("|", "\\|")
    return Markup(f"`{text}`") if text else Markup("")


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "-", str(text).lower()).strip("-")[:80]


# ---- scores ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rung:
    """A row of the score ladder."""

    stage: str
    system: str
    at: str  # x of the dot, an SVG length
    low: str  # x of the interval's ends; empty without an interval
    high: str
    shown: str  # the value
    spread: str  # its interval or spread, and over how many seeds
    test: bool  # measured on test, all others on validation
    final: bool  # the system that all of it led to
    suspect: bool  # of a stage with a closed gate


@dataclass(frozen=True)
class Ladder:
    measure: str  # accuracy, or loss where no system has one
    rungs: list[Rung]
    ticks: tuple[axis_scale.Tick, ...]
    human: bool  # whether a person has been measured


def ladder(found: Evidence) -> Ladder | None:
    """Every scored system, in the order of the recipe; None where there is none."""
    rows = [(stage, row) for stage in found.ran for row in stage.scores]
    for measure in ("accuracy", "loss"):
        scored = [(s, row, *_score(row, measure)) for s, row in rows if formatting.finite(_score(row, measure)[0])]
        if scored:
            break
    else:
        return None
    fitting = axis_scale.accuracy_scale if measure == "accuracy" else axis_scale.loss_scale
    axis = fitting([value for *_, value, _, _ in scored])
    rungs = [
        _rung(stage, row, value, low, high, measure, axis, row is found.final)
        for stage, row, value, low, high in scored
    ]
    return Ladder(measure, rungs, axis.ticks, any(r.system == "human" for r in rungs))


def _score(row: dict, measure: str) -> tuple:
    """(value, low, high) of a row, on test where it was measured there."""
    value = row.get(f"test_{measure}")
    if formatting.finite(value):
        ends = (row.get("test_low"), row.get("test_high")) if measure == "accuracy" else (None, None)
        return (value, *(ends if all(map(formatting.finite, ends)) else (None, None)))
    value, spread = row.get(f"val_{measure}"), row.get(f"val_{measure}_sd")
    if formatting.finite(value) and formatting.finite(spread):
        return value, value - spread, value + spread
    return value, None, None


def _rung(stage: Stage, row: dict, value, low, high, measure: str, axis: axis_scale.Scale, final: bool) -> Rung:
    show = formatting.percent if measure == "accuracy" else formatting.number
    test = formatting.finite(row.get(f"test_{measure}"))
    told = []
    if low is not None and test:
        told.append(f"{show(low).removesuffix(' %')} to {show(high)}")
    elif low is not None:
        told.append(f"± {formatting.points(value - low) if measure == 'accuracy' else formatting.number(value - low)}")
    if not test and formatting.numeric(row.get("seeds")) and row["seeds"] > 1:
        told.append(f"{formatting.number(row['seeds'])} seeds")
    return Rung(
        stage.name,
        formatting.line(row.get("system"), 60) or "unnamed",
        axis.place(value),
        axis.place(low) if low is not None else "",
        axis.place(high) if low is not None else "",
        show(value),
        ", ".join(told),
        test,
        final,
        suspect=stage.state == evidence.CLOSED,
    )


@dataclass(frozen=True)
class Gap:
    """Train beside validation, for one system."""

    stage: str
    system: str
    train_accuracy: str
    val_accuracy: str
    accuracy_gap: str  # percentage points
    train_loss: str
    val_loss: str
    loss_gap: str
    train_at: str  # x of the two losses
    val_at: str


def gaps(found: Evidence) -> list[Gap]:
    """A row per system of which both sides are known."""
    rows = [(stage.name, row) for stage in found.ran for row in stage.scores]
    rows = [(s, row) for s, row in rows if _both(row, "loss") or _both(row, "accuracy")]
    axis = axis_scale.loss_scale(
        [row[f"{side}_loss"] for _, row in rows if _both(row, "loss") for side in ("train", "val")]
    )
    return [_gap(stage, row, axis) for stage, row in rows]


def _both(row: dict, measure: str) -> bool:
    return all(formatting.finite(row.get(f"{side}_{measure}")) for side in ("train", "val"))


def _gap(stage: str, row: dict, axis: axis_scale.Scale) -> Gap:
    train, val = ((row.get(f"{side}_accuracy"), row.get(f"{side}_loss")) for side in ("train", "val"))
    loss = _both(row, "loss")
    return Gap(
        stage,
        formatting.line(row.get("system"), 60) or "unnamed",
        formatting.percent(train[0]),
        formatting.percent(val[0]),
        formatting.points(train[0] - val[0]) if _both(row, "accuracy") else "",
        formatting.number(train[1]),
        formatting.number(val[1]),
        formatting.difference(train[1], val[1]) if loss else "",
        axis.place(train[1]) if loss else "",
        axis.place(val[1]) if loss else "",
    )


# ---- a stage's pictures and files --------------------------------------------------------------------------


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
class Row:
    """A check with what there is to see; each picture stands on the page once, other places link to it."""

    check: Check
    pictures: list[Picture]
    links: list[tuple[str, str]]  # (text, href)
    missing: list[str]


class Chapter:
    """A stage that ran, ready to be shown."""

    def __init__(self, stage: Stage, runs: Path, to: Path):
        self.stage, self._folder, self._to = stage, runs / stage.name, to
        captions = {f: c for f, c in stage.figures.items() if Path(f).suffix.lower() in IMAGES}
        shown: set[str] = set()
        # failed checks show their pictures; a check that holds links to the figure
        self.rows = [self._row(check, captions, shown) for check in stage.checks]
        self.figures = [p for f, c in captions.items() if f not in shown and (p := self._picture(f, c))]
        self.missing = [formatting.line(f, 120) for f in stage.figures if self._inside(f) is None]
        named = dict.fromkeys(f for check in stage.checks for f in check.evidence if f.endswith(".html"))
        self.pages = [(formatting.line(f, 120), self._link(p)) for f in named if (p := self._inside(f))]

    def _row(self, check: Check, captions: dict[str, str], shown: set[str]) -> Row:
        pictures, links, missing = [], [], []
        for file in check.evidence:
            name, path = formatting.line(file, 120), self._inside(file)
            if path is None:
                missing.append(name)
            elif path.suffix.lower() not in IMAGES:
                links.append((name, self._link(path)))
            elif file in shown or (file in captions and check.state in ("pass", "skip")):
                links.append((name, f"#{self._anchor(file)}"))
            else:
                shown.add(file)
                pictures.append(self._picture(file, captions.get(file, "")))
        return Row(check, pictures, links, missing)

    def _picture(self, file: str, caption: str) -> Picture | None:
        if (path := self._inside(file)) is None:
            return None
        content, kind = path.read_bytes(), IMAGES[path.suffix.lower()]
        # PNG keeps its size in bytes 16 to 23
        width, height = (
            struct.unpack(">II", content[16:24]) if content[:4] == b"\x89PNG" and len(content) > 24 else (0, 0)
        )
        source = f"data:{kind};base64,{base64.b64encode(content).decode()}"
        return Picture(formatting.line(file, 120), caption, self._anchor(file), source, self._link(path), width, height)

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
