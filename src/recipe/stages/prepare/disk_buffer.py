"""What is too large for memory and not yet known in its final form: on disk as it comes, put right at the end."""

from array import array as numbers
from collections import Counter
from pathlib import Path

import numpy as np

from recipe.files import replacing

HEADER = 128  # bytes; NumPy's header of an array of up to four dimensions
BUFFER = 1 << 24  # bytes of texts or previews in memory


class ArrayBuffer:
    """Arrays of any shape and type, one after the other; at the end those of one form are an .npy file, in order."""

    def __init__(self, path: Path):
        self.file = open(path, "w+b")  # noqa: SIM115 - closed by `finish`, and with the process
        self.file.write(bytes(HEADER))
        self.forms: dict[tuple, int] = {}  # (shape, dtype) -> number, in the order of appearance
        self.form_of = numbers("L")

    def add(self, array: np.ndarray) -> bool:
        """Whether it is the first of its form."""
        known = len(self.forms)
        self.form_of.append(self.forms.setdefault((array.shape, str(array.dtype)), known))
        self.file.write(array.tobytes())
        return len(self.forms) > known

    def commonest(self) -> tuple[tuple[int, ...], str]:
        """(shape, dtype); of equally common ones the first that came."""
        number = Counter(self.form_of).most_common(1)[0][0]
        return next(form for form, n in self.forms.items() if n == number)

    @property
    def share(self) -> float:
        """Of the arrays, those of the commonest form."""
        return Counter(self.form_of).most_common(1)[0][1] / len(self.form_of)

    def form(self, index: int) -> tuple[tuple[int, ...], str]:
        return list(self.forms)[self.form_of[index]]

    def finish(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """Closes the file as an .npy of (N, *shape). Gives (bool per array): whether it has this form, and stayed."""
        sizes = [int(np.prod(s)) * np.dtype(d).itemsize for s, d in self.forms]
        wanted = self.forms[shape, dtype]
        kept = np.frombuffer(self.form_of, dtype=f"u{self.form_of.itemsize}") == wanted
        read = write = HEADER
        for number in self.form_of if not kept.all() else ():
            if number == wanted and read != write:
                self.file.seek(read)
                content = self.file.read(sizes[number])
                self.file.seek(write)
                self.file.write(content)
            read += sizes[number]
            write += sizes[number] if number == wanted else 0
        self.file.truncate(HEADER + int(kept.sum()) * sizes[wanted])
        self.file.seek(0)
        header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (int(kept.sum()), *shape)}
        np.lib.format.write_array_header_1_0(self.file, header)
        if self.file.tell() != HEADER:
            raise ValueError(f"NumPy's header of {shape} is {self.file.tell()} bytes, not {HEADER}")
        self.file.close()
        return kept


class BlobBuffer:
    """A parquet file of (row, bytes or text), written as it comes."""

    def __init__(self, path: Path, column: str, kind: str):
        import pyarrow
        from pyarrow import parquet

        self.schema = pyarrow.schema([("row", pyarrow.int64()), (column, getattr(pyarrow, kind)())])
        self.writer = parquet.ParquetWriter(path, self.schema, compression="zstd")
        self.rows, self.values, self.size = [], [], 0

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
    """Dicts with the same keys, kept as columns: a twentieth of the memory."""

    def __init__(self):
        self.chunk, self.tables = [], []

    def add(self, record: dict) -> None:
        self.chunk.append(record)
        if len(self.chunk) == 4096:
            self._flush()

    def _flush(self) -> None:
        import pyarrow

        self.tables.append(pyarrow.Table.from_pylist(self.chunk))
        self.chunk = []

    def table(self):
        """All of them as a pyarrow table."""
        import pyarrow

        if self.chunk:
            self._flush()
        return pyarrow.concat_tables(self.tables, promote_options="permissive").combine_chunks()
