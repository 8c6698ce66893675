"""The split stage's figure: what is to be predicted, in train, val and test."""

from pathlib import Path

from recipe.plots.examples import class_counts, quantities
from recipe.stages.split.checks import Written

FILE = "classes.png"


def draw(written: Written, out: Path) -> dict[str, str]:
    """Writes the figure; {file: caption}."""
    task = written.division.task
    if not written.names:
        values = {name: written.values(name) for name in written.parts}
        quantities(out / FILE, task.names, values)
        return {FILE: "Distribution of each quantity in train, val and test, after decisions.csv."}
    what = "class" if task.classes else "label"
    class_counts(out / FILE, written.names, written.all_counts(), f"examples per {what} and split", what)
    return {FILE: f"Number of examples per {what} in train, val and test, after decisions.csv."}
