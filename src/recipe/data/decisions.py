"""decisions.csv, the user's file: what to do with an example, and why. The audit proposes, the user decides."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipe.errors import RecipeError
from recipe.files import write_csv
from recipe.tasks.labels import LabelForm

ACTIONS = ("drop", "relabel", "keep")
COLUMNS = ["id", "action", "label", "reason"]
HEADER = ",".join(COLUMNS)


@dataclass(frozen=True)
class Decision:
    id: str
    action: str
    label: str  # for relabel, as a person writes it: the class, the labels joined by `;`, the quantity
    reason: str


def read_decisions(path: Path | str, ids: set[str], form: LabelForm) -> dict[str, Decision]:
    """{id: decision}.

    Raises RecipeError with the line where an id, an action or a label is unknown, a reason is missing, or two lines
    name the same example.
    """
    path = Path(path)
    if not path.is_file():
        raise RecipeError(f"{path} is missing. Without decisions it is one line: {HEADER}")
    text = path.read_text(encoding="utf-8-sig")  # -sig: Excel writes a byte order mark
    first = text.partition("\n")[0].strip()
    if [cell.strip() for cell in first.split(",")] != COLUMNS:
        raise RecipeError(f"{path}: its first line must be {HEADER}, it is {first}")
    return parse(text, str(path), ids, form)


def parse(text: str, place: str, ids: set[str], form: LabelForm) -> dict[str, Decision]:
    """{id: decision} of lines in the form of decisions.csv, with or without its header; errors name them by `place`.

    Raises RecipeError like read_decisions.
    """
    decisions: dict[str, Decision] = {}
    reader = csv.reader(io.StringIO(text))
    for row in reader:
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells == COLUMNS:
            continue
        if len(cells) != len(COLUMNS):
            raise RecipeError(
                f"{place}, line {reader.line_num}: {len(cells)} cells, there must be {len(COLUMNS)}: {HEADER}. "
                'A reason with a comma must be in double quotes: "a, b".'
            )
        decision = Decision(**dict(zip(COLUMNS, cells, strict=True)))
        if problem := _problem(decision, ids, form, decisions):
            raise RecipeError(f"{place}, line {reader.line_num}: {problem}")
        decisions[decision.id] = decision
    return decisions


def add(path: Path | str, known: dict[str, Decision], new: dict[str, Decision], replace: bool) -> tuple[int, int]:
    """Writes decisions.csv with the new decisions at its end; gives (how many were added, how many changed).

    Raises RecipeError, without writing, where an example has another decision and `replace` is false.
    """
    changed = [d for d in new.values() if d.id in known and known[d.id] != d]
    if changed and not replace:
        old = ",".join(vars(known[changed[0].id]).values())
        raise RecipeError(
            f"{path} already says `{old}`; {len(changed)} decision(s) differ from it. Nothing was written: "
            "`recipe decide --replace` takes the new ones."
        )
    rows = [vars(d) for d in (known | new).values()]
    write_csv(path, rows, COLUMNS)
    return len(new.keys() - known.keys()), len(changed)


def _problem(d: Decision, ids: set[str], form: LabelForm, earlier: dict[str, Decision]) -> str:
    if d.id not in ids:
        return f"no example `{d.id}`; ids are in runs/audit/examples.parquet and on the contact sheets"
    if d.action not in ACTIONS:
        return f"no action `{d.action}`; there are {', '.join(ACTIONS)}"
    if d.action == "relabel":
        try:
            form.decided(d.label)
        except ValueError as error:
            return f"relabel to `{d.label}`: {error}"
    if d.action != "relabel" and d.label:
        return f"`{d.action}` takes no label, and `{d.label}` is given; is `relabel` meant?"
    if not d.reason:
        return "a decision needs a reason"
    if d.id in earlier:
        return f"`{d.id}` is decided twice"
    return ""


def decide(examples: list[dict[str, Any]], decisions: dict[str, Decision], form: LabelForm) -> list[dict[str, Any]]:
    """The examples without the dropped ones, relabelled ones under their new label."""
    kept = []
    for example in examples:
        decision = decisions.get(example["id"])
        if decision and decision.action == "drop":
            continue
        if decision and decision.action == "relabel":
            label = form.decided(decision.label)
            example = example | {"label": form.stored(label), "class": form.shown(label)}
        kept.append(example)
    return kept
