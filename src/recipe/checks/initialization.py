"""The model before training: its loss, its weights and the signals in it."""

import torch

from recipe.checks import loss
from recipe.checks.measurements.activations import signals
from recipe.checks.setup import Setup
from recipe.rng import seeded
from recipe.verdict import FAIL, PASS, Verdict, above, below, check, skip


@check(source="Recipe 2, verify loss @ init; init well")
def loss_at_init(s: Setup, excess: float = 1.0, share: float = 0.5, ratio: float = 2.5, early: float = 0.1) -> Verdict:
    """Before training, the loss is that of a network that knows nothing yet.

    Far above: the head or the weights start too large, a log-softmax is missing, the inputs are not scaled, or, for
    regression, the final bias is far from the mean target. Below what the best constant answer reaches: the weights are
    already trained, the target leaks into the input, or the loss has no floor.
    """
    x, y = s.some
    drawn = []
    for draw in range(5):
        with seeded(s.seed, "init loss"), torch.no_grad():
            model = s.fresh(s.seed + draw)
            drawn.append(s.loss(torch.cat([model(part) for part in x.split(256)]), y).item())
    measured = drawn[0]
    known, nothing = loss.constant(s), loss.zero(s, y)
    # E[loss] = alike + half the variance of the logits: an excess is healthy, whence nats or a share of log C
    if s.kind == "regression":
        floor = loss.lowest(s, y)  # 0 for squared errors; a likelihood has a zero of its own
        low, high = known - early * (known - floor), known + (ratio - 1) * (known - floor)
        if not loss.wants_the_target_itself(s):  # its logarithm, say: then zero is as good a start as any
            high += max(0.0, nothing - known)
    else:
        low, high = known - early * abs(nothing), max(known, nothing) + max(excess, share * abs(nothing))
    # weights that were drawn can be lucky, but not at every draw
    verdict = above(max(drawn), low)
    if verdict.ok and measured > high and _normalised_head(s):
        return Verdict(PASS, measured, f"> {low:.3f}; the head is normalised and sets its own scale")
    verdict = below(measured, high) if verdict.ok else verdict
    return Verdict(verdict.verdict, measured, f"{low:.3f} to {high:.3f}; a constant reaches {known:.3f}")


def _normalised_head(s: Setup) -> bool:
    """Halving the head's weights changes no output, as of a cosine classifier (Wang et al. 2018, CosFace): the scale of
    its logits is meant, and no matter of how the weights were drawn."""
    model, x = s.fresh().eval(), s.batch(32)[0]
    with torch.no_grad():
        before = model(x)
        for p in model.parameters():
            if p.ndim == 2 and before.shape[-1] in p.shape:
                p.mul_(0.5)
                if torch.allclose(model(x), before, rtol=1e-3, atol=1e-3):
                    return True
                p.mul_(2.0)
    return False


@check(source="Goodfellow et al. 2016, Deep Learning, section 8.4, symmetry breaking")
def units_differ(s: Setup, share: float = 0.5) -> Verdict:
    """The units of a layer start apart: no two rows of a weight matrix are the same.

    All weights were set to one constant: such units get the same gradient and stay one unit for ever. All zero is meant
    at a head or the end of a residual branch, and elsewhere does not learn: every_parameter_moves sees that.
    """
    worst, where = 0.0, ""
    for name, p in s.fresh().named_parameters():
        if p.ndim < 2:
            continue
        rows = p.detach().flatten(1)
        if p.requires_grad and len(rows) > 1 and rows.shape[1] > 1 and rows.any():
            same = 1 - len(torch.unique(rows, dim=0)) / len(rows)
            worst, where = max((worst, where), (same, name))
    verdict = below(worst, share)
    return Verdict(verdict.verdict, f"{worst:.4g} ({where})" if worst else 0.0, verdict.bound)


@check(source="Lu et al. 2020, Dying ReLU; Glorot and Bengio 2010, saturation")
def units_are_alive(s: Setup, share: float = 0.5) -> Verdict:
    """In every layer most units react to some input: not dead behind a ReLU, not saturated in a sigmoid or tanh.

    A bias far below zero, weights or inputs far too large, two activations in a row of which the first says nothing
    positive. The value is the share of such units in the worst layer.
    """
    found = signals(s)
    if not found.dead and not found.saturated:
        return skip("no activation that could die")
    return below(max(found.dead + found.saturated), share)


@check(source="He et al. 2015, Delving deep into rectifiers; Recipe 2, init well")
def scale_is_kept(s: Setup, low: float = 1e-4, high: float = 1e3) -> Verdict:
    """Signals neither vanish nor explode on their way through the fresh model.

    Weights drawn with a fixed spread whatever the width, a depth without norm layers or residual branches, inputs that
    are not scaled. The value is the most extreme root mean square of a layer's result, the last layer left out.
    """
    scales = [v for v in signals(s).scales[:-1] if v != 0]  # zero: the end of a branch that starts as the identity
    if not scales:
        return skip("no layer before the last")
    worst = max(scales, key=lambda v: abs(torch.tensor(v).double().log().item()) if v == v else float("inf"))
    return Verdict(PASS if low < worst < high else FAIL, worst, f"{low:g} to {high:g}")


@check(source="Recipe 2, init well", gate=False)
def final_bias_fits(s: Setup, share: float = 0.5) -> Verdict:
    """The head starts at the base rates, or costs little by not doing so.

    Where classes are uneven, or a regression's mean is far from zero, set the final bias to the best constant answer:
    the first epochs then need not learn it. The value is the loss that this would save, over the loss at the start.
    """
    known, nothing = loss.constant(s), loss.zero(s, s.some[1])
    bias = [p for n, p in s.fresh().named_parameters() if n.endswith("bias")]
    if not bias:
        return skip("there is no bias to set")
    return below((nothing - known) / max(abs(nothing), 1e-12), share)
