"""Pages of the explorer for tests: a small table of examples with all that a page shows, and how to read it."""

import base64
import json
import re

import numpy as np

from recipe.explorer import Column, Roles, explorer

CLASSES = ["cat", "dog", "ice cream", '<script>alert("x")</script>', "=1,2"]
COUNT = 300


def texts(values) -> np.ndarray:
    return np.array(list(values), dtype=object)


def table(count: int = COUNT, seed: int = 0) -> list[Column]:
    """A small audit: ids, given and suggested classes, scores, groups of two and three, flags, holes."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, len(CLASSES), count)
    suggested = np.where(np.arange(count) % 10 == 0, (label + 1) % len(CLASSES), label)
    score = rng.normal(size=count).astype(np.float32)
    score[7] = np.nan
    score[8] = np.inf
    ids = [f"{k * 2654435761 % 2**32:08x}" for k in range(count)]
    flags = ["outlier; near copy" if k % 50 == 0 else "outlier" if k % 25 == 0 else "" for k in range(count)]
    return [
        Column("id", "what decisions.csv names", texts(ids)),
        Column("class", "name of the class", texts(CLASSES[k] for k in label)),
        Column("suggested", "what a model says", texts(CLASSES[k] for k in suggested)),
        Column("suspicion", "high for a label that looks wrong", (suggested != label) * rng.random(count)),
        Column("split", "its part", texts(np.where(np.arange(count) % 3, "train", "val"))),
        Column("outlier", "robust z", score),
        Column("row", "place in the file", np.arange(count)),
        Column("grey", "one channel", np.arange(count) % 4 == 0),
        Column("two words", "a name with a blank", np.arange(count) / 7),
        Column("dup_group", "id of the first copy", texts(ids[k - k % 3] if k < 30 else ids[k] for k in range(count))),
        Column("flags", "what the audit says", texts(flags), "; "),
    ]


def picture(i: int) -> np.ndarray:
    return np.full((8, 8), 255 * i // COUNT, np.uint8)


ROLES = Roles("id", "class", "suggested", "suspicion", "dup_group")
NEIGHBOURS = np.stack([(np.arange(COUNT) + k) % COUNT for k in (1, 2, 3)], axis=1)


def page(**changes) -> str:
    flagged = np.arange(COUNT) % 25 == 0
    options = {"title": "A small set", "picture": picture, "classes": CLASSES, "neighbours": NEIGHBOURS}
    return explorer(table(), ROLES, **(options | {"flagged": flagged} | changes))


def payload(html: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="payload">(.*?)</script>', html, re.S)[1])


def values(column: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(column["data"]), np.dtype("<" + column["type"]))


def column(name: str) -> np.ndarray:
    return next(c.values for c in table() if c.name == name)


# ---- in a browser ------------------------------------------------------------------------------------------

READY = "performance.getEntriesByName('ready').length"
PICTURES = "performance.getEntriesByName('pictures').length"
HOSTILE = [
    "<script>document.title='broken'</script>",
    "</script><h1 id='broken'>x</h1>",
    "\"quoted\" 'twice' `thrice`",
    "line\u2028separator\u2029and\nnew lines\t",
    "\u202eright to left\u202c",
    "long" * 2500,
    "",
    "👩‍👩‍👧 family",
    "${1+1} {{7*7}} %s &amp; &lt;",
    "__proto__",
    "constructor",
]


def passing(tab) -> int:
    return int(tab.run("document.querySelector('#count b').textContent").replace(",", ""))


def shown_ids(tab) -> list[str]:
    """Ids of the tiles that are drawn, in reading order."""
    place = "[parseFloat(e.parentNode.style.top), parseFloat(e.style.left), e.getAttribute('aria-label')]"
    tiles = tab.run(f"[...document.querySelectorAll('.tiles > .tile')].map(e => {place})")
    return [label.split(",")[0] for _, _, label in sorted(tiles)]


def choose(tab, selector: str, value: str) -> None:
    tab.run(
        f"(() => {{ const s = document.querySelector({json.dumps(selector)}); s.value = {json.dumps(value)};"
        "s.dispatchEvent(new Event('change')) })()"
    )


def fragment(tab) -> str:
    """The address of the view, once it is up to date: it is written once for many changes."""
    tab.wait("performance.getEntriesByName('address').length")
    return tab.run("location.hash")


def sandboxed(html: str) -> str:
    """A page around `html` in a frame without an origin, as a viewer of reports shows it."""
    frame = html.replace("&", "&amp;").replace('"', "&quot;")
    style = "width:900px;height:600px"
    return f'<!doctype html><iframe sandbox="allow-scripts" srcdoc="{frame}" style="{style}"></iframe>'
