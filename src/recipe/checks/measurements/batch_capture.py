"""The first batches of the training: as the loader gave them, and as they enter the net in the training step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.hooks import RemovableHandle

from recipe.checks.measurements.measured_once import measured_once
from recipe.checks.parts import Rows, main, main_or_first
from recipe.checks.setup import Setup
from recipe.rng import seeded

BATCHES = 30
PRODUCTS = (nn.Linear, nn.modules.conv._ConvNd, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention, nn.Bilinear)


@dataclass(frozen=True)
class BatchCapture:
    """loaded: (inputs, targets) of the loader. entered: inputs of the model, of several parts the main or the first.
    first_layer: inputs of its first layer with weights that multiply; may be empty."""

    loaded: list[tuple[Rows, Rows]] = field(default_factory=list)
    entered: list[Tensor] = field(default_factory=list)
    first_layer: list[Tensor] = field(default_factory=list)


@measured_once
def captured_batches(s: Setup, augmented: bool = True) -> BatchCapture:
    """Runs the training step on its first 30 batches."""
    capture, model = BatchCapture(), s.new_model()
    optimizer = s.optimizer_for(model)
    hooks = [on_entry(s, model, lambda x: capture.entered.append(x.detach().clone()))]
    reached: list[nn.Module] = []

    def capture_first(module, args):
        if not reached and args and isinstance(args[0], Tensor):
            capture.first_layer.append(args[0].detach().clone())
            reached.append(module)

    for module in model.modules():
        if isinstance(module, PRODUCTS):
            hooks.append(module.register_forward_pre_hook(capture_first))
    with seeded(s.seed, "train"):
        for _, (x, y) in zip(range(BATCHES), s.batches(s.seed, augmented), strict=False):
            capture.loaded.append((x, y))
            reached.clear()
            s.train_step(model, optimizer, x, y, s.loss)
    for hook in hooks:
        hook.remove()
    return capture


def on_entry(s: Setup, model: nn.Module, note: Callable[[Tensor], None]) -> RemovableHandle:
    """Calls note(inputs) at each call of the model, of several parts with the main one, or the first."""
    x = s.train_tensors[0]
    structure = None if isinstance(x, Tensor) else x.given
    place, keys = (0 if isinstance(x, Tensor) or x.place is None else x.place), list(structure or ())
    key = keys[place] if isinstance(structure, Mapping) and place < len(keys) else None

    def hook(module: nn.Module, args: tuple, named: dict[str, Any]) -> None:
        if key in named:
            note(named[key])
        elif len(args) > place and isinstance(args[place], Tensor):
            note(args[place])
        else:
            note(next(t for t in tree_leaves((args, named)) if isinstance(t, Tensor)))

    return model.register_forward_pre_hook(hook, with_kwargs=True)


def flattened(batches: list[Tensor]) -> Tensor:
    """(N, features), float32; examples of different lengths are cut to the shortest."""
    rows = [x.reshape(len(x), -1).float() for x in batches]
    width = min((r.shape[1] for r in rows), default=0)
    return torch.cat([r[:, :width] for r in rows]) if rows else torch.zeros(0, 0)


def has_numeric_inputs(s: Setup) -> bool:
    """Inputs are numbers, and not the indices of tokens. Raises DoesNotApply where they have parts of both kinds."""
    x = s.train_tensors[0]
    if not isinstance(x, Tensor) and x.place is None:
        numeric = {t.is_floating_point() for t in x.tensors}
        if len(numeric) == 1:
            return numeric.pop()
    return main(x).is_floating_point()


def repeats_are_natural(s: Setup) -> bool:
    """Independent examples may be equal: tokens, or a table whose columns take few values each."""
    x = main(s.train_tensors[0])
    return not has_numeric_inputs(s) or (x.ndim == 2 and max(column.unique().numel() for column in x.T) <= 32)


@measured_once
def step_mixes_examples(s: Setup) -> bool:
    """The step mixes or changes its batch before the model gets it: as declared, or as captured."""
    if s.declare.mixes_samples:
        return True
    capture = captured_batches(s)
    for (x, _), entered in zip(capture.loaded, capture.entered, strict=False):
        x = main_or_first(x)
        if x.shape != entered.shape:
            return True
        a, b = (t.reshape(len(t), -1).double() for t in (x, entered))
        a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
        correlation = (a * b).sum(1).abs() / (a.norm(dim=1) * b.norm(dim=1)).clamp_min(1e-12)
        if (correlation[a.norm(dim=1) > 1e-6] < 0.99).any():
            return True
    return False
