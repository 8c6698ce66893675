"""The data as they enter the forward pass of the training step, and their targets."""

import math

import torch
from torch import Tensor

from recipe.checks.measurements.adjacent_pixels import weaker_correlation
from recipe.checks.measurements.batch_capture import (
    captured_batches,
    flattened,
    has_numeric_inputs,
    repeats_are_natural,
)
from recipe.checks.parts import main, tensors
from recipe.checks.setup import Setup
from recipe.checks.target_columns import target_columns
from recipe.verdict import Verdict, above, below, check, exactly, skip

INDICES = "the inputs are indices"


@check(source="Recipe 2, visualize just before the net")
def inputs_are_finite(s: Setup) -> Verdict:
    """No input of the net and no target is NaN or infinite.

    A division by a standard deviation of zero, a log of zero, a missing value read as NaN, or a corrupt file. The value
    counts examples.
    """
    inputs = [flattened(captured_batches(s).entered), *tensors(s.val_tensors[0])]
    parts = [*inputs, *tensors(s.train_tensors[1]), *tensors(s.val_tensors[1])]
    return exactly(sum(int((~p.float().isfinite()).flatten(1 if p.ndim > 1 else 0).any(-1).sum()) for p in parts), 0)


@check(source="Recipe 2, visualize just before the net; 4uiiurz1/pytorch-nested-unet#62; pkmital/pycadl#5")
def inputs_are_scaled(s: Setup, low: float = 0.05, high: float = 10.0) -> Verdict:
    """The root mean square of the inputs of the first layer is of order one.

    Far above: pixels 0..255 were never scaled. Far below: they were divided by 255 twice. Columns of a table with
    different units: standardise them. Healthy: 0.4 to 1. Scaling inside the model counts, and so does a norm layer at
    its start.
    """
    if not has_numeric_inputs(s):
        return skip(INDICES)
    capture = captured_batches(s)
    x = flattened(capture.first_layer or capture.entered)
    rms = x.square().mean().sqrt().item()
    # of a sparse row, as of word counts, only the entries that are not zero have a scale
    verdict = above(x[x != 0].square().mean().sqrt().nan_to_num().item(), low)
    return below(rms, high) if verdict.ok else verdict


@check(source="Recipe 2, visualize just before the net; Islam et al. 2019, data bugs")
def inputs_are_not_constant(s: Setup, share: float = 0.005) -> Verdict:
    """Hardly any input is one constant value.

    A few: blank images that kept their labels, or augmentation erases the content. All of them: the inputs are zeroed
    or multiplied by a wrong mask. The value is the share of such inputs.
    """
    x = flattened(captured_batches(s).entered)
    if x.shape[1] < 4 or repeats_are_natural(s):
        return skip("the inputs take few values, so that some may be constant by nature")
    return below((x.std(1) < 1e-6 * (1 + x.abs().amax(1))).float().mean().item(), share)


@check(source="Recipe 2, visualize just before the net")
def channels_vary(s: Setup, share: float = 0.9) -> Verdict:
    """Each channel of the images, and some of the columns of a table, vary between examples.

    A channel was lost on the way or filled with a constant; a column was overwritten by a merge or a default. The value
    counts constant channels, or is the share of constant columns.
    """
    x = main(s.train_tensors[0]).float()
    if not has_numeric_inputs(s):
        return skip(INDICES)
    if x.ndim == 4 and 1 < x.shape[1] <= 4:
        constant = x.transpose(0, 1).flatten(1).std(1) < 1e-6
        return exactly(int(constant.sum()), 0)
    return below((x.flatten(1).std(0) < 1e-6).float().mean().item(), share)


@check(source="Karpathy, most common neural net mistakes, no. 6; zhouhaoyi/Informer2020#59")
def pixels_are_in_place(s: Setup, gain: float = 0.05) -> Verdict:
    """Adjacent pixels correlate, and no other reading of the same buffer makes them correlate more.

    `reshape` or `view` from (H, W, C) to (C, H, W), where `permute` or `transpose` was meant: the shape is right, the
    image is scrambled. Measured on the inputs of the net and on those of its first convolution; the value is the gain
    in correlation of the best other reading.
    """
    capture = captured_batches(s)
    gains = [
        _gain_of_other_reading(torch.cat(part))
        for part in (capture.entered, capture.first_layer)
        if part and len({p.shape[1:] for p in part}) == 1
    ]
    known = [g for g in gains if g is not None]
    return below(max(known), gain) if known else skip("the inputs are not images, or have only one reading")


def _gain_of_other_reading(x: Tensor) -> float | None:
    """How much more adjacent pixels correlate in another reading of (N, C, H, W); None where there is none."""
    if x.ndim != 4 or not x.is_floating_point() or min(x.shape[2:]) < 4:
        return None
    x = x[:512].float()
    n, c, h, w = x.shape
    readings = []
    if 1 < c <= 4:
        readings.append(x.reshape(n, h, w, c).permute(0, 3, 1, 2))
    if h != w:
        readings.append(x.reshape(n, c, w, h).transpose(2, 3))
    return max(weaker_correlation(r) for r in readings) - weaker_correlation(x) if readings else None


@check(source="Humbatova et al. 2020, wrong position of the data shuffle operation")
def batches_are_mixed(s: Setup, share: float = 0.6, spread: float = 3.0) -> Verdict:
    """A training batch is a fair sample of the data: it has as many classes as independent draws would give.

    The data is sorted by label and `shuffle=False`, or shuffled only within a file; a sampler groups by class. The
    value is the number of classes per batch over the expected one; for quantities and several labels, the variance of
    the batches' mean targets over that of independent draws, of the column where it is largest.
    """
    batches = [main(y) for _, y in captured_batches(s).loaded]
    every = main(s.train_tensors[1])
    if s.kind == "sequence":
        return skip("the targets are sequences")
    quantities = s.kind in ("regression", "binary") and every.is_floating_point() and every.unique().numel() > 20
    if quantities or every.ndim > 1:
        return _means_are_spread(target_columns(every), [y for y in batches if len(y) == len(batches[0])], spread)
    shares = torch.unique(every, return_counts=True)[1].double() / len(every)
    batches = batches[:12]
    expected = sum(float((1 - (1 - shares) ** len(y)).sum()) for y in batches)
    return above(sum(y.unique().numel() for y in batches) / expected, share)


def _means_are_spread(every: list[Tensor], batches: list[Tensor], spread: float) -> Verdict:
    """The variance of the batches' means over that of independent draws, for the column where it is largest."""
    if len(batches) < 8:
        return skip("there are too few batches to compare")
    means = torch.stack([torch.stack([c.double().mean() for c in target_columns(y)]) for y in batches])
    variance = torch.stack([c.double().var() for c in every]) / len(batches[0])
    ratio = (means.var(0) / variance.clamp_min(1e-12)).max().item()
    most = spread + math.log(len(every))  # the largest of several columns
    return below(ratio, 1 + most * (8 / (len(means) - 1)) ** 0.5)
