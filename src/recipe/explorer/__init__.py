"""The explorer: thousands of examples with every column of theirs, on one page without network or server.

`explorer` renders it. The page is page.html with page.css and the scripts of this folder (SCRIPTS, in that order)
around one JSON: columns as base64 arrays, text as a dictionary and codes, thumbnails as sheets of WebP. It asks nothing
of the place it is opened in: from disk, or in a frame with sandbox="allow-scripts", where storage, downloads, dialogs
and sibling files are out of reach.
"""

import html
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

import numpy as np

from recipe.explorer.columns import encoded, packed
from recipe.explorer.sheets import sheets
from recipe.formatting import line

FOLDER = Path(__file__).parent
SCRIPTS = (
    "dom.js",
    "data.js",
    "query.js",
    "filter.js",
    "plots.js",
    "confusion.js",
    "layout.js",
    "gallery.js",
    "views.js",
    "detail.js",
    "marks.js",
    "address.js",
    "keys.js",
    "main.js",
)
MOST = 5000  # examples on a page
# Neighbours that are not drawn come along as pictures: at most the page's examples over this number, or as many as make
# MOST of all
COMPANIONS = 4


@dataclass(frozen=True)
class Column:
    """A column of the table of examples."""

    name: str
    meaning: str  # shown beside every value: what it is, its unit and range
    values: np.ndarray  # (N,) numbers (NaN is missing), bools or text ("" is missing)
    separator: str = ""  # of a text that lists several values: each has a bar of its own


@dataclass(frozen=True)
class Roles:
    """Names of the columns that have a part of their own; empty where there is none.

    The page has a view of the duplicates where there is a `group`, of label suspects where there are `suspect` and
    `suggested`, of confusions where there are `label` and `suggested`. With `wrong`, a table of confusions stands
    beside the gallery.
    """

    id: str  # text, different for each example: what decisions.csv names
    label: str = ""  # name of the class as given
    suggested: str = ""  # name of the class that something else suggests: a model, the neighbours
    suspect: str = ""  # number, high for a label that looks wrong
    group: str = ""  # text, equal for duplicates
    wrong: str = ""  # yes or no: `suggested` is not `label`
    order: str = ""  # number: the page begins sorted by it, the largest first
    caption: str = ""  # below each picture to begin with; else the label
    guarded: str = ""  # yes or no: a decision about it needs a warning, which is the column's meaning


def explorer(
    columns: Sequence[Column],
    roles: Roles,
    *,
    title: str,
    summary: str = "",
    picture: Callable[[int], np.ndarray | None] | None = None,
    text: Sequence[str] | None = None,
    classes: Sequence[str] = (),
    neighbours: np.ndarray | None = None,
    neighbours_are: str = "Nearest neighbours",
    beside: np.ndarray | None = None,
    start: Mapping[str, Sequence[str]] | None = None,
    flagged: np.ndarray | None = None,
    most: int = MOST,
    seed: int = 0,
) -> str:
    """The page, to be written as UTF-8.

    picture: row -> (H, W) or (H, W, 3) uint8, None where it cannot be read. Sides above 64 pixels are shrunk by area.
    text: the example itself where it is a text; becomes the column `text`.
    classes: every name that a label may have, in the order to show them.
    neighbours: (N, k) rows, nearest first; -1 where there is none. neighbours_are: the heading above them.
    beside: (N,) bool, examples that are there as neighbours of others alone.
    start: {column of text, or yes or no: its values that the page begins with}; the filter can be taken off.
    flagged: (N,) bool, the examples that something is said about; becomes the column `flagged`. With a role `wrong`
        those that are wrong count as flagged, without another column.
    most: with more examples than this, the page has all flagged ones and as many of the others, evenly drawn with
        `seed`, as make `most` of them (at least a fifth of `most`).
    Raises ValueError when columns differ in length, share a name, or a role names no column.
    """
    columns = [*columns]
    if text is not None:
        columns.append(Column("text", "the example itself", np.array([*text], dtype=object)))
    if flagged is not None:
        columns.append(Column("flagged", "the audit has something to say about it", np.asarray(flagged, dtype=bool)))
    total = _length(columns, roles)
    if roles.wrong:
        flagged = next(c.values for c in columns if c.name == roles.wrong)
    marked = np.zeros(total, bool) if flagged is None else np.asarray(flagged, dtype=bool)
    among = np.arange(total) if beside is None else np.flatnonzero(~beside)
    rows = among[drawn(marked[among], most, seed)]
    shown = len(rows)
    if neighbours is not None:
        wanted = _companions(rows, marked, neighbours, others=beside is not None)
        rows = np.concatenate([rows, wanted[: max(most - shown, shown // COMPANIONS)]])
    payload = {
        "title": title,
        "summary": summary,
        "drawing": _told(len(among), shown, int(marked[among].sum()), "wrong" if roles.wrong else "flagged"),
        "rows": len(rows),
        "sampled": shown < len(among),
        "shown": shown,  # the rows after these are neighbours of shown ones
        "seed": seed,
        "roles": vars(roles),
        "start": {name: list(chosen) for name, chosen in (start or {}).items()},
        "text": text is not None,
        "classes": [str(name) for name in classes],
        "columns": [encoded(c.name, c.meaning, c.values[rows], c.separator) for c in columns],
        "neighbours": None if neighbours is None else _renumbered(neighbours, rows, total) | {"are": neighbours_are},
        "pictures": None if picture is None else sheets(picture, rows.tolist()),
    }
    return Template((FOLDER / "page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(line(title, 120)),
        style=(FOLDER / "page.css").read_text(encoding="utf-8"),
        script="\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS),
        payload=_embedded(payload),
    )


def drawn(flagged: np.ndarray, most: int, seed: int) -> np.ndarray:
    """The rows to show, in ascending order: all, or all flagged and an evenly drawn sample of the others."""
    if len(flagged) <= most:
        return np.arange(len(flagged))
    certain, others = np.flatnonzero(flagged), np.flatnonzero(~flagged)
    count = min(len(others), max(most - len(certain), most // 5))
    sample = np.random.default_rng(seed).choice(others, count, replace=False)
    return np.sort(np.concatenate([certain, sample]))


def _told(total: int, shown: int, flagged: int, word: str) -> str:
    if shown == total:
        return f"{total:,} examples"
    return f"{shown:,} of {total:,} examples: {f'all {flagged:,} {word} and ' if flagged else ''}a sample"


def _length(columns: list[Column], roles: Roles) -> int:
    names = [c.name for c in columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"more than one column is called {', '.join(twice)}")
    for role, name in vars(roles).items():
        if name and name not in names:
            raise ValueError(f"{role} is to be the column {name!r}; there are {', '.join(names)}")
    lengths = {len(c.values) for c in columns}
    if len(lengths) != 1:
        raise ValueError(f"columns of different lengths: { {c.name: len(c.values) for c in columns} }")
    return lengths.pop()


def _companions(rows: np.ndarray, flagged: np.ndarray, neighbours: np.ndarray, others: bool) -> np.ndarray:
    """Neighbours of flagged rows that are not among `rows`, the nearest ones first; then those of the others, if so."""
    # every first neighbour, then every second
    wanted = [neighbours[rows[flagged[rows] == first]].T.ravel() for first in ((True, False) if others else (True,))]
    wanted = np.concatenate(wanted)
    wanted = wanted[(wanted >= 0) & ~np.isin(wanted, rows)]
    _, first = np.unique(wanted, return_index=True)
    return wanted[np.sort(first)].astype(np.int64)


def _renumbered(neighbours: np.ndarray, rows: np.ndarray, total: int) -> dict:
    """Neighbours by their place on the page; -1 for those which are not on it."""
    place = np.full(total + 1, -1)
    place[rows] = np.arange(len(rows))
    return {"k": neighbours.shape[1], **packed(place[neighbours[rows]].ravel().astype(np.int32))}


def _embedded(payload: dict) -> str:
    """JSON in ASCII that no text in it can end: a `<` of it is no tag."""
    text = json.dumps(payload, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
