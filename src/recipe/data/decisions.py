"""decisions.csv, the human's file: what to do with an example, and why. The audit proposes, the person decides."""

from dataclasses import dataclass
from pathlib import Path

from recipe.errors import RecipeError
from recipe.files import read_csv

ACTIONS = ("drop", "relabel", "keep")
COLUMNS = ["id", "action", "label", "reason"]


@dataclass(frozen=True)
class Decision:
    id: str
    action: str
    label: str  # the class name, for relabel
    reason: str


def read_decisions(path: Path, ids: set[str], classes: list[str]) -> dict[str, Decision]:
    """{id: decision}.

    Raises RecipeError with the line where an id, an action or a class is unknown, a reason is missing, or two lines
    speak of the same example.
    """
    found: dict[str, Decision] = {}
    rows = read_csv(path)
    if rows and list(rows[0]) != COLUMNS:
        raise RecipeError(f"{path}: its first line must be {','.join(COLUMNS)}, it is {','.join(map(str, rows[0]))}")
    for line, row in enumerate(rows, start=2):
        decision = Decision(**{k: (row[k] or "").strip() for k in COLUMNS})
        if problem := _problem(decision, ids, classes, found):
            raise RecipeError(f"{path}, line {line}: {problem}")
        found[decision.id] = decision
    return found


def _problem(d: Decision, ids: set[str], classes: list[str], found: dict) -> str:
    if d.id not in ids:
        return f"no example `{d.id}`; ids are in runs/audit/examples.parquet and on the contact sheets"
    if d.action not in ACTIONS:
        return f"no action `{d.action}`; there are {', '.join(ACTIONS)}"
    if d.action == "relabel" and d.label not in classes:
        return f"relabel to `{d.label}`: no such class; there are {', '.join(classes)}"
    if not d.reason:
        return "a decision needs a reason"
    if d.id in found:
        return f"`{d.id}` is decided twice"
    return ""
