"""Buffers on disk for data that do not fit into memory and whose final form is known only at the end."""

from array import array
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from recipe.files import replacing

HEADER = 128  # bytes; NumPy's header of an array of up to four dimensions
BUFFER = 1 << 24  # bytes of texts or previews in memory


class ArrayBuffer:
    """Writes arrays of any shape and type one after the other; at the end those of one form become an .npy file."""

    def __init__(self, path: Path):
        self.file = open(path, "w+b")  # noqa: SIM115 - closed by `finish`, and with the process
        self.file.write(bytes(HEADER))
        self.forms: dict[tuple[tuple[int, ...], str], int] = {}  # {(shape, dtype): number}, in order of appearance
        self.form_of = array("L")  # of each array

    def add(self, values: np.ndarray) -> bool:
        """Writes an array; gives whether it is the first of its form."""
        known = len(self.forms)
        self.form_of.append(self.forms.setdefault((values.shape, str(values.dtype)), known))
        self.file.write(values.tobytes())
        return len(self.forms) > known

    def commonest(self) -> tuple[tuple[int, ...], str]:
        """(shape, dtype) of the most arrays; of equally common ones the one that came first."""
        number = Counter(self.form_of).most_common(1)[0][0]
        return next(form for form, n in self.forms.items() if n == number)

    @property
    def share(self) -> float:
        """The share of arrays of the commonest form."""
        return Counter(self.form_of).most_common(1)[0][1] / len(self.form_of)

    def form(self, index: int) -> tuple[tuple[int, ...], str]:
        return list(self.forms)[self.form_of[index]]

    def finish(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """Closes the file as an .npy of (N, *shape); gives a bool per array: whether it has this form and was kept."""
        sizes = [int(np.prod(s)) * np.dtype(d).itemsize for s, d in self.forms]
        kept_form = self.forms[shape, dtype]
        kept = np.frombuffer(self.form_of, dtype=f"u{self.form_of.itemsize}") == kept_form
        read = write = HEADER
        for number in self.form_of if not kept.all() else ():
            if number == kept_form and read != write:
                self.file.seek(read)
                content = self.file.read(sizes[number])
                self.file.seek(write)
                self.file.write(content)
            read += sizes[number]
            write += sizes[number] if number == kept_form else 0
        self.file.truncate(HEADER + int(kept.sum()) * sizes[kept_form])
        self.file.seek(0)
        header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (int(kept.sum()), *shape)}
        np.lib.format.write_array_header_1_0(self.file, header)
        if self.file.tell() != HEADER:
            raise ValueError(f"NumPy's header of {shape} is {self.file.tell()} bytes, not {HEADER}")
        self.file.close()
        return kept


class BlobBuffer:
    """Writes a parquet file of (row, bytes or text) in pieces."""

    def __init__(self, path: Path, column: str, kind: str):
        import pyarrow
        from pyarrow import parquet

        self.schema = pyarrow.schema([("row", pyarrow.int64()), (column, getattr(pyarrow, kind)())])
        self.writer = parquet.ParquetWriter(path, self.schema, compression="zstd")
        self.rows: list[int] = []
        self.values: list[bytes | str] = []
        self.size = 0

    def add(self, row: int, value: bytes | str) -> None:
        self.rows.append(row)
        self.values.append(value)
        self.size += len(value)
        if self.size > BUFFER:
            self._flush()

    def _flush(self) -> None:
        import pyarrow

        self.writer.write_table(pyarrow.table([self.rows, self.values], schema=self.schema))
        self.rows, self.values, self.size = [], [], 0

    def finish(self) -> None:
        self._flush()
        self.writer.close()


def renumber(path: Path, kept: np.ndarray) -> None:
    """Of a Blobs file, the rows that were kept (bool each), under their new numbers."""
    import pyarrow
    from pyarrow import parquet

    number = np.cumsum(kept) - 1
    with (
        replacing(path) as temporary,
        parquet.ParquetFile(path) as file,
        parquet.ParquetWriter(temporary, file.schema_arrow, compression="zstd") as writer,
    ):
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            rows = table["row"].to_numpy()
            table = table.set_column(0, "row", pyarrow.array(number[rows])).filter(pyarrow.array(kept[rows]))
            writer.write_table(table)


class RecordBuffer:
    """Collects dicts with the same keys as columns, which takes a twentieth of the memory."""

    def __init__(self) -> None:
        self.chunk: list[dict[str, Any]] = []
        self.tables: list[Any] = []

    def add(self, record: dict[str, Any]) -> None:
        self.chunk.append(record)
        if len(self.chunk) == 4096:
            self._flush()

    def _flush(self) -> None:
        import pyarrow

        self.tables.append(pyarrow.Table.from_pylist(self.chunk))
        self.chunk = []

    def table(self) -> Any:
        """All records as a pyarrow table."""
        import pyarrow

        if self.chunk:
            self._flush()
        return pyarrow.concat_tables(self.tables, promote_options="permissive").combine_chunks()
