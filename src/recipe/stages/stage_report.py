"""What a stage hands in, in two forms: exact.json, in DVC's cache, and report.json, rounded, in git.

Another processor computes other last bits. What git holds has the digits that a reader needs, so that it is the same
text there too; MLflow, and the stages that compute with a score of an earlier one, get the exact numbers.
"""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from recipe.metrics.metric import Metric
from recipe.verdict import SKIP, Verdict

DIGITS = 4  # significant ones
RESIDUE = 1e-6  # smaller numbers are what float32 leaves of a zero
# A number that lies on the edge between two roundings, as 0.99375 = 159/160, would go either way by its last bits.
OFF_THE_EDGE = 1e-6  # more than the noise, less than a digit

# The columns of `dvc exp show` and `dvc metrics show`: the counts and scores that experiments are compared by. METRIC
# becomes the name of the task's metric.
METRIC = "<metric>"
COLUMNS = {
    "prepare": ("examples", "problems"),
    "embed": (),
    "audit": ("near_copies", "suspect_labels"),
    "split": ("train", "val", "test"),
    "baseline": ("val_loss", f"val_{METRIC}"),
    "overfit": ("train_loss", "val_loss"),
    "regularize": ("val_loss", f"val_{METRIC}"),
    "tune": ("val_loss", f"val_{METRIC}"),
    "ensemble": ("val_loss", "test_loss", f"test_{METRIC}"),
    "report": ("passed", "notes"),
}


@dataclass
class Report:
    """What a stage hands in: the one source of terminal, report page, MLflow and DVC."""

    metrics: dict[str, float]
    checks: list[Verdict] = field(default_factory=list)
    predictions: list[dict] = field(default_factory=list)  # change, expected, measured, outcome
    evidence: dict[str, list[str]] = field(default_factory=dict)  # {check: its files in the stage's folder}
    figures: dict[str, str] = field(default_factory=dict)  # {file: caption}, in the order of the report
    scores: list[dict] = field(default_factory=list)  # a row per system: system, seeds, train_loss, val_<metric>, ...
    summary: str = ""  # the stage's main result, in a sentence
    findings: list[str] = field(default_factory=list)  # other results, a sentence each
    pages: list[Path] = field(default_factory=list)  # files outside the stage's folder that MLflow is to show too
    ending: str = ""  # what the terminal shows last, below the verdicts
    metric: Metric | None = None  # of the scores, beside the loss

    def exact(self, stage: str) -> dict:
        """exact.json: every number as it was computed."""
        checks = [asdict(v) | {"evidence": [*v.evidence, *self._evidence_of(v)]} for v in self.checks]
        optional = ("waived", "needed", "finding")
        return {
            "stage": stage,
            "findings": [text for text in (self.summary, *self.findings) if text],
            "metrics": self.metrics,
            "checks": [{k: v for k, v in c.items() if k not in optional or v} for c in checks],
            "predictions": self.predictions,
            "scores": self.scores,
            "figures": [{"file": file, "caption": caption} for file, caption in self.figures.items()],
            # a list, for DVC makes a column of each value in a mapping
            "metric": [self.metric.facts()] if self.metric else [],
        }

    def _evidence_of(self, v: Verdict) -> list[str]:
        """What was skipped has nothing to be seen."""
        return [] if v.verdict == SKIP else self.evidence.get(v.check, [])

    def committed(self, stage: str) -> dict:
        """report.json: rounded. The stage's columns are its one mapping, for `dvc exp show` makes a column of each
        number in a mapping and none of what lists hold; so `metrics` is a list of one row.
        """
        content = rounded(self.exact(stage))
        shown = [name.replace(METRIC, self.metric.name if self.metric else "") for name in COLUMNS[stage]]
        columns = {name: content["metrics"][name] for name in shown if name in self.metrics}
        del content["stage"]
        return {stage: columns} | content | {"metrics": [content["metrics"]]}


def rounded(content: Any) -> Any:
    """The same content, its fractions rounded to four significant digits; counts and texts are as they were."""
    if isinstance(content, dict):
        return {key: rounded(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [rounded(value) for value in content]
    if not isinstance(content, float) or not math.isfinite(content):
        return content
    if abs(content) < RESIDUE:
        return 0.0
    return float(f"{float(content) * (1 + OFF_THE_EDGE):.{DIGITS}g}")
