"""The model before training: its loss, and what its outputs depend on."""

import torch

from recipe.checks.setup import Setup
from recipe.checks.verdict import Verdict, above, below, check


def best_constant(s: Setup) -> float:
    """The loss of the best answer that ignores its input, found by moving that one answer."""
    y = s.seen[1]
    z = torch.zeros(1, s.num_classes, device=y.device, requires_grad=True)
    adam = torch.optim.Adam([z], lr=0.1)
    for _ in range(300):
        adam.zero_grad()
        loss = s.loss(z.expand(len(y), -1), y)
        loss.backward()
        adam.step()
    return loss.item()


@check(source="Recipe 2, verify loss @ init")
def loss_at_init(s: Setup, excess: float = 1.0) -> Verdict:
    """Before training, the loss is that of a network that answers every class alike.

    For cross-entropy that is log C. Far above: the head starts too large, a log-softmax is missing, or the inputs are
    not scaled. Below: the weights are already trained, the labels leak into the input, or the loss is not bounded.
    """
    x, y = s.seen
    measured = s.loss(s.outputs(s.fresh(), x), y).item()
    uniform = s.loss(torch.zeros(len(y), s.num_classes, device=y.device), y).item()
    # E[loss] = uniform + variance of the logits / 2: an excess is healthy, up to one nat or half of the uniform loss.
    # The best constant answer is below uniform where classes are imbalanced, and a head may start there.
    low, high = best_constant(s) - 0.1 * abs(uniform), uniform + max(excess, 0.5 * abs(uniform))
    verdict = above(measured, low)
    verdict = below(measured, high) if verdict.ok else verdict
    return Verdict(verdict.verdict, verdict.value, f"{low:.3f} to {high:.3f}; alike {uniform:.3f}")


def _gradients(s: Setup, size: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Per example, the absolute gradient of its outputs on the others' inputs, and on its own."""
    x = s.batch(size)[0].clone().requires_grad_()
    out = s.noisy()(x)
    # weighed at random: a plain sum over a softmax is 1 whatever the input
    weights = torch.randn(out.shape[1:], generator=torch.Generator().manual_seed(s.seed)).to(out)
    others, own = [], []
    for i in range(len(x)):
        (g,) = torch.autograd.grad((out[i] * weights).sum(), x, retain_graph=True, allow_unused=True)
        g = torch.zeros_like(x) if g is None else g
        size_of = g.abs().flatten(1).sum(1)
        own.append(size_of[i])
        others.append(size_of.sum() - size_of[i])
    return torch.stack(others), torch.stack(own)


@check(source="Recipe 2, use backprop to chart dependencies")
def batch_is_independent(s: Setup, share: float = 1e-6) -> Verdict:
    """An example's output depends on that example alone: the share of its gradient that lands on others.

    `view` or `reshape` where `permute` or `transpose` was meant, a softmax or a mean over dimension 0, a norm over the
    batch that is not off in eval mode.
    """
    others, own = _gradients(s)
    return below((others / (others + own).clamp_min(1e-30)).max().item(), share)


@check(source="Recipe 2, use backprop to chart dependencies; huggingface/torchMoji#21")
def outputs_depend_on_inputs(s: Setup) -> Verdict:
    """Each output moves when its input moves.

    A `.detach()` or `.data` on the way, a layer whose units are all dead, an input that is overwritten or multiplied by
    zero.
    """
    return above(_gradients(s)[1].min().item(), 0.0)
