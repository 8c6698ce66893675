"""The data at the model's door: what really enters the forward pass of the training step, and its targets."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from recipe.checks.measurements.adjacent_pixels import weaker_correlation
from recipe.checks.setup import Setup, once
from recipe.rng import seeded
from recipe.verdict import Verdict, above, below, check, exactly, skip


@dataclass(frozen=True)
class Door:
    """Of the first training batches: what the loader gave, what entered the net, what its first layer got."""

    given: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    entered: list[Tensor] = field(default_factory=list)
    first: list[Tensor] = field(default_factory=list)  # inputs of the first layer that multiplies; may be empty


PRODUCTS = (nn.Linear, nn.modules.conv._ConvNd, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention, nn.Bilinear)


@once
def at_the_door(s: Setup, augmented: bool = True) -> Door:
    """Runs the person's own training step on its first 30 batches, and looks."""
    door, model = Door(), s.fresh()
    optimizer = s.optimizer_for(model)
    hooks = [model.register_forward_pre_hook(lambda _, args: door.entered.append(args[0].detach().clone()))]
    called = []

    def first(module, args):
        if not called and args and isinstance(args[0], Tensor):
            door.first.append(args[0].detach().clone())
            called.append(module)

    for module in model.modules():
        if isinstance(module, PRODUCTS):
            hooks.append(module.register_forward_pre_hook(first))
    with seeded(s.seed, "train"):
        for _, (x, y) in zip(range(30), s.batches(s.seed, augmented), strict=False):
            door.given.append((x, y))
            called.clear()
            s.train_step(model, optimizer, x, y, s.loss)
    for hook in hooks:
        hook.remove()
    return door


def flat(batches: list[Tensor]) -> Tensor:
    """(N, features), float32; examples of differing lengths are cut to the shortest."""
    rows = [x.flatten(1).float() for x in batches]
    width = min((r.shape[1] for r in rows), default=0)
    return torch.cat([r[:, :width] for r in rows]) if rows else torch.zeros(0, 0)


def numbers(s: Setup) -> bool:
    """Inputs are numbers, and not the indices of tokens."""
    return s.seen[0].is_floating_point()


def coincide(s: Setup) -> bool:
    """Independent examples may be equal by nature: tokens, or a table whose columns take few values each."""
    x = s.seen[0]
    return not numbers(s) or (x.ndim == 2 and max(column.unique().numel() for column in x.T) <= 32)


@check(source="Recipe 2, visualize just before the net")
def inputs_are_finite(s: Setup) -> Verdict:
    """No NaN and no infinity enters the net, and no target is one.

    A division by a zero spread, a log of zero, a missing value read as NaN, or a corrupt file.
    """
    parts = [flat(at_the_door(s).entered), flat([s.unseen[0]]), s.seen[1], s.unseen[1]]
    return exactly(sum(int((~p.float().isfinite()).flatten(1 if p.ndim > 1 else 0).any(-1).sum()) for p in parts), 0)


@check(source="Recipe 2, visualize just before the net; 4uiiurz1/pytorch-nested-unet#62; pkmital/pycadl#5")
def inputs_are_scaled(s: Setup, low: float = 0.05, high: float = 10.0) -> Verdict:
    """The root mean square of what the first layer gets is of order one.

    Far above: pixels 0..255 were never scaled. Far below: they were divided by 255 twice. Columns with units of their
    own: standardise them. Healthy: 0.4 to 1. Scaling inside the model counts, and so does a norm layer at its start.
    """
    if not numbers(s):
        return skip("the inputs are indices")
    door = at_the_door(s)
    x = flat(door.first or door.entered)
    rms = x.square().mean().sqrt().item()
    # zeros are no scale: of a sparse row, as of word counts, the entries that are there count
    verdict = above(x[x != 0].square().mean().sqrt().nan_to_num().item(), low)
    return below(rms, high) if verdict.ok else verdict


@check(source="Recipe 2, visualize just before the net; Islam et al. 2019, data bugs")
def inputs_are_not_constant(s: Setup, share: float = 0.005) -> Verdict:
    """Hardly any input is one constant value.

    A few: blank images that kept their labels, or augmentation erases what was there. All of them: the inputs are
    zeroed or multiplied by a wrong mask.
    """
    x = flat(at_the_door(s).entered)
    if x.shape[1] < 4 or coincide(s):
        return skip("the inputs take few values, so that some may be constant by nature")
    return below((x.std(1) < 1e-6 * (1 + x.abs().amax(1))).float().mean().item(), share)


@check(source="Recipe 2, visualize just before the net")
def channels_vary(s: Setup, share: float = 0.9) -> Verdict:
    """No channel of the images, and not most of the columns, is one constant over all examples.

    A channel was lost on the way or filled with a constant; a column was overwritten by a merge or a default.
    """
    x = s.seen[0].float()
    if not numbers(s):
        return skip("the inputs are indices")
    if x.ndim == 4 and 1 < x.shape[1] <= 4:
        still = x.transpose(0, 1).flatten(1).std(1) < 1e-6
        return exactly(int(still.sum()), 0)
    return below((x.flatten(1).std(0) < 1e-6).float().mean().item(), share)


@check(source="Karpathy, most common neural net mistakes, no. 6; zhouhaoyi/Informer2020#59")
def pixels_are_in_place(s: Setup, gain: float = 0.05) -> Verdict:
    """Neighbouring pixels are alike, and no other reading of the same buffer makes them more alike.

    `reshape` or `view` from (H, W, C) to (C, H, W), where `permute` or `transpose` was meant: the shape is right, the
    picture is scrambled. Looked at where the data enters the net, and where its first convolution gets it.
    """
    door = at_the_door(s)
    found = [
        _scrambled(torch.cat(part))
        for part in (door.entered, door.first)
        if part and len({p.shape[1:] for p in part}) == 1
    ]
    found = [f for f in found if f is not None]
    return below(max(found), gain) if found else skip("the inputs are no images, or have one reading alone")


def _scrambled(x: Tensor) -> float | None:
    """How much more alike neighbours are in another reading of (N, C, H, W); None where there is none."""
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
    """A training batch is a fair sample of the data: as many classes as independent draws would give.

    The data is sorted by label and `shuffle=False`, or shuffled only within a file; a sampler that groups by class. For
    regression the value is the variance of the batches' mean target over that of independent draws.
    """
    batches = [y for _, y in at_the_door(s).given]
    every = s.seen[1]
    if s.kind in ("regression", "binary") and every.is_floating_point() and every.unique().numel() > 20:
        means = torch.stack([y.double().mean() for y in batches if len(y) == len(batches[0])])
        if len(means) < 8:
            return skip("too few batches to tell")
        expected = every.double().var() / len(batches[0])
        return below((means.var() / expected.clamp_min(1e-12)).item(), 1 + spread * (8 / (len(means) - 1)) ** 0.5)
    if s.kind == "sequence":
        return skip("the targets are sequences")
    shares = torch.unique(every, return_counts=True)[1].double() / len(every)
    batches = batches[:12]
    expected = sum(float((1 - (1 - shares) ** len(y)).sum()) for y in batches)
    return above(sum(y.unique().numel() for y in batches) / expected, share)
