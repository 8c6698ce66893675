"""What a saved system says of a person's files: a stream of answers, and tables of them."""

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np

from recipe.errors import RecipeError
from recipe.files import replacing
from recipe.serve.inputs import Fresh, given
from recipe.serve.system import System

AT_ONCE = 256  # inputs in memory


@dataclass(frozen=True)
class Answer:
    """The probabilities of each class for one input, or why there are none."""

    name: str
    p: list[float] | None
    problem: str = ""
    unlike: str = ""  # in what the input is unlike the training examples: the answer may be wrong for it

    def row(self, classes: list[str]) -> dict:
        """name, predicted, confidence, p_<class>, ..., unlike, problem; empty (None) where there is no answer."""
        names = [f"p_{c}" for c in classes]
        if self.p is None:
            empty = dict.fromkeys(["predicted", "confidence", *names])
            return {"name": self.name, **empty, "unlike": "", "problem": self.problem}
        best = max(range(len(self.p)), key=self.p.__getitem__)
        own = {"name": self.name, "predicted": classes[best], "confidence": self.p[best]}
        return own | dict(zip(names, self.p, strict=True)) | {"unlike": self.unlike, "problem": ""}


def answers(system: System, inputs: Iterable[Fresh]) -> Iterator[Answer]:
    """One for every input, in order; `AT_ONCE` of them are in memory."""
    for some in _some(inputs):
        known = [one.value for one in some if one.value is not None]
        told = iter(())
        if known:
            values = np.stack(known)
            told = zip(system.predict(values).tolist(), system.unlike(values), strict=True)
        for one in some:
            p, unlike = (None, "") if one.value is None else next(told)
            yield Answer(one.name, p, one.problem, unlike)


def frame(system: System, request):
    """A pandas table with a row per input of a request (see recipe.serve.inputs.given), without names."""
    import pandas

    rows = [answer.row(system.classes) for answer in answers(system, given(request, system.form))]
    table = pandas.DataFrame(rows, columns=list(Answer("", None).row(system.classes))).drop(columns="name")
    # None, for NaN is no JSON
    return table.astype(object).where(table.notna(), None) if table["problem"].any() else table


def _some(items: Iterable) -> Iterator[list]:
    items = iter(items)
    while part := list(islice(items, AT_ONCE)):
        yield part


# ---- tables ------------------------------------------------------------------------------------------------------


def write(found: Iterable[Answer], classes: list[str], out: Path | TextIO) -> tuple[int, int, int]:
    """A row per answer, to a .csv or .parquet file or as csv to a stream.

    Gives how many there are, how many without an answer, and how many for an input unlike the training examples.

    The file is there when all is written. Raises RecipeError for another ending.
    """
    total = odd = unlike = 0
    with _table(out, list(Answer("", None).row(classes))) as add:
        for some in _some(found):
            add([answer.row(classes) for answer in some])
            total += len(some)
            odd += sum(answer.p is None for answer in some)
            unlike += sum(bool(answer.unlike) for answer in some)
    return total, odd, unlike


@contextmanager
def _table(out: Path | TextIO, columns: list[str]):
    """A function that adds rows."""
    if not isinstance(out, Path):
        yield _csv(out, columns)
    elif out.suffix == ".csv":
        with replacing(out) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            yield _csv(file, columns)
    elif out.suffix == ".parquet":
        with replacing(out) as temporary, _parquet(temporary, columns) as add:
            yield add
    else:
        raise RecipeError(f"{out}: a table of predictions ends in .csv or .parquet.")


def _csv(file: TextIO, columns: list[str]):
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    return writer.writerows


@contextmanager
def _parquet(path: Path, columns: list[str]):
    import pyarrow
    from pyarrow import parquet

    texts = ("name", "predicted", "unlike", "problem")
    schema = pyarrow.schema([(c, pyarrow.string() if c in texts else pyarrow.float64()) for c in columns])
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        yield lambda rows: writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))
