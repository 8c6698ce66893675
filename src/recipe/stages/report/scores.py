"""The scores of all systems, as the page's drawings and tables show them."""

from dataclasses import dataclass
from typing import Any

from recipe.formatting import difference, finite, line, number, numeric, percent, points
from recipe.stages.report.axis_scale import AxisScale, Tick, accuracy_scale, loss_scale
from recipe.stages.report.evidence import CLOSED, Evidence, Stage


@dataclass(frozen=True)
class SystemScore:
    """A row of the chart of scores."""

    stage: str
    system: str
    at: str  # x of the dot, an SVG length
    low: str  # x of the interval's ends; empty without an interval
    high: str
    shown: str  # the value
    spread: str  # its interval or spread, and over how many seeds
    test: bool  # measured on test, all others on validation
    final: bool  # the last system, scored on test
    suspect: bool  # of a stage with a closed gate


@dataclass(frozen=True)
class ScoreChart:
    measure: str  # accuracy, or loss where no system has one
    rows: list[SystemScore]
    ticks: tuple[Tick, ...]
    human: bool  # whether a person has been measured


def score_chart(evidence: Evidence) -> ScoreChart | None:
    """Every scored system, in the order of the recipe; None where there is none."""
    rows = [(stage, row) for stage in evidence.ran for row in stage.scores]
    for measure in ("accuracy", "loss"):
        scored = [(s, row, *_score(row, measure)) for s, row in rows if finite(_score(row, measure)[0])]
        if scored:
            break
    else:
        return None
    scale = accuracy_scale if measure == "accuracy" else loss_scale
    axis = scale([value for *_, value, _, _ in scored])
    shown = [
        _system_score(stage, row, value, low, high, measure, axis, row is evidence.final)
        for stage, row, value, low, high in scored
    ]
    return ScoreChart(measure, shown, axis.ticks, any(r.system == "human" for r in shown))


def _score(row: dict, measure: str) -> tuple[Any, Any, Any]:
    """(value, low, high) of a row, on test where it was measured there."""
    value = row.get(f"test_{measure}")
    if finite(value):
        ends = (row.get("test_low"), row.get("test_high")) if measure == "accuracy" else (None, None)
        return (value, *(ends if all(map(finite, ends)) else (None, None)))
    value, spread = row.get(f"val_{measure}"), row.get(f"val_{measure}_sd")
    if finite(value) and finite(spread):
        return value, value - spread, value + spread
    return value, None, None


def _system_score(
    stage: Stage,
    row: dict,
    value: float,
    low: float | None,
    high: float | None,
    measure: str,
    axis: AxisScale,
    final: bool,
) -> SystemScore:
    show = percent if measure == "accuracy" else number
    test = finite(row.get(f"test_{measure}"))
    spread = []
    if low is not None and test:
        spread.append(f"95 % CI {show(low).removesuffix(' %')} to {show(high)}")
    elif low is not None:
        spread.append(f"± {points(value - low) if measure == 'accuracy' else number(value - low)} (SD)")
    if not test and numeric(row.get("seeds")) and row["seeds"] > 1:
        spread.append(f"{number(row['seeds'])} seeds")
    return SystemScore(
        stage.name,
        line(row.get("system"), 60) or "unnamed",
        axis.place(value),
        axis.place(low) if low is not None else "",
        axis.place(high) if high is not None else "",
        show(value),
        ", ".join(spread),
        test,
        final,
        suspect=stage.state == CLOSED,
    )


@dataclass(frozen=True)
class Gap:
    """Train beside validation, for one system."""

    stage: str
    system: str
    train_accuracy: str
    val_accuracy: str
    accuracy_gap: str  # percentage points
    train_loss: str
    val_loss: str
    loss_gap: str
    train_at: str  # x of the two losses
    val_at: str


def gaps(evidence: Evidence) -> list[Gap]:
    """A row per system of which both sides are known."""
    rows = [(stage.name, row) for stage in evidence.ran for row in stage.scores]
    rows = [(s, row) for s, row in rows if _both(row, "loss") or _both(row, "accuracy")]
    axis = loss_scale([row[f"{side}_loss"] for _, row in rows if _both(row, "loss") for side in ("train", "val")])
    return [_gap(stage, row, axis) for stage, row in rows]


def _both(row: dict, measure: str) -> bool:
    return all(finite(row.get(f"{side}_{measure}")) for side in ("train", "val"))


def _gap(stage: str, row: dict, axis: AxisScale) -> Gap:
    train: tuple[Any, Any]
    val: tuple[Any, Any]
    train, val = ((row.get(f"{side}_accuracy"), row.get(f"{side}_loss")) for side in ("train", "val"))
    loss = _both(row, "loss")
    return Gap(
        stage,
        line(row.get("system"), 60) or "unnamed",
        percent(train[0]),
        percent(val[0]),
        points(train[0] - val[0]) if _both(row, "accuracy") else "",
        number(train[1]),
        number(val[1]),
        difference(train[1], val[1]) if loss else "",
        axis.place(train[1]) if loss else "",
        axis.place(val[1]) if loss else "",
    )
