"""decisions.csv, the human's file: what to do with an example, and why. The audit proposes, the person decides."""

import csv
from dataclasses import dataclass
from pathlib import Path

from recipe.errors import RecipeError

ACTIONS = ("drop", "relabel", "keep")
COLUMNS = ["id", "action", "label", "reason"]


@dataclass(frozen=True)
class Decision:
    id: str
    action: str
    label: str  # the class name, for relabel
    reason: str


def read_decisions(path: Path | str, ids: set[str], classes: list[str]) -> dict[str, Decision]:
    """{id: decision}.

    Raises RecipeError with the line where an id, an action or a class is unknown, a reason is missing, or two lines
    speak of the same example.
    """
    found: dict[str, Decision] = {}
    for line, row in _lines(Path(path)):
        try:
            decision = Decision(*(cell.strip() for cell in row))
        except TypeError:
            raise RecipeError(
                f"{path}, line {line}: {len(row)} cells, there must be 4: {','.join(COLUMNS)}. "
                'A reason with a comma stands in double quotes: "a, b".'
            ) from None
        if problem := _problem(decision, ids, classes, found):
            raise RecipeError(f"{path}, line {line}: {problem}")
        found[decision.id] = decision
    return found


def _lines(path: Path):
    """(line number, cells) of every line that is not empty, after the header."""
    header = ",".join(COLUMNS)
    if not path.is_file():
        raise RecipeError(f"{path} is missing. Without decisions it is one line: {header}")
    with open(path, newline="", encoding="utf-8-sig") as file:  # -sig: Excel puts a mark at the start
        reader = csv.reader(file)
        first = next(reader, [])
        if [cell.strip() for cell in first] != COLUMNS:
            raise RecipeError(f"{path}: its first line must be {header}, it is {','.join(first)}")
        yield from ((reader.line_num, row) for row in reader if any(cell.strip() for cell in row))


def _problem(d: Decision, ids: set[str], classes: list[str], found: dict) -> str:
    if d.id not in ids:
        return f"no example `{d.id}`; ids are in runs/audit/examples.parquet and on the contact sheets"
    if d.action not in ACTIONS:
        return f"no action `{d.action}`; there are {', '.join(ACTIONS)}"
    if d.action == "relabel" and d.label not in classes:
        return f"relabel to `{d.label}`: no such class; there are {', '.join(classes)}"
    if d.action != "relabel" and d.label:
        return f"`{d.action}` takes no label, and `{d.label}` is given; is `relabel` meant?"
    if not d.reason:
        return "a decision needs a reason"
    if d.id in found:
        return f"`{d.id}` is decided twice"
    return ""


def decide(examples: list[dict], decisions: dict[str, Decision], classes: list[str]) -> list[dict]:
    """The examples without the dropped ones, relabelled ones under their new label."""
    kept = []
    for example in examples:
        decision = decisions.get(example["id"])
        if decision and decision.action == "drop":
            continue
        if decision and decision.action == "relabel":
            example = example | {"label": classes.index(decision.label), "class": decision.label}
        kept.append(example)
    return kept
