"""Predictions of a saved system for users' files: a stream of them, and tables."""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

import numpy as np
from torch import Tensor

from recipe.errors import RecipeError
from recipe.files import replacing
from recipe.serve.inputs import NamedInput, request_inputs
from recipe.serve.system import System
from recipe.tasks.answers import Answers

if TYPE_CHECKING:
    import pandas

AddRows = Callable[[list[dict]], object]
AT_ONCE = 256  # inputs in memory
T = TypeVar("T")


@dataclass(frozen=True)
class Prediction:
    """The prediction p (K,) for one input, as its task has it, or the reason why there is none.

    drift: how the input differs from the training examples; the prediction may be wrong for it.
    """

    name: str
    p: Tensor | None
    problem: str = ""
    drift: str = ""

    def row(self, answers: Answers) -> dict:
        """name, the columns of the answers, unlike, problem; None where there is no prediction."""
        if self.p is None:
            return {"name": self.name, **dict.fromkeys(answers.meanings), "unlike": "", "problem": self.problem}
        columns = {name: value for name, (value,) in answers.columns(self.p[None]).items()}
        return {"name": self.name, **columns, "unlike": self.drift, "problem": ""}


def predict_inputs(system: System, inputs: Iterable[NamedInput]) -> Iterator[Prediction]:
    """One prediction for every input, in order; `AT_ONCE` inputs are in memory."""
    for batch in _batches(inputs):
        values = [one.value for one in batch if one.value is not None]
        results: Iterator[tuple[Tensor, str]] = iter(())
        if values:
            stacked = np.stack(values) if system.form.kind.axes else np.array(values, object)
            results = zip(system.predict(stacked), system.drift(stacked), strict=True)
        for one in batch:
            p, drift = (None, "") if one.value is None else next(results)
            yield Prediction(one.name, p, one.problem, drift)


def prediction_frame(system: System, request) -> "pandas.DataFrame":
    """A table with a row per input of a request (see recipe.serve.inputs.request_inputs), without names."""
    import pandas  # here, for it takes long to import and files need no pandas

    rows = [p.row(system.answers) for p in predict_inputs(system, request_inputs(request, system.form))]
    table = pandas.DataFrame(rows, columns=list(Prediction("", None).row(system.answers))).drop(columns="name")
    # None instead of NaN, which JSON does not have
    return table.astype(object).where(table.notna(), None) if table["problem"].any() else table


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    items = iter(items)
    while batch := list(islice(items, AT_ONCE)):
        yield batch


# ---- tables ------------------------------------------------------------------------------------------------------


@dataclass
class Counts:
    """How many inputs there are, how many without a prediction, and how many that differ from the training examples."""

    total: int = 0
    failed: int = 0
    drifted: int = 0


def write_predictions(predictions: Iterable[Prediction], answers: Answers, out: Path | TextIO) -> Counts:
    """A row per prediction, to a .csv or .parquet file or as csv to a stream.

    The file appears when all is written. Raises RecipeError for another ending.
    """
    counts = Counts()
    with _table(out, list(Prediction("", None).row(answers)), answers.texts) as add:
        for batch in _batches(predictions):
            add([prediction.row(answers) for prediction in batch])
            counts.total += len(batch)
            counts.failed += sum(prediction.p is None for prediction in batch)
            counts.drifted += sum(bool(prediction.drift) for prediction in batch)
    return counts


@contextmanager
def _table(out: Path | TextIO, columns: list[str], texts: Sequence[str]) -> Iterator[AddRows]:
    """A function that adds rows. texts: the columns of answers that hold text."""
    if not isinstance(out, Path):
        yield _csv(out, columns)
    elif out.suffix == ".csv":
        with replacing(out) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            yield _csv(file, columns)
    elif out.suffix == ".parquet":
        with replacing(out) as temporary, _parquet(temporary, columns, texts) as add:
            yield add
    else:
        raise RecipeError(f"{out}: a table of predictions ends in .csv or .parquet.")


def _csv(file: TextIO, columns: list[str]) -> AddRows:
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    return writer.writerows


@contextmanager
def _parquet(path: Path, columns: list[str], texts: Sequence[str]) -> Iterator[AddRows]:
    import pyarrow  # here, for it takes long to import
    from pyarrow import parquet

    texts = ("name", *texts, "unlike", "problem")
    schema = pyarrow.schema([(c, pyarrow.string() if c in texts else pyarrow.float64()) for c in columns])
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        yield lambda rows: writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))
