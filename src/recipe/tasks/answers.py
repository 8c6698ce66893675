"""What predictions say to a person: the columns of a table, a few lines on the terminal, and where they contradict.

`Task.answers` gives one; p (N, K) are predictions and `actual` targets, as the task has them.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

# The confidence from which a contradicted label is worth inspecting. One that was trained on needs less: of 49 wrong
# labels planted in the digits, 8 of val's 9 were among 10 lines, 32 of train's 40 among 37.
SURE, SURE_ON_TRAIN = 0.9, 0.5
JOINT = "; "


class Answers(Protocol):
    """Implemented in class_answers, label_answers and quantity_answers."""

    @property
    def names(self) -> Sequence[str]:
        """Of the classes, labels or quantities."""

    @property
    def p_columns(self) -> Sequence[str]:
        """The columns of a table that hold p, exactly."""

    @property
    def meanings(self) -> dict[str, str]:
        """Of the columns of a table of predictions, in their order."""

    @property
    def texts(self) -> Sequence[str]:
        """Those of them that hold text."""

    def columns(self, p: Tensor) -> dict[str, list]:
        """A table of predictions: a value of each example in each column."""

    def lines(self, p: Tensor) -> list[str]:
        """Of one prediction (K,), for the terminal."""

    def targets(self, actual: Tensor) -> dict[str, list]:
        """What is true, as further columns of such a table."""

    def shown(self, actual: Tensor) -> list[str]:
        """Targets as a person reads them."""

    def decided(self, p: Tensor) -> Tensor:
        """What is predicted, in the form of targets."""

    def claims(self, p: Tensor, actual: Tensor) -> tuple[Tensor, Tensor]:
        """((n,) probabilities, (n,) 1 where what they are the probability of is so, else 0); of quantities none."""

    def by_target(self, p: Tensor, actual: Tensor) -> list[dict[str, str | float]]:
        """A row for each class, label or quantity, with its name first: how well it is predicted."""

    @property
    def shares(self) -> Sequence[str]:
        """Columns of that table that are shares, with their intervals in <share>_low and <share>_high."""

    caption_form: str  # of pictures, in a few words

    def captions(self, p: Tensor, actual: Tensor) -> list[str]:
        """Of pictures: target and prediction, in that form."""

    def right(self, p: Tensor, actual: Tensor) -> Tensor | None:
        """(N,) 1 where all of a prediction is right, else 0; None where predictions are more or less right."""

    def wrong(self, p: Tensor, actual: Tensor) -> Tensor:
        """(N,) bool: the prediction is not right, or the quantity is outside of its interval."""

    @property
    def measured(self) -> Sequence[str]:
        """The columns of `details` that hold the true quantities; none of classes and labels."""

    wrong_word: str  # of predictions, as in `5 of 200 predictions are wrong`
    label_meaning: str  # of the columns of that page: what is given
    predicted_meaning: str  # what is predicted
    loss_meaning: str
    wrong_meaning: str

    def agreement(self, members: Tensor, counts: Sequence[int], p: Tensor) -> Tensor:
        """(N,) how far the members' predictions (M, N, K), each as often as it counts, agree with the mean p."""

    agreement_meaning: str

    def details(self, p: Tensor, actual: Tensor) -> dict[str, tuple[str, list]]:
        """{column: (meaning, values)} that help to judge a single prediction."""

    def doubted(self, p: Tensor, actual: Tensor, trained_on: bool) -> Tensor:
        """(N,) bool: the target is contradicted clearly enough to be inspected; less is enough after training on it."""

    def doubt(self, trained_on: bool) -> str:
        """How clearly, as a phrase."""

    def proposal(self, p: Tensor, actual: Tensor) -> tuple[str, str]:
        """(label as decisions.csv has it, reason) for one doubted example: p (K,), actual a target."""


# ---- for several of them -------------------------------------------------------------------------------------------


def mean_of_members(values: Tensor, counts: Sequence[int]) -> Tensor:
    """Of values (M, ...), each as often as it counts; exactly 1 where all are 1."""
    times = torch.tensor(counts, dtype=torch.float64).view(-1, *[1] * (values.ndim - 1))
    return (values * times).sum(0) / sum(counts)


def sure(trained_on: bool) -> float:
    return SURE_ON_TRAIN if trained_on else SURE


def ranked(names: Sequence[str], p: Tensor, most: int) -> list[str]:
    """The most probable names with their probabilities."""
    best = sorted(range(len(names)), key=lambda k: -p[k].item())[:most]
    width = max(len(names[k]) for k in best)
    return [f"{names[k]:<{width}}  {p[k].item():>6.1%}" for k in best]
