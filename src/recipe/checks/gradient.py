"""The gradient that the optimizer steps by: of this batch, of these labels, and of nothing left from before."""

import inspect
import sys

import torch
from torch import Tensor, nn

from recipe.checks.inputs import at_the_door
from recipe.checks.setup import Setup, once
from recipe.checks.training_step import Steps, first_steps, origin, walk
from recipe.rng import seeded
from recipe.verdict import FAIL, Verdict, above, below, check, exactly, skip


@check(source="Karpathy, most common neural net mistakes, no. 3; wenet-e2e/wekws#72")
def gradients_are_fresh(s: Setup, limit: float = 1e-3) -> Verdict:
    """A step is taken by the gradients of its own batches: what was left in `.grad` from before changes nothing.

    `zero_grad` is forgotten, or called on another optimizer or model. Accumulation over several batches is recognised
    by the optimizer's steps, or declared: `declare: {accumulate: 4}` in params.yaml.
    """
    rhythm = s.declare.accumulate if s.declare.accumulate > 1 else first_steps(s).every

    def walked(noise: float) -> tuple[Tensor, Tensor]:
        """Weights after the first step of the optimizer, and after the next; `.grad` is noised in between."""
        after = []

        def between(call: int, found: Steps) -> None:
            if len(after) == 1 or not any(found.steps):
                return
            after.append(_flat(found.model))
            for p in found.model.parameters():
                if p.grad is not None:  # cleared already: nothing is left to be stale
                    chance = torch.Generator().manual_seed(s.seed)
                    p.grad += noise * p.grad.abs().max() * torch.randn(p.shape, generator=chance).to(p)

        # a step that counts its calls to itself may be anywhere in its round: two rounds hold two steps
        found = walk(s, 2 * rhythm, between)
        return after[0] if after else _flat(found.model), _flat(found.model)

    (start, one), (_, other) = walked(0.0), walked(10.0)
    return below(((other - one).norm() / (one - start).norm().clamp_min(1e-12)).item(), limit)


def _flat(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten().double() for p in model.parameters()])


@check(source="PyTorch examples, gradient accumulation: zero_grad after the step, not before each backward")
def every_batch_of_a_step_counts(s: Setup) -> Verdict:
    """Where several calls make one step, the step changes when the batch of any of them does.

    `zero_grad` at the start of every call: only the last batch before the step is learned from. The value counts calls
    without a say.
    """
    rhythm = s.declare.accumulate if s.declare.accumulate > 1 else first_steps(s).every
    if rhythm < 2:
        return skip("each call is a step")
    batches = [batch for _, batch in zip(range(3 * rhythm), s.batches(s.seed, augmented=False), strict=False)]
    _one_step(s, batches, None)  # ends with a step, so that a counter of the person's stands where a round begins
    plain = _one_step(s, batches, None)
    if not plain:
        return skip("no whole step was seen")
    silent = [k for k in range(rhythm) if all(map(torch.equal, plain, _one_step(s, batches, k)))]
    return exactly(len(silent), 0)


def _one_step(s: Setup, batches: list[tuple[Tensor, Tensor]], other: int | None) -> list[Tensor]:
    """The gradients of the first whole round of calls; `other`: the call of it whose inputs are swapped."""
    model = s.fresh()
    model.load_state_dict(origin(s))
    optimizer, taken, rounds, calls = s.optimizer_for(model), [], [0], [0]

    def look(*_):
        if rounds[0] == 1:
            taken.extend(p.grad.detach().clone() for p in model.parameters() if p.grad is not None)
        rounds[0], calls[0] = rounds[0] + 1, 0

    hook = optimizer.register_step_pre_hook(look)
    for x, y in batches:
        if taken:
            break
        swapped = rounds[0] == 1 and calls[0] == other
        calls[0] += 1
        with seeded(s.seed, "call"):
            s.train_step(model, optimizer, x.flip(0) if swapped else x, y, s.loss)
    hook.remove()
    return taken


@once
def mixes(s: Setup) -> bool:
    """The step mixes or changes its batch before the model sees it: declared, or seen at the door."""
    if s.declare.mixes_samples:
        return True
    door = at_the_door(s)
    for (x, _), entered in zip(door.given, door.entered, strict=False):
        if x.shape != entered.shape:
            return True
        a, b = (t.flatten(1).double() for t in (x, entered))
        a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
        same = (a * b).sum(1).abs() / (a.norm(dim=1) * b.norm(dim=1)).clamp_min(1e-12)
        if (same[a.norm(dim=1) > 1e-6] < 0.99).any():
            return True
    return False


@check(source="Recipe 2, use backprop to chart dependencies; the definition of gradient descent")
def steps_follow_the_gradient(s: Setup, cosine: float = 0.3) -> Verdict:
    """What the optimizer steps by is the gradient of the loss on the batch and labels that were handed in.

    The sign is wrong, labels and inputs are paired otherwise inside the step, a part of the batch is left out, backward
    runs on another loss. Clipping the gradient keeps its direction; clipping the loss does not. The value is the cosine
    between the two gradients.
    """
    if mixes(s):
        return skip("the step mixes or augments its batch")
    if s.declare.accumulate > 1 or first_steps(s).every > 1:
        return skip("the step accumulates")
    model = s.fresh()
    model.load_state_dict(origin(s))
    parameters = [p for p in model.parameters() if p.requires_grad]
    x, y = next(iter(s.batches(s.seed, augmented=False)))
    with seeded(s.seed, "train"):
        true = torch.autograd.grad(s.loss(model(x), y), parameters, allow_unused=True)
    model, taken = s.fresh(), []
    model.load_state_dict(origin(s))
    optimizer = s.optimizer_for(model)
    trainable = [p for p in model.parameters() if p.requires_grad]
    hook = optimizer.register_step_pre_hook(
        lambda *_: taken.extend(None if p.grad is None else p.grad.detach().clone() for p in trainable)
    )
    with seeded(s.seed, "train"):
        s.train_step(model, optimizer, x, y, s.loss)
    hook.remove()
    pairs = [
        (a.double().flatten(), b.double().flatten())
        for a, b in zip(true, taken, strict=False)
        if a is not None and b is not None
    ]
    if not pairs:
        return Verdict(FAIL, "no gradient", f"> {cosine:g}")
    a, b = (torch.cat(part) for part in zip(*pairs, strict=True))
    return above((a @ b / (a.norm() * b.norm()).clamp_min(1e-30)).item(), cosine)


@once
def _order(s: Setup) -> list[str]:
    """What the first steps call, in its order: backward, clip, scale, unscale, step.

    Seen by the functions' code, under whatever name the person has imported them.
    """
    watched = {
        torch.autograd.backward: "backward",
        nn.utils.clip_grad_norm_: "clip",
        nn.utils.clip_grad_value_: "clip",
        torch.amp.GradScaler.scale: "scale",
        torch.amp.GradScaler.unscale_: "unscale",
    }
    names = {inspect.unwrap(function).__code__: name for function, name in watched.items()}
    seen = []

    def look(frame, event, _):
        if event == "call" and frame.f_code in names:
            seen.append(names[frame.f_code])

    def stepping(optimizer) -> None:
        optimizer.register_step_pre_hook(lambda *_: seen.append("step"))

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        walk(s, 2 * first_steps(s).every, tune=stepping)
    finally:
        sys.setprofile(before)
    return seen


@check(source="PyTorch documentation, automatic mixed precision: unscale gradients before clipping them")
def clipping_comes_after_backward(s: Setup) -> Verdict:
    """Where gradients are clipped, backward has been run since the last step, and a loss scale has been taken out.

    `clip_grad_norm_` stands before `loss.backward()` and clips nothing, or what is left from the last batch; or mixed
    precision scales the loss and no `scaler.unscale_(optimizer)` comes before it, so that every gradient is cut. The
    value counts clippings in the wrong place.
    """
    seen = _order(s)
    if "clip" not in seen:
        return skip("no gradient is clipped by torch.nn.utils")
    wrong, since = 0, set()
    for name in seen:
        wrong += name == "clip" and ("backward" not in since or ("scale" in since and "unscale" not in since))
        since = set() if name == "step" else since | {name}
    return exactly(wrong, 0)


@check(source="Zhang et al. 2018, mixup, section 2: inputs and labels are mixed by one share")
def labels_are_mixed_as_inputs_are(s: Setup, share: float = 0.05) -> Verdict:
    """Where a step mixes the inputs of several examples, the loss hears of the labels of all.

    Mixup with the labels left as they were: the loss is called once, with the labels of the batch. The value is the
    mean weight of other examples in what enters the net.
    """
    heard, entered, model = [], [], s.fresh()
    optimizer = s.optimizer_for(model)
    x, y = next(iter(s.batches(s.seed, augmented=False)))
    few = max(2, min(len(y), x[0].numel() // 2))  # shares are told apart where features outnumber examples
    x, y = x[:few], y[:few]

    def listening(outputs, targets):
        heard.append(targets)
        return s.loss(outputs, targets)

    hook = model.register_forward_pre_hook(lambda _, args: entered.append(args[0].detach()))
    with seeded(s.seed, "train"):
        s.train_step(model, optimizer, x, y, listening)
    hook.remove()
    rows = x.flatten(1).double()
    if len(entered) != 1 or entered[0].shape != x.shape or not x.is_floating_point() or rows.shape[1] < 2 * len(rows):
        return skip("one pass over a batch of numbers, with more features than examples, is needed")
    mixed = entered[0].flatten(1).double()
    if mixed.equal(rows):
        return below(0.0, share)
    weights = torch.linalg.lstsq(rows.T.cpu(), mixed.T.cpu(), driver="gelsd").solution.T
    if (weights @ rows.cpu() - mixed.cpu()).norm() > 1e-3 * mixed.cpu().norm():
        return skip("what enters is no mixture of the batch")
    others = (weights - weights.diag().diag()).abs().sum(1).mean().item()
    if len(heard) != 1 or heard[0].shape != y.shape or not heard[0].equal(y):
        return skip("the loss hears other labels too")
    return below(others, share)
