"""What predicted quantities and their intervals say to a person."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from recipe.metrics import regression
from recipe.tasks.answers import JOINT, mean_of_members

FAR = 2.0  # half-widths of the 90 % interval from which a label is worth inspecting: 3.3 standard deviations if normal


@dataclass(frozen=True)
class QuantityAnswers:
    """names: of the T quantities. std: of the training targets; half_widths: of 90 % intervals. All in their unit."""

    names: Sequence[str]
    unit: str
    std: Sequence[float]
    half_widths: Sequence[float]
    texts = ()
    shares = ("coverage",)
    caption_form = "label → prediction"
    wrong_word = "outside of their 90 % interval"
    label_meaning = "the true value, after decisions.csv"
    predicted_meaning = "the ensemble's prediction"
    loss_meaning = "squared error, in units of the variance of the training targets"
    wrong_meaning = "the true value is outside of the 90 % interval"
    agreement_meaning = (
        "standard deviation of the members' predictions, in units of that of the training targets, mean over "
        "quantities; each member as often as it was chosen"
    )

    @property
    def p_columns(self) -> Sequence[str]:
        return [f"predicted_{name}" for name in self.names]

    @property
    def meanings(self) -> dict[str, str]:
        unit = f", in {self.unit}" if self.unit else ""
        meanings: dict[str, str] = {}
        for name in self.names:
            meanings[f"predicted_{name}"] = f"the predicted {name}{unit}"
            if self.half_widths:
                meanings |= {f"{end}_{name}": f"{end} end of its 90 % interval{unit}" for end in ("low", "high")}
        return meanings

    def columns(self, p: Tensor) -> dict[str, list]:
        columns: dict[str, list] = {}
        for i, name in enumerate(self.names):
            columns[f"predicted_{name}"] = p[:, i].tolist()
            if self.half_widths:
                columns[f"low_{name}"] = (p[:, i] - self.half_widths[i]).tolist()
                columns[f"high_{name}"] = (p[:, i] + self.half_widths[i]).tolist()
        return columns

    def lines(self, p: Tensor) -> list[str]:
        width = max(map(len, self.names))
        lines = [f"{name:<{width}}  {self._with_unit(v)}" for name, v in zip(self.names, p.tolist(), strict=True)]
        if not self.half_widths:
            return lines
        ends = [(v - half, v + half) for v, half in zip(p.tolist(), self.half_widths, strict=True)]
        pairs = zip(lines, ends, strict=True)
        return [f"{text}  (90 % interval {low:.4g} to {high:.4g})" for text, (low, high) in pairs]

    def targets(self, actual: Tensor) -> dict[str, list]:
        return {f"true {name}": actual[:, i].tolist() for i, name in enumerate(self.names)}

    def shown(self, actual: Tensor) -> list[str]:
        return [JOINT.join(map(self._with_unit, row)) for row in actual.tolist()]

    def decided(self, p: Tensor) -> Tensor:
        return p

    def claims(self, p: Tensor, actual: Tensor) -> tuple[Tensor, Tensor]:
        return torch.empty(0), torch.empty(0)

    def by_target(self, p: Tensor, actual: Tensor) -> list[dict[str, str | float]]:
        metrics = regression.metrics_of(self.std, self.unit)
        rows: list[dict[str, str | float]] = []
        for i, name in enumerate(self.names):
            column, true = p[:, i : i + 1], actual[:, i : i + 1]
            rows.append({"target": name} | {metric.name: metric.of(column, true) for metric in metrics.values()})
        if not self.half_widths:
            return rows
        half, truth = self._row(self.half_widths), actual.numpy()
        intervals = regression.of_intervals((p - half).numpy(), (p + half).numpy(), truth, self.names)
        return [row | interval for row, interval in zip(rows, intervals, strict=True)]

    def captions(self, p: Tensor, actual: Tensor) -> list[str]:
        return [f"{a} → {b}" for a, b in zip(self.shown(actual), self.shown(p), strict=True)]

    def right(self, p: Tensor, actual: Tensor) -> None:
        return None

    def wrong(self, p: Tensor, actual: Tensor) -> Tensor:
        return self._beyond(p, actual, 1.0)

    def agreement(self, members: Tensor, counts: Sequence[int], p: Tensor) -> Tensor:
        variance = mean_of_members((members - mean_of_members(members, counts)).square(), counts)
        return (variance.sqrt() / self._row(self.std)).mean(1)

    def details(self, p: Tensor, actual: Tensor) -> dict[str, tuple[str, list]]:
        unit = f", in {self.unit}" if self.unit else ""
        details: dict[str, tuple[str, list]] = {}
        for i, name in enumerate(self.names):
            of = self._of(name)
            details |= {
                f"true value{of}": (f"the target{unit}, after decisions.csv", actual[:, i].tolist()),
                f"predicted value{of}": (f"the ensemble's prediction{unit}", p[:, i].tolist()),
                f"residual{of}": (f"predicted less true{unit}", (p - actual)[:, i].tolist()),
            }
        return details

    @property
    def measured(self) -> Sequence[str]:
        return [f"true value{self._of(name)}" for name in self.names]

    def doubted(self, p: Tensor, actual: Tensor, trained_on: bool) -> Tensor:
        return self._beyond(p, actual, FAR)

    def doubt(self, trained_on: bool) -> str:
        return f"by more than {FAR:g} half-widths of the 90 % interval"

    def proposal(self, p: Tensor, actual: Tensor) -> tuple[str, str]:
        far = (p - actual).abs() > self._row(self.half_widths)
        rows = list(zip(self.names, p.tolist(), actual.tolist(), far.tolist(), strict=True))
        reasons = [
            f"the ensemble predicts {name} {self._with_unit(new)}, the label is {self._with_unit(old)}"
            for name, new, old, off in rows
            if off
        ]
        return JOINT.strip().join(f"{new:.4g}" if off else repr(old) for _, new, old, off in rows), ", ".join(reasons)

    def _beyond(self, p: Tensor, actual: Tensor, times: float) -> Tensor:
        if not self.half_widths:
            return torch.zeros(len(p), dtype=torch.bool)
        return ((p - actual).abs() > times * self._row(self.half_widths)).any(1)

    def _row(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)

    def _of(self, name: str) -> str:
        return f" of {name}" if len(self.names) > 1 else ""

    def _with_unit(self, value: float) -> str:
        return f"{value:.4g} {self.unit}".rstrip()
