"""Reads the rows of csv, tsv and parquet files, each with its place in the file.

Python's csv module splits the lines because only it tells in which line a record begins, whatever its quotes hold.
pandas and pyarrow are faster, but neither gives the line of a row (pandas.read_csv's `on_bad_lines` and pyarrow.csv's
`invalid_row_handler` give no number, or the number of the row).
"""

import difflib
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recipe.errors import RecipeError
from recipe.problems import ASSUMED, RAGGED, Problem, shown
from recipe.sources.delimited_text import delimiter_of, records, text_of


@dataclass(frozen=True)
class TableRows:
    """A table in memory. columns: {name: a value per row}, texts in csv and tsv; places: `file, line 3` per row.

    index: the unnamed column that numbers or names the rows, as pandas and R write it; None where there is none.
    class_names: {column: the names for which its numbers 0, 1, ... stand, one or a list in a cell}; see `class_names`.
    """

    file: str
    columns: dict[str, list]
    places: list[str]
    problems: list[Problem] = field(default_factory=list)
    index: str | None = None
    class_names: Mapping[str, list[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.places)

    def column(self, name: str | int) -> list:
        return self.columns[self.name_of(name)]

    def name_of(self, name: str | int) -> str:
        """The name of a column that is given by name or position (0 is the first, -1 the last).

        Raises RecipeError that lists the columns where there is no such column.
        """
        known = list(self.columns)
        if isinstance(name, int) and -len(known) <= name < len(known):
            return known[name]
        if name not in self.columns:
            near = difflib.get_close_matches(str(name), known, n=1)
            meant = f" Did you mean `{shown(near[0])}`?" if near else ""
            raise RecipeError(f"{self.file}: no column `{name}`; there are {', '.join(map(shown, known))}.{meant}")
        return str(name)


def read_rows(
    path: Path | str, *, header: bool = True, quoted: bool = True, delimiter: str | None = None,
    encoding: str | None = None,
) -> TableRows:  # fmt: skip
    """The whole file. header: whether its first line names the columns; else they are called column 0, column 1, ...

    quoted: whether cells may be in double quotes. delimiter, encoding: None to recognise them, see
    recipe.sources.delimited_text. A line with a different number of cells is a problem and is left out. Raises
    RecipeError with the line where the file is missing, of another kind, in an unknown encoding or malformed.
    """
    path = Path(path).expanduser()
    if delimiter is not None and (not isinstance(delimiter, str) or len(delimiter) != 1):
        raise RecipeError(f'{path}: `delimiter: {delimiter}` must be one character; a tab is "\\t", in double quotes.')
    if not path.is_file():
        raise RecipeError(f"{path} is missing: {_advice(path)}")
    if path.suffix == ".parquet":
        return _parquet(path)
    text, note = text_of(path, encoding)
    notes = [note]
    if delimiter is None:
        delimiter, note = delimiter_of(path, text, quoted)
        notes.append(note)
    lines = [(f"{path.name}, line {at}", cells) for at, cells in records(path, text, delimiter, quoted)]
    if lines and lines[0][1] in (["sep=" + delimiter], ["sep=", ""]):
        del lines[0]
    problems = [Problem(ASSUMED, path.name, note) for note in notes if note]
    names = [cell.strip() for cell in lines.pop(0)[1]] if header and lines else None
    if not lines:
        raise RecipeError(f"{path} has no row{' below its header' if header else ''}.")
    return _rows(path, names, lines, delimiter, problems)


def _advice(path: Path) -> str:
    if path.parent.is_dir():
        return f"its folder holds {', '.join(sorted(shown(p.name) for p in path.parent.iterdir())[:8]) or 'nothing'}."
    return f"there is no folder {path.parent}. Put the file there, or name another in conf/data/."


def _rows(path: Path, names: list[str] | None, lines: list, delimiter: str, problems: list[Problem]) -> TableRows:
    index: str | None = None
    if names is None:
        width = Counter(len(cells) for _, cells in lines).most_common(1)[0][0]
        names = [f"column {i}" for i in range(width)]
    else:
        _require_names(path, names)
        names, lines = _aligned(path, names, lines)
        names, index = _all_named(path, names, problems)
    _require_split(path, names, delimiter, lines)
    good = [line for line in lines if len(line[1]) == len(names)]
    problems += [_ragged(place, cells, names) for place, cells in lines if len(cells) != len(names)]
    if not good:
        raise RecipeError(f"{path}: no row has the {len(names)} cells of the header; {problems[-1].detail}.")
    columns = dict(zip(names, map(list, zip(*(cells for _, cells in good), strict=True)), strict=True))
    return TableRows(path.name, columns, [place for place, _ in good], problems, index)


def _require_names(path: Path, names: list[str]) -> None:
    advice = "without such a line set `header: false`."
    if twice := [name for i, name in enumerate(names) if name and name in names[:i]]:
        raise RecipeError(f"{path}, line 1: two columns have the name `{shown(twice[0])}`; {advice}")
    numbers = [name for name in names if re.fullmatch(r"[+-]?\d*\.?\d+(e[+-]?\d+)?", name, re.IGNORECASE)]
    counted = all(name.isdecimal() for name in names) and len({int(name) - i for i, name in enumerate(names)}) == 1
    fractions = any("." in name for name in numbers) and len(numbers) >= len(names) / 2
    if numbers and (fractions or (len(numbers) == len(names) and not counted)):
        raise RecipeError(f"{path}, line 1 holds numbers, as {numbers[0]}, instead of names of columns; {advice}")


def _aligned(path: Path, names: list[str], lines: list) -> tuple[list[str], list]:
    """(names, lines), aligned where every row has one more cell than the header: an empty one, or its name (R)."""
    if {len(cells) for _, cells in lines} != {len(names) + 1}:
        return names, lines
    if not any(cells[-1].strip() for _, cells in lines):
        return names, [(place, cells[:-1]) for place, cells in lines]
    if len({cells[0] for _, cells in lines}) == len(lines) > 1:
        return ["", *names], lines
    raise RecipeError(
        f"{path}, line 1 names {len(names)} columns, every row has {len(names) + 1} cells: the name of one is missing."
    )


def _all_named(path: Path, names: list[str], problems: list[Problem]) -> tuple[list[str], str | None]:
    """(the names, with missing ones filled in, the column of row names or None)"""
    if names[0] == "":
        names = ["index" if "index" not in names else "Unnamed: 0", *names[1:]]
        index: str | None = names[0]
    else:
        index = names[0] if names[0] == "Unnamed: 0" else None  # an index that pandas has read and written again
    for i, name in enumerate(names):
        if not name:
            detail = f"line 1 has no name for it; it is called `column {i}`"
            problems.append(Problem(ASSUMED, f"{path.name}, column {i}", detail))
    return [name or f"column {i}" for i, name in enumerate(names)], index


def _require_split(path: Path, names: list[str], delimiter: str, lines: list) -> None:
    others = [d for d in ";,\t|" if d != delimiter and d in "".join(lines[0][1])]
    if len(names) == 1 and others:
        raise RecipeError(
            f"{path} has one column when split at {delimiter!r}, and {others[0]!r} in its cells: "
            f"set `delimiter: {json.dumps(others[0])}`."
        )


def _ragged(place: str, cells: list[str], names: list[str]) -> Problem:
    """The problem of a line with too many or too few cells, and how the line begins."""
    if len(cells) > len(names):
        odd = f"after the last column there is {shown(', '.join(cells[len(names) :]))[:60]!r}"
    else:
        odd = f"no cell for {', '.join(f'`{shown(name)}`' for name in names[len(cells) :][:4])}"
        odd += f" and {more} more" if (more := len(names) - len(cells) - 4) > 0 else ""
    start = shown(", ".join(cells))[:60]
    return Problem(RAGGED, place, f"{len(cells)} cells, there must be {len(names)}: {odd}; it begins {start}")


def _parquet(path: Path) -> TableRows:
    from pyarrow import ArrowException, parquet

    try:
        table = parquet.read_table(path)
    except (ArrowException, OSError) as error:
        raise RecipeError(f"{path} cannot be read as parquet: {error}") from None
    columns = {name: table[name].to_pylist() for name in table.column_names}
    if not table.num_rows:
        raise RecipeError(f"{path} has no row.")
    index = "__index_level_0__" if "__index_level_0__" in columns else None  # as pandas writes it
    places = [f"{path.name}, row {i}" for i in range(table.num_rows)]
    return TableRows(path.name, columns, places, index=index, class_names=class_names(table.schema.metadata))


def class_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    """{column: names} of the class numbers that Hugging Face's `datasets` stores, a ClassLabel or lists of it.

    metadata: of the schema of a parquet file.
    """
    written = (metadata or {}).get(b"huggingface")
    features = json.loads(written).get("info", {}).get("features", {}) if written else {}
    return {column: names for column, feature in features.items() if (names := _names_of(feature))}


def _names_of(feature: Any) -> list[str] | None:
    if isinstance(feature, list):  # as `datasets` wrote a list before it had a type
        return _names_of(feature[0]) if feature else None
    if not isinstance(feature, Mapping):
        return None
    return feature.get("names") if feature.get("_type") == "ClassLabel" else _names_of(feature.get("feature"))
