"""The training step: what moves and what must not, how often, and how far."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from recipe.checks.dependencies import named
from recipe.checks.inputs import at_the_door
from recipe.checks.setup import Setup, once
from recipe.rng import seeded
from recipe.verdict import FAIL, PASS, Verdict, above, below, check, exactly, skip

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

    Left from fine-tuning, from feature extraction, or set on the wrong part. Meant? Write `declare: {frozen: [body]}`
    in params.yaml, with the first part of the parameters' names.
    """
    model = s.fresh()
    every = dict(model.named_parameters())
    return named([n for n, p in every.items() if not p.requires_grad and not frozen(s, n)], len(every))


@check(source="PyTorch documentation, torch.optim: constructing it, taking a step")
def the_optimizer_steps(s: Setup) -> Verdict:
    """Each call of the training step is one step of the optimizer that was handed in, or one after a fixed number.

    Another optimizer is made inside the step (and forgets its moments each time), `step()` is missing or called twice,
    or what is declared of gradient accumulation is not what happens (`declare: {accumulate: 4}` in params.yaml). The
    value is the steps per call.
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
    does not hold, a layer that forward never calls. Meant? Write `declare: {frozen: [body]}` in params.yaml.
    """
    found = first_steps(s)
    largest = max(found.gradient.values(), default=0.0)
    wrong = []
    for n, p in found.model.named_parameters():
        still = p.detach().equal(found.before[n])
        if frozen(s, n):
            wrong += [] if still else [f"{n} (declared frozen)"]
        elif p.requires_grad and (still or (found.gradient[n] == 0 and any(found.steps))):
            # without a gradient, weight decay alone has moved it;
            # a bias before a norm layer has a gradient of rounding errors: it may stand still; so may a number near 1
            # in half precision, where a small step is less than the next number
            idle = p.ndim <= 1 and 0 < found.gradient[n] < (largest if p.element_size() < 4 else 1e-5 * largest)
            wrong += [] if idle else [n]
    return named(wrong, len(found.before))


@check(source="Ioffe and Szegedy 2015, batch norm at inference; Keras and PyTorch mean opposite things by momentum")
def statistics_move(s: Setup) -> Verdict:
    """The running statistics of batch norm move with the batches and keep more than the last, but for frozen ones.

    Momentum 0, a norm that was left in eval mode, statistics copied over after each step: eval mode then normalises by
    numbers that belong to no data. Momentum 1: it normalises by the last batch alone.
    """
    norms = [(n, m) for n, m in first_steps(s).model.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    norms = [(n, m) for n, m in norms if m.running_mean is not None and not frozen(s, n)]
    if not norms:
        return skip("no batch norm with running statistics")
    start = origin(s)
    wrong = [n for n, m in norms if m.momentum == 1 or m.running_mean.equal(start[f"{n}.running_mean"])]
    return named(wrong, len(norms))


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
    door = at_the_door(s)
    entered, given = sum(len(x) for x in door.entered), sum(len(y) for _, y in door.given)
    return Verdict(PASS if entered >= given else FAIL, entered / max(1, given), ">= 1")
