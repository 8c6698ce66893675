"""The report as pages: one HTML file that needs no network, and the same in Markdown.

The only importer of jinja2. A number that is in no report.json is on no page.
"""

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from recipe import formatting
from recipe.files import write_text
from recipe.formatting import slug
from recipe.stages.report.chapter import Chapter
from recipe.stages.report.evidence import read_evidence
from recipe.stages.report.scores import gaps, score_chart


def render_report(runs: Path, to: Path | None = None, report: dict | None = None) -> None:
    """Writes report.html and report.md into `to` (default: `runs`), from each stage's report.json and pictures.

    report: the content of the report stage, which is not on disk while that stage runs.
    """
    runs, to = Path(runs), Path(to or runs)
    evidence = read_evidence(runs, report)
    context = {
        "evidence": evidence,
        "scores": score_chart(evidence),
        "gaps": gaps(evidence),
        "chapters": [Chapter(stage, runs, to) for stage in evidence.ran],
    }
    write_text(to / "report.html", page("report.html", **context))
    write_text(to / "report.md", page("report.md", **context))


# ---- templates ---------------------------------------------------------------------------------------------


def page(template: str, **context: Any) -> str:
    """A template of this folder, filled; values are escaped for HTML, or for Markdown in a .md template."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_markdown if template.endswith(".md") else None,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = {name: getattr(formatting, name) for name in ("line", "number", "count")}
    environment.filters |= words | {"code": _code, "slug": slug, "sentence_start": _sentence_start}
    return environment.get_template(template).render(**context).strip() + "\n"


def _markdown(value: Any) -> Any:
    """Text as Markdown that shows exactly this text, also inside a table; markup of the template stays as it is."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    text = formatting.line(value, 2000)
    text = re.sub(r"[\\`*\[\]|~]|(?<!\w)_|_(?!\w)", lambda m: "\\" + m[0], text)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("$", "&#36;")):
        text = text.replace(character, entity)
    return Markup(text)


def _sentence_start(text: str) -> str:
    return text[:1].upper() + text[1:]


def _code(value: Any) -> Markup:
    """A code span, also for a cell of a table."""
    text = formatting.line(value).replace("`", "'").replace("|", "\\|")
    return Markup(f"`{text}`") if text else Markup("")
