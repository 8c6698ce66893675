"""What predicted classes say to a person."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from recipe.metrics.per_class import by_class
from recipe.metrics.scores import right
from recipe.tasks.answers import mean_of_members, ranked, sure

TOP = 3  # classes that are shown of a single example, with their probabilities


@dataclass(frozen=True)
class ClassAnswers:
    """names: of the classes. threshold: of two classes, the probability from which the second one is predicted; None:
    the most probable class is."""

    names: Sequence[str]
    threshold: float | None = None
    texts = ("predicted",)
    measured = ()
    shares = ("recall", "precision")
    caption_form = "label → prediction, with its confidence"
    wrong_word = "wrong"
    label_meaning = "name of the class, after decisions.csv"
    predicted_meaning = "the class that the ensemble predicts"
    loss_meaning = "-log p_label, nats: high for confident wrong predictions"
    wrong_meaning = "the predicted class is not the label"
    agreement_meaning = (
        "share of the members that predict the same class as the ensemble, 0 to 1; each as often as it was chosen"
    )

    @property
    def p_columns(self) -> Sequence[str]:
        return [f"p_{name}" for name in self.names]

    @property
    def meanings(self) -> dict[str, str]:
        least = f", {self.names[1]} from a probability of {self.threshold:.3g} on" if self.threshold is not None else ""
        how = least or ", the most probable one"
        fixed = {"predicted": f"the class{how}", "confidence": "the probability of that class"}
        return fixed | {f"p_{name}": f"the probability of class {name}" for name in self.names}

    def columns(self, p: Tensor) -> dict[str, list]:
        confidence, predicted = self._confident(p)
        fixed = {"predicted": self.shown(predicted), "confidence": confidence.tolist()}
        return fixed | dict(zip(self.p_columns, p.T.tolist(), strict=True))

    def lines(self, p: Tensor) -> list[str]:
        return ranked(self.names, p, TOP)

    def targets(self, actual: Tensor) -> dict[str, list]:
        return {"label": self.shown(actual)}

    def shown(self, actual: Tensor) -> list[str]:
        return [self.names[c] for c in actual.tolist()]

    def decided(self, p: Tensor) -> Tensor:
        return p.argmax(-1) if self.threshold is None else (p[..., 1] >= self.threshold).long()

    def claims(self, p: Tensor, actual: Tensor) -> tuple[Tensor, Tensor]:
        return p.max(1).values, right(p, actual)

    def by_target(self, p: Tensor, actual: Tensor) -> list[dict[str, str | float]]:
        return by_class(self.decided(p).numpy(), actual.numpy(), self.names)

    def captions(self, p: Tensor, actual: Tensor) -> list[str]:
        confidence, predicted = self._confident(p)
        rows = zip(self.shown(actual), self.shown(predicted), confidence.tolist(), strict=True)
        return [f"{label} → {best}  {c:.0%}" for label, best, c in rows]

    def right(self, p: Tensor, actual: Tensor) -> Tensor:
        return right(p, actual)

    def wrong(self, p: Tensor, actual: Tensor) -> Tensor:
        return self.decided(p) != actual

    def agreement(self, members: Tensor, counts: Sequence[int], p: Tensor) -> Tensor:
        same = (self.decided(members) == self.decided(p)).double()
        return mean_of_members(same, counts)

    def details(self, p: Tensor, actual: Tensor) -> dict[str, tuple[str, list]]:
        of_label = p[torch.arange(len(actual)), actual]
        return {
            "confidence": ("the ensemble's probability of that class, 0 to 1", self._confident(p)[0].tolist()),
            "p_label": ("the ensemble's probability of the label, 0 to 1", of_label.tolist()),
        }

    def doubted(self, p: Tensor, actual: Tensor, trained_on: bool) -> Tensor:
        return (p.argmax(1) != actual) & (p.max(1).values >= sure(trained_on))

    def doubt(self, trained_on: bool) -> str:
        return f"with a confidence of {sure(trained_on):.0%} or more"

    def proposal(self, p: Tensor, actual: Tensor) -> tuple[str, str]:
        best, label = int(p.argmax()), int(actual)
        return self.names[best], (
            f"the ensemble predicts {self.names[best]} with probability {p[best]:.1%}, {self.names[label]} with "
            f"{p[label]:.1%}"
        )

    def _confident(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """((N,) the probability of each predicted class, (N,) that class)."""
        predicted = self.decided(p)
        return p[torch.arange(len(p)), predicted], predicted
