"""The model before training: its loss, its weights and its activations."""

import math

import torch

from recipe.checks.measurements.activations import signals
from recipe.checks.measurements.best_loss import (
    best_constant,
    loss_of_zeros,
    lowest_loss,
    predicts_targets_themselves,
)
from recipe.checks.parts import joined, main
from recipe.checks.setup import Setup
from recipe.rng import seeded
from recipe.verdict import FAIL, PASS, Verdict, above, below, check, skip


@check(source="Recipe 2, verify loss @ init; init well")
def loss_at_init(s: Setup, excess: float = 1.0, share: float = 0.5, ratio: float = 2.5, early: float = 0.1) -> Verdict:
    """Before training, the loss is that of a model that has learned nothing.

    Far above: the head or the weights start too large, a log-softmax is missing, the inputs are not scaled, or, for
    regression, the final bias is far from the mean target. Below the loss of the best constant answer: the weights are
    already trained, the target leaks into the input, or the loss has no minimum.
    """
    x, y = s.sample
    draws = []
    for draw in range(5):
        with seeded(s.seed, "init loss"), torch.no_grad():
            model = s.new_model(s.seed + draw)
            draws.append(s.loss_of(joined([s.forward(model, part) for part in x.split(256)]), y).item())
    measured, constant = draws[0], best_constant(s).loss
    low, high = _healthy_range(s, excess, share, ratio, early)
    # weights can be lucky in one draw, but not in each
    verdict = above(max(draws), low)
    if verdict.ok and measured > high and _head_is_normalised(s):
        return Verdict(PASS, measured, f"> {low:.3f}; the head is normalised and sets the scale of its outputs")
    verdict = below(measured, high) if verdict.ok else verdict
    return Verdict(verdict.verdict, measured, f"{low:.3f} to {high:.3f}; a constant reaches {constant:.3f}")


def _healthy_range(s: Setup, excess: float, share: float, ratio: float, early: float) -> tuple[float, float]:
    """The lowest and the highest healthy loss at initialisation.

    Of a classifier E[loss] is the loss of equal outputs plus half the variance of the logits, so an excess is healthy,
    in nats or as a share of log C.
    """
    y = s.sample[1]
    constant, zeros = best_constant(s).loss, loss_of_zeros(s, y)
    if s.kind != "regression":
        return constant - early * abs(zeros), max(constant, zeros) + max(excess, share * abs(zeros))
    lowest = lowest_loss(s, y)  # 0 for squared errors; a likelihood has another minimum
    low, high = constant - early * (constant - lowest), constant + (ratio - 1) * (constant - lowest)
    if not predicts_targets_themselves(s):  # but their logarithm, say: then zero is as good a start as any
        high += max(0.0, zeros - constant)
    return low, high


def _head_is_normalised(s: Setup) -> bool:
    """Halving the head's weights changes no output, as in a cosine classifier (Wang et al. 2018, CosFace): the scale of
    its logits is intended, and does not depend on how the weights were drawn."""
    model, x = s.new_model().eval(), s.batch(32)[0]
    with torch.no_grad():
        before = s.forward(model, x)
        for p in model.parameters():
            if p.ndim == 2 and before.shape[-1] in p.shape:
                p.mul_(0.5)
                if torch.allclose(s.forward(model, x), before, rtol=1e-3, atol=1e-3):
                    return True
                p.mul_(2.0)
    return False


@check(source="Goodfellow et al. 2016, Deep Learning, section 8.4, symmetry breaking")
def units_differ(s: Setup, share: float = 0.5) -> Verdict:
    """The units of a layer start with different weights: no two rows of a weight matrix are equal.

    All weights were set to one constant: such units get the same gradient and never become different. All zeros are
    intended in a head or at the end of a residual branch; elsewhere they do not learn, which every_parameter_moves
    reports. The value is the share of equal rows in the worst layer.
    """
    worst, layer = 0.0, ""
    for name, p in s.new_model().named_parameters():
        if p.ndim < 2:
            continue
        rows = p.detach().flatten(1)
        if p.requires_grad and len(rows) > 1 and rows.shape[1] > 1 and rows.any():
            equal = 1 - len(torch.unique(rows, dim=0)) / len(rows)
            worst, layer = max((worst, layer), (equal, name))
    verdict = below(worst, share)
    return Verdict(verdict.verdict, f"{worst:.4g} ({layer})" if worst else 0.0, verdict.bound)


@check(source="Lu et al. 2020, Dying ReLU; Glorot and Bengio 2010, saturation")
def units_are_alive(s: Setup, share: float = 0.5) -> Verdict:
    """In every layer most units react to some input: they are neither dead behind a ReLU nor saturated.

    A bias far below zero, weights or inputs far too large, two activations in a row of which the first is never
    positive. The value is the share of dead or saturated units in the worst layer.
    """
    measured = signals(s)
    if not measured.dead and not measured.saturated:
        return skip("no activation that could die")
    return below(max(measured.dead + measured.saturated), share)


@check(source="He et al. 2015, Delving deep into rectifiers; Recipe 2, init well")
def scale_is_kept(s: Setup, low: float = 1e-4, high: float = 1e3) -> Verdict:
    """Signals neither vanish nor explode in the forward pass of the untrained model.

    Weights drawn with a fixed spread whatever the width, a depth without norm layers or residual branches, inputs that
    are not scaled. The value is the most extreme root mean square of a layer's result, without the last layer.
    """
    scales = [v for v in signals(s).scales[:-1] if v != 0]  # zero: the end of a branch that starts as the identity
    if not scales:
        return skip("no layer before the last")
    worst = max(scales, key=lambda v: float("inf") if math.isnan(v) else abs(torch.tensor(v).double().log().item()))
    return Verdict(PASS if low < worst < high else FAIL, worst, f"{low:g} to {high:g}")


@check(source="Recipe 2, init well", gate=False)
def final_bias_fits(s: Setup, share: float = 0.5) -> Verdict:
    """The head starts at the base rates, or loses little by starting elsewhere.

    Where classes are uneven, or the mean target of a regression is far from zero, set the final bias to the best
    constant answer: the first epochs then need not learn it. The value is the loss that this saves, as a share of the
    loss of the outputs that the untrained model has on average.
    """
    x, y = s.sample
    model = s.new_model()
    if not any(name.endswith("bias") for name, _ in model.named_parameters()):
        return skip("there is no bias to set")
    average = main(s.outputs(model, x)).mean(0, keepdim=True)
    constant, start = best_constant(s).loss, s.loss_of(average.expand(len(x), *average.shape[1:]), y).item()
    saved = (start - constant) / max(abs(start), 1e-12)
    finding = f"A final bias at the best constant answer lowers the initial loss from {start:.3f} to {constant:.3f}."
    return below(saved, share, finding=finding)
