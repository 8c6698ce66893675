"""The data at the model's door: what really enters the forward pass of the training step, and its labels."""

import torch

from recipe.checks.setup import Setup
from recipe.checks.verdict import Verdict, above, below, check, exactly
from recipe.train.chance import seeded


def captured(s: Setup, batches: int = 30) -> torch.Tensor:
    """What the person's own training step hands to the model, flat: (N, features)."""
    return torch.cat([x.flatten(1) for x, _ in at_the_door(s, batches)])


def at_the_door(s: Setup, batches: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(inputs as the model gets them, targets) of the first training batches."""
    model, seen, targets = s.fresh(), [], []
    optimizer = s.optimizer(model)
    hook = model.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach().float()))
    with seeded(s.seed, "train"):
        for _, (x, y) in zip(range(batches), s.batches(s.seed), strict=False):
            s.train_step(model, optimizer, x, y, s.loss)
            targets.append(y)
    hook.remove()
    return list(zip(seen, targets, strict=False))


@check(source="Recipe 2, visualize just before the net")
def inputs_are_finite(s: Setup) -> Verdict:
    """No NaN and no infinity enters the net.

    A division by a zero spread, a log of zero, a missing value read as NaN, or a corrupt file.
    """
    return exactly(int((~captured(s).isfinite()).any(1).sum()), 0)


@check(source="Recipe 2, visualize just before the net; 4uiiurz1/pytorch-nested-unet#62")
def inputs_are_scaled(s: Setup, low: float = 0.05, high: float = 10.0) -> Verdict:
    """The inputs' root mean square is of order one.

    Far above: pixels 0..255 were never scaled. Far below: they were divided by 255 twice. Healthy: 0.4 to 1.
    """
    rms = captured(s).square().mean().sqrt().item()
    verdict = above(rms, low)
    return below(rms, high) if verdict.ok else verdict


@check(source="Recipe 2, visualize just before the net; Islam et al. 2019, data bugs")
def inputs_are_not_constant(s: Setup, share: float = 0.005) -> Verdict:
    """Hardly any input is one constant value.

    All of them: the inputs are zeroed, multiplied by a wrong mask, or augmentation erases them. A few: blank images
    that kept their labels.
    """
    x = captured(s)
    return below((x.std(1) < 1e-6).float().mean().item(), share)


@check(source="open-edge-platform/geti#2736")
def labels_are_in_range(s: Setup) -> Verdict:
    """Every label is one of 0..C-1, and every class occurs in train.

    Labels count from 1 instead of 0, the head has a class too many, or a class was lost on the way.
    """
    y = s.seen[1]
    outside = int(((y < 0) | (y >= s.num_classes)).sum())
    missing = s.num_classes - len(y[(y >= 0) & (y < s.num_classes)].unique())
    return exactly(outside + missing, 0)


@check(source="Zhang et al. 2017, random labels")
def labels_fit_inputs(s: Setup, errors: float = 3.0) -> Verdict:
    """Neighbours share a label more often than chance: Cohen's kappa of 5 nearest neighbours, leave one out.

    Inputs and labels were shuffled or sorted apart, or are off by one row. Or the label really is no function of
    nearness in pixels: then waive this with that reason.
    """
    x, y = s.seen[0].flatten(1).float(), s.seen[1]
    distance = torch.cdist(x, x).fill_diagonal_(torch.inf)
    votes = torch.nn.functional.one_hot(y[distance.topk(min(5, len(y) - 1), largest=False).indices], s.num_classes)
    guess = votes.sum(1).argmax(1)
    shares = torch.bincount(y, minlength=s.num_classes) / len(y)
    chance = float((shares * torch.bincount(guess, minlength=s.num_classes) / len(y)).sum())
    kappa = (float((guess == y).float().mean()) - chance) / max(1 - chance, 1e-9)
    return above(kappa, errors / len(y) ** 0.5)
