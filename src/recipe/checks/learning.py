"""Short trainings that any healthy set-up must pass."""

import torch

from recipe.checks.loss import optimum
from recipe.checks.setup import Setup
from recipe.checks.verdict import FAIL, PASS, Verdict, above, below, check
from recipe.train.chance import seeded


@check(source="Recipe 2, overfit one batch")
def overfit_one_batch(s: Setup, limit: float = 0.1, size: int = 16, steps: int = 1000) -> Verdict:
    """A few examples can be learned by heart, down to the lowest loss that any outputs could reach.

    Stuck near the start: the learning rate is far off, gradients do not arrive, or labels do not belong to inputs.
    Stuck at a floor above zero: softmax is applied twice. Learned, but predictions are wrong: labels are shifted.
    """
    x, y = s.batch(size)
    model = s.fresh()
    optimizer = s.optimizer(model)
    lowest = optimum(s, y)[0]
    first, recent = None, []
    with seeded(s.seed, "train"):
        for _ in range(steps):
            recent = [*recent[-19:], float(s.train_step(model, optimizer, x, y, s.loss))]
            first = recent[0] if first is None else first
            if max(recent) < lowest + 0.3 * limit * (first - lowest) and len(recent) == 20:
                break
    outputs = s.outputs(model, x)
    final = min(sorted(recent)[len(recent) // 2], s.loss(outputs, y).item())
    left = (final - lowest) / max(first - lowest, 1e-9)
    right = (outputs.argmax(1) == y).float().mean().item()
    return below(left if right >= 0.9 else max(left, 1 - right), limit)


@check(source="Recipe 2, input-independent baseline")
def beats_a_blind_model(s: Setup, gain: float = 0.03, z: float = 2.5, steps: int = 300) -> Verdict:
    """With its inputs the model does better on val than the same model on zeros, and than the label shares alone.

    The inputs do not reach the model, are zeroed, are preprocessed otherwise in val than in train, or belong to other
    labels. The value is the share of the blind loss that seeing removes.
    """
    x, y = s.unseen
    seeing, _ = s.trained(steps)
    blind, _ = s.trained(steps, inputs=torch.zeros_like(s.seen[0]))
    prior = (torch.bincount(s.seen[1], minlength=s.num_classes) + 0.5).log().expand(len(y), -1)
    sees = _each(s, s.outputs(seeing, x), y)
    blinds = [_each(s, outputs, y) for outputs in (s.outputs(blind, torch.zeros_like(x)), prior)]
    best = min(blinds, key=lambda losses: losses.mean().item())
    difference = best - sees
    error = difference.std().item() / len(y) ** 0.5
    share = difference.mean().item() / max(best.mean().item(), 1e-9)
    certain = difference.mean().item() > z * error
    return Verdict(PASS if certain and share > gain else FAIL, share, f"> {gain:g}, by more than {z:g} standard errors")


def _each(s: Setup, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The loss of each example by itself."""
    return torch.stack([s.loss(outputs[i : i + 1], y[i : i + 1]) for i in range(len(y))]).detach()


@check(source="Recipe 2, verify decreasing training loss")
def training_loss_falls(s: Setup, drop: float = 0.05, steps: int = 300) -> Verdict:
    """Over a short run the training loss falls.

    The learning rate is too small or too large by orders of magnitude, gradients do not arrive, or labels are noise.
    """
    _, losses = s.trained(steps)
    tenth = max(1, len(losses) // 10)
    first, last = sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth
    return above((first - last) / abs(first), drop)
