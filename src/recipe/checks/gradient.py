"""The gradient that the optimizer steps by: of this batch, of these labels, and of nothing left from before."""

from typing import Any

import torch
from torch import Tensor, nn

from recipe.checks.measurements.batch_capture import on_entry, step_mixes_examples
from recipe.checks.measurements.optimizer_steps import (
    StepRecord,
    calls_per_step,
    model_at_start,
    order_of_calls,
    run_steps,
)
from recipe.checks.parts import Rows, main
from recipe.checks.setup import Setup
from recipe.rng import seeded
from recipe.verdict import FAIL, Verdict, above, below, check, exactly, skip


@check(source="Karpathy, most common neural net mistakes, no. 3; wenet-e2e/wekws#72")
def gradients_are_fresh(s: Setup, limit: float = 1e-3) -> Verdict:
    """A step uses only the gradients of its batches: what was left in `.grad` from before changes nothing.

    `zero_grad` is forgotten, or called on another optimizer or model. Accumulation over several batches is recognised
    by the optimizer's steps, or declared: `declare: {accumulate: 4}` in params.yaml. The value is the change of a step
    by noise in the gradients left before it, over the size of a step.
    """
    every = calls_per_step(s)

    def weights_after_steps(noise: float) -> tuple[Tensor, Tensor]:
        """Weights after the first step of the optimizer, and after the next; noise is added to `.grad` in between."""
        after: list[Tensor] = []

        def add_noise(call: int, record: StepRecord) -> None:
            if len(after) == 1 or not any(record.steps):
                return
            after.append(_flat(record.model))
            for p in record.model.parameters():
                if p.grad is not None:  # else it has been cleared already
                    random = torch.Generator().manual_seed(s.seed)
                    p.grad += noise * p.grad.abs().max() * torch.randn(p.shape, generator=random).to(p)

        # a step that counts its calls may be anywhere between two updates: twice as many calls hold two updates
        record = run_steps(s, 2 * every, add_noise)
        return after[0] if after else _flat(record.model), _flat(record.model)

    (start, clean), (_, noisy) = weights_after_steps(0.0), weights_after_steps(10.0)
    return below(((noisy - clean).norm() / (clean - start).norm().clamp_min(1e-12)).item(), limit)


def _flat(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten().double() for p in model.parameters()])


@check(source="PyTorch examples, gradient accumulation: zero_grad after the step, not before each backward")
def every_batch_of_a_step_counts(s: Setup) -> Verdict:
    """Where several calls make one step, the step depends on the batch of each of them.

    `zero_grad` at the start of every call: only the last batch before the step is learned from. The value counts calls
    on which the step does not depend.
    """
    every = calls_per_step(s)
    if every < 2:
        return skip("each call is a step")
    batches = [batch for _, batch in zip(range(3 * every), s.batches(s.seed, augmented=False), strict=False)]
    _gradients_of_second_step(s, batches, None)  # ends with a step, so that a user's counter of calls starts over
    plain = _gradients_of_second_step(s, batches, None)
    if not plain:
        return skip("no whole step was made")
    ignored = [
        call for call in range(every) if all(map(torch.equal, plain, _gradients_of_second_step(s, batches, call)))
    ]
    return exactly(len(ignored), 0)


def _gradients_of_second_step(s: Setup, batches: list[tuple[Rows, Rows]], exchanged: int | None) -> list[Tensor]:
    """What the optimizer steps by after the first whole series of calls.

    exchanged: the call of that series whose inputs are exchanged among its examples.
    """
    model = model_at_start(s)
    optimizer = s.optimizer_for(model)
    gradients: list[Tensor] = []
    steps = calls = 0

    def note_step(*_):
        nonlocal steps, calls
        if steps == 1:
            gradients.extend(p.grad.detach().clone() for p in model.parameters() if p.grad is not None)
        steps, calls = steps + 1, 0

    hook = optimizer.register_step_pre_hook(note_step)
    for x, y in batches:
        if gradients:
            break
        flip = steps == 1 and calls == exchanged
        calls += 1
        with seeded(s.seed, "call"):
            s.train_step(model, optimizer, x.flip(0) if flip else x, y, s.loss)
    hook.remove()
    return gradients


@check(source="Recipe 2, use backprop to chart dependencies; the definition of gradient descent")
def steps_follow_the_gradient(s: Setup, cosine: float = 0.3) -> Verdict:
    """The optimizer steps by the gradient of the loss on the given batch and labels.

    The sign is wrong, labels and inputs are paired differently inside the step, a part of the batch is left out,
    backward runs on another loss. Clipping the gradient keeps its direction; clipping the loss does not. The value is
    the cosine between the two gradients.
    """
    if step_mixes_examples(s):
        return skip("the step mixes or augments its batch")
    if calls_per_step(s) > 1:
        return skip("the step accumulates")
    model = model_at_start(s)
    parameters = [p for p in model.parameters() if p.requires_grad]
    x, y = next(iter(s.batches(s.seed, augmented=False)))
    with seeded(s.seed, "train"):
        true = torch.autograd.grad(s.loss_of(s.forward(model, x), y), parameters, allow_unused=True)
    pairs = [
        (a.double().flatten(), b.double().flatten())
        for a, b in zip(true, _gradients_of_step(s, x, y), strict=False)
        if a is not None and b is not None
    ]
    if not pairs:
        return Verdict(FAIL, "no gradient", f"> {cosine:g}")
    a, b = (torch.cat(part) for part in zip(*pairs, strict=True))
    return above((a @ b / (a.norm() * b.norm()).clamp_min(1e-30)).item(), cosine)


def _gradients_of_step(s: Setup, x: Rows, y: Rows) -> list[Tensor | None]:
    """Of each trainable parameter, when the user's training step lets the optimizer step."""
    model = model_at_start(s)
    gradients: list[Tensor | None] = []
    optimizer = s.optimizer_for(model)
    trainable = [p for p in model.parameters() if p.requires_grad]
    hook = optimizer.register_step_pre_hook(
        lambda *_: gradients.extend(None if p.grad is None else p.grad.detach().clone() for p in trainable)
    )
    with seeded(s.seed, "train"):
        s.train_step(model, optimizer, x, y, s.loss)
    hook.remove()
    return gradients


@check(source="PyTorch documentation, automatic mixed precision: unscale gradients before clipping them")
def clipping_comes_after_backward(s: Setup) -> Verdict:
    """Gradients are clipped between the last backward and the step, after a loss scale has been taken out.

    `clip_grad_norm_` is called before `loss.backward()` and clips nothing, or what is left from the last batch; while
    gradients accumulate, each batch clips the sum so far, which shrinks the earlier ones; or mixed precision scales the
    loss and no `scaler.unscale_(optimizer)` comes before it, so that every gradient is cut. The value counts clippings
    in the wrong place.
    """
    order = order_of_calls(s)
    if "clip" not in order:
        return skip("no gradient is clipped by torch.nn.utils")
    wrong = 0
    since_step: set[str] = set()
    for name in order:
        scaled = "scale" in since_step and "unscale" not in since_step
        wrong += name == "clip" and ("backward" not in since_step or scaled)
        wrong += name == "backward" and "clip" in since_step
        since_step = set() if name == "step" else since_step | {name}
    return exactly(wrong, 0)


@check(source="Zhang et al. 2018, mixup, section 2: inputs and labels are mixed by one share")
def labels_are_mixed_as_inputs_are(s: Setup, share: float = 0.05) -> Verdict:
    """Where a step mixes the inputs of several examples, the loss gets the labels of all of them.

    Mixup with the labels left as they were: the loss is called once, with the labels of the batch. The value is the
    mean weight of other examples in the inputs of the net.
    """
    model = s.new_model()
    labels: list[Tensor] = []
    entered: list[Tensor] = []
    optimizer = s.optimizer_for(model)
    x, y = next(iter(s.batches(s.seed, augmented=False)))
    few = max(2, min(len(y), main(x)[0].numel() // 2))  # weights are identifiable where features outnumber examples
    x, y = x[:few], y[:few]

    def recording_loss(outputs: Any, *targets: Any) -> Tensor:
        labels.append(targets[0])
        return s.loss(outputs, *targets)

    hook = on_entry(s, model, lambda x: entered.append(x.detach()))
    with seeded(s.seed, "train"):
        s.train_step(model, optimizer, x, y, recording_loss)
    hook.remove()
    x, y = main(x), main(y)
    rows = x.flatten(1).double()
    if len(entered) != 1 or entered[0].shape != x.shape or not x.is_floating_point() or rows.shape[1] < 2 * len(rows):
        return skip("one pass over a batch of numbers, with more features than examples, is needed")
    mixed = entered[0].flatten(1).double()
    if mixed.equal(rows):
        return below(0.0, share)
    weights = torch.linalg.lstsq(rows.T.cpu(), mixed.T.cpu(), driver="gelsd").solution.T
    if (weights @ rows.cpu() - mixed.cpu()).norm() > 1e-3 * mixed.cpu().norm():
        return skip("the inputs of the net are not a mixture of the batch")
    others = (weights - weights.diag().diag()).abs().sum(1).mean().item()
    if len(labels) != 1 or labels[0].shape != y.shape or not labels[0].equal(y):
        return skip("the loss gets other labels too")
    return below(others, share)
