"""Files that are complete or absent: everything is written under a temporary name and renamed."""

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recipe.errors import RecipeError


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Gives a temporary name to write to, which is renamed to `path` when the block succeeds and removed otherwise."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, content: Any) -> None:
    """Keys in the given order; NaN raises ValueError because JSON has none: write None and say why."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_yaml(path: Path | str, content: dict | list) -> None:
    write_text(path, dump_yaml(content))


def dump_yaml(content: dict | list) -> str:
    import yaml

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data) -> bool:  # a value that occurs twice is written twice
            return True

    return yaml.dump(content, Dumper=Plain, sort_keys=True)


def read_yaml(path: Path | str) -> dict | list:
    import yaml

    return yaml.safe_load(present(path).read_text(encoding="utf-8"))


def write_csv(path: Path | str, rows: Iterable[dict], columns: list[str] | None = None) -> None:
    """One row per dict; the columns are `columns` or the keys of the first dict. Floats keep every bit (repr)."""
    rows = list(rows)
    columns = columns or (list(rows[0]) if rows else [])
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path: Path | str) -> list[dict[str, str]]:
    with open(present(path), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_table(path: Path | str, columns: dict, meanings: dict[str, str]) -> None:
    """Writes a parquet of arrays with a value per row; the meaning of a column is in its field's metadata.

    Equal tables give equal bytes: no index, no time.
    """
    import pyarrow
    from pyarrow import parquet

    arrays = [pyarrow.array(values) for values in columns.values()]
    fields = [
        pyarrow.field(name, array.type, metadata={"meaning": meanings[name]})
        for name, array in zip(columns, arrays, strict=True)
    ]
    with replacing(path) as temporary:
        parquet.write_table(pyarrow.table(arrays, pyarrow.schema(fields)), temporary, compression="zstd")


def read_table(path: Path | str) -> list[dict]:
    """The rows of a parquet as dicts."""
    from pyarrow import parquet

    return parquet.read_table(present(path)).to_pylist()


def read_json(path: Path | str) -> Any:
    return json.loads(present(path).read_text(encoding="utf-8"))


def present(path: Path | str) -> Path:
    """The path, where the file exists; else raises RecipeError that names the stage that writes it."""
    path = Path(path)
    if not path.is_file():
        parts = path.parts
        stage = parts[parts.index("runs") + 1] if "runs" in parts[:-1] else None
        advice = f" It is written by the {stage} stage: dvc repro {stage}" if stage else ""
        raise RecipeError(f"{path} is missing.{advice}")
    return path


def digest(paths: Iterable[Path | str]) -> dict[str, str]:
    """{path: content hash} of files and of every file under folders, in a stable order."""
    hashes = {}
    for path in map(Path, paths):
        inside = sorted(p for p in path.rglob("*") if "__pycache__" not in p.parts) if path.is_dir() else [path]
        for file in filter(Path.is_file, inside):
            with open(file, "rb") as content:  # in pieces: a data set may be larger than the memory
                hashes[str(file)] = hashlib.file_digest(content, "md5").hexdigest()
    return hashes


def fingerprint(content: Any) -> str:
    """A hash of the content, which links a report to the MLflow run that made it."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
