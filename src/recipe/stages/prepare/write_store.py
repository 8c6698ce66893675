"""From a source of any kind to the store: every example read once, and what is wrong with it told."""

import hashlib
from array import array as numbers
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from recipe import problems
from recipe.data.images import Fit
from recipe.data.reading import Example, read_examples
from recipe.data.source import FORM, IMAGE, TEXT, Description, describe
from recipe.data.store import COLUMNS
from recipe.decode import pool
from recipe.decode.value_range import DatasetValues, PictureValues, dataset_values
from recipe.errors import RecipeError
from recipe.files import replacing, write_csv, write_json
from recipe.problems import CONTRADICTION, ODD_SHAPE, Problem, shown
from recipe.sources import coco
from recipe.stages.prepare import notes
from recipe.stages.prepare.disk_buffer import ArrayBuffer, BlobBuffer, RecordBuffer, renumber

REREAD = 32  # examples read a second time: a transform that draws random numbers shows in the first few
MANY_SHAPES = 100
MANY_FINDINGS = 8  # of each level that the terminal and the report name; problems.csv has all
HINTS = problems.HINTS | pool.PROBLEMS


@dataclass
class Prepared:
    """What came out of reading a source; the claims about it are in checks/prepare.py."""

    said: Description
    problems: list[Problem]  # every one, not the first
    table: object = None  # examples.parquet as a pyarrow table
    unrepeatable: int = 0  # examples that differ when read again
    shape: tuple[int, ...] = ()
    dtype: str = ""
    fingerprint: str = ""
    picture_values: numbers = field(
        default_factory=lambda: numbers("d")
    )  # PictureValues of each image, one after the other
    noted: list[tuple[int, str]] = field(default_factory=list)  # (index, note): what reading changed or came across

    @property
    def counts(self) -> Counter:
        """{kind of problem: how often}"""
        return Counter(p.kind for p in self.problems)

    @property
    def converted(self) -> Counter:
        """{kind of note: examples}"""
        return Counter(kind for _, kind in {(index, notes.kind_of(note)) for index, note in self.noted})

    @property
    def values(self) -> DatasetValues | None:
        """Where the stored values of images lie."""
        return dataset_values(
            np.frombuffer(self.picture_values).reshape(-1, len(PictureValues._fields)),
            self.said.value_range,
            self.said.knob,
        )

    @property
    def level(self) -> str:
        """Why the classes may be at another level of folders; empty where nothing speaks for it."""
        return next((p.detail for p in self.problems if p.kind == problems.CLASS_LEVEL), "")

    @property
    def lost(self) -> int:
        """Examples of the source that are not in the store."""
        return self.said.total - self.table.num_rows

    def metrics(self) -> dict[str, int]:
        wrong = sum(p.level == problems.PROBLEM for p in self.problems)
        sizes = {"examples": self.table.num_rows, "problems": wrong, "classes": len(self.said.classes)}
        names = ("channels", "height", "width") if self.said.kind == IMAGE else ("features",)
        return sizes | (dict(zip(names, self.shape, strict=True)) if self.said.kind != TEXT else {})

    def findings(self) -> list[str]:
        """A sentence on each of the first problems and notes; what was converted is counted in `summary`."""
        found = []
        for level in (problems.PROBLEM, problems.NOTE):
            listed = [p for p in self.problems if p.level == level]
            found += [f"{shown(p.name)}: {p.kind}: {p.detail.rstrip('.')}." for p in listed[:MANY_FINDINGS]]
            if (more := len(listed) - MANY_FINDINGS) > 0:
                found.append(f"problems.csv lists {more:,} more at the level of a {level}.")
        return found

    def summary(self) -> str:
        shape = " x ".join(map(str, self.shape))
        form = "texts" if self.said.kind == TEXT else f"{self.dtype} {shape}"
        sentence = (
            f"{self.table.num_rows:,} of {self.said.total:,} examples stored as {form} in {len(self.said.classes)} "
            f"classes; {self.lost:,} could not be."
        )
        commonest = sorted(self.converted.items(), key=lambda item: (-item[1], item[0]))
        most = ", ".join(f"{kind} ({count:,})" for kind, count in commonest[:3])
        return f"{sentence} Converted or odd: {most}." if most else sentence


def prepare(
    source, config: dict, out: Path, say: Callable[[str], None] = lambda text: None, *,
    limits: pool.DecodingLimits | None = None, workers: int = 1,
) -> Prepared:  # fmt: skip
    """Reads every example of `source` once, holding a few in memory, and writes the store to `out`.

    An example that cannot be read, has an unknown label or another shape than most is not in the store but in
    problems.csv: never dropped in silence; what was converted is listed there, too. limits, workers: of decoding
    encoded files. Raises RecipeError where `source` is no data set at all.
    """
    said, limits = describe(source), limits or pool.DecodingLimits()
    found = Prepared(said, list(said.problems))
    names = ("inputs.npy", "texts.parquet", "previews.parquet")
    with replacing(out / names[0]) as at, replacing(out / names[1]) as texts, replacing(out / names[2]) as previews:
        arrays = ArrayBuffer(at)
        sides = BlobBuffer(texts, "text", "string"), BlobBuffer(previews, "jpeg", "binary")
        records = _read_all(
            source, found, arrays, *sides, lambda i: read_examples(source, said, i, limits, workers), say
        )
        for side in sides:
            side.finish()
        found.shape, found.dtype = arrays.commonest()
        found.problems += _odd_shapes(arrays, found, records)
        kept = arrays.finish(found.shape, found.dtype)
        if not kept.all():
            renumber(previews, kept)
        found.table = _table(records, kept, said)
    found.problems.sort(key=lambda p: -1 if p.source is None else p.source)
    _write(found, config, out, limits)
    return found


def _read_all(source, found: Prepared, arrays: ArrayBuffer, texts: BlobBuffer, previews: BlobBuffer, read, say):
    """Every example to where it belongs; gives the records of the readable ones as a pyarrow table."""
    said, records, first = found.said, RecordBuffer(), {}
    step = max(2_000, said.total // 20)  # a line now and then: photographs take a while
    for item in read(range(said.total)):
        if isinstance(item, Problem):
            found.problems.append(item)
            index = item.source
        else:
            index, row = item.index, len(arrays.form_of)
            if said.kind == TEXT:
                texts.add(row, item.value)
            if arrays.add(np.zeros(0, np.uint8) if said.kind == TEXT else item.value):
                _refuse_scattered(arrays, said)
            found.problems += _size_disagrees(item, said)
            if item.preview:
                previews.add(row, item.preview)
            first |= {index: (item.content, item.label)} if len(first) < REREAD else {}
            found.picture_values.extend(item.picture_values or ())
            found.noted += [(index, note) for note in dict.fromkeys(item.notes)]
            own = {"source": index, "label": item.label, "hash": item.content, "notes": "; ".join(item.notes)}
            records.add(own | item.facts)
        if (index + 1) % step == 0:
            say(f"{index + 1:,} of {said.total:,} examples read")
    if not first:
        form = "" if said.encoded or said.kind != IMAGE else FORM
        lost = next((p.detail for p in found.problems if p.source is not None), "it is empty").rstrip(".")
        raise RecipeError(f"{said.name}: none of {said.total} examples could be read; {lost}. {form}".rstrip())
    again = zip(first.values(), read(list(first)), strict=True)
    found.unrepeatable = sum(not isinstance(b, Example) or (b.content, b.label) != a for a, b in again)
    return records.table()


def _size_disagrees(item: Example, said: Description) -> list[Problem]:
    """Boxes were drawn on another picture than the file's, most often before it was resized or turned upright."""
    given = tuple(said.annotations.get(f"ann_{side}", {item.index: None})[item.index] for side in ("width", "height"))
    decoded = tuple(item.facts.get(side) for side in ("width", "height"))
    if None in given or given == decoded:
        return []
    detail = "the annotations give {} x {} pixels, the upright picture has {} x {}".format(*given, *decoded)
    return [Problem(CONTRADICTION, said.names[item.index], detail, item.index)]


def _refuse_scattered(arrays: ArrayBuffer, said: Description) -> None:
    """Where no shape is the common one, all but a few examples would be lost, after much disk."""
    if len(arrays.forms) == MANY_SHAPES and arrays.share < 0.5:
        raise RecipeError(
            f"{said.name}: the first {len(arrays.form_of):,} examples have {MANY_SHAPES} different shapes, as "
            f"{arrays.form(0)[0]} and {arrays.form(-1)[0]}. Give the data set `size`, or a transform, in its file in "
            "conf/data/, so that all have one."
        )


def _odd_shapes(arrays: ArrayBuffer, found: Prepared, records) -> list[Problem]:
    wanted, odd = (found.shape, found.dtype), []
    axes = "(channels, height, width)" if found.said.kind == IMAGE else "(columns)"
    for at, index in enumerate(records["source"].to_pylist() if len(arrays.forms) > 1 else ()):
        if (form := arrays.form(at)) != wanted:
            detail = f"{form[1]} {form[0]}, most are {wanted[1]} {wanted[0]} {axes}"
            odd.append(Problem(ODD_SHAPE, found.said.names[index], detail, index))
    return odd


def _table(records, kept: np.ndarray, said: Description):
    """examples.parquet: the records that were kept, with ids and all that the source says of them."""
    import pyarrow

    records = records.filter(pyarrow.array(kept))
    sources, hashes = records["source"].to_pylist(), records["hash"].to_pylist()
    copies, ids = Counter(), []
    for content in hashes:
        # named by content, so that a decision about an example outlives a reordered source
        short = content[:12]
        copies[short] += 1
        ids.append(short if copies[short] == 1 else f"{short}-{copies[short]}")
    own = {
        "id": ids,
        "row": list(range(len(ids))),
        "hash": records["hash"],
        "label": records["label"],
        "class": [said.classes[label] for label in records["label"].to_pylist()],
        "source": records["source"],
        "group": [said.groups[i] for i in sources],
        "given_split": [said.given_split[i] for i in sources],
        "name": [said.names[i] for i in sources],
        "notes": records["notes"],
    }
    more = {f"meta_{name}": _column([values[i] for i in sources]) for name, values in said.metadata.items()}
    more |= {name: records[name] for name in pool.FILE_METADATA if name in records.column_names}
    more |= {name: _column([values[i] for i in sources]) for name, values in said.annotations.items()}
    meanings = pool.FILE_METADATA | coco.COLUMNS | COLUMNS
    arrays, fields = [], []
    for name, values in (own | more).items():
        column = pyarrow.array(values) if isinstance(values, list) else values
        column = column.cast(pyarrow.string()) if pyarrow.types.is_null(column.type) else column
        meaning = meanings.get(name, f"`{name.removeprefix('meta_')}` of the source's own metadata")
        arrays.append(column)
        fields.append(pyarrow.field(name, column.type, metadata={"meaning": meaning}))
    return pyarrow.table(arrays, pyarrow.schema(fields))


def _column(values: list):
    """Whole numbers, numbers or, where any value is neither, texts; None and empty cells stay missing."""
    import pyarrow

    values = [None if v == "" else v for v in values]
    for kind in (int, float, str):
        try:
            return pyarrow.array([None if v is None else _cell(v, kind) for v in values])
        except (ValueError, OverflowError, pyarrow.ArrowException):
            continue
    raise AssertionError("every value has a text")


def _cell(value, kind: type):
    if kind is str:
        return shown(str(value))
    if isinstance(value, (bool, int, float)):
        return value
    text = str(value).strip()
    digits = text.lstrip("+-")
    if "_" in text or (digits.isdigit() and (len(digits) > 18 or digits[0] == "0" < digits)):
        raise ValueError(text)  # a postcode, an account: a name made of digits
    return kind(text)


def _write(found: Prepared, config: dict, out: Path, limits: pool.DecodingLimits) -> None:
    from pyarrow import parquet

    said, table = found.said, found.table
    columns = (table[name].to_pylist() for name in ("hash", "label", "group"))
    contents = "".join(f"{h}{label}{group}" for h, label, group in zip(*columns, strict=True))
    # the hashes are of pictures as they were read: what enters the net also depends on how they were fitted to it
    fitted = "".join(repr(part) for part in (said.fit, said.value_range) if part)
    found.fingerprint = hashlib.sha256((contents + "/".join(said.classes) + fitted).encode()).hexdigest()
    with replacing(out / "examples.parquet") as temporary:
        parquet.write_table(table, temporary, compression="zstd")
    lines = [p.row(HINTS) for p in found.problems]
    lines += [notes.listed(note, said.names[index], index) for index, note in found.noted]
    write_csv(out / "problems.csv", problems.sort_rows(lines), problems.COLUMNS)
    facts = {"data": config, "kind": said.kind, "classes": said.classes, "columns": said.columns}
    facts |= {"shape": list(found.shape), "dtype": found.dtype, "examples": table.num_rows}
    facts |= {"value_range": asdict(said.value_range) if said.value_range else None}
    facts |= {"files": _files(said, limits), "layout": asdict(said.layout) if said.layout else None}
    write_json(out / "store.json", facts | {"fingerprint": found.fingerprint})


def _files(said: Description, limits: pool.DecodingLimits) -> dict | None:
    """How a file becomes an input; `fit` is null where it enters as it is, `own` where a person's function fits it."""
    if not said.encoded:
        return None
    fit = asdict(said.fit) if isinstance(said.fit, Fit) else said.fit and "own"
    return {"fit": fit, "limits": asdict(limits)}
