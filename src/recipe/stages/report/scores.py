"""The scores of all systems, as the page's drawings and tables show them."""

from dataclasses import dataclass
from typing import Any

from recipe.formatting import difference, finite, line, number, numeric
from recipe.stages.report.axis_scale import AxisScale, loss_scale, scale_of
from recipe.stages.report.evidence import CLOSED, Evidence, Stage
from recipe.stages.report.shown_metric import LOSS, ShownMetric


@dataclass(frozen=True)
class SystemScore:
    """A row of the chart of scores."""

    stage: str
    system: str
    at: str  # x of the dot, an SVG length
    low: str  # x of the interval's ends; empty without an interval
    high: str
    shown: str  # the value
    spread: str  # its interval or spread, and over how many trainings
    test: bool  # measured on test, all others on validation
    final: bool  # the last system, scored on test
    suspect: bool  # of a stage with a closed gate


@dataclass(frozen=True)
class ScoreChart:
    measure: str  # the title of the metric, or loss where no system has the metric
    rows: list[SystemScore]
    axis: AxisScale
    human: bool  # whether a person has been measured


def score_chart(evidence: Evidence) -> ScoreChart | None:
    """Every scored system, in the order of the recipe; None where there is none."""
    rows = [(stage, row) for stage in evidence.ran for row in stage.scores]
    for metric in (evidence.metric, LOSS):
        scored = [(s, row, *_score(row, metric)) for s, row in rows if finite(_score(row, metric)[0])]
        if scored:
            break
    else:
        return None
    axis, final = scale_of(metric, [value for *_, value, _, _ in scored]), evidence.final_row
    shown = [
        _system_score(stage, row, value, low, high, metric, axis, row is final)
        for stage, row, value, low, high in scored
    ]
    return ScoreChart(metric.title, shown, axis, any(r.system == "human" for r in shown))


def _score(row: dict, metric: ShownMetric) -> tuple[Any, Any, Any]:
    """(value, low, high) of a row, on test where it was measured there."""
    value = row.get(f"test_{metric.name}")
    if finite(value):
        ends = (None, None) if metric is LOSS else (row.get("test_low"), row.get("test_high"))
        return (value, *(ends if all(map(finite, ends)) else (None, None)))
    value, spread = row.get(f"val_{metric.name}"), row.get(f"val_{metric.name}_sd")
    if finite(value) and finite(spread):
        return value, value - spread, value + spread
    return value, None, None


def _system_score(
    stage: Stage,
    row: dict,
    value: float,
    low: float | None,
    high: float | None,
    metric: ShownMetric,
    axis: AxisScale,
    final: bool,
) -> SystemScore:
    test = finite(row.get(f"test_{metric.name}"))
    spread = []
    if low is not None and test:
        spread.append(metric.interval(low, high))
    elif low is not None:
        spread.append(f"± {metric.difference(value - low)} (SD)")
    if not test and numeric(row.get("seeds")) and row["seeds"] > 1:
        spread.append(f"{number(row['seeds'])} trainings")
    return SystemScore(
        stage.name,
        line(row.get("system"), 60) or "unnamed",
        axis.place(value),
        axis.place(low) if low is not None else "",
        axis.place(high) if high is not None else "",
        metric.shown(value),
        ", ".join(spread),
        test,
        final,
        suspect=stage.state == CLOSED,
    )


@dataclass(frozen=True)
class Gaps:
    """Train beside validation. metric: beside the loss; None where the scores have none."""

    metric: ShownMetric | None
    rows: list["Gap"]


@dataclass(frozen=True)
class Gap:
    """Train beside validation, for one system."""

    stage: str
    system: str
    train_metric: str
    val_metric: str
    metric_gap: str  # by how much val is worse; of shares in percentage points
    train_loss: str
    val_loss: str
    loss_gap: str
    train_at: str  # x of the two losses
    val_at: str


def gaps(evidence: Evidence) -> Gaps | None:
    """A row per system of which both sides are known; None where there is none."""
    metric = evidence.metric
    rows = [(stage.name, row) for stage in evidence.ran for row in stage.scores]
    rows = [(s, row) for s, row in rows if _both(row, "loss") or _both(row, metric.name)]
    axis = loss_scale([row[f"{side}_loss"] for _, row in rows if _both(row, "loss") for side in ("train", "val")])
    shown = [_gap(stage, row, metric, axis) for stage, row in rows]
    return Gaps(None if metric is LOSS else metric, shown) if shown else None


def _both(row: dict, name: str) -> bool:
    return all(finite(row.get(f"{side}_{name}")) for side in ("train", "val"))


def _gap(stage: str, row: dict, metric: ShownMetric, axis: AxisScale) -> Gap:
    train: tuple[Any, Any]
    val: tuple[Any, Any]
    train, val = ((row.get(f"{side}_{metric.name}"), row.get(f"{side}_loss")) for side in ("train", "val"))
    loss, sign = _both(row, "loss"), 1 if metric.higher_is_better else -1
    return Gap(
        stage,
        line(row.get("system"), 60) or "unnamed",
        metric.shown(train[0]),
        metric.shown(val[0]),
        metric.difference(sign * (train[0] - val[0])) if _both(row, metric.name) else "",
        number(train[1]),
        number(val[1]),
        difference(train[1], val[1]) if loss else "",
        axis.place(train[1]) if loss else "",
        axis.place(val[1]) if loss else "",
    )


# ---- as a table --------------------------------------------------------------------------------------------------


def score_columns(evidence: Evidence) -> list[str]:
    names = dict.fromkeys(("loss", evidence.metric.name))
    return ["system", *(f"{split}_{name}" for split in ("val", "test") for name in names)]


def score_table(evidence: Evidence) -> list[dict]:
    """A row per system that was scored on validation, in the recipe's order; a system is named with its stage."""
    return [
        {"system": f"{s.name}: {line(row.get('system'), 60).removeprefix(f'{s.name}, ')}"}
        | {k: row.get(k) for k in score_columns(evidence)[1:]}
        for s in evidence.ran
        for row in s.scores
        if numeric(row.get("val_loss"))
    ]
