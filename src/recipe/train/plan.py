"""Which lanes are computed together, and which by the plain loop: by rule, so that a rerun gives the same bits.

The time of a small net is mostly the overhead of its operations, which lanes share; that of a large convolution is
arithmetic, which is slower on a CPU for all lanes together than one after the other (benchmarks/engine.py).
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from types import BuiltinFunctionType, FunctionType
from typing import Any

import torch
from torch import nn

from recipe.data.batches import Split
from recipe.train import augment, dropout, updates
from recipe.train.lane import Lane
from recipe.train.lanes import is_cross_entropy
from recipe.train.loop import outputs

TOGETHER = 64  # lanes in a batch; more gain nothing on a CPU
MEMORY = 2**30  # bytes that a batch may take, by estimate
LARGE = 16_000_000  # multiplications in a step's convolutions above which one lane after the other is faster on a CPU


@dataclass(frozen=True)
class Group:
    """Lanes by number, computed together where `plain` is empty; else one after the other, for that reason."""

    numbers: list[int]
    plain: str = ""


def plan(lanes: list[Lane], part: Split, mode: str = "auto") -> list[Group]:
    """Every lane in one group; groups in the order of their first lane."""
    alike: dict[tuple, list[int]] = defaultdict(list)
    for number, lane in enumerate(lanes):
        alike[_likeness(lane)].append(number)
    groups = []
    for numbers in alike.values():
        lane = lanes[numbers[0]]
        if reason := "as requested" if mode == "plain" else why_plain(lane):
            groups.append(Group(numbers, reason))
            continue
        multiplications, size = profile(lane, lane.fold.train if lane.fold else part)
        if mode == "auto" and len(numbers) == 1:
            groups.append(Group(numbers, "alone in its architecture"))
        elif mode == "auto" and part.y.device.type == "cpu" and multiplications > LARGE:
            cost = f"convolutions of {multiplications / 1e6:.0f} million multiplications a step"
            groups.append(Group(numbers, f"{cost} gain nothing together on a CPU"))
        else:
            batches = -(-len(numbers) // min(TOGETHER, max(1, MEMORY // size)))
            cut = [len(numbers) * i // batches for i in range(batches + 1)]  # 70 lanes are 35 and 35, not 64 and 6
            groups += [Group(numbers[a:b]) for a, b in pairwise(cut)]
    return groups


def why_plain(lane: Lane) -> str:
    """Why the parts of a lane exclude it from a batch; empty where they do not."""
    if lane.step:
        return "a user-defined training step"
    if lane.augment and not augment.is_builtin(lane.augment):
        return "an augmentation that takes one image at a time"
    if reason := updates.why_not(lane.optimizer):
        return reason
    learned = [p for p in lane.model.parameters() if p.requires_grad]
    if [id(p) for p in lane.optimizer.param_groups[0]["params"]] != [id(p) for p in learned]:
        return "its optimizer does not move all of its weights"
    if len({p.dtype for p in learned}) > 1:
        return "weights of several types"
    return ""


def profile(lane: Lane, part: Split) -> tuple[int, int]:
    """(multiplications in a step's convolutions, forward; bytes that a lane of a batch takes, by estimate)."""
    multiplications, values = 0, 0

    def measure(module: nn.Module, inputs: Any, out: Any) -> None:
        nonlocal multiplications, values
        if isinstance(out, torch.Tensor):
            values += out.numel()
            if isinstance(module, nn.Conv2d):
                multiplications += lane.batch_size * out.numel() * module.weight[0].numel()

    leaves = [m for m in lane.model.modules() if not any(True for _ in m.children())]
    hooks = [m.register_forward_hook(measure) for m in leaves]
    try:
        outputs(lane.model, part.x[:1])
    finally:
        for hook in hooks:
            hook.remove()
    weights = sum(p.numel() for p in lane.model.parameters())
    copies = 7  # weights, gradient, two moments, best, a leaf's views and their gradients
    return multiplications, 4 * (copies * weights + 3 * values * lane.batch_size)


def _likeness(lane: Lane) -> tuple:
    """Equal for lanes that differ at most in numbers that a batch holds per lane."""
    dropout.keyed(lane.model)
    kind, group = type(lane.optimizer), lane.optimizer.param_groups[0]
    options = {name: v for name, v in group.items() if name not in ("params", *updates.READ.get(kind, ()))}
    loss = "cross entropy" if is_cross_entropy(lane.loss) else (_description(lane.loss), _values(lane.loss))
    optimizer = kind, len(lane.optimizer.param_groups), _description(options)
    return (
        _description(lane.model),
        optimizer,
        loss,
        lane.batch_size,
        augment.structure(lane.augment),
        (lane.step, lane.precision, id(lane.fold), lane.eval_every),
    )


def _values(loss: Any) -> tuple:
    """The numbers in the tensors of a loss, as weights of classes: a batch has one loss for all of its lanes."""
    tensors = loss.state_dict().values() if isinstance(loss, nn.Module) else ()
    return tuple(tuple(tensor.flatten().tolist()) for tensor in tensors)


SKIPPED = {"training", "_parameters", "_buffers", "_modules"}
FUNCTIONS = type, FunctionType, BuiltinFunctionType
PLAIN = int, float, complex, str, bytes, type(None), torch.dtype, torch.device, *FUNCTIONS
OF_DROPOUT = {"calls", "in_vmap", "off"}


def _description(value: Any) -> Any:
    """What a model or a loss is made of, hashable; of an opaque object, the object itself.

    A number that a module keeps as a plain attribute is part of its architecture: two that differ in it never share a
    computation.
    """
    if isinstance(value, nn.Module):
        skipped = SKIPPED | (OF_DROPOUT if isinstance(value, dropout.Keyed) else set())
        attributes = {name: v for name, v in vars(value).items() if name not in skipped}
        tensors = [(n, p.shape, p.dtype, p.requires_grad) for n, p in value._parameters.items() if p is not None]
        buffers = [(n, b.shape, b.dtype) for n, b in value._buffers.items() if b is not None]
        children = [(name, _description(child)) for name, child in value._modules.items()]
        return type(value), _description(attributes), tuple(tensors), tuple(buffers), tuple(children)
    if isinstance(value, partial):
        return "partial", value.func, _description(value.args), _description(value.keywords)
    if isinstance(value, dict):
        return "dict", tuple((_description(k), _description(v)) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return type(value), tuple(map(_description, value))
    if isinstance(value, (set, frozenset)):
        return "set", frozenset(map(_description, value))
    return value if isinstance(value, PLAIN) else ("object", id(value))
