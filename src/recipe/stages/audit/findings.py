"""The longer findings of the checks: what was compared, the effect with its interval and n, and what to do."""

import math

from recipe.stages.audit.bias import ColumnGain
from recipe.stages.audit.explained import ShareExplained
from recipe.stages.audit.shortcuts import Shortcut
from recipe.stages.audit.tables import ColumnProblems
from recipe.tasks.task import Task


def of_order(gap: float, spread: float, gain: float, n: int) -> str:
    """p: of the gap in shuffled files, by the normal approximation."""
    p = math.erfc((1 - gap) / spread / math.sqrt(2)) / 2 if spread > 0 else 1.0
    beyond = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    cost = f"scores about {100 * gain:.1f} points too well" if gain > 0 else "may score too well"
    return (
        f"Neighbours in the file look alike: rows are ordered ({beyond}, n = {n:,}), so a shuffled split {cost}. Give "
        "the source `groups`, such as the writer, the patient or the day."
    )


def of_column(gain: ColumnGain | ShareExplained, target: str, advice: str) -> str:
    """target: the word for what is predicted."""
    verb = "predicts" if gain.verdict == "yes" else "may predict"
    return f"`{gain.column}` alone {verb} the {target}: {gain.effect}. {advice}"


def of_shortcut(shortcut: Shortcut, task: Task) -> str:
    return (
        f"A single {shortcut.unit}, {shortcut.place}, gives the answer almost without error: {shortcut.effect(task)}. "
        "Remove it from the inputs if it will be absent, or unknown, where the model is used."
    )


def of_columns(table: ColumnProblems) -> str:
    kinds = {
        "constant": [f"`{name}`" for name in table.constant],
        "copies of another column": [f"`{copy}` (of `{name}`)" for name, copy in table.equal],
        "row numbers or keys": [f"`{name}`" for name in table.identifiers],
    }
    named = [f"{kind}: {', '.join(names[:3])}{', ...' * (len(names) > 3)}" for kind, names in kinds.items() if names]
    return f"Some feature columns carry no information about new examples ({'; '.join(named)}). Drop them."


def of_small_classes(few: int, classes: int, median: int, held_out: int, points: float, enough: int) -> str:
    return (
        f"{few} of {classes} classes are small, with a median of {median} examples. With about {held_out} validation "
        f"examples of a class, the 95 % CI of its accuracy is up to {points:.0f} points wide; {enough} examples of a "
        "class would be enough. Merge such classes, report them together, or collect more."
    )
