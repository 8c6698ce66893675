"""What terminal and report say about the prepared data."""

from recipe.problems import NOTE, PROBLEM, shown
from recipe.stages.prepare.write_store import Prepared

MOST = 8  # findings of each level; problems.csv has all


def findings(prepared: Prepared) -> list[str]:
    """A sentence on each of the first problems and notes; `summary` counts the conversions."""
    sentences = []
    for level in (PROBLEM, NOTE):
        listed = [p for p in prepared.problems if p.level == level]
        sentences += [f"{shown(p.name)}: {p.kind}: {p.detail.rstrip('.')}." for p in listed[:MOST]]
        if (more := len(listed) - MOST) > 0:
            sentences.append(f"problems.csv lists {more:,} more at the level of a {level}.")
    return sentences


def summary(prepared: Prepared) -> str:
    description = prepared.description
    array = f"{prepared.dtype} {' x '.join(map(str, prepared.shape))}"
    form = array if description.kind.axes else description.kind.plural
    sentence = (
        f"{prepared.table.num_rows:,} of {description.total:,} examples were stored as {form} "
        f"{description.task.description}; {prepared.lost:,} could not be stored."
    )
    commonest = sorted(prepared.converted.items(), key=lambda item: (-item[1], item[0]))
    most = ", ".join(f"{kind} ({count:,})" for kind, count in commonest[:3])
    return f"{sentence} Converted or odd: {most}." if most else sentence
