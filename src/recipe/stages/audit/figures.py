"""The audit's figures: counts, distributions, contact sheets with the ids that decisions.csv needs, linear probes."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from recipe.data.store import Store
from recipe.plots import examples, sheets
from recipe.plots.sheets import Block
from recipe.plots.style import ACCENT, BAD, FAINT, INK, drawing
from recipe.rng import key
from recipe.stages.audit.audit import Audit
from recipe.stages.audit.captions import FIGURES, FIGURES_WITHOUT_CLASSES, FOLDER
from recipe.stages.audit.duplicates.search import Pair
from recipe.stages.audit.flags import FlagLimits
from recipe.stages.audit.probes.results import TOLERANCE, ProbeResult, variation_rows
from recipe.stages.audit.statistics import BINS, Statistics, scaled
from recipe.stages.audit.targets import Judged, targets_of

ACROSS = 14  # tiles in a row
PAIRS_ACROSS = 7
SHEET = 40  # classes at most on one sheet
# the panels of statistics.png
OF_IMAGES = ("mean", "std", "contrast", "entropy", "sharpness", "complexity", "near_ratio", "outlier")
OF_TEXTS = ("characters", "words", "rare_words", "upper_case", "digits", "other_script", "near_ratio", "outlier")
OF_FEATURES = ("missing", "extreme", "near_ratio", "outlier")


def draw(audit: Audit, store: Store, limits: FlagLimits, out: Path, seed: int) -> dict[str, str]:
    """Writes every picture to out/pictures; {file: caption}, in the order of the report."""
    folder = out / FOLDER
    table = audit.columns
    of_targets = targets_of(store.task).draw(audit.actual, folder)
    of_targets |= audit.judged.draw(folder) if audit.judged else {}
    finite = table.get("finite", np.ones(len(table["id"]), bool))
    panels = audit.kind.choose(images=OF_IMAGES, features=OF_FEATURES, texts=OF_TEXTS)
    columns = {name: table[name][finite] for name in panels}
    marks = {"outlier": limits.outlier}
    if audit.kind.has_pixels:
        marks["std"] = limits.blank * float(np.median(columns["std"]))
    if audit.kind.has_columns:
        marks["near_ratio"] = limits.near
    examples.distributions(folder / "statistics.png", columns, marks)
    drawn = [*of_targets, "statistics.png", *_draw_probes(audit, folder)]
    if audit.pixels is not None:
        drawn += _draw_sheets(audit, audit.pixels, store, limits, folder, seed)
    captions = (FIGURES if store.task.classes else FIGURES | FIGURES_WITHOUT_CLASSES) | of_targets
    return {f"{FOLDER}/{file}": captions[file] for file in drawn}


# ---- images --------------------------------------------------------------------------------------------------------


def _draw_sheets(audit: Audit, pixels: Statistics, store: Store, limits: FlagLimits, out: Path, seed: int) -> list[str]:
    """The files that were written."""
    sheets.contact_sheet(out / "classes.png", _class_blocks(audit, pixels, store, seed), ACROSS)
    sheets.contact_sheet(out / "outliers.png", [_outliers(audit, pixels, store, limits)], ACROSS)
    sheets.contact_sheet(out / "copies.png", _copies(audit, pixels, store), PAIRS_ACROSS)
    drawn = ["classes.png", "outliers.png", "copies.png"]
    if store.task.classes:
        _intensities(audit, pixels, store.task.classes, out / "intensities.png")
        drawn.insert(1, "intensities.png")
    if audit.judged is not None:
        sheets.contact_sheet(out / "suspects.png", [_suspects(audit, audit.judged, pixels, store)], ACROSS)
        drawn.append("suspects.png")
    return drawn


def _tiles(pixels: Statistics, store: Store, rows: Iterable[int]) -> list[np.ndarray]:
    return [sheets.tile(scaled(store.inputs[row]), pixels.low, pixels.high) for row in rows]


def _class_blocks(audit: Audit, pixels: Statistics, store: Store, seed: int) -> list[Block]:
    """A block per class, at most the SHEET smallest, of a random sample that depends on the seed and the ids alone.

    Where there are no classes, one block of all, each with its targets.
    """
    table, classes = audit.columns, store.task.classes
    if not classes:
        rows = sorted(range(len(table["id"])), key=lambda row: key(seed, "sheet", table["id"][row]))[: 4 * ACROSS]
        lines = [f"{table['id'][row]}\n{table['class'][row]}" for row in rows]
        return [(f"{len(rows)} of {len(table['id']):,} examples", _tiles(pixels, store, rows), lines)]
    counts = np.bincount(table["label"], minlength=len(classes))
    shown = np.sort(np.argsort(counts, kind="stable")[:SHEET])
    most = ACROSS * (2 if len(shown) <= 20 else 1)
    blocks = []
    for label in shown:
        members = np.flatnonzero(table["label"] == label).tolist()
        rows = sorted(members, key=lambda row: key(seed, "sheet", table["id"][row]))[:most]
        title = f"{classes[label]}   ({len(members):,} examples)"
        blocks.append((title, _tiles(pixels, store, rows), [str(table["id"][row]) for row in rows]))
    return blocks


def _outliers(audit: Audit, pixels: Statistics, store: Store, limits: FlagLimits) -> Block:
    table = audit.columns
    rows = np.lexsort((table["id"], -table["outlier"]))[: 2 * ACROSS]
    lines = [f"{table['id'][r]}\n{table['class'][r]}  z {table['outlier'][r]:.1f}" for r in rows]
    count, total = int((table["outlier"] > limits.outlier).sum()), len(table["outlier"])
    title = f"{count:,} of {total:,} examples have an outlier score above {limits.outlier:g}; the highest scores"
    return title, _tiles(pixels, store, rows), lines


def _suspects(audit: Audit, judged: Judged, pixels: Statistics, store: Store) -> Block:
    table = audit.columns
    rows = np.lexsort((table["id"], -table["label_suspicion"]))[: 2 * ACROSS]
    lines = [f"{table['id'][r]}\n{table['class'][r]}, {table['suggested'][r]}?" for r in rows]
    title = f"{int(judged.flagged.sum()):,} labels are suspect; the most suspect first"
    return title, _tiles(pixels, store, rows), lines


def _copies(audit: Audit, pixels: Statistics, store: Store) -> list[Block]:
    """A block of equal inputs, those with different labels first, and one of near copies."""
    table = audit.columns
    exact = [p for p in audit.pairs if p.kind == "exact"]
    exact.sort(key=lambda p: (table["label"][p.a] == table["label"][p.b], table["id"][p.a], table["id"][p.b]))
    near = [p for p in audit.pairs if p.kind != "exact"]
    near.sort(key=lambda p: (-p.similarity, table["id"][p.a], table["id"][p.b]))
    titles = f"{len(exact):,} pairs of equal inputs", f"{len(near):,} pairs of near copies"
    blocks = zip(titles, (exact[: 2 * PAIRS_ACROSS], near[: 3 * PAIRS_ACROSS]), strict=True)
    return [(title, *_pair_tiles(audit, pixels, store, pairs)) for title, pairs in blocks]


def _pair_tiles(
    audit: Audit, pixels: Statistics, store: Store, pairs: Sequence[Pair]
) -> tuple[list[np.ndarray], list[str]]:
    table = audit.columns
    tiles, texts = [], []
    for p in pairs:
        left, right = _tiles(pixels, store, (p.a, p.b))
        tiles.append(np.concatenate([left, np.full((len(left), 4, 3), 255, np.uint8), right], axis=1))
        lines = [f"{table['id'][row]:<14} {table['class'][row]}" for row in (p.a, p.b)]
        texts.append("\n".join([*lines, f"{p.kind}, s {p.similarity:.2f}"]))
    return tiles, texts


def _intensities(audit: Audit, pixels: Statistics, classes: Sequence[str], path: Path) -> None:
    label = audit.columns["label"]
    counts = np.bincount(label, minlength=len(classes))
    shown = [c for c in np.sort(np.argsort(-counts, kind="stable")[:SHEET]) if counts[c]]
    shares = {classes[c]: pixels.histograms[label == c].mean(0) for c in shown}
    examples.intensities(path, np.linspace(pixels.low, pixels.high, BINS + 1), pixels.histograms.mean(0), shares)


# ---- linear probes -------------------------------------------------------------------------------------------------


def _draw_probes(audit: Audit, out: Path) -> list[str]:
    """The files that were written: none where the probes measured nothing."""
    drawn = []
    curve = next((p.curve for p in audit.probes if p.probe == "resolution"), ())
    if curve:
        resolution_curve(out / "resolution.png", curve, TOLERANCE)
        drawn.append("resolution.png")
    rows = variation_rows(audit.probes)
    if rows:
        variations(out / "variations.png", rows)
        drawn.append("variations.png")
    columns = [p for p in audit.probes if p.probe == "column" and p.value is not None]
    if columns:
        importances(out / "columns.png", columns)
        drawn.append("columns.png")
    return drawn


def importances(path: Path, columns: Sequence[ProbeResult], most: int = 30) -> None:
    """What shuffling each column costs, in points, with its 95 % CI; the most important first."""
    shown = sorted(columns, key=lambda p: -(p.value or 0.0))[:most]
    with drawing(path, width=6.2, height=0.9 + 0.24 * len(shown)) as (_, axis):
        axis.axvline(0, color=FAINT, lw=0.8)
        for at, p in enumerate(shown):
            colour = ACCENT if p.verdict == "yes" else FAINT
            axis.plot([p.low, p.high], [at, at], color=colour, lw=3.5, solid_capstyle="butt")
            axis.plot(p.value, at, "o", color=INK, ms=4)
        axis.set_yticks(range(len(shown)), [p.factor if len(p.factor) < 34 else f"{p.factor[:32]} ..." for p in shown])
        axis.set(ylim=(len(shown) - 0.4, -0.6), xlabel="cost of shuffling it (points)")
        some = f", the first {len(shown)} of {len(columns)}" if len(shown) < len(columns) else ""
        axis.set_title(f"columns on which predictions rely{some}")


def resolution_curve(path: Path, curve: Sequence[tuple[float, float, float, float]], margin: float) -> None:
    """Accuracy of the linear probe against image size, from (size, accuracy, low, high) of each, the largest first.

    The bars are 95 % CIs of the difference to full size. They are blue where the whole bar is above the dashed line, so
    that the size costs less than `margin` points.
    """
    with drawing(path, width=5.6, height=3.6) as (_, axis):
        full = curve[0][1]
        at = range(len(curve))
        axis.axhline(full - margin, color=BAD, lw=1, ls="--")
        note = {"textcoords": "offset points", "color": BAD, "fontsize": 8}
        axis.annotate(f"{margin:g} points below full size", (0, full - margin), (-4, -11), **note)
        for i, (_, _, low, high) in enumerate(curve):
            sufficient = i == 0 or low > full - margin
            axis.plot([i, i], [low, high], color=ACCENT if sufficient else FAINT, lw=5, solid_capstyle="butt")
        axis.plot(at, [point[1] for point in curve], "o-", color=INK, lw=0.8, ms=3.5)
        axis.set_xticks(at, [f"{point[0]:g}" for point in curve])
        axis.margins(y=0.15)
        axis.set(
            xlabel="longer side (pixels)",
            ylabel="linear-probe accuracy (%)",
            title="linear-probe accuracy by image size",
        )


def variations(path: Path, rows: Sequence[tuple[str, float, float, float | None]]) -> None:
    """Each factor of variation, from (name, share of the variance %, label gain, change by its removal or None).

    On the right and at the bottom: a large share of the variance that does not predict the class.
    """
    with drawing(path, width=6.8, height=4.4) as (figure, axis):
        axis.axhline(0, color=FAINT, lw=0.8)
        known = [change for *_, change in rows if change is not None]
        limit = max([abs(change) for change in known] + [2.0])
        for name, share, gain, change in rows:
            if change is None:
                axis.plot(share, gain, "o", ms=7, mfc="none", mec=FAINT)
            else:
                dot = axis.scatter(share, gain, s=85, c=[change], cmap="RdBu", vmin=-limit, vmax=limit, ec=INK, lw=0.6)
            axis.annotate(name, (share, gain), (7, 4), textcoords="offset points", fontsize=8)
        if known:
            figure.colorbar(dot, ax=axis, pad=0.01, label="change in accuracy when removed (points)")
        axis.margins(x=0.2, y=0.15)
        axis.set_xlim(left=min(-1.0, *(share - 1 for _, share, _, _ in rows)))
        axis.set(xlabel="share of the variance of the pixels (%)", ylabel="label gain (points above chance)")
        axis.set_title("factors of variation (rings: removal not measured)")
