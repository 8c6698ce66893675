"""Decides which columns of a table have a decimal point and which a decimal comma."""

from collections.abc import Mapping
from itertools import islice

from recipe.sources.cells import Cells
from recipe.sources.numerals import number

FEW = 0.1  # a smaller share of a column's cells does not outweigh the rest of the file
EXAMINED = 5000  # distinct cells of a column, enough to recognise its decimal sign


def decimal_signs(columns: Mapping[str, Cells], given: str | None) -> dict[str, str | None]:
    """{column: its decimal sign}; None where its cells can be read in two ways and nothing else in the file decides.

    The cells of the column decide (`0,5`, `1.234,50`, `1,234.50`), otherwise those of the other columns, because one
    program wrote them all; `1,234` among whole numbers below a thousand without a comma has groups of thousands.
    """
    if given is not None:
        return dict.fromkeys(columns, given)
    signs: dict[str, str | None] = dict.fromkeys(columns, ".")
    votes = {name: _votes(cells) for name, cells in columns.items() if cells.plain is None and cells.contains(",")}
    own: dict[str, str | None] = {
        name: "," if comma > point else "." for name, (point, comma, _) in votes.items() if comma or point
    }
    if "," not in own.values() and not any(either for *_, either in votes.values()):
        return signs
    # the file has cells with a comma that may be a decimal comma: now the columns without any comma count, too
    dotted = {name: _votes(cells) for name, cells in columns.items() if name not in votes and cells.contains(".")}
    strong = [own[name] for name in own if max(votes[name][:2]) >= FEW * columns[name].present]
    points, commas = sum(vote[0] > 0 for vote in dotted.values()) + strong.count("."), strong.count(",")
    common = None if commas == points else "," if commas > points else "."
    for name, (point, comma, either) in votes.items():
        if common and max(point, comma) < FEW * columns[name].present:
            own[name] = common  # a few mistyped cells
        elif either and not (point or comma):
            own[name] = common or ("." if _small_rest(columns[name]) else None)
    # 1.234 in a file with decimal commas
    own |= {name: "," for name, (point, _, either) in dotted.items() if either and not point and common == ","}
    return signs | own


def _votes(cells: Cells) -> tuple[int, int, int]:
    """Rows that are numbers only with a decimal point, only with a decimal comma, or with both but different ones."""
    point = comma = either = 0
    for text, count in islice(zip(cells.texts, cells.counts, strict=True), EXAMINED):
        if not ("," in text or "." in text):
            continue
        a, b = number(text, "."), number(text, ",")
        point += count if a and not b else 0
        comma += count if b and not a else 0
        either += count if a and b and a.value != b.value else 0
    return point, comma, either


def _small_rest(cells: Cells) -> bool:
    """Whether there are numbers without a comma and all are whole and below a thousand, so none is written `5000`."""
    rest = [number(text) for text in cells.texts if "," not in text]
    values = [abs(numeral.value) for numeral in rest if numeral]
    return bool(values) and all(value < 1000 and value.is_integer() for value in values)
