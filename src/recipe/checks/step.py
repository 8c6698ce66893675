"""The training step: what moves and what must not, by which gradient, and how far."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from recipe.checks.setup import Setup, once
from recipe.checks.verdict import FAIL, PASS, Verdict, above, below, check, exactly, skip
from recipe.checks.wiring import named
from recipe.train.chance import seeded

CALLS = 16  # of train_step, in which the rhythm of its steps shows


@dataclass
class Steps:
    """What the first calls of train_step did."""

    model: nn.Module
    before: dict[str, Tensor]
    gradient: dict[str, float]  # largest seen when the optimizer stepped
    steps: list[int]  # of the optimizer, per call

    @property
    def every(self) -> int:
        """Calls per step of the optimizer: more than one where gradients are accumulated."""
        taken = sum(self.steps)
        return 1 if taken == 0 else max(1, round(len(self.steps) / taken))


@once
def origin(s: Setup) -> dict[str, Tensor]:
    """The weights that each walk starts from."""
    return {n: t.detach().clone() for n, t in s.fresh().state_dict().items()}


def frozen(s: Setup, name: str) -> bool:
    return any(name.startswith(prefix) for prefix in s.declare.frozen)


def walk(
    s: Setup, calls: int, before_call: Callable = lambda call, found: None, tune: Callable = lambda o: None
) -> Steps:
    """Calls of the person's train_step, from the same weights each time; `tune` may change the optimizer first."""
    model = s.fresh()
    model.load_state_dict(origin(s))
    optimizer = s.optimizer_for(model)
    tune(optimizer)
    parameters = dict(model.named_parameters())
    found = Steps(model, {n: p.detach().clone() for n, p in parameters.items()}, dict.fromkeys(parameters, 0.0), [])

    def stepping(*_):
        found.steps[-1] += 1
        for n, p in parameters.items():
            if p.grad is not None:
                found.gradient[n] = max(found.gradient[n], p.grad.abs().max().item())

    hook = optimizer.register_step_pre_hook(stepping)
    with seeded(s.seed, "train"):
        for call, (x, y) in zip(range(calls), s.batches(s.seed, augmented=False), strict=False):
            before_call(call, found)
            found.steps.append(0)
            s.train_step(model, optimizer, x, y, s.loss)
    hook.remove()
    return found


@once
def first_steps(s: Setup) -> Steps:
    return walk(s, max(CALLS, 4 * s.declare.accumulate))


@check(source="Recipe 2, be careful of NaN; AutoTrainer 2021, exploding gradient")
def losses_are_finite(s: Setup) -> Verdict:
    """In the first steps the training loss stays finite, and so do the weights.

    A learning rate far too high, a log or a division of zero, half precision without scaling. The value counts losses
    and tensors that are not.
    """
    model, losses = s.start_of_training
    bad = sum(value - value != 0 for value in losses)
    bad += sum(int(not t.isfinite().all()) for t in model.state_dict().values() if t.is_floating_point())
    return exactly(bad, 0)


@check(source="facebookresearch/mmf#104; pytorch/pytorch#14467; microsoft/nni#4521")
def optimizer_holds_the_model(s: Setup) -> Verdict:
    """The optimizer holds every trainable parameter of this model once, and none of another.

    It was built before a layer was replaced or the model was copied, or it got a part of the parameters.
    """
    model = s.fresh()
    held = [id(p) for group in s.optimizer(model).param_groups for p in group["params"]]
    own = {n: id(p) for n, p in model.named_parameters()}
    missing = [n for n, p in model.named_parameters() if p.requires_grad and id(p) not in held]
    loss = {id(p) for p in s.loss.parameters()} if isinstance(s.loss, nn.Module) else set()
    foreign = ["a tensor that is not the model's"] * len(set(held) - set(own.values()) - loss)
    twice = ["a parameter held twice"] * (len(held) - len(set(held)))
    return named(missing + foreign + twice, len(own))


@check(source="PyTorch forum 84911; TrainCheck 2025")
def nothing_is_frozen_by_mistake(s: Setup) -> Verdict:
    """Only what is declared frozen has `requires_grad=False`.

    Left from fine-tuning, from feature extraction, or set on the wrong part. Meant? Declare it.
    """
    model = s.fresh()
    every = dict(model.named_parameters())
    return named([n for n, p in every.items() if not p.requires_grad and not frozen(s, n)], len(every))


@check(source="PyTorch documentation, torch.optim: constructing it, taking a step")
def the_optimizer_steps(s: Setup) -> Verdict:
    """Each call of the training step is one step of the optimizer that was handed in, or one after a fixed number.

    Another optimizer is made inside the step (and forgets its moments each time), `step()` is missing or called twice,
    or what is declared of gradient accumulation is not what happens. The value is the steps per call.
    """
    found, declared = first_steps(s), s.declare.accumulate
    rhythm = declared if declared > 1 else found.every
    value = sum(found.steps) / max(1, len(found.steps))
    # mixed precision skips its first steps, while it looks for a scale
    late = [call for call, steps in enumerate(found.steps) if steps and call >= min(4, len(found.steps) // 4)]
    holds = max(found.steps) == 1 and {b - a for a, b in pairwise(late)} <= {rhythm}
    return Verdict(PASS if holds and value else FAIL, value, f"= {1 / rhythm:.4g}")


@check(source="sacmehta/EdgeNets#14; huggingface/accelerate#1299; huggingface/torchMoji#21")
def every_parameter_moves(s: Setup) -> Verdict:
    """After a few steps every parameter has moved by its gradient, but for those declared frozen, which have not.

    Gradients zeroed between backward and step, a `.detach()`, a dead layer, a clipped loss, a part that the optimizer
    does not hold, a layer that forward never calls. Meant? Declare it frozen.
    """
    found = first_steps(s)
    largest = max(found.gradient.values(), default=0.0)
    wrong = []
    for n, p in found.model.named_parameters():
        still = p.detach().equal(found.before[n])
        if frozen(s, n):
            wrong += [] if still else [f"{n} (declared frozen)"]
        elif not p.requires_grad:
            wrong += []  # nothing_is_frozen_by_mistake says it
        elif still or (found.gradient[n] == 0 and any(found.steps)):  # moved without a gradient: by weight decay alone
            # a bias before a norm layer has a gradient of rounding errors: it may stand still; so may a number near 1
            # in half precision, where a small step is less than the next number
            idle = p.ndim <= 1 and 0 < found.gradient[n] < (largest if p.element_size() < 4 else 1e-5 * largest)
            wrong += [] if idle else [n]
    return named(wrong, len(found.before))


@check(source="Ioffe and Szegedy 2015, batch norm at inference; Keras and PyTorch mean opposite things by momentum")
def statistics_move(s: Setup) -> Verdict:
    """The running statistics of batch norm have moved after a few steps, but for those declared frozen.

    Momentum 0, a norm that was left in eval mode, statistics copied over after each step. Eval mode then normalises by
    numbers that belong to no data.
    """
    norms = [(n, m) for n, m in first_steps(s).model.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    norms = [(n, m) for n, m in norms if m.running_mean is not None and not frozen(s, n)]
    if not norms:
        return skip("no batch norm with running statistics")
    start = origin(s)
    return named([n for n, m in norms if m.running_mean.equal(start[f"{n}.running_mean"])], len(norms))


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


@check(source="Karpathy, most common neural net mistakes, no. 3; wenet-e2e/wekws#72")
def gradients_are_fresh(s: Setup, limit: float = 1e-3) -> Verdict:
    """A step is taken by the gradients of its own batches: what was left in `.grad` from before changes nothing.

    `zero_grad` is forgotten, or called on another optimizer or model. Accumulation over several batches is recognised
    by the optimizer's steps, or declared.
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


@once
def mixes(s: Setup) -> bool:
    """The step mixes or changes its batch before the model sees it: declared, or seen at the door."""
    from recipe.checks.door import at_the_door

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


@check(source="AutoTrainer 2021; DeepFD 2022; Karpathy, update-to-weight ratio near 1e-3")
def updates_are_in_proportion(s: Setup, low: float = 3e-6, high: float = 0.3) -> Verdict:
    """In a step a weight matrix changes by a small part of itself: the median of |update| / |weights at the start|.

    The learning rate is too high or too low by orders of magnitude, or gradients are scaled, clipped to nothing or
    summed. Healthy: 0.006 to 0.09 with Adam at 1e-3, around 1e-3 later.
    """
    every, early, later = first_steps(s).every, {}, {}

    def look(call: int, found: Steps) -> None:
        if call == 4 * every:
            early.update({n: p.detach().clone() for n, p in found.model.named_parameters()})
        if call == CALLS * every:  # RMSprop and its kin take far longer steps at the very start
            later.update({n: p.detach().clone() for n, p in found.model.named_parameters()})

    found = walk(s, (CALLS + 4) * every, look)
    ratios, started = [], []
    for n, p in found.model.named_parameters():
        if p.ndim < 2 or not p.requires_grad:
            continue
        # a matrix that starts at zero is measured against the spread that a layer of its shape starts with
        start, usual = found.before[n].norm().item(), (p.numel() / (3 * p[0].numel())) ** 0.5
        size = start if start > 0.01 * usual else usual
        ratios.append((p.detach() - later[n]).norm().item() / 4 / size)
        started.append((early[n] - found.before[n]).norm().item() / 4 / size)
    if not ratios:
        return skip("no weight matrix")
    value, first = (sorted(r)[len(r) // 2] for r in (ratios, started))
    verdict = above(max(value, first), low)  # who has arrived moves no more: LBFGS on a small problem
    return below(value, high) if verdict.ok else verdict


@check(source="Loshchilov and Hutter 2019, decoupled weight decay; DeepFD 2022")
def weight_decay_is_in_scale(s: Setup, share: float = 0.5) -> Verdict:
    """Weight decay is a correction: in the first steps most of the update comes from the loss.

    A decay meant for SGD given to AdamW or the other way round, a percentage taken for a share, a decay times the
    learning rate twice. The value is what decay changes of the update, over the update without it.
    """
    model = s.fresh()
    if not any(g.get("weight_decay") for g in s.optimizer(model).param_groups):
        return skip("no weight decay")

    def off(optimizer) -> None:
        for group in optimizer.param_groups:
            group["weight_decay"] = 0.0

    calls = 4 * first_steps(s).every
    with_it, without = walk(s, calls), walk(s, calls, tune=off)
    changed = moved = 0.0
    for n, p in with_it.model.named_parameters():
        q = dict(without.model.named_parameters())[n]
        changed += (p.detach() - q.detach()).norm().item() ** 2
        moved += (q.detach() - without.before[n]).norm().item() ** 2
    return below((changed / max(moved, 1e-30)) ** 0.5, share)


@check(source="Recipe 2, visualize just before the net; torch.optim, taking a step")
def the_whole_batch_is_trained_on(s: Setup) -> Verdict:
    """Every example of a batch goes through the model when it is trained on.

    A slice left from debugging, a mask that drops examples, only the first chunk of a split batch. The value is the
    smallest share of a batch that entered the net.
    """
    from recipe.checks.door import at_the_door

    door = at_the_door(s)
    entered, given = sum(len(x) for x in door.entered), sum(len(y) for _, y in door.given)
    return Verdict(PASS if entered >= given else FAIL, entered / max(1, given), ">= 1")


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
