"""Claims about the evidence as a whole: is there all of it, and was test kept for the end?"""

from dataclasses import dataclass
from pathlib import Path

from recipe.stages.report.evidence import CLOSED, Evidence
from recipe.verdict import Verdict, check, exactly


@dataclass(frozen=True)
class Reported:
    """What the report is rendered from."""

    runs: Path
    evidence: Evidence  # without the report stage


@check(source="Recipe, from simple to complex, a hypothesis at every step")
def every_stage_reported(r: Reported) -> Verdict:
    """Every stage before the report has left its evidence, and every gate is open.

    A stage without runs/<stage>/report.json has not run, or died: `dvc repro` runs it. A closed
    gate ends the report, because no number behind it can be trusted.
    """
    stages = [s for s in r.evidence.stages if s.name != "report"]
    return exactly(sum(s.ran and s.state != CLOSED for s in stages), len(stages))


@check(source="Recipe 2, set up the end-to-end training skeleton")
def test_was_read_once(r: Reported) -> Verdict:
    """The ensemble is the only stage with numbers measured on test.

    Another stage that reports a test_* number has chosen something by it: its split file must not be among
    that stage's deps in dvc.yaml.
    """
    readers = [
        stage.name
        for stage in r.evidence.ran
        if any(key.startswith("test_") for row in (stage.metrics, *stage.scores) for key in row)
    ]
    return exactly(", ".join(readers) or "no stage", "ensemble")


@check(source="Recipe 2, visualize")
def every_picture_is_there(r: Reported) -> Verdict:
    """Every picture and table that a report names is in its stage's folder. Counted: the missing ones.

    A stage that was restored from the cache without its outputs: `dvc checkout`.
    """
    named = {
        Path(s.name, file) for s in r.evidence.ran for file in (*s.figures, *(f for c in s.checks for f in c.evidence))
    }
    return exactly(sum(not (r.runs / file).is_file() for file in named), 0)
