"""Reads every example of a source once, whatever its kind, and writes the store and the problems."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recipe import problems
from recipe.data.images import Fit
from recipe.data.reading import Example, read_examples
from recipe.data.source import FORM, Description, describe
from recipe.decode import pool
from recipe.decode.value_range import DatasetValues, PictureValues, dataset_values
from recipe.errors import RecipeError
from recipe.files import replacing, write_csv, write_json
from recipe.problems import CONTRADICTION, ODD_SHAPE, Problem
from recipe.stages.prepare import notes
from recipe.stages.prepare.disk_buffer import ArrayBuffer, BlobBuffer, RecordBuffer, renumber
from recipe.stages.prepare.examples_table import examples_table

REREAD = 32  # examples read a second time: a transform that draws random numbers shows in the first few
MANY_SHAPES = 100
HINTS = problems.HINTS | pool.PROBLEMS

Read = Callable[[Sequence[int]], Iterator[Example | Problem]]


@dataclass
class Prepared:
    """The outcome of reading a source. checks.py holds the claims about it, captions.py the sentences."""

    description: Description
    problems: list[Problem]  # all of them
    table: Any = None  # examples.parquet as a pyarrow table
    unrepeatable: int = 0  # examples that differ when they are read again
    shape: tuple[int, ...] = ()
    dtype: str = ""
    fingerprint: str = ""
    picture_values: array = field(default_factory=lambda: array("d"))  # PictureValues of each image, concatenated
    noted: list[tuple[int, str]] = field(default_factory=list)  # (index, note) on what was converted or is odd

    @property
    def counts(self) -> Counter[str]:
        """{kind of problem: how often}"""
        return Counter(p.kind for p in self.problems)

    @property
    def converted(self) -> Counter[str]:
        """{kind of note: examples}"""
        return Counter(kind for _, kind in {(index, notes.kind_of(note)) for index, note in self.noted})

    @property
    def values(self) -> DatasetValues | None:
        """Where the stored values of images lie."""
        pictures = np.frombuffer(self.picture_values).reshape(-1, len(PictureValues._fields))
        return dataset_values(pictures, self.description.value_range, self.description.range_settable)

    @property
    def level(self) -> str:
        """Why the classes may be at another level of folders; empty where there is no doubt."""
        return next((p.detail for p in self.problems if p.kind == problems.CLASS_LEVEL), "")

    @property
    def lost(self) -> int:
        """Examples of the source that are not in the store."""
        return self.description.total - self.table.num_rows

    def metrics(self) -> dict[str, int]:
        wrong = sum(p.level == problems.PROBLEM for p in self.problems)
        task = self.description.task
        kind = task.choose(classes="classes", labels="labels", quantities="quantities")
        sizes = {"examples": self.table.num_rows, "problems": wrong, kind: len(task.names)}
        axes = self.description.kind.axes
        return sizes | (dict(zip(axes, self.shape, strict=True)) if axes else {})


def prepare(
    source: Any, config: dict[str, Any], out: Path, say: Callable[[str], None] = lambda text: None, *,
    limits: pool.DecodingLimits | None = None, workers: int = 1,
) -> Prepared:  # fmt: skip
    """Reads every example of `source` once, with a few in memory at a time, and writes the store to `out`.

    An example that cannot be read, has an unknown label, or has another shape than most is not stored but listed in
    problems.csv: none is dropped silently. Conversions are listed there, too. limits, workers: for decoding encoded
    files. Raises RecipeError where `source` as a whole is not a data set.
    """
    description, limits = describe(source), limits or pool.DecodingLimits()
    prepared = Prepared(description, list(description.problems))
    names = ("inputs.npy", "texts.parquet", "previews.parquet")
    with (
        replacing(out / names[0]) as inputs_path,
        replacing(out / names[1]) as texts_path,
        replacing(out / names[2]) as previews_path,
    ):
        reader = _Reader(prepared, ArrayBuffer(inputs_path), BlobBuffer(texts_path, "text", "string"),
                         BlobBuffer(previews_path, "jpeg", "binary"))  # fmt: skip
        records = reader.read_all(lambda indices: read_examples(source, description, indices, limits, workers), say)
        prepared.shape, prepared.dtype = reader.arrays.commonest()
        prepared.problems += _odd_shapes(reader.arrays, prepared, records)
        kept = reader.arrays.finish(prepared.shape, prepared.dtype)
        if not kept.all():
            renumber(previews_path, kept)
        prepared.table = examples_table(records, kept, description)
    prepared.problems.sort(key=lambda p: -1 if p.source is None else p.source)
    _write(prepared, config, out, limits)
    return prepared


@dataclass
class _Reader:
    """Sends each example to the buffers it belongs to."""

    prepared: Prepared
    arrays: ArrayBuffer
    texts: BlobBuffer
    previews: BlobBuffer
    records: RecordBuffer = field(default_factory=RecordBuffer)

    def read_all(self, read: Read, say: Callable[[str], None]) -> Any:
        """Reads all examples, the first few twice; gives the records of the readable ones as a pyarrow table."""
        description, total = self.prepared.description, self.prepared.description.total
        step = max(2_000, total // 20)  # a line of progress now and then: photographs take a while
        first: dict[int, tuple[str, Any]] = {}  # {index: (content, label)} of those to be read again
        for index, item in enumerate(read(range(total))):
            if isinstance(item, Problem):
                self.prepared.problems.append(item)
            else:
                self._store(item)
                if len(first) < REREAD:
                    first[index] = (item.content, item.label)
            if (index + 1) % step == 0:
                say(f"{index + 1:,} of {total:,} examples read")
        if not first:
            raise _nothing_readable(description, self.prepared.problems)
        again = zip(first.values(), read(list(first)), strict=True)
        self.prepared.unrepeatable = sum(
            not isinstance(item, Example) or (item.content, item.label) != before for before, item in again
        )
        for blobs in (self.texts, self.previews):
            blobs.finish()
        return self.records.table()

    def _store(self, example: Example) -> None:
        prepared, row = self.prepared, len(self.arrays.form_of)
        value: np.ndarray
        if isinstance(example.value, str):
            self.texts.add(row, example.value)
            value = np.zeros(0, np.uint8)
        else:
            value = example.value
        if self.arrays.add(value):
            _refuse_scattered(self.arrays, prepared.description)
        prepared.problems += _size_disagrees(example, prepared.description)
        if example.preview:
            self.previews.add(row, example.preview)
        prepared.picture_values.extend(example.picture_values or ())
        prepared.noted += [(example.index, note) for note in dict.fromkeys(example.notes)]
        record = {
            "source": example.index,
            "label": prepared.description.task.labels.stored(example.label),
            "hash": example.content,
            "notes": "; ".join(example.notes),
        }
        self.records.add(record | example.file_metadata)


def _nothing_readable(description: Description, reported: Iterable[Problem]) -> RecipeError:
    form = "" if description.encoded or not description.kind.has_pixels else FORM
    reason = next((p.detail for p in reported if p.source is not None), "it is empty").rstrip(".")
    message = f"{description.name}: none of {description.total} examples could be read; {reason}. {form}"
    return RecipeError(message.rstrip())


def _size_disagrees(example: Example, description: Description) -> list[Problem]:
    """A problem where boxes were drawn on a picture of another size, most often before it was resized or rotated."""
    sides, index = ("width", "height"), example.index
    annotated = tuple(description.annotations.get(f"ann_{side}", {index: None})[index] for side in sides)
    decoded = tuple(example.file_metadata.get(side) for side in sides)
    if None in annotated or annotated == decoded:
        return []
    detail = "the annotations give {} x {} pixels, the upright picture has {} x {}".format(*annotated, *decoded)
    return [Problem(CONTRADICTION, description.names[index], detail, index)]


def _refuse_scattered(arrays: ArrayBuffer, description: Description) -> None:
    """Raises RecipeError where there is no common shape: nearly all examples would be dropped after much disk use."""
    if len(arrays.forms) == MANY_SHAPES and arrays.share < 0.5:
        raise RecipeError(
            f"{description.name}: the first {len(arrays.form_of):,} examples have {MANY_SHAPES} different shapes, such "
            f"as {arrays.form(0)[0]} and {arrays.form(-1)[0]}. Set `size` or a transform in the data set's file in "
            "conf/data/, so that all have the same shape."
        )


def _odd_shapes(arrays: ArrayBuffer, prepared: Prepared, records: Any) -> list[Problem]:
    """A problem for each example of another shape or type than most."""
    common, description = (prepared.shape, prepared.dtype), prepared.description
    axes = f"({', '.join(description.kind.axes)})"
    odd = []
    for row, index in enumerate(records["source"].to_pylist() if len(arrays.forms) > 1 else ()):
        if (form := arrays.form(row)) != common:
            detail = f"{form[1]} {form[0]}, most are {common[1]} {common[0]} {axes}"
            odd.append(Problem(ODD_SHAPE, description.names[index], detail, index))
    return odd


def _write(prepared: Prepared, config: dict[str, Any], out: Path, limits: pool.DecodingLimits) -> None:
    from pyarrow import parquet

    description, table = prepared.description, prepared.table
    columns = (table[name].to_pylist() for name in ("hash", "label", "group"))
    contents = "".join(f"{h}{label}{group}" for h, label, group in zip(*columns, strict=True))
    # the hashes are of pictures as decoded: what enters the net also depends on how they were fitted to it
    fitting = "".join(repr(part) for part in (description.fit, description.window, description.value_range) if part)
    everything = contents + "/".join(description.task.names) + fitting
    prepared.fingerprint = hashlib.sha256(everything.encode()).hexdigest()
    with replacing(out / "examples.parquet") as temporary:
        parquet.write_table(table, temporary, compression="zstd")
    rows = [p.row(HINTS) for p in prepared.problems]
    rows += [notes.problem_row_of(note, description.names[index], index) for index, note in prepared.noted]
    write_csv(out / "problems.csv", problems.sort_rows(rows), problems.COLUMNS)
    header = {
        "data": config,
        "kind": description.kind.name,
        "task": description.task.facts(),
        "columns": description.columns,
        "shape": list(prepared.shape),
        "dtype": prepared.dtype,
        "examples": table.num_rows,
        "window": description.window,
        "value_range": asdict(description.value_range) if description.value_range else None,
        "files": _file_settings(description, limits),
        "layout": asdict(description.layout) if description.layout else None,
        "fingerprint": prepared.fingerprint,
    }
    write_json(out / "store.json", header)


def _file_settings(description: Description, limits: pool.DecodingLimits) -> dict[str, Any] | None:
    """How a file becomes an input; `fit` is null where it enters unchanged, `own` for a user-defined function."""
    if not description.encoded:
        return None
    fit = asdict(description.fit) if isinstance(description.fit, Fit) else description.fit and "own"
    return {"fit": fit, "limits": asdict(limits)}
