"""The lowest loss that any outputs reach, and that of outputs which ignore their inputs."""

import torch

from recipe.checks import target_kinds
from recipe.checks.free_outputs import Minimum, minimum
from recipe.checks.measurements.measured_once import measured_once
from recipe.checks.parts import Rows, main
from recipe.checks.setup import Setup


@measured_once
def best_outputs(s: Setup) -> Minimum:
    """The minimum of the loss on 32 examples, over all outputs that it accepts."""
    valid = s.last_operation.valid
    return minimum(s.loss_of, s.batch(32)[1], s.output_shape, seed=s.seed, through=valid)


def lowest_loss(s: Setup, y: Rows) -> float:
    """The lowest loss that any outputs reach on these targets."""
    valid = s.last_operation.valid
    return minimum(s.loss_of, y, s.output_shape, seed=s.seed, through=valid).loss


@measured_once
def best_constant(s: Setup) -> Minimum:
    """The best answer that ignores its input, on `s.sample`: one answer for all examples is optimised."""
    valid, shape = s.last_operation.valid, s.output_shape
    rows = torch.Size((1, *shape))
    if s.kind == "sequence":
        rows = torch.Size((1,) * (len(rows) - 1)) + rows[-1:]
    return minimum(s.loss_of, s.sample[1], shape, seed=s.seed, through=valid, rows=rows)


def loss_of_zeros(s: Setup, y: Rows) -> float:
    """The loss of outputs that are all zero, before the last operation where the loss needs it."""
    z = torch.zeros(len(y), *s.output_shape, device=y.device)
    return s.loss_of(s.last_operation.valid(z), y).item()


def predicts_targets_themselves(s: Setup) -> bool:
    """Of a regression: at the minimum of the loss the outputs are the targets, and not a function of them."""
    return target_kinds.correct(s.kind, best_outputs(s).outputs, main(s.batch(32)[1])).item() > 0.98


def is_density(s: Setup) -> bool:
    """Several outputs per target number, as a mean and a variance: single examples have no lowest loss."""
    targets = main(s.train_tensors[1])
    return s.kind == "regression" and s.output_shape.numel() * len(targets) > targets.numel()
