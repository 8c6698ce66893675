"""The audit of a store: every example measured, compared with the others, and its label judged by theirs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from recipe.data.source import IMAGE, TEXT
from recipe.data.store import Store
from recipe.stages.audit import embeddings, tables, texts
from recipe.stages.audit.bias import Bias, bias, name_columns
from recipe.stages.audit.duplicates.search import Pair, exact, find
from recipe.stages.audit.flags import MEANINGS as RELATIONS
from recipe.stages.audit.flags import Limits, flags, relations, together
from recipe.stages.audit.labels import Suspects, suspects
from recipe.stages.audit.neighbours import Neighbours, features, nearest
from recipe.stages.audit.order import Order, order_of
from recipe.stages.audit.outliers import outliers
from recipe.stages.audit.probes.questions import Finding, probe
from recipe.stages.audit.shortcuts import Shortcut, shortcut
from recipe.stages.audit.statistics import MEANINGS as PIXELS
from recipe.stages.audit.statistics import Statistics, statistics

SEEN = 5  # neighbours that the explorer shows
FEW = 20  # examples below which labels are not judged
KNOWN = {"id", "row", "hash", "label", "class", "source", "group", "given_split", "name", "notes", "file_sha256"}


@dataclass(frozen=True)
class Look:
    """What a kind of data gives the audit to work with."""

    columns: dict[str, np.ndarray]
    meanings: dict[str, str]
    points: np.ndarray  # (M, D) of the different inputs: near where they look alike
    rest: np.ndarray  # (M,) what the points leave out of each
    judged: np.ndarray  # (M, D') of the different inputs: what labels are judged by
    pairs: list[Pair]  # copies, by rows
    pixels: Statistics | None = None
    table: tables.Columns | None = None


@dataclass(frozen=True)
class Audit:
    kind: str
    columns: dict[str, np.ndarray]  # a value per example each
    meanings: dict[str, str]  # of every column: unit, range, source
    neighbours: np.ndarray  # (N, SEEN) rows of the most similar other inputs, nearest first, -1 where there are none
    pairs: list[Pair]
    order: Order
    suspects: Suspects | None
    beside: Bias | None  # what stands beside the input, and whether it tells the label
    looks: Bias | None  # what can be measured of the input by a single number, likewise
    split: Bias | None  # all of these, and whether they tell the split that the source gives
    probes: list[Finding]
    shortcut: Shortcut | None  # the single number of the input that says most about a class
    pixels: Statistics | None
    table: tables.Columns | None


def audit(store: Store, limits: Limits, seed: int, say: Callable[[str], None] = lambda text: None) -> Audit:
    """Measures every example of the store; the same bits whatever the number of threads."""
    from threadpoolctl import threadpool_limits

    columns, meanings = _held(store)
    _, first, which = np.unique(columns["hash"], return_index=True, return_inverse=True)
    # different inputs in the order of the file: that of the hashes means nothing
    by_row = np.argsort(first)
    first, which = first[by_row], np.argsort(by_row)[which]
    with threadpool_limits(1):
        look = LOOKS.get(store.kind, _features)(store, first, columns, seed, say)
        say(f"{len(which):,} examples measured")
        near = nearest(look.points, look.rest)
        order = order_of(look.points, near, columns["label"][first], seed)
        pairs = look.pairs if store.kind in LOOKS else look.pairs + _alike(near, first, limits)
        columns |= look.columns
        columns |= relations(columns, near, first, which, pairs)
        side = min(store.inputs.shape[2:]) if store.kind == IMAGE else 0
        columns |= outliers(columns, near, first, which, side, limits.outlier)
        groups = together(columns)
        judged = _judged(look.judged[which], columns["label"], groups, seed)
        say("labels judged by the other examples")
        biases = _biases(store.kind, columns, look, groups, seed)
        short = None if store.kind == TEXT else shortcut(store.inputs, columns["label"], store.columns)
        say("metadata and single numbers asked for the label")
        probes = _probes(store, columns["label"], groups, seed, say)
    columns |= _label_columns(judged, store.classes, len(which))
    columns["flags"] = flags(columns, judged, limits)
    meanings = meanings | look.meanings | RELATIONS
    columns = {name: columns[name] for name in meanings if name in columns}
    meanings = {name: meanings[name] for name in columns}
    seen = _rows(near, first, which)
    return Audit(
        store.kind, columns, meanings, seen, pairs, order, judged, *biases, probes, short, look.pixels, look.table
    )


def _held(store: Store) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """What prepare knows of each example, and what it means; a missing number is NaN, a missing text empty."""
    import pyarrow

    held = store.table()
    columns, meanings = {}, {}
    for field in held.schema:
        values, column = held[field.name], field.type
        if pyarrow.types.is_string(column):
            columns[field.name] = np.array(values.fill_null("").to_pylist(), dtype=str)
        elif pyarrow.types.is_boolean(column):
            columns[field.name] = np.array(values.fill_null(False).to_pylist(), dtype=bool)
        elif values.null_count:
            columns[field.name] = np.array(values.cast(pyarrow.float64(), safe=False).to_numpy(), np.float64)
        else:
            columns[field.name] = np.array(values.to_numpy())
        meanings[field.name] = field.metadata[b"meaning"].decode()
    return columns, meanings


# ---- the kinds of data ---------------------------------------------------------------------------------------------


def _images(store: Store, first: np.ndarray, held: dict, seed: int, say: Callable) -> Look:
    seen = statistics(store.inputs)
    points, rest = features(store.inputs, first)
    judged = (
        points if min(store.inputs.shape[2:]) < embeddings.SMALL else embeddings.of_images(store.inputs[first], seed)
    )
    count, (channels, height, width) = len(held["row"]), store.inputs.shape[1:]
    sizes = np.stack([held.get(name, np.full(count, n)) for name, n in (("height", height), ("width", width))], 1)
    fixed = {"height": np.full(count, height), "width": np.full(count, width), "channels": np.full(count, channels)}
    fixed = {name: values for name, values in fixed.items() if name not in held}
    pairs = find(store.picture, held["hash"].tolist(), sizes.tolist(), seed, say)
    return Look(fixed | seen.columns, SHAPE | PIXELS, points, rest, judged, pairs, pixels=seen)


def _texts(store: Store, first: np.ndarray, held: dict, seed: int, say: Callable) -> Look:
    own = store.texts()
    points = embeddings.of_texts([own[row] for row in first], seed)
    length = np.linalg.norm(points, axis=1, keepdims=True)
    unit = points / np.maximum(length, 1e-12)
    rows = np.full(len(own), -1)
    rows[first] = np.arange(len(first))
    pairs = exact(held["hash"]) + [
        Pair(int(first[a]), int(first[b]), similarity, 0, kind, 1.0)
        for a, b, similarity, kind in texts.copies([own[row] for row in first])
    ]
    return Look(texts.statistics(own), texts.MEANINGS, unit, np.zeros(len(first)), points, pairs)


def _features(store: Store, first: np.ndarray, held: dict, seed: int, say: Callable) -> Look:
    values = np.asarray(store.inputs)
    points = embeddings.of_columns(values[first])
    return Look(
        tables.statistics(values, store.columns), tables.MEANINGS, points, np.zeros(len(first)), points,
        exact(held["hash"]), table=tables.columns(values, store.columns),
    )  # fmt: skip


LOOKS = {IMAGE: _images, TEXT: _texts}
SHAPE = {"height": "pixels", "width": "pixels", "channels": "1 grey, 3 colour"}


def _alike(near: Neighbours, first: np.ndarray, limits: Limits) -> list[Pair]:
    """Rows of numbers that are far nearer to each other than to anything else."""
    found = {}
    for a in np.flatnonzero(near.ratio < limits.near):
        pair = tuple(sorted((int(first[a]), int(first[near.index[a, 0]]))))
        found[pair] = max(found.get(pair, 0.0), 1 - float(near.ratio[a]))
    return [Pair(a, b, similarity, 0, "near", 1.0) for (a, b), similarity in sorted(found.items())]


# ---- what is asked of all ------------------------------------------------------------------------------------------


def _judged(points: np.ndarray, labels: np.ndarray, groups: Sequence[str], seed: int) -> Suspects | None:
    if len(labels) < FEW or len(np.unique(labels)) < 2 or len(set(groups)) < 2:
        return None
    return suspects(points, labels, groups, seed)


def _label_columns(judged: Suspects | None, classes: Sequence[str], count: int) -> dict[str, np.ndarray]:
    if judged is None:
        return {"label_suspicion": np.full(count, np.nan, np.float32), "suggested": np.full(count, "")}
    return {
        "label_suspicion": judged.score.astype(np.float32),
        "label_probability": judged.given.astype(np.float32),
        "suggested": np.array(classes)[judged.suggested],
    }


def _biases(kind: str, columns: dict, look: Look, groups: Sequence[str], seed: int) -> tuple[Bias | None, ...]:
    """(what stands beside the input, what is measured of it) for the label; both for the split of the source."""
    taken = KNOWN | set(RELATIONS) | set(look.columns)
    beside = {name: values for name, values in columns.items() if name not in taken}
    if kind == IMAGE and any(columns["name"]):
        beside |= {name: values for name, values in name_columns(columns["name"].tolist()).items() if name != "folder"}
    beside["order"] = columns["source"]
    measured = {name: values for name, values in look.columns.items() if name not in SHAPE}
    measured, beside = ({n: v for n, v in part.items() if len(np.unique(v)) > 1} for part in (measured, beside))
    asked = [(beside, "label", columns["class"]), (measured, "label", columns["class"])]
    asked.append((beside | measured, "split", columns["given_split"]))
    return tuple(
        bias(part, target, answers.tolist(), groups, seed) if _askable(part, answers, groups) else None
        for part, target, answers in asked
    )


def _askable(part: dict, answers: np.ndarray, groups: Sequence[str]) -> bool:
    return bool(part) and len(np.unique(answers)) > 1 and len(answers) >= FEW and len(set(groups)) > 1


def _probes(store: Store, labels: np.ndarray, groups: Sequence[str], seed: int, say: Callable) -> list[Finding]:
    if store.kind != IMAGE:
        return []
    return probe(store.inputs, labels, np.array(groups), seed, say=say)


def _rows(near: Neighbours, first: np.ndarray, which: np.ndarray) -> np.ndarray:
    """(N, SEEN) rows of the nearest different inputs of each example."""
    if near.index.shape[1] < 1 or len(first) < 2:
        return np.full((len(which), 1), -1)
    return first[near.index[:, :SEEN]][which]
