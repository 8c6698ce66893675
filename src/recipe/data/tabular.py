"""Rows of csv, tsv and parquet files, each with its place."""

import csv
from dataclasses import dataclass, field
from pathlib import Path

from recipe.data.problems import ODD_SHAPE, Problem, shown
from recipe.errors import RecipeError

DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
LONGEST = 1 << 26  # characters in a cell; csv's own limit of 131,072 is below a long text


@dataclass(frozen=True)
class Rows:
    """A table in memory. columns: {name: a value per row}, texts in csv and tsv; places: `file, line 3` per row."""

    file: str
    columns: dict[str, list]
    places: list[str]
    problems: list[Problem] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.places)

    def column(self, name: str | int) -> list:
        return self.columns[self.named(name)]

    def named(self, name: str | int) -> str:
        """A column's name, asked for by it or by its position (0 the first, -1 the last).

        Raises RecipeError that lists the columns.
        """
        known = list(self.columns)
        if isinstance(name, int) and -len(known) <= name < len(known):
            return known[name]
        if name not in self.columns:
            raise RecipeError(f"{self.file}: no column `{name}`; there are {', '.join(map(shown, known))}.")
        return name


def read_rows(path: Path | str, *, header: bool = True, quoted: bool = True, delimiter: str | None = None) -> Rows:
    """The whole file. header: whether its first line names the columns; else they are called column 0, column 1, ...

    quoted: whether cells may stand in double quotes. A line with another number of cells is a problem and is left out.
    Raises RecipeError where the file is missing, of another kind, not UTF-8 or not well formed, with the line.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise RecipeError(f"{path} is missing: {_advice(path)}")
    if path.suffix == ".parquet":
        return _parquet(path)
    delimiter = delimiter or DELIMITERS.get(path.suffix.lower())
    if delimiter is None:
        raise RecipeError(f"{path}: a table ends in .csv, .tsv or .parquet; for another name give `delimiter`.")
    lines, names = [], None
    for place, cells in _lines(path, delimiter, quoted):
        if header and names is None:
            names = _names(path, [cell.strip() for cell in cells])
        else:
            lines.append((place, cells))
    if not lines:
        raise RecipeError(f"{path} has no row{' below its header' if header else ''}.")
    names = names or [f"column {i}" for i in range(len(lines[0][1]))]
    _require_split(path, names, delimiter, lines)
    return _rows(path, names, lines)


def _advice(path: Path) -> str:
    if path.parent.is_dir():
        return f"its folder holds {', '.join(sorted(shown(p.name) for p in path.parent.iterdir())[:8]) or 'nothing'}."
    return f"there is no folder {path.parent}. Put the file there, or name another in conf/data/."


def _lines(path: Path, delimiter: str, quoted: bool):
    """(place, cells) of every line that is not empty."""
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    before = csv.field_size_limit(LONGEST)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:  # -sig: Excel puts a mark at the start
            reader = csv.reader(file, delimiter=delimiter, quoting=quoting, strict=True)
            begin = 1
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield f"{path.name}, line {begin}", cells
                begin = reader.line_num + 1  # a cell in quotes may hold line ends
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is not UTF-8 ({error.reason}, byte {error.start}): save it as UTF-8.") from None
    except csv.Error as error:
        advice = " If quotes are plain characters here, set `quoted: false`." if quoted else ""
        raise RecipeError(f"{path}, line {begin}: {error}.{advice}") from None
    finally:
        csv.field_size_limit(before)


def _names(path: Path, cells: list[str]) -> list[str]:
    for i, cell in enumerate(cells):
        if not cell or cell in cells[:i]:
            what = f"`{cell}` is there twice" if cell else f"column {i} has no name"
            raise RecipeError(f"{path}, line 1: {what} among the columns; without such a line set `header: false`.")
    return cells


def _require_split(path: Path, names: list[str], delimiter: str, lines: list) -> None:
    others = [d for d in ";,\t|" if d != delimiter and d in "".join(lines[0][1])]
    if len(names) == 1 and others:
        raise RecipeError(
            f"{path} has one column when split at {delimiter!r}, and {others[0]!r} in its cells: "
            f"set `delimiter: {others[0]!r}`."
        )


def _rows(path: Path, names: list[str], lines: list) -> Rows:
    good, problems = [], []
    for place, cells in lines:
        if len(cells) == len(names):
            good.append((place, cells))
        else:
            detail = f"{len(cells)} cells, there must be {len(names)}; it begins {delimited(cells)}"
            problems.append(Problem(ODD_SHAPE, place, detail))
    columns = {name: [cells[i] for _, cells in good] for i, name in enumerate(names)}
    return Rows(path.name, columns, [place for place, _ in good], problems)


def delimited(cells: list[str]) -> str:
    """The start of a line, for a message."""
    return shown(", ".join(cells))[:60]


def _parquet(path: Path) -> Rows:
    from pyarrow import ArrowException, parquet

    try:
        table = parquet.read_table(path)
    except (ArrowException, OSError) as error:
        raise RecipeError(f"{path} cannot be read as parquet: {error}") from None
    columns = {name: table[name].to_pylist() for name in table.column_names}
    if not table.num_rows:
        raise RecipeError(f"{path} has no row.")
    return Rows(path.name, columns, [f"{path.name}, row {i}" for i in range(table.num_rows)])
