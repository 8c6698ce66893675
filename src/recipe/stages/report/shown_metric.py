"""The metric of a stage's scores, as its report.json describes it, and how its values are shown."""

from dataclasses import dataclass
from typing import Any

from recipe.formatting import finite, line, number, percent, points


@dataclass(frozen=True)
class ShownMetric:
    """Values are in report.json as val_<name> and test_<name>."""

    name: str
    title: str
    higher_is_better: bool = True
    percent: bool = False  # a share from 0 to 1
    unit: str = ""

    def shown(self, value: object) -> str:
        """Empty where there is none."""
        if self.percent:
            return percent(value)
        return f"{number(value)} {self.unit}".rstrip() if finite(value) else ""

    def difference(self, value: object) -> str:
        """Of two values; those of shares in percentage points."""
        return points(value) if self.percent else number(value) if finite(value) else ""

    def interval(self, low: object, high: object) -> str:
        """`95 % CI 96.79 % to 99.43 %`; empty where an end is missing."""
        return f"95 % CI {self.shown(low)} to {self.shown(high)}" if finite(low) and finite(high) else ""


LOSS = ShownMetric("loss", "loss", higher_is_better=False)


def read_metric(rows: Any) -> ShownMetric | None:
    """The first of the rows; None where there is none with a name."""
    row = next((row for row in rows if isinstance(row, dict)), {})
    if not (name := line(row.get("name"), 60)):
        return None
    return ShownMetric(
        name,
        title=line(row.get("title"), 60) or name,
        higher_is_better=row.get("higher_is_better") is not False,
        percent=row.get("percent") is True,
        unit=line(row.get("unit"), 30),
    )
