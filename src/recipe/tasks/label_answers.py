"""What predicted labels, any number of them, say to a person."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from recipe.metrics.per_class import by_label
from recipe.tasks.answers import JOINT, SURE_ON_TRAIN, mean_of_members, ranked, sure

TOP = 8  # labels that are shown of a single example, with their probabilities


@dataclass(frozen=True)
class LabelAnswers:
    """names: of the labels, of which an example has any number. thresholds: the probabilities from which they are
    predicted."""

    names: Sequence[str]
    thresholds: Sequence[float]
    texts = ("predicted",)
    measured = ()
    shares = ("recall", "precision", "average_precision")
    caption_form = "+ predicted and not given, − given and not predicted"
    wrong_word = "wrong"
    label_meaning = "the labels, after decisions.csv, joined by `; `"
    predicted_meaning = "the labels whose probability by the ensemble is at least their threshold, joined by `; `"
    loss_meaning = "mean over labels of -log of the probability of what each is, nats"
    wrong_meaning = "a predicted label is not given, or a given one is not predicted"
    agreement_meaning = (
        "share of the members' decisions on single labels that are the ensemble's, 0 to 1; each member as often as it "
        "was chosen"
    )

    @property
    def p_columns(self) -> Sequence[str]:
        return [f"p_{name}" for name in self.names]

    @property
    def meanings(self) -> dict[str, str]:
        least = ", ".join(f"{n} from {t:.3g}" for n, t in zip(self.names, self.thresholds, strict=True))
        if len({*self.thresholds}) == 1:
            least = f"{self.thresholds[0]:.3g} or more"
        fixed = {"predicted": f"the labels with a probability of {least}, joined by `; `"}
        return fixed | {f"p_{name}": f"the probability of the label {name}" for name in self.names}

    def columns(self, p: Tensor) -> dict[str, list]:
        return {"predicted": self.shown(self.decided(p))} | dict(zip(self.p_columns, p.T.tolist(), strict=True))

    def lines(self, p: Tensor) -> list[str]:
        return ranked(self.names, p, TOP)

    def targets(self, actual: Tensor) -> dict[str, list]:
        return {"label": self.shown(actual)}

    def shown(self, actual: Tensor) -> list[str]:
        return [JOINT.join(self._named(row > 0.5)) for row in actual]

    def decided(self, p: Tensor) -> Tensor:
        return (p >= p.new_tensor(self.thresholds)).double()

    def claims(self, p: Tensor, actual: Tensor) -> tuple[Tensor, Tensor]:
        return p.flatten(), actual.flatten()

    def by_target(self, p: Tensor, actual: Tensor) -> list[dict[str, str | float]]:
        return by_label(p.numpy(), actual.numpy(), self.names, self.thresholds)

    def captions(self, p: Tensor, actual: Tensor) -> list[str]:
        signs = {1.0: "+", -1.0: "−"}
        rows = (self.decided(p) - actual).tolist()
        return [" ".join(f"{signs[v]} {n}" for n, v in zip(self.names, row, strict=True) if v) for row in rows]

    def right(self, p: Tensor, actual: Tensor) -> Tensor:
        return (self.decided(p) == actual).all(1).double()

    def wrong(self, p: Tensor, actual: Tensor) -> Tensor:
        return (self.decided(p) != actual).any(1)

    def agreement(self, members: Tensor, counts: Sequence[int], p: Tensor) -> Tensor:
        same = (self.decided(members) == self.decided(p)).double().mean(2)
        return mean_of_members(same, counts)

    def details(self, p: Tensor, actual: Tensor) -> dict[str, tuple[str, list]]:
        decided = self.decided(p)
        missing = [JOINT.join(self._named(row)) for row in (decided > actual)]
        extra = [JOINT.join(self._named(row)) for row in (decided < actual)]
        lowest = self._of_target(p, actual).min(1).values.tolist()
        return {
            "not given": ("labels that are predicted and not given", missing),
            "not predicted": ("labels that are given and not predicted", extra),
            "p_label": ("the ensemble's lowest probability of what a label is, given or not, 0 to 1", lowest),
        }

    def doubted(self, p: Tensor, actual: Tensor, trained_on: bool) -> Tensor:
        return self._contradicted(p, actual, sure(trained_on)).any(1)

    def doubt(self, trained_on: bool) -> str:
        return f"with a confidence of {sure(trained_on):.0%} or more"

    def proposal(self, p: Tensor, actual: Tensor) -> tuple[str, str]:
        contradicted = self._contradicted(p, actual, SURE_ON_TRAIN)
        proposed = torch.where(contradicted, 1 - actual, actual)
        shares = ", ".join(f"{self.names[i]} with probability {p[i]:.1%}" for i in contradicted.nonzero().flatten())
        return self.shown(proposed[None])[0], f"the ensemble predicts {shares}"

    def _of_target(self, p: Tensor, actual: Tensor) -> Tensor:
        return torch.where(actual > 0.5, p, 1 - p)

    def _contradicted(self, p: Tensor, actual: Tensor, least: float) -> Tensor:
        return 1 - self._of_target(p, actual) >= least

    def _named(self, which: Tensor) -> list[str]:
        return [name for name, on in zip(self.names, which.tolist(), strict=True) if on]
