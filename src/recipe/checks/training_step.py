"""The training step: what moves and what must not, how often, and how far."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from recipe.checks.measurements.batch_capture import captured_batches
from recipe.checks.measurements.group_settings import unread_settings
from recipe.checks.measurements.optimizer_steps import (
    CALLS,
    StepRecord,
    calls_per_step,
    declared_frozen,
    first_steps,
    run_steps,
    start_weights,
)
from recipe.checks.setup import Setup
from recipe.checks.verdicts import none_listed
from recipe.verdict import FAIL, PASS, Verdict, above, below, check, exactly, skip


@check(source="Recipe 2, be careful of NaN; AutoTrainer 2021, exploding gradient")
def losses_are_finite(s: Setup) -> Verdict:
    """In the first steps the training loss and the weights stay finite.

    A learning rate far too high, a log or a division of zero, half precision without scaling. The value counts losses
    and tensors that are not finite.
    """
    model, losses = s.early_training
    bad = sum(not math.isfinite(value) for value in losses)
    bad += sum(int(not t.isfinite().all()) for t in model.state_dict().values() if t.is_floating_point())
    return exactly(bad, 0)


@check(source="facebookresearch/mmf#104; pytorch/pytorch#14467; microsoft/nni#4521")
def optimizer_holds_the_model(s: Setup) -> Verdict:
    """The optimizer holds every trainable parameter of this model once, and no other tensor.

    It was built before a layer was replaced or the model was copied, or it got only a part of the parameters.
    """
    model = s.new_model()
    held = [id(p) for group in s.optimizer(model).param_groups for p in group["params"]]
    parameters = {n: id(p) for n, p in model.named_parameters()}
    missing = [n for n, p in model.named_parameters() if p.requires_grad and id(p) not in held]
    loss = {id(p) for p in s.loss.parameters()} if isinstance(s.loss, nn.Module) else set()
    foreign = ["a tensor that is not the model's"] * len(set(held) - set(parameters.values()) - loss)
    twice = ["a parameter held twice"] * (len(held) - len(set(held)))
    return none_listed(missing + foreign + twice, len(parameters))


@check(source="PyTorch forum 84911; TrainCheck 2025")
def nothing_is_frozen_by_mistake(s: Setup) -> Verdict:
    """Only parameters that are declared frozen have `requires_grad=False`.

    Left from fine-tuning, from feature extraction, or set on the wrong part. Intended? Write
    `declare: {frozen: [body]}` in params.yaml, with the first part of the parameters' names.
    """
    every = dict(s.new_model().named_parameters())
    frozen = [n for n, p in every.items() if not p.requires_grad and not declared_frozen(s, n)]
    return none_listed(frozen, len(every))


@check(source="PyTorch documentation, torch.optim: constructing it, taking a step")
def the_optimizer_steps(s: Setup) -> Verdict:
    """Each call of the training step, or every n-th one, makes one step of the given optimizer.

    Another optimizer is made inside the step (and forgets its moments each time), `step()` is missing or called twice,
    or gradients are not accumulated as declared (`declare: {accumulate: 4}` in params.yaml). The value is the number of
    steps per call.
    """
    record, every = first_steps(s), calls_per_step(s)
    value = sum(record.steps) / max(1, len(record.steps))
    # mixed precision skips its first steps, until it has a scale
    late = [call for call, steps in enumerate(record.steps) if steps and call >= min(4, len(record.steps) // 4)]
    holds = max(record.steps) == 1 and {b - a for a, b in pairwise(late)} <= {every}
    return Verdict(PASS if holds and value else FAIL, value, f"= {1 / every:.4g}")


@check(source="sacmehta/EdgeNets#14; huggingface/accelerate#1299; huggingface/torchMoji#21")
def every_parameter_moves(s: Setup) -> Verdict:
    """After a few steps every parameter has moved by its gradient, except those declared frozen, which have not moved.

    Gradients zeroed between backward and step, a `.detach()`, a dead layer, a clipped loss, a part that the optimizer
    does not hold, a layer that forward never calls. Intended? Write `declare: {frozen: [body]}` in params.yaml.
    """
    record = first_steps(s)
    largest = max(record.largest_gradient.values(), default=0.0)
    wrong = []
    for n, p in record.model.named_parameters():
        unchanged, gradient = p.detach().equal(record.before[n]), record.largest_gradient[n]
        if declared_frozen(s, n):
            wrong += [] if unchanged else [f"{n} (declared frozen)"]
        elif p.requires_grad and (unchanged or (gradient == 0 and any(record.steps))):
            # without a gradient, only weight decay has moved it;
            # a bias before a norm layer has a gradient of rounding errors and may not move; nor may a number near 1
            # in half precision, where a small step is less than the next number;
            # the bias of a layer that learns may cancel out, as in the difference of two outputs
            weight = record.largest_gradient.get(n.removesuffix("bias") + "weight", 0.0)
            cancels = n.endswith("bias") and gradient == 0 and weight > 0
            excused = cancels or (p.ndim <= 1 and 0 < gradient < (largest if p.element_size() < 4 else 1e-5 * largest))
            wrong += [] if excused else [n]
    return none_listed(wrong, len(record.before))


@check(source="Ioffe and Szegedy 2015, batch norm at inference; Keras and PyTorch mean opposite things by momentum")
def statistics_move(s: Setup) -> Verdict:
    """The running statistics of batch norm are averages over several batches, except in parts declared frozen.

    Momentum 0, a norm that was left in eval mode, statistics copied over after each step: eval mode then normalises by
    numbers that belong to no data. Momentum 1: it normalises by the last batch only.
    """
    modules = first_steps(s).model.named_modules()
    norms = [
        (n, m, m.running_mean)
        for n, m in modules
        if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.running_mean is not None and not declared_frozen(s, n)
    ]
    if not norms:
        return skip("no batch norm with running statistics")
    start = start_weights(s)
    wrong = [n for n, m, mean in norms if m.momentum == 1 or mean.equal(start[f"{n}.running_mean"])]
    return none_listed(wrong, len(norms))


@check(source="AutoTrainer 2021; DeepFD 2022; Karpathy, update-to-weight ratio near 1e-3")
def updates_are_in_proportion(s: Setup, low: float = 3e-6, high: float = 0.3) -> Verdict:
    """A step changes a weight matrix by a small fraction of its norm.

    The learning rate is too high or too low by orders of magnitude, or gradients are scaled, clipped to nothing or
    summed. The value is the median over matrices of |update| / |weights at the start|. Healthy: 0.006 to 0.09 with Adam
    at 1e-3, around 1e-3 later.
    """
    every = first_steps(s).calls_per_step
    early: dict[str, Tensor] = {}
    late: dict[str, Tensor] = {}

    def copy_weights(call: int, record: StepRecord) -> None:
        if call == 4 * every:
            early.update({n: p.detach().clone() for n, p in record.model.named_parameters()})
        if call == CALLS * every:  # RMSprop and similar optimizers make far longer steps at the very start
            late.update({n: p.detach().clone() for n, p in record.model.named_parameters()})

    record = run_steps(s, (CALLS + 4) * every, copy_weights)
    last_steps, first_four = [], []
    for n, p in record.model.named_parameters():
        if p.ndim < 2 or not p.requires_grad:
            continue
        # a matrix that starts at zero is compared with the norm that a layer of its shape usually starts with
        start, usual = record.before[n].norm().item(), (p.numel() / (3 * p[0].numel())) ** 0.5
        size = start if start > 0.01 * usual else usual
        last_steps.append((p.detach() - late[n]).norm().item() / 4 / size)
        first_four.append((early[n] - record.before[n]).norm().item() / 4 / size)
    if not last_steps:
        return skip("no weight matrix")
    value, first = (sorted(ratios)[len(ratios) // 2] for ratios in (last_steps, first_four))
    verdict = above(max(value, first), low)  # at the minimum weights stop moving: LBFGS on a small problem
    return below(value, high) if verdict.ok else verdict


@check(source="Loshchilov and Hutter 2019, decoupled weight decay; DeepFD 2022")
def weight_decay_is_in_scale(s: Setup, share: float = 0.5) -> Verdict:
    """Weight decay is a correction: in the first steps most of the update comes from the loss.

    A decay meant for SGD given to AdamW or the other way round, a percentage given as a fraction, a decay that is
    multiplied by the learning rate twice. The value is the change of the update by decay, over the update without it.
    """
    if not any(g.get("weight_decay") for g in s.optimizer(s.new_model()).param_groups):
        return skip("no weight decay")

    def no_decay(optimizer: torch.optim.Optimizer) -> None:
        for group in optimizer.param_groups:
            group["weight_decay"] = 0.0

    calls = 4 * first_steps(s).calls_per_step
    with_decay, without = run_steps(s, calls), run_steps(s, calls, configure=no_decay)
    changed = moved = 0.0
    for n, p in with_decay.model.named_parameters():
        q = dict(without.model.named_parameters())[n]
        changed += (p.detach() - q.detach()).norm().item() ** 2
        moved += (q.detach() - without.before[n]).norm().item() ** 2
    return below((changed / max(moved, 1e-30)) ** 0.5, share)


@check(source="Recipe 2, visualize just before the net; torch.optim, taking a step")
def the_whole_batch_is_trained_on(s: Setup) -> Verdict:
    """In training, every example of a batch goes through the model.

    A slice left from debugging, a mask that drops examples, only the first chunk of a split batch. The value is the
    share of the loaded examples that entered the net.
    """
    capture = captured_batches(s)
    entered, loaded = sum(len(x) for x in capture.entered), sum(len(y) for _, y in capture.loaded)
    return Verdict(PASS if entered >= loaded else FAIL, entered / max(1, loaded), ">= 1")


@check(source="facebookresearch/mae#216")
def settings_of_groups_are_read(s: Setup) -> Verdict:
    """Numbers by which parameter groups are meant to differ are read by the optimizer, the schedule or the step.

    Layer-wise rates or decays under a name that nobody knows, as `lr_scale` without a scheduler that multiplies by it:
    all groups are trained alike. Multiply `lr` or `weight_decay` itself.
    """
    if s.fit is not None:
        return skip("a loop of the user's may read what it likes")
    if (unread := unread_settings(s)) is None:
        return skip("the parameter groups differ by no number that the optimizer does not know")
    return none_listed(unread, len(unread) or 1)
