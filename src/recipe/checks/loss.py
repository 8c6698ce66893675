"""Properties of the loss alone: its target format and its minimum, found by optimising the outputs directly."""

from typing import Any

import torch
from torch import Tensor

from recipe.checks import target_kinds
from recipe.checks.free_outputs import minimum
from recipe.checks.last_operation import OPERATIONS
from recipe.checks.measurements.best_loss import best_constant, best_outputs, is_density, loss_of_zeros
from recipe.checks.measurements.scoring import agreement
from recipe.checks.parts import Rows, joined, main, with_gradients
from recipe.checks.setup import Setup
from recipe.rng import generator
from recipe.verdict import FAIL, PASS, DoesNotApply, Verdict, above, below, check, exactly, skip

MIXED = "examples are mixed, as declared"


@check(source="Humbatova et al. 2020, wrong loss function")
def loss_is_bounded(s: Setup) -> Verdict:
    """The loss has a minimum: no outputs let it fall without end.

    NLLLoss needs log-probabilities, and gets raw logits or probabilities: use cross-entropy, or end the model in
    log_softmax. Or the sign of the loss is wrong.
    """
    # a density has no upper limit where each example has its own answer, but has one where all share an answer
    lowest = best_constant(s) if is_density(s) else best_outputs(s)
    last = s.last_operation
    if last.name == "SoftmaxBackward0" and last.needed and best_outputs(s).loss < -0.5 and _is_linear(s):
        return Verdict(FAIL, "minus the probability", "minus its logarithm")
    return Verdict(FAIL if lowest.unbounded else PASS, lowest.loss, "a minimum")


def _is_linear(s: Setup) -> bool:
    """On probabilities the loss of a mean is the mean of the losses, so no logarithm has been taken."""
    y, random = s.batch(32)[1], generator(s.seed, "linear")
    a, b = (torch.randn((len(y), *s.output_shape), generator=random).to(y.device).softmax(-1) for _ in range(2))
    return abs(s.loss_of((a + b) / 2, y).item() - (s.loss_of(a, y).item() + s.loss_of(b, y).item()) / 2) < 1e-5


@check(source="Humbatova et al. 2020, wrong API usage; PyTorch's warning on mse_loss, target size differs from input")
def loss_wants_the_targets(s: Setup, share: float = 0.98) -> Verdict:
    """At the minimum of the loss, the outputs predict the targets.

    Outputs (N, 1) against targets (N,) broadcast to (N, N), and the mean target minimises the loss: squeeze the
    outputs. Or targets are shifted or permuted inside the loss, classes are ignored, argmin is used for argmax.
    """
    return above(agreement(s, best_outputs(s).outputs, s.batch(32)[1]), share)


@check(source="PyTorch's warning on mse_loss, target size differs from input; Islam et al. 2019")
def loss_hears_every_example(s: Setup) -> Verdict:
    """The loss depends on the outputs of every example, and compares each only with its own target.

    `ignore_index` is a real class, a class has weight zero, a mask is inverted, the loss is clipped to a constant; or a
    loss that broadcasts compares each output with the targets of all. A contrastive loss? Write
    `declare: {mixes_samples: true}` in params.yaml. The value counts examples on which the loss does not depend.
    """
    if s.declare.mixes_samples:
        return skip(MIXED)
    y = s.batch(32)[1]
    counts = torch.zeros(len(y), dtype=torch.bool, device=y.device)
    for draw in range(5):  # a hinge has no gradient beyond its margin, and hard-example mining drops some
        z, free = with_gradients(_any_outputs(s, 32, ("say", draw)))
        gradients = torch.autograd.grad(s.loss_of(s.last_operation.valid(z), y), free, allow_unused=True)
        for g in gradients:
            counts |= torch.zeros_like(counts) if g is None else (g != 0).reshape(len(y), -1).any(1)
    return exactly(int((~counts & _targets_that_count(s, y)).sum()), 0)


def _any_outputs(s: Setup, size: int, words: tuple) -> Any:
    """Outputs for `s.batch(size)`: at random; where the loss needs several tensors, those of the model with noise."""
    x, y = s.batch(size)
    try:
        shape = s.output_shape
    except DoesNotApply:
        return s.outputs(s.perturbed_model, x)
    return torch.randn((len(y), *shape), generator=generator(s.seed, *words)).to(y.device)


def _targets_that_count(s: Setup, y: Rows) -> Tensor:
    """Examples (N,) with a target that is no padding."""
    try:
        valid = target_kinds.valid_targets(s.kind, torch.zeros(1, *s.output_shape), main(y))
    except DoesNotApply:
        return torch.ones(len(y), dtype=torch.bool, device=y.device)
    return valid.reshape(len(y), -1).any(1)


@check(source="torch.nn losses, reduction='mean'; Goyal et al. 2017, accurate large minibatch SGD, section 3")
def loss_is_a_mean(s: Setup, limit: float = 1e-3) -> Verdict:
    """The same examples twice in a batch, or in another order, give the same loss.

    `reduction="sum"` or a sum over the batch: the learning rate then depends on the batch size, and a short last batch
    counts less. Outputs and targets that are not paired row by row change with the order; where that is intended, write
    `declare: {mixes_samples: true}` in params.yaml.
    """
    if s.declare.mixes_samples:
        return skip(MIXED)
    y = s.batch(16)[1]
    z = s.last_operation.valid(_any_outputs(s, 16, ("mean",)))
    single, twice = s.loss_of(z, y).item(), s.loss_of(joined([z, z]), joined([y, y])).item()
    reverse = s.loss_of(z.flip(0), y.flip(0)).item()
    return below(max(abs(twice - single), abs(reverse - single)) / max(abs(single), 1e-6), limit)


@check(source="Karpathy, most common neural net mistakes, no. 4; itakurah/focal-loss-pytorch#5")
def outputs_are_not_squashed(s: Setup, share: float = 0.05) -> Verdict:
    """The model's last operation lets the loss reach its minimum.

    Softmax or sigmoid is applied in the model and again in the loss: with outputs in 0..1, cross-entropy over 10
    classes cannot fall below 1.46. Return logits. A ReLU at the end cannot answer below zero. The value is the share of
    the way to the minimum that cannot be reached.
    """
    last = s.last_operation
    if last.name not in OPERATIONS or last.needed:
        return exactly(0, 0)
    y = s.batch(32)[1]
    free = minimum(s.loss_of, y, s.output_shape, seed=s.seed).loss
    squashed = minimum(s.loss_of, y, s.output_shape, seed=s.seed, through=last.apply).loss
    start = best_constant(s).loss if s.kind == "regression" else loss_of_zeros(s, y)
    return below((squashed - free) / max(start - free, 1e-9), share)
