"""The evidence to look at: sheets with the ids that decisions.csv needs."""

from pathlib import Path

import numpy as np

from recipe.audit.statistics import BINS, scaled
from recipe.audit.table import Audit, Limits
from recipe.data.store import Store
from recipe.train.chance import key

ACROSS = 14
SHEET = 40  # classes at most on one sheet
PANELS = ("mean", "std", "min", "max", "contrast", "entropy", "near_ratio", "outlier")


def draw(found: Audit, store: Store, limits: Limits, out: Path, seed: int) -> dict[str, str]:
    """Writes every picture; {file: caption}, in the order of the report."""
    from recipe import figures

    table, classes = found.columns, store.classes
    counts = np.bincount(table["label"], minlength=len(classes)).tolist()
    figures.class_counts(out / "class_counts.png", classes, {"examples": counts}, "examples per class")
    blocks = _class_blocks(found, store, seed)
    figures.contact_sheet(out / "classes.png", blocks, ACROSS)
    _intensities(found, classes, out / "intensities.png")
    whole = table["finite"]
    columns = {name: table[name][whole] for name in PANELS}
    marks = {
        "near_ratio": limits.near,
        "outlier": limits.outlier,
        "std": limits.blank * float(np.median(columns["std"])),
    }
    figures.distributions(out / "statistics.png", columns, marks)
    figures.contact_sheet(out / "outliers.png", [_outliers(found, store, limits)], ACROSS)
    figures.contact_sheet(out / "copies.png", _copies(found, store), 7)
    shown = "" if len(classes) <= SHEET else f" of the {SHEET} smallest classes"
    return {
        "class_counts.png": "Examples per class, as the source labels them.",
        "classes.png": f"Examples drawn at random{shown}, with the ids that decisions.csv takes.",
        "intensities.png": "How often each value occurs, in each class and in all of them (line).",
        "statistics.png": "Every example in each statistic; beyond a dashed line it is flagged.",
        "outliers.png": "The examples that look least like any other; z is the robust outlier score.",
        "copies.png": "Equal inputs, and the pairs that are most alike; r is the near_ratio.",
    }


def _tiles(found: Audit, store: Store, rows) -> list[np.ndarray]:
    from recipe.figures import tile

    low, high = found.statistics.low, found.statistics.high
    return [tile(scaled(store.inputs[row]), low, high) for row in rows]


def _class_blocks(found: Audit, store: Store, seed: int) -> list:
    """A block per class, in the order of a draw that depends on the seed and the ids alone."""
    table = found.columns
    counts = np.bincount(table["label"], minlength=len(store.classes))
    shown = np.sort(np.argsort(counts, kind="stable")[:SHEET])
    most = ACROSS * (2 if len(shown) <= 20 else 1)
    blocks = []
    for label in shown:
        mine = np.flatnonzero(table["label"] == label)
        rows = sorted(mine, key=lambda row: key(seed, "sheet", table["id"][row]))[:most]
        title = f"{store.classes[label]}   ({len(mine):,} examples)"
        blocks.append((title, _tiles(found, store, rows), [str(table["id"][row]) for row in rows]))
    return blocks


def _outliers(found: Audit, store: Store, limits: Limits) -> tuple:
    table = found.columns
    rows = np.lexsort((table["id"], -table["outlier"]))[: 2 * ACROSS]
    captions = [f"{table['id'][r]}\n{table['class'][r]}  z {table['outlier'][r]:.1f}" for r in rows]
    count = int((table["outlier"] > limits.outlier).sum())
    title = f"{count:,} examples have an outlier score over {limits.outlier:g}; the highest scores"
    return title, _tiles(found, store, rows), captions


def _copies(found: Audit, store: Store) -> list:
    """A block of equal inputs, those with different labels first, and one of the most similar pairs."""
    table = found.columns
    row_of = {name: row for row, name in enumerate(table["id"])}
    pairs = [(row, row_of[name]) for row, name in enumerate(table["near_id"]) if row_of[name] != row]
    equal = [table["hash"][a] == table["hash"][b] for a, b in pairs]
    exact = _once([p for p, same in zip(pairs, equal, strict=True) if same], table)
    exact.sort(key=lambda p: table["label"][p[0]] == table["label"][p[1]])
    alike = _once([p for p, same in zip(pairs, equal, strict=True) if not same], table)
    near = [p for p in alike if table["dup_group"][p[0]] == table["dup_group"][p[1]]]
    titles = (
        f"{len(exact):,} pairs of equal inputs",
        f"{len(near):,} pairs of near copies; the most similar pairs",
    )
    blocks = zip(titles, (exact[:14], alike[:21]), strict=True)
    return [(title, *_pair_tiles(found, store, some)) for title, some in blocks]


def _once(pairs: list, table: dict) -> list:
    """Each pair once, the most similar first."""
    ratio, seen = table["near_ratio"], {}
    for a, b in pairs:
        seen[min(a, b), max(a, b)] = min(ratio[a], seen.get((min(a, b), max(a, b)), np.inf))
    return sorted(seen, key=lambda pair: (seen[pair], table["id"][pair[0]], table["id"][pair[1]]))


def _pair_tiles(found: Audit, store: Store, pairs: list) -> tuple[list, list]:
    table = found.columns
    tiles, captions = [], []
    for a, b in pairs:
        left, right = _tiles(found, store, (a, b))
        tiles.append(np.concatenate([left, np.full((len(left), 4, 3), 255, np.uint8), right], axis=1))
        lines = [f"{table['id'][row]:<14} {table['class'][row]}" for row in (a, b)]
        ratio = min(table["near_ratio"][a], table["near_ratio"][b])
        captions.append("\n".join([*lines, f"r {ratio:.2f}"]))
    return tiles, captions


def _intensities(found: Audit, classes: list[str], path: Path) -> None:
    from recipe import figures

    seen, label = found.statistics, found.columns["label"]
    counts = np.bincount(label, minlength=len(classes))
    shown = [c for c in np.sort(np.argsort(-counts, kind="stable")[:SHEET]) if counts[c]]
    shares = {classes[c]: seen.histograms[label == c].mean(0) for c in shown}
    figures.intensities(path, np.linspace(seen.low, seen.high, BINS + 1), seen.histograms.mean(0), shares)
