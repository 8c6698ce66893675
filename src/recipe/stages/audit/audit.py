"""The audit of a store: each example is measured, compared with the others, and its label judged by theirs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from recipe.data.store import Store
from recipe.data.stored_features import StoredFeatures
from recipe.inputs.inputs import Inputs
from recipe.stages.audit import embeddings, tables, texts
from recipe.stages.audit.bias import ORDER, Bias, bias, name_columns
from recipe.stages.audit.duplicates.search import Pair, exact_pairs, find_pairs
from recipe.stages.audit.explained import Explained
from recipe.stages.audit.flags import MEANINGS as FLAG_MEANINGS
from recipe.stages.audit.flags import FlagLimits, flags, fold_groups, neighbour_columns
from recipe.stages.audit.neighbours import Neighbours, nearest, pixel_components
from recipe.stages.audit.order import Order, order_of
from recipe.stages.audit.outliers import outliers
from recipe.stages.audit.probes.questions import ProbeResult, run_probes
from recipe.stages.audit.probes.table_questions import run_column_probes
from recipe.stages.audit.probes.text_questions import run_text_probes
from recipe.stages.audit.shortcuts import Shortcut, shortcut
from recipe.stages.audit.single_words import word_shortcut
from recipe.stages.audit.statistics import MEANINGS as PIXEL_MEANINGS
from recipe.stages.audit.statistics import Statistics, statistics
from recipe.stages.audit.targets import FEW, Judged, Targets, actual_of, judged, targets_of

SHOWN = 5  # neighbours that the explorer shows
NOT_METADATA = {  # columns of the store that identify an example or are its label, group or split
    "id", "row", "hash", "label", "class", "source", "group", "given_split", "name", "notes", "file_sha256",
}  # fmt: skip
SIZE_MEANINGS = {
    "height": "height in pixels",
    "width": "width in pixels",
    "channels": "number of channels: 1 grey, 3 colour",
}

Say = Callable[[str], None]
Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Measurements:
    """What is measured in a way that depends on the kind of data. N examples, M distinct inputs."""

    columns: Columns
    meanings: dict[str, str]
    points: np.ndarray  # (M, D) vectors that are close where the inputs look alike
    residual: np.ndarray  # (M,) what the points leave out of each input
    label_features: np.ndarray  # (M, D') the features that labels are judged by
    features_name: str  # of what these are
    pairs: list[Pair]  # copies, by rows
    pixels: Statistics | None = None
    table: tables.ColumnProblems | None = None


@dataclass(frozen=True)
class SeenByNetwork:
    """What the features of a pretrained network say, of M distinct inputs."""

    label_features: np.ndarray  # (M, D'), as in Measurements
    features_name: str
    similar: Neighbours  # by what a network mainly answers
    rare: Neighbours  # by all that it answers, however faintly


@dataclass(frozen=True)
class Audit:
    kind: Inputs
    columns: Columns  # a value per example each
    meanings: dict[str, str]  # of every column: unit, range, source
    neighbours: np.ndarray  # (N, SHOWN) rows of the most similar other inputs, nearest first, -1 where there are none
    pairs: list[Pair]
    order: Order
    actual: np.ndarray  # (N,) class numbers, or (N, K) labels or quantities
    features: str  # by what the targets are judged
    judged: Judged | None  # how far the other examples contradict the targets
    metadata_bias: Bias | Explained | None  # whether metadata predict the label
    statistics_bias: (
        Bias | Explained | None
    )  # whether single statistics of the input (brightness, ...) predict the label
    split_bias: Bias | None  # whether any of these columns predicts the split that the source gives
    probes: list[ProbeResult]
    shortcut: Shortcut  # the single number or word of the input that says most about a class, a label or a quantity
    pixels: Statistics | None
    table: tables.ColumnProblems | None


def audit(
    store: Store, limits: FlagLimits, seed: int, say: Say = lambda text: None, features: StoredFeatures | None = None
) -> Audit:
    """Measures every example of the store; the same bits whatever the number of threads.

    features: of a frozen network, where there is one. Then labels, neighbours and outliers are judged by them, instead
    of by what is computed here; copies are still what shows the same.
    """
    columns, meanings = _stored_columns(store)
    first, which = _distinct(columns["hash"])
    with threadpool_limits(1):
        measure = store.kind.choose(images=_measure_images, features=_measure_table, texts=_measure_texts)
        measured = measure(store, first, columns, seed, say)
        say(f"{len(which):,} examples measured")
        near = nearest(measured.points, measured.residual)
        seen = _seen_by(features, first, seed) if features else None
        similar, rare = (seen.similar, seen.rare) if seen else (near, None)
        targets = targets_of(store.task)
        actual = actual_of(store.task, columns["label"])
        kind = targets.kinds(actual)
        order = order_of(measured.points, near, targets.sorted_by(actual)[first], seed)
        order = order if store.task.classes else replace(order, gain=0.0)  # no accuracy of a class
        pairs = measured.pairs + (_near_rows(near, first, limits) if store.kind.has_columns else [])
        columns |= measured.columns
        columns |= neighbour_columns(columns, similar, first, which, pairs)
        side = min(store.inputs.shape[2:]) if store.kind.has_pixels else 0
        columns |= outliers(columns | {"label": kind}, near, first, which, side, limits.outlier, rare)
        groups = fold_groups(columns)
        doubts = judged(targets, (seen or measured).label_features[which], actual, groups, seed)
        say("labels compared with cross-validated predictions")
        biases = _biases(store, columns, measured, targets, actual, groups, seed)
        best = _shortcut(store, actual)
        say("metadata, statistics and single numbers tested as predictors of the label")
        probes = _probes(store, actual, kind, groups, seed, say)
    columns |= doubts.columns() if doubts else {}
    columns["flags"] = flags(columns, doubts.marks if doubts else {}, limits)
    meanings = meanings | measured.meanings | _meanings(doubts)
    columns = {name: columns[name] for name in meanings if name in columns}
    meanings = {name: meanings[name] for name in columns}
    shown = _neighbour_rows(similar, first, which)
    return Audit(
        store.kind, columns, meanings, shown, pairs, order, actual, (seen or measured).features_name, doubts,
        *biases, probes, best, measured.pixels, measured.table,
    )  # fmt: skip


def _stored_columns(store: Store) -> tuple[Columns, dict[str, str]]:
    """The columns that prepare stored, and their meanings; a missing number becomes NaN, a missing text empty."""
    import pyarrow  # takes a while to import

    stored = store.table()
    columns, meanings = {}, {}
    for field in stored.schema:
        values, column = stored[field.name], field.type
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


def _distinct(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(first row of each distinct input, in the order of the file; the distinct input of each row)"""
    _, first, which = np.unique(hashes, return_index=True, return_inverse=True)
    by_row = np.argsort(first)
    return first[by_row], np.argsort(by_row)[which]


def _shortcut(store: Store, actual: np.ndarray) -> Shortcut:
    if not store.kind.axes:
        return word_shortcut(store.texts(), actual, store.task)
    return shortcut(store.inputs, actual, store.task, store.columns)


# ---- the kinds of data ---------------------------------------------------------------------------------------------


def _measure_images(store: Store, first: np.ndarray, stored: Columns, seed: int, say: Say) -> Measurements:
    pixels = statistics(store.inputs)
    points, residual = pixel_components(store.inputs, first)
    small = min(store.inputs.shape[2:]) < embeddings.SMALL
    label_features = points if small else embeddings.of_images(store.inputs[first], seed)
    named = f"{label_features.shape[1]} principal components of the {'pixels' if small else 'codes of patches'}"
    count, (channels, height, width) = len(stored["row"]), store.inputs.shape[1:]
    sizes = np.stack([stored.get(name, np.full(count, n)) for name, n in (("height", height), ("width", width))], 1)
    fixed = {"height": np.full(count, height), "width": np.full(count, width), "channels": np.full(count, channels)}
    fixed = {name: values for name, values in fixed.items() if name not in stored}
    pairs = find_pairs(store.picture, stored["hash"].tolist(), sizes.tolist(), seed, say)
    meanings = SIZE_MEANINGS | PIXEL_MEANINGS
    return Measurements(fixed | pixels.columns, meanings, points, residual, label_features, named, pairs, pixels=pixels)


def _measure_texts(store: Store, first: np.ndarray, stored: Columns, seed: int, say: Say) -> Measurements:
    every = store.texts()
    points = embeddings.of_texts([every[row] for row in first], seed)
    unit = embeddings.directions(points)
    pairs = exact_pairs(stored["hash"].tolist()) + [
        Pair(int(first[a]), int(first[b]), similarity, 0, kind, 1.0)
        for a, b, similarity, kind in texts.copies([every[row] for row in first])
    ]
    return Measurements(
        texts.statistics(every),
        texts.MEANINGS,
        unit,
        np.zeros(len(first)),
        points,
        f"{points.shape[1]} topics of the words",
        pairs,
    )


def _measure_table(store: Store, first: np.ndarray, stored: Columns, seed: int, say: Say) -> Measurements:
    values = np.asarray(store.inputs)
    points = embeddings.of_columns(values[first])
    return Measurements(
        tables.statistics(values, store.columns), tables.MEANINGS, points, np.zeros(len(first)), points, "the columns",
        exact_pairs(stored["hash"].tolist()), table=tables.column_problems(values, store.columns),
    )  # fmt: skip


def _seen_by(features: StoredFeatures, first: np.ndarray, seed: int) -> SeenByNetwork:
    points, exact = embeddings.of_network(features.values, first), np.zeros(len(first))
    return SeenByNetwork(
        points, f"{features.values.shape[1]:,} features of {features.facts['name']}",
        nearest(embeddings.directions(points), exact),
        nearest(embeddings.standard_features(features.values, first, seed), exact),
    )  # fmt: skip


def _near_rows(near: Neighbours, first: np.ndarray, limits: FlagLimits) -> list[Pair]:
    """Rows of a table that are far nearer to each other than to anything else."""
    similarity: dict[tuple[int, int], float] = {}
    for i in np.flatnonzero(near.ratio < limits.near):
        a, b = sorted((int(first[i]), int(first[near.index[i, 0]])))
        similarity[a, b] = max(similarity.get((a, b), 0.0), 1 - float(near.ratio[i]))
    return [Pair(a, b, value, 0, "near", 1.0) for (a, b), value in sorted(similarity.items())]


# ---- common to all kinds -------------------------------------------------------------------------------------------


def _meanings(doubts: Judged | None) -> dict[str, str]:
    """Of the columns that are measured for all kinds of data; `flags` is the last."""
    of_targets = doubts.meanings() if doubts else {}
    last = FLAG_MEANINGS["flags"] + of_targets.get("flags", "")
    return {name: text for name, text in (FLAG_MEANINGS | of_targets).items() if name != "flags"} | {"flags": last}


def _biases(
    store: Store, columns: Columns, measured: Measurements, targets: Targets, actual: np.ndarray,
    groups: Sequence[str], seed: int,
) -> tuple[Bias | Explained | None, Bias | Explained | None, Bias | None]:  # fmt: skip
    """(metadata as predictors of the targets, statistics of the input likewise, both as predictors of the split)"""
    excluded = NOT_METADATA | set(FLAG_MEANINGS) | set(measured.columns)
    metadata = {name: values for name, values in columns.items() if name not in excluded}
    if store.kind.has_pixels and any(columns["name"]):
        metadata |= {
            name: values for name, values in name_columns(columns["name"].tolist()).items() if name != "folder"
        }
    metadata[ORDER] = columns["source"]
    single = {name: values for name, values in measured.columns.items() if name not in SIZE_MEANINGS}
    single, metadata = ({n: v for n, v in part.items() if len(np.unique(v)) > 1} for part in (single, metadata))

    enough, given = len(actual) >= FEW and len(set(groups)) > 1, columns["given_split"]
    return (
        targets.bias(metadata, actual, groups, seed) if metadata and enough else None,
        targets.bias(single, actual, groups, seed) if single and enough else None,
        bias(metadata | single, "split", given.tolist(), groups, seed)
        if enough and (metadata or single) and len(np.unique(given)) > 1
        else None,
    )


def _probes(
    store: Store, actual: np.ndarray, labels: np.ndarray, groups: Sequence[str], seed: int, say: Say
) -> list[ProbeResult]:
    """labels: a class of each example."""
    if store.kind.has_columns:
        return run_column_probes(store.inputs, actual, labels.tolist(), groups, store.columns, store.task, seed, say)
    if not store.task.classes:
        return []
    if store.kind.has_pixels:
        return run_probes(store.inputs, labels, np.array(groups), seed, say=say)
    return run_text_probes(store.texts(), labels, np.array(groups), seed, say=say)


def _neighbour_rows(near: Neighbours, first: np.ndarray, which: np.ndarray) -> np.ndarray:
    """(N, SHOWN) rows of the nearest distinct inputs of each example."""
    if near.index.shape[1] < 1 or len(first) < 2:
        return np.full((len(which), 1), -1)
    return first[near.index[:, :SHOWN]][which]
