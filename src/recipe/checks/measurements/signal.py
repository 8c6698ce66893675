"""How much the inputs tell of their labels: to a trained model on val, and to the nearest neighbours."""

import math

import torch
from torch import Tensor

from recipe.checks import loss
from recipe.checks.inputs import numbers
from recipe.checks.leakage import nearest, neighbours, spaced
from recipe.checks.measurements.short_run import blind, seeing
from recipe.checks.setup import Setup, once
from recipe.metrics import power
from recipe.metrics.power import Estimate
from recipe.rng import generator


def _each(s: Setup, outputs: Tensor, y: Tensor) -> Tensor:
    """The loss of each example by itself."""
    with torch.no_grad():
        return torch.stack([s.loss(outputs[i : i + 1], y[i : i + 1]) for i in range(len(y))]).double()


@once
def losses_on_val(s: Setup) -> dict[str, Tensor]:
    """Per example of val the loss: with the inputs, with those of others, blind, and of the best constant answer."""
    x, y = s.unseen
    order = torch.randperm(len(y), generator=generator(s.seed, "others")).to(y.device)
    at = loss.reach(s)
    prior = loss.best_constant(s).outputs[:1]
    own, others = (s.outputs(seeing(s).model, part) for part in (x, x[order]))
    if s.kind in ("classification", "binary", "sequence") and not at.needed:
        # how sure the answers are is no matter here: a model trained too long is right, and too sure
        factor = min(power.CONFIDENCE_KEPT, key=lambda f: _each(s, f * own, y).mean().item())
        own, others = factor * own, factor * others
    return {
        "seeing": _each(s, own, y),
        "others": _each(s, others, y),
        "blind": _each(s, s.outputs(blind(s).model, torch.zeros_like(x)), y),
        "constant": _each(s, prior.expand(len(y), *s.shape), y),
    }


def seen_share(s: Setup) -> Estimate:
    """The share of the best blind answer's loss on val that the inputs save."""
    found = losses_on_val(s)
    best = min(
        (found["blind"], found["constant"]), key=lambda each: each.mean().item() if each.isfinite().all() else 1e30
    )
    return power.share_saved(found["seeing"], best, s.kind == "regression")


STRONG = 0.15  # agreement of the neighbours with the label from which a trained model must see something as well
UNTOLD = (
    "The nearest neighbours tell next to nothing of the label: these inputs may say nothing that could be learned. "
    "Other features would decide."
)


def columns_may_say_nothing(s: Setup) -> bool:
    """Columns of a table may say nothing of the label; a picture, a signal or a text shows what it is labelled by.

    Where the nearest neighbours tell the label, columns do say something.
    """
    if not numbers(s) or s.seen[0].ndim != 2 or s.kind == "sequence" or s.seen[1].numel() != len(s.seen[1]):
        return False
    signal = neighbours_agree(s)
    return not signal.value - signal.margin(3.0) > STRONG


def shifted_rows(s: Setup, errors: float, effect: float) -> int:
    """By how many rows labels must be moved to fit their inputs; 0 where that does not help, or rows are left out."""
    if len(s.seen[1]) != len(s.train):
        return 0
    for rows in (-1, 1):
        moved = neighbours_agree(s, rows)
        if moved.value > max(effect, moved.margin(2 * errors)):
            return rows
    return 0


PERMUTATIONS = 60


@once
def neighbours_agree(s: Setup, rows: int = 0) -> Estimate:
    """Cohen's kappa, or for regression the correlation, of five neighbours' vote with the label.

    rows: labels are moved by so many rows first. Its standard error where labels have nothing to do with inputs comes
    from permutations of the labels (Good 2005, Permutation, parametric and bootstrap tests of hypotheses): votes of
    neighbours depend on each other.
    """
    return _beyond_chance(s, s.seen[1].reshape(-1).roll(rows), neighbours(s)["train"][1])


@once
def neighbours_agree_in_val(s: Setup) -> Estimate:
    """The same within val; of too few examples it says nothing."""
    unseen = spaced(s)[1]
    if len(unseen) < 6:
        return Estimate(0.0, math.inf, len(unseen))
    return _beyond_chance(s, s.unseen[1].reshape(-1), nearest(unseen, unseen, 5, itself=True)[1])


def _beyond_chance(s: Setup, y: Tensor, near: Tensor) -> Estimate:
    chance = generator(s.seed, "permuted labels")
    orders = [torch.randperm(len(y), generator=chance).to(y.device) for _ in range(PERMUTATIONS)]
    by_chance = [_agreement(s, y[order], near) for order in orders]
    error = (sum(v * v for v in by_chance) / PERMUTATIONS) ** 0.5
    return Estimate(_agreement(s, y, near), error, len(y))


def _agreement(s: Setup, y: Tensor, near: Tensor) -> float:
    if s.kind == "regression":
        votes = y[near].double().mean(1)
        a, b = votes - votes.mean(), y.double() - y.double().mean()
        return (a @ b / (a.norm() * b.norm()).clamp_min(1e-12)).item()
    y = y.long()
    guess = torch.nn.functional.one_hot(y[near]).sum(1).argmax(1)
    classes = int(y.max()) + 1
    shares, guessed = (torch.bincount(t, minlength=classes).double() / len(y) for t in (y, guess))
    chance = float((shares * guessed).sum())
    return (float((guess == y).double().mean()) - chance) / max(1 - chance, 1e-9)
