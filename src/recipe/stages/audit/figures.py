"""The evidence to look at: sheets with the ids that decisions.csv needs."""

from pathlib import Path

import numpy as np

from recipe.data.source import FEATURES, IMAGE, TEXT
from recipe.data.store import Store
from recipe.plots import examples
from recipe.rng import key
from recipe.stages.audit import probe_figures
from recipe.stages.audit.audit import Audit
from recipe.stages.audit.duplicates.search import Pair
from recipe.stages.audit.flags import Limits
from recipe.stages.audit.probes.questions import TOLERANCE, variation_rows
from recipe.stages.audit.statistics import BINS, scaled

FOLDER = "pictures"  # which pictures there are depends on the kind of data; DVC keeps the folder
ACROSS = 14
SHEET = 40  # classes at most on one sheet
PANELS = {
    IMAGE: ("mean", "std", "contrast", "entropy", "sharpness", "complexity", "near_ratio", "outlier"),
    TEXT: ("characters", "words", "rare_words", "upper_case", "digits", "non_ascii", "near_ratio", "outlier"),
    FEATURES: ("missing", "extreme", "near_ratio", "outlier"),
}


def draw(found: Audit, store: Store, limits: Limits, out: Path, seed: int) -> dict[str, str]:
    """Writes every picture to out/pictures; {file: caption}, in the order of the report."""
    out = out / FOLDER
    table, classes = found.columns, store.classes
    counts = np.bincount(table["label"], minlength=len(classes)).tolist()
    examples.class_counts(out / "class_counts.png", classes, {"examples": counts}, "examples per class")
    whole = table.get("finite", np.ones(len(table["id"]), bool))
    columns = {name: table[name][whole] for name in PANELS[found.kind]}
    marks = {"outlier": limits.outlier}
    if found.kind == IMAGE:
        marks["std"] = limits.blank * float(np.median(columns["std"]))
    if found.kind == FEATURES:
        marks["near_ratio"] = limits.near
    examples.distributions(out / "statistics.png", columns, marks)
    told = {
        "class_counts.png": "Examples per class, as the source labels them.",
        "statistics.png": "Every example in each statistic; beyond a dashed line it is flagged.",
    }
    told |= _probed(found, out)
    told |= _sheets(found, store, limits, out, seed) if found.kind == IMAGE else {}
    return {f"{FOLDER}/{file}": caption for file, caption in told.items()}


def _probed(found: Audit, out: Path) -> dict[str, str]:
    """What the linear probes saw, where they saw anything."""
    told = {}
    curve = next((p.curve for p in found.probes if p.probe == "resolution"), ())
    if curve:
        probe_figures.resolution_curve(out / "resolution.png", list(curve), TOLERANCE)
        told["resolution.png"] = "What a linear probe makes of the images at smaller sizes, with 95 % intervals."
    rows = variation_rows(found.probes)
    if rows:
        probe_figures.variations(out / "variations.png", rows)
        told["variations.png"] = (
            "How the images vary: how much of the pixels' variance, what it tells of the class, what its removal costs."
        )
    return told


def _sheets(found: Audit, store: Store, limits: Limits, out: Path, seed: int) -> dict[str, str]:
    """The pictures of images."""
    examples.contact_sheet(out / "classes.png", _class_blocks(found, store, seed), ACROSS)
    _intensities(found, store.classes, out / "intensities.png")
    examples.contact_sheet(out / "outliers.png", [_outliers(found, store, limits)], ACROSS)
    examples.contact_sheet(out / "copies.png", _copies(found, store), 7)
    examples.contact_sheet(out / "suspects.png", [_suspects(found, store)], ACROSS)
    shown = "" if len(store.classes) <= SHEET else f" of the {SHEET} smallest classes"
    return {
        "classes.png": f"Examples drawn at random{shown}, with the ids that decisions.csv takes.",
        "intensities.png": "How often each value occurs, in each class and in all of them (line).",
        "outliers.png": "The examples that look least like any other; z is the robust outlier score.",
        "copies.png": "Equal inputs, and near copies with what was done to them; s is the similarity.",
        "suspects.png": "Labels that the other examples contradict most, worst first: given, and what they suggest.",
    }


def _tiles(found: Audit, store: Store, rows) -> list[np.ndarray]:
    low, high = found.pixels.low, found.pixels.high
    return [examples.tile(scaled(store.inputs[row]), low, high) for row in rows]


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
    title = f"{count:,} of {len(table['outlier']):,} outlier scores are over {limits.outlier:g}; the highest"
    return title, _tiles(found, store, rows), captions


def _suspects(found: Audit, store: Store) -> tuple:
    table = found.columns
    rows = np.lexsort((table["id"], -np.nan_to_num(table["label_suspicion"])))[: 2 * ACROSS]
    captions = [f"{table['id'][r]}\n{table['class'][r]}, {table['suggested'][r]}?" for r in rows]
    count = int(found.suspects.flagged.sum()) if found.suspects else 0
    return f"{count:,} labels are suspect; the first in rank", _tiles(found, store, rows), captions


def _copies(found: Audit, store: Store) -> list:
    """A block of equal inputs, those with different labels first, and one of near copies."""
    table = found.columns
    exact = [p for p in found.pairs if p.kind == "exact"]
    exact.sort(key=lambda p: (table["label"][p.a] == table["label"][p.b], table["id"][p.a], table["id"][p.b]))
    near = [p for p in found.pairs if p.kind != "exact"]
    near.sort(key=lambda p: (-p.similarity, table["id"][p.a], table["id"][p.b]))
    titles = f"{len(exact):,} pairs of equal inputs", f"{len(near):,} pairs of near copies"
    blocks = zip(titles, (exact[:14], near[:21]), strict=True)
    return [(title, *_pair_tiles(found, store, some)) for title, some in blocks]


def _pair_tiles(found: Audit, store: Store, pairs: list[Pair]) -> tuple[list, list]:
    table = found.columns
    tiles, captions = [], []
    for p in pairs:
        left, right = _tiles(found, store, (p.a, p.b))
        tiles.append(np.concatenate([left, np.full((len(left), 4, 3), 255, np.uint8), right], axis=1))
        lines = [f"{table['id'][row]:<14} {table['class'][row]}" for row in (p.a, p.b)]
        captions.append("\n".join([*lines, f"{p.kind}, s {p.similarity:.2f}"]))
    return tiles, captions


def _intensities(found: Audit, classes: list[str], path: Path) -> None:
    seen, label = found.pixels, found.columns["label"]
    counts = np.bincount(label, minlength=len(classes))
    shown = [c for c in np.sort(np.argsort(-counts, kind="stable")[:SHEET]) if counts[c]]
    shares = {classes[c]: seen.histograms[label == c].mean(0) for c in shown}
    examples.intensities(path, np.linspace(seen.low, seen.high, BINS + 1), seen.histograms.mean(0), shares)
