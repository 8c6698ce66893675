"""How texts lie in a file: what `recipe predict` needs to read another one of the same form."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipe.data.split_names import is_missing
from recipe.errors import RecipeError
from recipe.problems import UNREADABLE, BadExample, shown
from recipe.sources.cells import Cells
from recipe.sources.columns import MOST
from recipe.sources.read_table import TableRows, read_rows

LONGEST = 1_000_000  # characters; a novel has half of it


def require_texts(rows: TableRows, name: str | int) -> list:
    """The cells of a column; raises RecipeError where they are empty, or numbers."""
    cells = Cells(rows.column(name))
    named = f"{rows.file}, column `{shown(rows.name_of(name))}`"
    if not cells.present:
        raise RecipeError(f"{named}: every text is empty. `text:` names the column that holds them.")
    numbers = sum(n for n, known in zip(cells.counts, cells.numbers(".").known, strict=True) if known)
    if numbers >= MOST * cells.present:
        others = [f"`{shown(each)}`" for each in rows.columns if each != rows.name_of(name)]
        raise RecipeError(
            f"{named} holds numbers, not texts. `text:` names the column of texts; the others are "
            f"{', '.join(others)}. For columns of numbers there is `data: table`."
        )
    return list(cells.cells)


def required_text(cell: Any) -> str:
    """The text of a cell; raises BadExample where it is empty or longer than LONGEST."""
    text = "" if is_missing(cell) else str(cell)
    if not text.strip():
        raise BadExample(UNREADABLE, "the text is empty")
    if len(text) > LONGEST:
        raise BadExample(UNREADABLE, f"the text has {len(text):,} characters, {LONGEST:,} at most: divide or cut it")
    return text


@dataclass(frozen=True)
class TextLayout:
    """text: the column that holds them; the others as recipe.sources.tables.Text has them."""

    text: str
    header: bool = True
    quoted: bool = True
    delimiter: str | None = None
    encoding: str | None = None

    def read(self, path: Path) -> TableRows:
        """Raises RecipeError like `require_column`."""
        rows = read_rows(path, header=self.header, quoted=self.quoted, delimiter=self.delimiter, encoding=self.encoding)
        return self.require_column(rows)

    def require_column(self, rows: TableRows) -> TableRows:
        """The rows; raises RecipeError where the column of texts is missing."""
        if self.text not in rows.columns:
            raise RecipeError(
                f"{rows.file}: no column `{shown(self.text)}`, which holds the texts; there are "
                f"{', '.join(map(shown, rows.columns))}."
            )
        return rows
