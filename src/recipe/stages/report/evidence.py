"""The evidence in runs/: every stage's report.json in the recipe's order, up to the first closed gate.

Nothing here trusts a file: a field may be missing, of another type or hostile, and the report stays readable.
"""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from recipe import formatting
from recipe.config.compose import STAGES
from recipe.files import fingerprint
from recipe.formatting import count, finite, line, number
from recipe.stages.report.shown_metric import LOSS, ShownMetric, read_metric
from recipe.verdict import measurement, statement

DONE, CLOSED, WAIVED, NOT_RUN = "done", "closed", "waived", "not run"


@dataclass(frozen=True)
class CheckResult:
    """A verdict as the report shows it."""

    name: str
    claim: str
    source: str
    gate: bool
    verdict: str  # pass, fail, error, skip, undecided
    measured: str
    bound: str
    hint: str
    evidence: tuple[str, ...]
    waived: str
    needed: str = ""  # what would decide an undecided check
    finding: str = ""  # the sentence of a check whose claim does not hold

    @property
    def state(self) -> str:
        """pass, skip, undecided, waived, closed (a gate) or note (a claim that fails and stops nothing)."""
        if self.verdict in ("pass", "skip", "undecided"):
            return self.verdict
        return "waived" if self.waived else "closed" if self.gate else "note"

    @property
    def statement(self) -> str:
        """What was found, in a sentence."""
        return statement(self.verdict, self.claim, self.finding)

    @property
    def measurement(self) -> str:
        """`measured 0.5514, required < 0.02`, or why there is no measurement."""
        return measurement(self.verdict, self.measured, self.bound)


@dataclass(frozen=True)
class Prediction:
    """An effect stated before it was measured."""

    change: str
    expected: str
    measured: str
    outcome: str


@dataclass(frozen=True)
class Stage:
    """A stage of the recipe with its evidence, empty where it has not run."""

    name: str
    state: str
    summary: str = ""
    findings: tuple[str, ...] = ()  # other results, a sentence each
    key: str = ""  # fingerprint of its report.json: the tag recipe.evidence of its MLflow run
    checks: tuple[CheckResult, ...] = ()
    predictions: tuple[Prediction, ...] = ()
    metrics: dict[str, object] = field(default_factory=dict)
    scores: tuple[dict, ...] = ()
    figures: dict[str, str] = field(default_factory=dict)  # {file: caption}
    metric: ShownMetric | None = None  # of the scores, beside the loss

    def shown(self, name: str, value: object) -> str:
        """One of the metrics, as a reader meets it."""
        if not self.metric or self.metric.name not in name:
            return formatting.metric(name, value)
        if name.endswith(("_sd", "gain", "gap")):
            return f"{self.metric.difference(value)} points" if self.metric.percent else number(value)
        return self.metric.shown(value) or number(value)

    @property
    def ran(self) -> bool:
        return self.state != NOT_RUN

    @property
    def place(self) -> int:
        return STAGES.index(self.name) + 1

    def of(self, *states: str) -> list[CheckResult]:
        return [c for c in self.checks if c.state in states]

    @property
    def tally(self) -> str:
        """`11 of 12 checks hold`."""
        if not self.ran:
            return NOT_RUN
        tried = [c for c in self.checks if c.state != "skip"]
        held = f"{len(self.of('pass'))} of {count(len(tried), 'check')}"
        return f"{held} {'holds' if len(tried) == 1 else 'hold'}" if tried else "nothing to check"


@dataclass(frozen=True)
class Evidence:
    """All stages in order. Behind a closed gate or a missing report.json every stage counts as not run."""

    stages: tuple[Stage, ...]

    @property
    def ran(self) -> list[Stage]:
        return [s for s in self.stages if s.ran]

    @property
    def unrun(self) -> list[Stage]:
        return [s for s in self.stages if not s.ran]

    @cached_property
    def closed(self) -> Stage | None:
        return next((s for s in self.stages if s.state == CLOSED), None)

    def of(self, *states: str) -> list[tuple[Stage, CheckResult]]:
        return [(s, c) for s in self.ran for c in s.of(*states)]

    @property
    def state(self) -> str:
        return CLOSED if self.closed else DONE if not self.unrun else NOT_RUN

    @property
    def headline(self) -> str:
        """The verdict on the whole pipeline, in a sentence."""
        if self.closed:
            gate = self.closed.of("closed")[0]
            return f"Closed at {self.closed.name}: {gate.name}"
        if not self.ran:
            return "Nothing has run yet"
        holds = len(self.of("pass"))
        if self.unrun:
            return f"Not finished: {len(self.ran)} of {len(self.stages)} stages have run"
        waived = f", {len(self.of('waived'))} waived" if self.of("waived") else ""
        return f"Every gate is open: {count(holds, 'check')} {'hold' if holds != 1 else 'holds'}{waived}"

    @property
    def counts(self) -> list[str]:
        """`47 checks hold`, `2 notes`, ... : what there is, in words."""
        holds = count(len(self.of("pass")), "check") + (" holds" if len(self.of("pass")) == 1 else " hold")
        counts = [] if self.state == DONE else [holds]  # the headline has it
        for state, noun in (("closed", "closed gate"), ("note", "note")):
            if results := self.of(state):
                counts.append(count(len(results), noun))
        others = (("undecided", "undecided"), ("waived", "waived"), ("skip", "skipped"))
        counts += [f"{len(self.of(state))} {word}" for state, word in others if self.of(state)]
        outcomes = [p.outcome for s in self.ran for p in s.predictions]
        counts += [
            f"{count(outcomes.count(o), 'prediction')} {o}" for o in dict.fromkeys(sorted(outcomes)) if o
        ]  # fmt: skip
        return counts

    @property
    def metrics(self) -> dict[str, float]:
        """The counts, as metrics of the report stage."""
        outcomes = [p.outcome for s in self.ran for p in s.predictions]
        return {
            "stages": len(self.ran),
            "checks": len(self.of("pass", "skip", "undecided", "waived", "closed", "note")),
            "passed": len(self.of("pass")),
            "notes": len(self.of("note")),
            "undecided": len(self.of("undecided")),
            "waived": len(self.of("waived")),
            "closed": len(self.of("closed")),
            "predictions": len(outcomes),
            "confirmed": outcomes.count("confirmed"),
        }

    @property
    def metric(self) -> ShownMetric:
        """Of the scores; the loss where no stage names another."""
        return next((s.metric for s in self.ran if s.metric), LOSS)

    @property
    def final_row(self) -> dict | None:
        """The last row that was scored on test."""
        keys = f"test_{self.metric.name}", "test_loss"
        rows = [row for s in self.ran for row in s.scores if any(finite(row.get(key)) for key in keys)]
        return rows[-1] if rows else None

    @property
    def final(self) -> "FinalScore | None":
        """That row, as the head of the report shows it; None where nothing was scored on test."""
        if (row := self.final_row) is None:
            return None
        scored = finite(row.get(f"test_{self.metric.name}"))
        metric = self.metric if scored else LOSS
        ends = metric.interval(row.get("test_low"), row.get("test_high")) if metric is not LOSS else ""
        system = line(row.get("system"), 80) or "the last system"
        return FinalScore(system, metric.title, metric.shown(row[f"test_{metric.name}"]), ends)

    @property
    def result(self) -> str:
        """The final score with its interval, in a line; empty where nothing was scored on test."""
        if not (final := self.final):
            return ""
        return f"{final.title} {final.shown} on the test set" + (f" ({final.interval})" if final.interval else "")


@dataclass(frozen=True)
class FinalScore:
    """On the test set. interval: `95 % CI 96.79 % to 99.43 %`, empty where there is none."""

    system: str
    title: str
    shown: str
    interval: str


def read_evidence(runs: Path, report: dict | None = None) -> Evidence:
    """The evidence under `runs`; `report`: the content of the report stage, not on disk while that stage runs."""
    runs = Path(runs)
    stages, behind = [], False
    for name in STAGES:
        content = None if behind else report if name == "report" and report is not None else _content(runs / name)
        stages.append(Stage(name, NOT_RUN) if content is None else _stage(name, content))
        behind = behind or stages[-1].state in (NOT_RUN, CLOSED)
    return Evidence(tuple(stages))


def _content(folder: Path) -> dict | None:
    """A stage's report.json, or None where it is missing or not a JSON object: then it counts as not run."""
    try:
        content = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _stage(name: str, content: dict) -> Stage:
    checks = tuple(_check(c) for c in _list(content.get("checks")) if isinstance(c, dict))
    states = {c.state for c in checks}
    predictions = [p for p in _list(content.get("predictions")) if isinstance(p, dict)]
    findings = [line(text, 600) for text in _list(content.get("findings"))]
    return Stage(
        name,
        CLOSED if "closed" in states else WAIVED if "waived" in states else DONE,
        summary=next(iter(findings), ""),
        findings=tuple(findings[1:]),
        key=fingerprint(content),
        checks=checks,
        predictions=tuple(map(_prediction, predictions)),
        metrics={line(k, 120): v for row in _list(content.get("metrics")) for k, v in _dict(row).items()},
        scores=tuple(row for row in _list(content.get("scores")) if isinstance(row, dict)),
        figures={
            str(f.get("file")): line(f.get("caption")) for f in _list(content.get("figures")) if isinstance(f, dict)
        },
        metric=read_metric(_list(content.get("metric"))),
    )


def _check(raw: dict) -> CheckResult:
    verdict = raw.get("verdict")
    return CheckResult(
        name=line(raw.get("check"), 120) or "a check without a name",
        claim=line(raw.get("claim")),
        source=line(raw.get("source"), 120),
        gate=raw.get("gate") is not False,  # without `gate: false` it closes the stage
        verdict=verdict if verdict in ("pass", "fail", "skip", "undecided") else "error",
        measured=number(raw.get("value"), 400),
        bound=line(raw.get("bound"), 200),
        hint=line(raw.get("hint"), 1500),
        evidence=tuple(str(f) for f in _list(raw.get("evidence"))),
        waived=line(raw.get("waived"), 400),
        needed=line(raw.get("needed"), 600),
        finding=line(raw.get("finding"), 600),
    )


def _prediction(raw: dict) -> Prediction:
    change, expected, measured = (number(raw.get(key)) for key in ("change", "expected", "measured"))
    return Prediction(change, expected, measured, line(raw.get("outcome"), 40))


def _list(value: Any) -> list:
    return list(value) if isinstance(value, list | tuple) else []


def _dict(value: Any) -> dict:
    return value if isinstance(value, dict) else {}
