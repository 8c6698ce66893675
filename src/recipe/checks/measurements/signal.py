"""How well the inputs predict their labels: by a trained model on val, and by nearest neighbours."""

import math
import statistics
from dataclasses import dataclass

import torch
from torch import Tensor

from recipe.checks.measurements.batch_capture import has_numeric_inputs
from recipe.checks.measurements.best_loss import best_constant
from recipe.checks.measurements.measured_once import measured_once
from recipe.checks.measurements.neighbours import nearest, nearest_in_train, standardised_vectors
from recipe.checks.measurements.short_run import short_run, short_run_on_zeros
from recipe.checks.parts import Rows, blind, main
from recipe.checks.setup import Setup
from recipe.checks.target_columns import target_columns
from recipe.metrics import power
from recipe.metrics.power import Estimate
from recipe.rng import generator
from recipe.verdict import DoesNotApply

STRONG = 0.15  # neighbour agreement from which on a trained model must predict the label as well
PERMUTATIONS = 60
NO_SIGNAL = (
    "Nearest neighbours hardly predict the label, so these inputs may hold nothing that could be learned. "
    "Other features would decide."
)


@dataclass(frozen=True)
class ValLosses:
    """The loss of each validation example: of the model with the example's inputs, of the same model with the inputs
    of another example, and of the best answer that ignores its input."""

    own: Tensor
    others: Tensor
    blind: Tensor


def _per_example(s: Setup, outputs: Rows, y: Rows) -> Tensor:
    with torch.no_grad():
        return torch.stack([s.loss_of(outputs[i : i + 1], y[i : i + 1]) for i in range(len(y))]).double()


@measured_once
def losses_on_val(s: Setup) -> ValLosses:
    x, y = s.val_tensors
    order = torch.randperm(len(y), generator=generator(s.seed, "others")).to(y.device)
    needed = s.last_operation.needed
    own, others = (s.outputs(short_run(s).model, part) for part in (x, x[order]))
    if (s.discrete or s.kind == "binary") and not needed:
        # confidence does not count here: a model trained too long is right, and too confident
        factor = min(power.CONFIDENCE_KEPT, key=lambda f: _per_example(s, f * own, y).mean().item())
        own, others = factor * own, factor * others
    return ValLosses(
        own=_per_example(s, own, y),
        others=_per_example(s, others, y),
        blind=_blind(s, x, y),
    )


def _blind(s: Setup, x: Rows, y: Rows) -> Tensor:
    """Of the best constant. A model trained on zeros gives one as well, and none that is better: it is trained only
    where it may answer each place of a sequence differently, where masks or lengths remain to it, or where no constant
    has a finite loss."""
    constant = _per_example(s, best_constant(s).outputs[:1].expand(len(y), *s.output_shape), y)
    if isinstance(x, Tensor) and s.kind != "sequence" and constant.isfinite().all():
        return constant
    zeros = _per_example(s, s.outputs(short_run_on_zeros(s).model, blind(x)), y)
    return min((zeros, constant), key=lambda each: each.mean().item() if each.isfinite().all() else 1e30)


def share_saved_by_inputs(s: Setup) -> Estimate:
    """The share of the validation loss of the best input-independent answer that the inputs save."""
    losses = losses_on_val(s)
    return power.share_saved(losses.own, losses.blind, s.kind == "regression")


def columns_may_be_uninformative(s: Setup) -> bool:
    """A table may hold nothing of the label, whereas an image, a signal or a text shows what it is labelled by.

    False where nearest neighbours predict the label.
    """
    try:
        if not has_numeric_inputs(s) or main(s.train_tensors[0]).ndim != 2 or s.kind == "sequence":
            return False
        signal = neighbour_agreement(s)
    except DoesNotApply:  # no table, or no labels of one kind
        return False
    return not signal.value - signal.margin(3.0) > STRONG


def label_offset(s: Setup, errors: float, effect: float) -> int:
    """By how many rows labels must be moved to fit their inputs; 0 where that does not help, or rows are left out."""
    if len(s.train_tensors[1]) != len(s.train):
        return 0
    for rows in (-1, 1):
        moved = neighbour_agreement(s, rows)
        if moved.value > max(effect, moved.margin(2 * errors)):
            return rows
    return 0


@measured_once
def neighbour_agreement(s: Setup, rows: int = 0) -> Estimate:
    """Cohen's kappa, or of quantities the correlation, of the vote of five neighbours with the target; of several
    targets the mean.

    rows: labels are moved by so many rows first. The standard error under independence of labels and inputs comes from
    permutations of the labels (Good 2005, Permutation, parametric and bootstrap tests of hypotheses): votes of
    neighbours depend on each other.
    """
    return _with_permutation_error(s, main(s.train_tensors[1]).roll(rows, 0), nearest_in_train(s)["train"][1])


@measured_once
def neighbour_agreement_in_val(s: Setup) -> Estimate:
    """The same within val; its standard error is infinite where there are too few examples."""
    val = standardised_vectors(s)[1]
    if len(val) < 6:
        return Estimate(0.0, math.inf, len(val))
    return _with_permutation_error(s, main(s.val_tensors[1]), nearest(val, val, 5, same_rows=True)[1])


def _with_permutation_error(s: Setup, y: Tensor, near: Tensor) -> Estimate:
    random = generator(s.seed, "permuted labels")
    orders = [torch.randperm(len(y), generator=random).to(y.device) for _ in range(PERMUTATIONS)]
    permuted = [_agreement(s, y[order], near) for order in orders]
    error = (sum(v * v for v in permuted) / PERMUTATIONS) ** 0.5
    return Estimate(_agreement(s, y, near), error, len(y))


def _agreement(s: Setup, y: Tensor, near: Tensor) -> float:
    return statistics.fmean(_column_agreement(s, column, near) for column in target_columns(y))


def _column_agreement(s: Setup, y: Tensor, near: Tensor) -> float:
    if s.kind == "regression":
        votes = y[near].double().mean(1)
        a, b = votes - votes.mean(), y.double() - y.double().mean()
        return (a @ b / (a.norm() * b.norm()).clamp_min(1e-12)).item()
    y = y.long()
    guess = torch.nn.functional.one_hot(y[near]).sum(1).argmax(1)
    classes = int(y.max()) + 1
    shares, guessed = (torch.bincount(t, minlength=classes).double() / len(y) for t in (y, guess))
    expected = float((shares * guessed).sum())
    return (float((guess == y).double().mean()) - expected) / max(1 - expected, 1e-9)
