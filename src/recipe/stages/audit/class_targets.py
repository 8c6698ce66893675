"""The audit of classes: how even they are, which labels are suspect, what predicts them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipe.metrics.repeated_inputs import ErrorFloor
from recipe.plots import examples
from recipe.stages.audit import class_balance
from recipe.stages.audit.bias import Bias, bias
from recipe.stages.audit.contradicted import Contradicted
from recipe.stages.audit.labels import Suspects, suspects
from recipe.tasks.task import Task

NAMED = 3  # confusions that the sentences name
WIDE = 0.15  # an interval of the share of wrong labels that is so wide needs an explanation
MEANINGS = {
    "label_suspicion": "rank of how much the other examples contradict the label: 0 least to 1 most; not a probability",
    "label_probability": "probability of the given label by a model trained on neither the example nor its copies",
    "suggested": "the class that this model predicts, or the given one where nothing contradicts it",
}


@dataclass(frozen=True)
class JudgedClasses(Contradicted):
    """names: of the classes."""

    suspects: Suspects
    names: Sequence[str]

    @property
    def entries(self) -> int:
        return len(self.flagged)

    def columns(self) -> dict[str, np.ndarray]:
        return {
            "label_suspicion": self.suspects.score.astype(np.float32),
            "label_probability": self.suspects.given.astype(np.float32),
            "suggested": np.array(self.names)[self.suspects.suggested],
        }

    def meanings(self) -> dict[str, str]:
        return MEANINGS

    def metrics(self) -> dict[str, float]:
        low, high = self.suspects.rate
        return {
            "neighbours_accuracy": round(self.suspects.accuracy, 4), "label_noise_low": low, "label_noise_high": high,
        }  # fmt: skip

    def sentences(self) -> list[str]:
        agreement = f"a cross-validated model agrees with {100 * self.suspects.accuracy:.1f} % of the labels"
        if self.suspects.weak:
            return [
                f"Labels: {agreement}, too few to judge single labels by. Rank them by the loss of a trained net "
                "instead."
            ]
        low, high = self.suspects.rate
        overlap = " Overlapping classes look the same as wrong labels." if high - low > WIDE else ""
        texts = [
            f"Labels: an estimated {100 * low:.0f} to {100 * high:.0f} % are wrong ({agreement}); "
            f"suspect labels: {int(self.flagged.sum()):,}.{overlap} Check the most suspect ones in the explorer."
        ]
        confused = class_balance.confusions(self.suspects)[:NAMED]
        return texts + [f"{class_balance.sentence(c, self.names)}." for c in confused]

    def draw(self, folder: Path) -> dict[str, str]:
        return {}


@dataclass(frozen=True)
class ClassTargets:
    task: Task

    def kinds(self, actual: np.ndarray) -> np.ndarray:
        return actual

    def sorted_by(self, actual: np.ndarray) -> np.ndarray:
        return actual

    def unvaried(self, actual: np.ndarray) -> list[str]:
        return []

    def metrics(self, actual: np.ndarray) -> dict[str, float]:
        balance = class_balance.balance(actual, len(self.task.names))
        return {
            "classes": len(self.task.names),
            "effective_classes": round(balance.effective, 3),
            "smallest_class": min(balance.counts),
            "largest_class": max(balance.counts),
        }

    def described(self, m: Mapping[str, float]) -> str:
        return f"{m['classes']} classes of {m['smallest_class']:,} to {m['largest_class']:,}"

    def findings(self, actual: np.ndarray) -> list[str]:
        return []

    def alike(self, actual: np.ndarray) -> list[str]:
        return []

    def judge(self, features: np.ndarray, actual: np.ndarray, groups: Sequence[str], seed: int) -> JudgedClasses | None:
        if len(np.unique(actual)) < 2:
            return None
        return JudgedClasses(suspects(features, actual, groups, seed), self.task.names)

    def bias(
        self, predictors: Mapping[str, np.ndarray], actual: np.ndarray, groups: Sequence[str], seed: int
    ) -> Bias | None:
        if len(np.unique(actual)) < 2:
            return None
        return bias(predictors, "label", np.array(self.task.names)[actual].tolist(), groups, seed)

    def equal_rows(self, bounds: ErrorFloor, lowest: float) -> str:
        return (
            f"{bounds.examples:,} rows equal a row with another label. Every function of these columns is wrong on at "
            f"least {100 * bounds.error:.2g} % of all rows and has a loss of at least {lowest:.2g} nats."
        )

    def draw(self, actual: np.ndarray, folder: Path) -> dict[str, str]:
        counts = np.bincount(actual, minlength=len(self.task.names)).tolist()
        examples.class_counts(
            folder / "class_counts.png", self.task.names, {"examples": counts}, "examples per class", "class"
        )
        return {"class_counts.png": "Number of examples per class, by the labels of the source."}
