"""What the names of files below a folder of images say: their folders, and tables beside them."""

from collections.abc import Sequence
from pathlib import Path

from recipe.problems import shown
from recipe.sources.list_files import quote_some


def tables_hint(files: Sequence[str]) -> str:
    """Which settings read the labels from a table in the root; empty where there is no table."""
    tables = [name for name in files if "/" not in name and name.lower().endswith((".csv", ".tsv", ".parquet"))]
    return (
        f" If the labels are in {quote_some(tables)}, set `table: {shown(tables[0])}`, `file` and `label`."
        if tables
        else ""
    )


def folder_at(name: str, level: int) -> str:
    """The folder at this level (0 is the first) of a file's path; empty where the path is shorter."""
    folders = name.split("/")[:-1]
    return folders[level] if level < len(folders) else ""


def without_root(name: str, root: Path) -> str:
    """A file's path below the root, where a row gives a longer one: train/1.png for a root that ends in /train."""
    parts, ends = str(name).replace("\\", "/").split("/"), root.absolute().parts
    for n in range(min(len(parts) - 1, len(ends)), 0, -1):
        if tuple(parts[:n]) == ends[-n:]:
            return "/".join(parts[n:])
    return name
