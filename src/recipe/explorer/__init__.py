"""The explorer: thousands of examples with every column of the table, on one page without network or server.

`explorer` renders it. The page is page/page.html with its style sheet and its modules (bundle.py) around one JSON:
columns as base64 arrays, text as a dictionary and codes, thumbnails as sheets of WebP. It needs nothing from the place
where it is opened: it works from disk, and in a frame with sandbox="allow-scripts", where storage, downloads, dialogs
and sibling files are out of reach.
"""

import functools
import html
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from recipe.explorer.bundle import bundle
from recipe.explorer.columns import encode, pack
from recipe.explorer.sampling import MAX_EXAMPLES, add_neighbours, sample_rows
from recipe.explorer.sheets import sheets
from recipe.explorer.table import Column, Roles, count_rows
from recipe.formatting import line

__all__ = ["MAX_EXAMPLES", "Column", "Roles", "explorer", "sample_rows"]

PAGE = Path(__file__).parent / "page"


def explorer(
    columns: Sequence[Column],
    roles: Roles,
    *,
    title: str,
    summary: str = "",
    picture: Callable[[int], np.ndarray | None] | None = None,
    text: Sequence[str] | None = None,
    classes: Sequence[str] = (),
    entry: str = "one",
    measured: Sequence[str] = (),
    neighbours: np.ndarray | None = None,
    neighbours_heading: str = "Nearest neighbours",
    only_neighbours: np.ndarray | None = None,
    initial_filter: Mapping[str, Sequence[str]] | None = None,
    flagged: np.ndarray | None = None,
    limit: int = MAX_EXAMPLES,
    seed: int = 0,
) -> str:
    """The page, to be written as UTF-8.

    picture: row -> (H, W) or (H, W, 3) uint8, None where it cannot be read. Sides above 64 pixels are shrunk by area.
    text: the example itself where it is a text; becomes the column `text`.
    classes: every name that a label may have, in the order to show them.
    entry: how a label is entered: `one` of these names, `any` of them, or a `number` for each of them.
    measured: of numbers, the columns that hold the given ones.
    neighbours: (N, k) rows, nearest first; -1 where there is none.
    only_neighbours: (N,) bool, examples that are shown beside others, never in the gallery.
    initial_filter: {column of text, or yes or no: the values that pass}; the user can remove it.
    flagged: (N,) bool, the examples that deserve a look; becomes the column `flagged`. With a role `wrong` those that
        are wrong count as flagged, without another column.
    limit: with more examples than this, the page has all flagged ones and a random sample of the others (drawn with
        `seed`) that fills it up to `limit`, at least a fifth of `limit`.
    Raises ValueError when columns differ in length, share a name, or a role names no column.
    """
    columns = [*columns, *_added_columns(text, flagged)]
    total = count_rows(columns, roles)
    names = [c.name for c in columns]
    source = roles.wrong or ("flagged" if flagged is not None else "")
    marked = columns[names.index(source)].values.astype(bool) if source else np.zeros(total, bool)
    candidates = np.arange(total) if only_neighbours is None else np.flatnonzero(~only_neighbours)
    rows = candidates[sample_rows(marked[candidates], limit, seed)]
    shown = len(rows)
    if neighbours is not None:
        rows = add_neighbours(rows, marked, neighbours, limit, of_all=only_neighbours is not None)
    payload = {
        "title": title,
        "summary": summary,
        "counts": _counts(len(candidates), shown, int(marked[candidates].sum()), "wrong" if roles.wrong else "flagged"),
        "rows": len(rows),
        "sampled": shown < len(candidates),
        "shown": shown,  # the rows after these are neighbours of shown ones
        "seed": seed,
        "roles": vars(roles),
        "initialFilter": {name: list(values) for name, values in (initial_filter or {}).items()},
        "text": text is not None,
        "classes": [str(name) for name in classes],
        "entry": entry,
        "measured": list(measured),
        "columns": [encode(c.name, c.meaning, c.values[rows], c.separator) for c in columns],
        "neighbours": _neighbours_on_page(neighbours, rows, total, neighbours_heading),
        "pictures": None if picture is None else sheets(picture, rows.tolist()),
    }
    return _render(title, payload)


def _added_columns(text: Sequence[str] | None, flagged: np.ndarray | None) -> list[Column]:
    added = []
    if text is not None:
        added.append(Column("text", "the example itself", np.array([*text], dtype=object)))
    if flagged is not None:
        meaning = "whether the example is flagged: worth a look"
        added.append(Column("flagged", meaning, np.asarray(flagged, dtype=bool)))
    return added


def _render(title: str, payload: dict[str, Any]) -> str:
    return Template((PAGE / "page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(line(title, 120)),
        style=(PAGE / "page.css").read_text(encoding="utf-8"),
        script=_script(),
        payload=_embedded(payload),
    )


@functools.cache
def _script() -> str:
    return bundle(PAGE)


def _counts(total: int, shown: int, flagged: int, word: str) -> str:
    if shown == total:
        return f"{total:,} examples"
    kept = f"all {flagged:,} {word} and a random sample of the others" if flagged else "a random sample"
    return f"{shown:,} of {total:,} examples: {kept}"


def _neighbours_on_page(
    neighbours: np.ndarray | None, rows: np.ndarray, total: int, heading: str
) -> dict[str, Any] | None:
    """Neighbours by their place on the page; -1 for those which are not on it."""
    if neighbours is None:
        return None
    place = np.full(total + 1, -1)
    place[rows] = np.arange(len(rows))
    return {"heading": heading, "k": neighbours.shape[1], **pack(place[neighbours[rows]].ravel().astype(np.int32))}


def _embedded(payload: dict[str, Any]) -> str:
    """JSON in ASCII that no text in it can end: a `<` in it is not a tag."""
    text = json.dumps(payload, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
