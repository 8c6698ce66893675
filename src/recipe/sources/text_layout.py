"""How texts lie in a file: what `recipe predict` needs to read another one of the same form."""

from dataclasses import dataclass
from pathlib import Path

from recipe.errors import RecipeError
from recipe.problems import shown
from recipe.sources.read_table import TableRows, read_rows


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
