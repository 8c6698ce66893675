"""examples.parquet: one row per stored example, with its id, class, group, metadata and annotations."""

from collections import Counter
from typing import Any

import numpy as np

from recipe.data.source import Description
from recipe.data.store import COLUMNS
from recipe.decode.metadata import FILE_METADATA
from recipe.problems import shown
from recipe.sources import coco


def examples_table(records: Any, kept: np.ndarray, description: Description) -> Any:
    """A pyarrow table of the kept records, with ids and everything that the source gives for them."""
    import pyarrow

    records = records.filter(pyarrow.array(kept))
    sources = records["source"].to_pylist()
    form = description.task.labels
    ids = _ids(records["hash"].to_pylist())
    columns = {
        "id": ids,
        "row": list(range(len(ids))),
        "hash": records["hash"],
        "label": records["label"],
        "class": [form.shown(form.parsed(label)) for label in records["label"].to_pylist()],
        "source": records["source"],
        "group": [description.groups[i] for i in sources],
        "given_split": [description.given_split[i] for i in sources],
        "name": [description.names[i] for i in sources],
        "notes": records["notes"],
    }
    columns |= {f"meta_{name}": _column([values[i] for i in sources]) for name, values in description.metadata.items()}
    columns |= {name: records[name] for name in FILE_METADATA if name in records.column_names}
    columns |= {name: _column([values[i] for i in sources]) for name, values in description.annotations.items()}
    meanings = FILE_METADATA | coco.COLUMNS | COLUMNS | form.meanings
    arrays, fields = [], []
    for name, values in columns.items():
        column = pyarrow.array(values) if isinstance(values, list) else values
        column = column.cast(pyarrow.string()) if pyarrow.types.is_null(column.type) else column
        meaning = meanings.get(name, f"`{name.removeprefix('meta_')}` of the source's own metadata")
        arrays.append(column)
        fields.append(pyarrow.field(name, column.type, metadata={"meaning": meaning}))
    return pyarrow.table(arrays, pyarrow.schema(fields))


def _ids(hashes: list[str]) -> list[str]:
    """Ids made from the content, so that a decision about an example outlives a reordered source."""
    copies: Counter[str] = Counter()
    ids = []
    for content in hashes:
        short = content[:12]
        copies[short] += 1
        ids.append(short if copies[short] == 1 else f"{short}-{copies[short]}")
    return ids


def _column(values: list[Any]) -> Any:
    """Whole numbers, numbers or, where any value is neither, texts; None and empty cells stay missing."""
    import pyarrow

    values = [None if v == "" else v for v in values]
    for kind in (int, float, str):
        try:
            return pyarrow.array([None if v is None else _cell(v, kind) for v in values])
        except (ValueError, OverflowError, pyarrow.ArrowException):
            continue
    raise AssertionError("every value has a text")


def _cell(value: Any, kind: type) -> Any:
    if kind is str:
        return shown(str(value))
    if isinstance(value, (bool, int, float)):
        return value
    text = str(value).strip()
    digits = text.lstrip("+-")
    if "_" in text or (digits.isdigit() and (len(digits) > 18 or digits[0] == "0" < digits)):
        raise ValueError(text)  # a postcode or an account number: a name made of digits
    return kind(text)
