"""The audit of several labels: which are missing by their neighbours, which occur together, which say the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipe.formatting import count
from recipe.metrics.repeated_inputs import ErrorFloor
from recipe.plots import examples
from recipe.stages.audit import target_figures
from recipe.stages.audit.contradicted import Contradicted
from recipe.stages.audit.explained import Explained, explained
from recipe.stages.audit.label_sets import LabelSuspects, cooccurrence, label_suspects
from recipe.tasks.task import Task

NAMED = 3  # labels and pairs that a sentence names
SETS = 20  # sets of labels, the commonest ones
JOINT = "; "
MEANINGS = {
    "label_suspicion": "rank of how much the other examples contradict the most suspect of its labels, given or not: 0 "
    "least to 1 most; not a probability",
    "missing_labels": "labels that are not given and that a model, trained on neither the example nor its copies, "
    "clearly predicts, joined by `; `",
    "surplus_labels": "labels that are given and that this model clearly contradicts, joined by `; `",
    "suggested": "the labels, changed where this model contradicts them, joined by `; `",
}


@dataclass(frozen=True)
class JudgedLabels(Contradicted):
    suspects: LabelSuspects
    task: Task

    @property
    def entries(self) -> int:
        return self.suspects.probability.size

    def columns(self) -> dict[str, np.ndarray]:
        return {
            "label_suspicion": self.suspects.score.astype(np.float32),
            "missing_labels": self._named(self.suspects.missing),
            "surplus_labels": self._named(self.suspects.surplus),
            "suggested": self._named(self.suspects.suggested),
        }

    def meanings(self) -> dict[str, str]:
        return MEANINGS

    def metrics(self) -> dict[str, float]:
        low, high = self.suspects.rate
        return {
            "neighbours_accuracy": round(self.suspects.accuracy, 4),
            "label_noise_low": low,
            "label_noise_high": high,
            "missing_labels": int(self.suspects.missing.sum()),
            "surplus_labels": int(self.suspects.surplus.sum()),
        }

    def sentences(self) -> list[str]:
        agreement = f"a cross-validated model agrees with {100 * self.suspects.accuracy:.1f} % of all entries"
        if self.suspects.weak:
            return [f"Labels: {agreement}, hardly more than without any input: too few to judge single labels by."]
        low, high = self.suspects.rate
        texts = [
            f"Labels: an estimated {100 * low:.0f} to {100 * high:.0f} % of all entries (a label given or not given to "
            f"an example) are wrong ({agreement}); suspect examples: {int(self.flagged.sum()):,}. Check the most "
            "suspect ones in the explorer."
        ]
        for what, which in (("missing from", self.suspects.missing), ("contradicted on", self.suspects.surplus)):
            if which.any():
                texts.append(f"Labels that seem to be {what} examples: {self._counted(which)}.")
        weak = [n for n, s in zip(self.task.names, self.suspects.by_label, strict=True) if s is not None and s.weak]
        if weak:
            texts.append(f"The inputs say too little about {_some(weak)} to judge single examples by.")
        return texts

    def draw(self, folder: Path) -> dict[str, str]:
        return {}

    def _named(self, which: np.ndarray) -> np.ndarray:
        return np.array([JOINT.join(n for n, on in zip(self.task.names, row, strict=True) if on) for row in which], str)

    def _counted(self, which: np.ndarray) -> str:
        times = sorted(zip(-which.sum(0), self.task.names, strict=True))
        named = [f"`{name}` ({-n:,})" for n, name in times if n]
        return ", ".join(named[:NAMED]) + (f" and {len(named) - NAMED} more" if len(named) > NAMED else "")


@dataclass(frozen=True)
class LabelTargets:
    task: Task

    def kinds(self, actual: np.ndarray) -> np.ndarray:
        return np.zeros(len(actual), int)

    def sorted_by(self, actual: np.ndarray) -> np.ndarray:
        """The set of labels: one of the SETS commonest, or another."""
        _, which, times = np.unique(actual, axis=0, return_inverse=True, return_counts=True)
        place = np.argsort(np.argsort(-times, kind="stable"))
        return np.minimum(place, SETS)[which]

    def unvaried(self, actual: np.ndarray) -> list[str]:
        return [name for name, column in zip(self.task.names, actual.T, strict=True) if len(np.unique(column)) < 2]

    def metrics(self, actual: np.ndarray) -> dict[str, float]:
        times = actual.sum(0).astype(int).tolist()
        mean, none = round(float(actual.sum(1).mean()), 3), int((actual.sum(1) == 0).sum())
        return {"labels": len(times), "rarest_label": min(times), "labels_per_example": mean, "without_label": none}

    def described(self, m: Mapping[str, float]) -> str:
        return (
            f"{m['labels']} labels, {m['labels_per_example']:g} of them per example on average, the rarest on "
            f"{m['rarest_label']:,}, none on {m['without_label']:,}"
        )

    def findings(self, actual: np.ndarray) -> list[str]:
        texts, together = [], cooccurrence(actual)
        if actual.shape[1] > 1 and (actual.sum(1) == 1).all():
            texts.append(
                "Every example has exactly one of the labels. If that must be so, they are classes: give the source "
                "one column, `label`, in their place."
            )
        elif apart := together.excluding():
            texts.append(
                f"{count(len(apart), 'pair')} of labels never occur together, although chance would bring them "
                f"together: {self._pairs(apart, 'and')}."
            )
        if implied := together.implied():
            texts.append(f"Labels that never occur without another one: {self._pairs(implied, 'without')}.")
        return texts

    def alike(self, actual: np.ndarray) -> list[str]:
        together = cooccurrence(actual)
        same = [f"`{self.task.names[a]}` = `{self.task.names[b]}`" for a, b in together.equal()]
        return same + [f"`{self.task.names[a]}` = not `{self.task.names[b]}`" for a, b in together.opposite()]

    def judge(self, features: np.ndarray, actual: np.ndarray, groups: Sequence[str], seed: int) -> JudgedLabels | None:
        if len(np.unique(actual, axis=0)) < 2:
            return None
        strata = self.task.strata(actual.astype(int).tolist())
        return JudgedLabels(label_suspects(features, actual, strata, groups, seed), self.task)

    def bias(
        self, predictors: Mapping[str, np.ndarray], actual: np.ndarray, groups: Sequence[str], seed: int
    ) -> Explained | None:
        named = dict(zip(self.task.names, actual.T, strict=True))
        return explained(predictors, named, self.task.strata(actual.astype(int).tolist()), groups, seed)

    def equal_rows(self, bounds: ErrorFloor, lowest: float) -> str:
        return (
            f"{bounds.examples:,} rows equal a row with other labels. Every function of these columns has a loss of at "
            f"least {lowest:.2g} nats a label."
        )

    def draw(self, actual: np.ndarray, folder: Path) -> dict[str, str]:
        counts = actual.sum(0).astype(int).tolist()
        examples.class_counts(
            folder / "class_counts.png", self.task.names, {"examples": counts}, "examples per label", "label"
        )
        captions = {"class_counts.png": "Number of examples with each label, by the source."}
        if len(self.task.names) > 1:
            drawn = target_figures.together(folder / "together.png", self.task.names, cooccurrence(actual))
            captions["together.png"] = (
                "Which labels occur together: the share of the examples with the label of the row that also have that "
                f"of the column, per cent. Blue where it is more than among all examples, red where it is less.{drawn}"
            )
        return captions

    def _pairs(self, pairs: Sequence[tuple[int, int]], word: str) -> str:
        named = [f"`{self.task.names[a]}` {word} `{self.task.names[b]}`" for a, b in pairs]
        return _some(named, quoted=False)


def _some(names: Sequence[str], quoted: bool = True) -> str:
    shown = [f"`{name}`" for name in names] if quoted else list(names)
    return ", ".join(shown[:NAMED]) + (f" and {len(shown) - NAMED} more" if len(shown) > NAMED else "")
