"""The audit of quantities: values that similar examples contradict, values far from all others, what predicts them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipe.metrics.repeated_inputs import ErrorFloor
from recipe.plots import examples
from recipe.stages.audit import target_figures
from recipe.stages.audit.explained import Explained, explained
from recipe.stages.audit.flags import SUSPECT
from recipe.stages.audit.labels import rank
from recipe.stages.audit.quantities import Residuals, residuals
from recipe.tasks.task import Task

NAMED = 3  # quantities and examples that the sentences name
OUTLIER = "target outlier"
SLICES = 20  # of a quantity
ALIKE = 1 - 1e-9  # correlation from which two quantities are the same up to their unit


@dataclass(frozen=True)
class JudgedQuantities:
    """of: the residuals of each quantity; actual: (N, T) their values."""

    of: list[Residuals]
    actual: np.ndarray
    task: Task

    @property
    def flagged(self) -> np.ndarray:
        return np.any([r.flagged for r in self.of], axis=0)

    @property
    def marks(self) -> Mapping[str, np.ndarray]:
        return {SUSPECT: self.flagged, OUTLIER: np.any([r.odd for r in self.of], axis=0)}

    @property
    def noise(self) -> None:
        return None

    @property
    def entries(self) -> int:
        return len(self.actual)

    def columns(self) -> dict[str, np.ndarray]:
        predicted = np.stack([r.predicted for r in self.of], 1)
        columns = {"label_suspicion": rank(np.max([r.z for r in self.of], axis=0))}
        for i, (of, r) in enumerate(self._each()):
            if len(self.of) > 1:
                columns[f"label_suspicion{of}"] = r.score
            columns |= {
                f"predicted_value{of}": r.predicted,
                f"residual{of}": self.actual[:, i] - r.predicted,
                f"residual_z{of}": r.z,
                f"target_outlier{of}": r.outlier,
            }
        columns = {name: values.astype(np.float32) for name, values in columns.items()}
        return columns | {
            "target_doubt": self._doubts(),
            "suggested": np.array([self.task.labels.shown(tuple(row)) for row in predicted.tolist()], str),
        }

    def meanings(self) -> dict[str, str]:
        unit = f", in {self.task.facts()['unit']}" if self.task.facts()["unit"] else ""
        meanings = {
            "label_suspicion": "rank of how far the value is from what similar examples have: 0 least to 1 most; not a "
            "probability" + ("; of the most suspect quantity" if len(self.of) > 1 else "")
        }
        for of, _ in self._each():
            if len(self.of) > 1:
                meanings[f"label_suspicion{of}"] = f"the same{of} alone"
            meanings |= {
                f"predicted_value{of}": f"value{of} that a model predicts which was trained on neither the example "
                f"nor its copies{unit}",
                f"residual{of}": f"measured less predicted value{of}{unit}",
                f"residual_z{of}": f"its size{of}, in robust standard deviations of the residuals on its side",
                f"target_outlier{of}": f"distance{of} from the median, in robust standard deviations on its side",
            }
        return meanings | {
            "target_doubt": "what may be wrong with a flagged value: by how much it seems to be off, or that it is far "
            "from all others",
            "suggested": "the values that this model predicts, to four digits",
            "flags": "; target outlier (far from all other values)",
        }

    def metrics(self) -> dict[str, float]:
        return {
            "neighbours_r2": round(float(np.mean([r.explained for r in self.of])), 4),
            "target_outliers": int(self.marks[OUTLIER].sum()),
        }

    def sentences(self) -> list[str]:
        texts = []
        for (_, r), name, values in list(zip(self._each(), self.task.names, self.actual.T, strict=True))[:NAMED]:
            texts.append(
                f"`{name}`: a cross-validated model explains {100 * max(r.explained, 0):.0f} % of its variance; it "
                f"contradicts {int(r.flagged.sum()):,} of {len(values):,} values. Check the most suspect ones in the "
                "explorer."
            )
            for slip, times in Counter(r.slip[r.slip != ""].tolist()).most_common(1):
                if times > 2:
                    texts.append(
                        f"`{name}`: {times:,} suspect values seem to be {slip}. Look for a shifted decimal "
                        "point, another unit or a lost sign."
                    )
            for code, times in r.codes.items():
                texts.append(
                    f"`{name}`: {code:g} occurs {times:,} times, far from all other values. It may be a code for a "
                    "missing value: drop these examples, or leave these cells empty."
                )
        return texts

    def draw(self, folder: Path) -> dict[str, str]:
        target_figures.predicted(folder / "suspect_values.png", self.task.names, self.actual, self.of)
        return {
            "suspect_values.png": "Each value against what a model predicts that was trained on neither the example "
            "nor its copies. Red: flagged as suspect."
        }

    def _each(self) -> list[tuple[str, Residuals]]:
        """(` of NAME`, with which its columns end, residuals) of each quantity; empty where there is only one."""
        several = len(self.of) > 1
        return [(f" of {name}" * several, r) for name, r in zip(self.task.names, self.of, strict=True)]

    def _doubts(self) -> np.ndarray:
        texts: list[list[str]] = [[] for _ in self.actual]
        for (of, r), values in zip(self._each(), self.actual.T, strict=True):
            for row in np.flatnonzero(r.flagged | r.odd):
                if values[row] in r.codes:
                    texts[row].append(f"may be a code for a missing value{of}")
                    continue
                texts[row] += [f"{r.slip[row]}{of}"] * bool(r.slip[row]) + [f"far from all others{of}"] * bool(
                    r.odd[row]
                )
        return np.array(["; ".join(each) for each in texts], str)


@dataclass(frozen=True)
class QuantityTargets:
    task: Task

    def kinds(self, actual: np.ndarray) -> np.ndarray:
        return np.zeros(len(actual), int)

    def sorted_by(self, actual: np.ndarray) -> np.ndarray:
        """The slice of the first quantity, of SLICES with equally many examples."""
        inner = np.quantile(actual[:, 0], np.linspace(0, 1, SLICES + 1)[1:-1])
        return np.searchsorted(np.unique(inner), actual[:, 0], side="right")

    def unvaried(self, actual: np.ndarray) -> list[str]:
        return [name for name, column in zip(self.task.names, actual.T, strict=True) if len(np.unique(column)) < 2]

    def metrics(self, actual: np.ndarray) -> dict[str, float]:
        """Of the first quantity."""
        first = actual[:, 0]
        numbers = {"mean": first.mean(), "sd": first.std(), "min": first.min(), "max": first.max()}
        return {"quantities": actual.shape[1]} | {f"target_{name}": float(f"{v:.6g}") for name, v in numbers.items()}

    def described(self, m: Mapping[str, float]) -> str:
        names = self.task.names
        unit = self.task.labels.shown((m["target_sd"],) * len(names)).split(";")[0].partition(" ")[2]
        in_unit = f" {unit}" if unit else ""
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        return (
            f"`{names[0]}` from {m['target_min']:g} to {m['target_max']:g}{in_unit}, with a mean of "
            f"{m['target_mean']:.4g} and a standard deviation of {m['target_sd']:.4g}{more}"
        )

    def findings(self, actual: np.ndarray) -> list[str]:
        return []

    def alike(self, actual: np.ndarray) -> list[str]:
        names, varied = self.task.names, [i for i, column in enumerate(actual.T) if np.ptp(column) > 0]
        pairs = [(a, b) for k, a in enumerate(varied) for b in varied[k + 1 :]]
        same = [(a, b) for a, b in pairs if abs(np.corrcoef(actual[:, a], actual[:, b])[0, 1]) > ALIKE]
        return [f"`{names[a]}` and `{names[b]}`" for a, b in same]

    def judge(self, features: np.ndarray, actual: np.ndarray, groups: Sequence[str], seed: int) -> JudgedQuantities:
        strata = self.task.strata(actual.tolist())
        return JudgedQuantities(residuals(features, actual, strata, groups, seed), actual, self.task)

    def bias(
        self, predictors: Mapping[str, np.ndarray], actual: np.ndarray, groups: Sequence[str], seed: int
    ) -> Explained | None:
        ranks = {name: rank(column) for name, column in zip(self.task.names, actual.T, strict=True)}
        return explained(predictors, ranks, self.task.strata(actual.tolist()), groups, seed)

    def equal_rows(self, bounds: ErrorFloor, lowest: float) -> str:
        return (
            f"{bounds.examples:,} rows equal a row with another value, so no function of these columns can predict all "
            f"of them: it leaves at least {100 * lowest:.2g} % of the variance."
        )

    def draw(self, actual: np.ndarray, folder: Path) -> dict[str, str]:
        examples.quantities(folder / "class_counts.png", self.task.names, {"examples": actual})
        return {"class_counts.png": "How the values of each quantity are distributed, by the source."}
