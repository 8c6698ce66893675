"""The loss by itself: what it wants, and how low it can go, found on outputs that are free to move."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from recipe import task
from recipe.checks.setup import Setup, once
from recipe.rng import generator
from recipe.verdict import FAIL, PASS, Verdict, above, below, check, exactly, skip

STEPS = 400


@dataclass(frozen=True)
class Optimum:
    """Where free outputs end: the lowest loss, the outputs there, and by how much it still fell in the second half."""

    lowest: float
    outputs: Tensor
    first: float
    half: float

    @property
    def endless(self) -> bool:
        """Below zero and still falling: cross-entropy and squared errors stop at a floor."""
        return not self.lowest > -1e-3 and not (self.half - self.lowest) < 0.1 * (self.first - self.lowest)


def optimum(s: Setup, y: Tensor, through: Callable[[Tensor], Tensor] = lambda z: z, constant: bool = False) -> Optimum:
    """Adam on free outputs z (N, ...) of `loss(through(z), y)`; `constant`: one answer for all examples.

    Raises what the loss raises on such outputs.
    """
    scale = max(1.0, y.abs().max().item() / 4) if y.is_floating_point() else 1.0
    rows = torch.Size((1 if constant else len(y),)) + s.shape
    if constant and s.kind == "sequence":
        rows = torch.Size((1,) * (len(rows) - 1)) + rows[-1:]
    z = 0.01 * torch.randn(rows, generator=generator(s.seed, "free outputs"))
    z = z.to(y.device).requires_grad_()
    adam = torch.optim.Adam([z], lr=0.1 * scale)
    found, at, lowest = [], z.detach(), float("inf")
    for step in range(STEPS):
        adam.param_groups[0]["lr"] = 0.1 * scale * min(1.0, 2 - 2 * step / STEPS)
        adam.zero_grad()
        answer = through(z.expand(len(y), *s.shape) if constant else z)
        loss = s.loss(answer, y)
        found.append(loss.item())
        if found[-1] < lowest:
            lowest, at = found[-1], answer.detach().clone()
        loss.backward()
        adam.step()
    return Optimum(lowest, at, found[0], min(found[: STEPS // 2]))


# ---- the model's last operation ------------------------------------------------------------------------------------

VIEWS = {"ViewBackward0", "ReshapeAliasBackward0", "UnsafeViewBackward0", "SqueezeBackward0", "SqueezeBackward1"}
VIEWS |= {"CloneBackward0", "UnsqueezeBackward0", "ToCopyBackward0", "TransposeBackward0", "PermuteBackward0"}
LAST = {  # name in the graph -> the operation, on outputs whose last dimension holds the classes
    "SoftmaxBackward0": lambda z: z.softmax(-1),
    "LogSoftmaxBackward0": lambda z: z.log_softmax(-1),
    "SigmoidBackward0": torch.sigmoid,
    "LogSigmoidBackward0": torch.nn.functional.logsigmoid,
    "TanhBackward0": torch.tanh,
    "HardtanhBackward0": lambda z: z.clamp(-1, 1),
    "HardsigmoidBackward0": torch.nn.functional.hardsigmoid,
    "ClampBackward1": lambda z: z.clamp(0, 1),
    "ReluBackward0": torch.relu,
    "ClampMinBackward0": torch.relu,
    "SoftplusBackward0": torch.nn.functional.softplus,
    "ExpBackward0": torch.exp,
    "AbsBackward0": torch.abs,
    "NormBackward1": lambda z: torch.nn.functional.normalize(z, dim=-1),
}


@dataclass(frozen=True)
class Reach:
    """What the model's last operation allows; `needed`: the loss works on its results alone, as BCELoss on sigmoids."""

    name: str
    through: Callable[[Tensor], Tensor]
    needed: bool

    @property
    def allowed(self) -> Callable[[Tensor], Tensor]:
        """From free numbers to outputs that the loss works on."""
        return self.through if self.needed else lambda z: z


@once
def reach(s: Setup) -> Reach:
    with torch.enable_grad():
        node = s.fresh()(s.batch(32)[0]).grad_fn
    while node is not None and node.name() in VIEWS:
        node = node.next_functions[0][0]
    name = node.name() if node is not None else ""
    if name == "DivBackward0":  # F.normalize, whose divisor is a norm
        name = "NormBackward1" if any("Clamp" in (n.name() if n else "") for n, _ in node.next_functions[1:]) else name
    if name not in LAST:
        name = _normalised(s)
    if name not in LAST:
        return Reach(name, lambda z: z, False)
    return Reach(name, LAST[name], not _sound(s, lambda z: z) and _sound(s, LAST[name]))


def _normalised(s: Setup) -> str:
    """Outputs that sum to one, or whose exponentials do, whatever the input and the weights, are probabilities."""
    x = s.batch(32)[0]
    with torch.no_grad():
        z = torch.cat([s.noisy(x), s.fresh().eval()(x)]).double()
    if s.kind not in ("classification", "sequence") or z.ndim < 2:
        return ""
    if z.logsumexp(-1).abs().max() < 1e-4:
        return "LogSoftmaxBackward0"
    return "SoftmaxBackward0" if z.min() >= 0 and (z.sum(-1) - 1).abs().max() < 1e-4 else ""


def _sound(s: Setup, through: Callable) -> bool:
    """The loss has a floor on such outputs, and there they say the targets."""
    y = s.batch(32)[1]
    try:
        found = optimum(s, y, through)
    except (RuntimeError, ValueError):  # BCELoss refuses what lies outside 0..1
        return False
    if s.kind == "regression":
        return not found.endless and task.ranks_agree(found.outputs, y) > 0.9
    threshold = 0.5 if s.kind == "binary" and found.outputs.min() >= 0 else 0.0
    return not found.endless and task.right(s.kind, found.outputs, y, threshold).double().mean().item() > 0.9


@once
def best(s: Setup) -> Optimum:
    """The loss's own optimum on 32 examples, over all outputs that it works on."""
    at = reach(s)
    return optimum(s, s.batch(32)[1], at.allowed)


def lowest(s: Setup, y: Tensor) -> float:
    """The lowest loss that any outputs could reach on these targets."""
    at = reach(s)
    return optimum(s, y, at.allowed).lowest


def zero(s: Setup, y: Tensor) -> float:
    """The loss of outputs that are all zero, before the last operation where the loss needs it."""
    z, at = torch.zeros(len(y), *s.shape, device=y.device), reach(s)
    return s.loss(at.allowed(z), y).item()


@once
def best_constant(s: Setup) -> Optimum:
    """The best answer that ignores its input, on `s.some`, found by moving that one answer."""
    at = reach(s)
    return optimum(s, s.some[1], at.allowed, constant=True)


def constant(s: Setup) -> float:
    return best_constant(s).lowest


# ---- the claims ----------------------------------------------------------------------------------------------------


@check(source="Humbatova et al. 2020, wrong loss function")
def loss_is_bounded(s: Setup) -> Verdict:
    """The loss has a floor: no outputs make it fall without end.

    NLLLoss on raw logits, or on probabilities, wants log-probabilities: use cross-entropy, or end the model in
    log_softmax. Or the sign of the loss is wrong.
    """
    # a density rises without end where each example has an answer of its own, but not where all share one
    found = best_constant(s) if density(s) else best(s)
    if reach(s).name == "SoftmaxBackward0" and reach(s).needed and best(s).lowest < -0.5 and _linear(s):
        return Verdict(FAIL, "minus the probability", "minus its logarithm")
    return Verdict(FAIL if found.endless else PASS, found.lowest, "a floor")


def wants_the_target_itself(s: Setup) -> bool:
    """Of a regression: where the loss is lowest, the outputs are the targets, and not a function of them."""
    return task.right(s.kind, best(s).outputs, s.batch(32)[1]).item() > 0.98


def density(s: Setup) -> bool:
    """Several outputs per target number, as a mean and a variance: no lowest loss on single examples."""
    return s.kind == "regression" and s.shape.numel() * len(s.seen[1]) > s.seen[1].numel()


def _linear(s: Setup) -> bool:
    """On probabilities the loss of a mean is the mean of the losses: no logarithm has been taken."""
    y, chance = s.batch(32)[1], generator(s.seed, "linear")
    a, b = (torch.randn((len(y), *s.shape), generator=chance).to(y.device).softmax(-1) for _ in range(2))
    return abs(s.loss((a + b) / 2, y).item() - (s.loss(a, y).item() + s.loss(b, y).item()) / 2) < 1e-5


@check(source="Humbatova et al. 2020, wrong API usage; PyTorch's warning on mse_loss, target size differs from input")
def loss_wants_the_targets(s: Setup, share: float = 0.98) -> Verdict:
    """Where the loss is lowest, the outputs say the targets.

    Outputs (N, 1) against targets (N,) broadcast to (N, N) and are right at the mean: squeeze them. Or targets are
    shifted or permuted inside the loss, classes are ignored, an argmin stands for an argmax.
    """
    return above(s.agreement(best(s).outputs, s.batch(32)[1]), share)


@check(source="PyTorch's warning on mse_loss, target size differs from input; Islam et al. 2019")
def loss_hears_every_example(s: Setup) -> Verdict:
    """Every example's outputs have a say in the loss, and only its own target judges them.

    `ignore_index` is a real class, a class has weight zero, a mask is inverted, the loss is clipped to a constant; or a
    loss that broadcasts compares each output with the targets of all. A contrastive loss? Write
    `declare: {mixes_samples: true}` in params.yaml. The value counts examples without a say.
    """
    if s.declare.mixes_samples:
        return skip("examples are mixed, as declared")
    y, at = s.batch(32)[1], reach(s)
    heard = torch.zeros(len(y), dtype=torch.bool, device=y.device)
    for draw in range(5):  # a hinge is silent where it is content, and hard-example mining drops some
        z = torch.randn((len(y), *s.shape), generator=generator(s.seed, "say", draw)).to(y.device).requires_grad_()
        (g,) = torch.autograd.grad(s.loss(at.allowed(z), y), z)
        heard |= (g != 0).reshape(len(y), -1).any(1)
    counted = task.counts(s.kind, torch.zeros(1, *s.shape), y)
    return exactly(int((~heard & counted.reshape(len(y), -1).any(1)).sum()), 0)


@check(source="torch.nn losses, reduction='mean'; Goyal et al. 2017, accurate large minibatch SGD, section 3")
def loss_is_a_mean(s: Setup, limit: float = 1e-3) -> Verdict:
    """The same examples twice in a batch, or in another order, give the same loss.

    `reduction="sum"` or a sum over the batch: the learning rate then depends on the batch size, and a short last batch
    counts less. Outputs and targets that are not paired row by row change with the order; where that is meant, write
    `declare: {mixes_samples: true}` in params.yaml.
    """
    if s.declare.mixes_samples:
        return skip("examples are mixed, as declared")
    y, at = s.batch(16)[1], reach(s)
    z = torch.randn((len(y), *s.shape), generator=generator(s.seed, "mean")).to(y.device)
    z = at.allowed(z)
    once_, twice = s.loss(z, y).item(), s.loss(torch.cat([z, z]), torch.cat([y, y])).item()
    back = s.loss(z.flip(0), y.flip(0)).item()
    return below(max(abs(twice - once_), abs(back - once_)) / max(abs(once_), 1e-6), limit)


@check(source="Karpathy, most common neural net mistakes, no. 4; itakurah/focal-loss-pytorch#5")
def outputs_are_not_squashed(s: Setup, share: float = 0.05) -> Verdict:
    """The model's last operation leaves the loss free to reach its floor.

    Softmax or sigmoid stands in the model and again in the loss: with outputs in 0..1, cross-entropy over 10 classes
    cannot fall below 1.46. Return logits. A ReLU at the end cannot answer below zero. The value is the share of the way
    to the floor that stays closed.
    """
    at = reach(s)
    if at.name not in LAST or at.needed:
        return exactly(0, 0)
    y = s.batch(32)[1]
    free, squashed = optimum(s, y).lowest, optimum(s, y, at.through).lowest
    start = constant(s) if s.kind == "regression" else zero(s, y)
    return below((squashed - free) / max(start - free, 1e-9), share)
