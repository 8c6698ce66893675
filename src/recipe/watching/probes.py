"""Questions that are put to a copy of the model: the training sees neither the copy nor the random numbers it uses."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recipe.checks.copies import copied
from recipe.checks.measurements.activations import Signals, WatchOperations
from recipe.checks.measurements.batch_capture import PRODUCTS
from recipe.rng import seeded
from recipe.watching.structures import batch_size, main_output, map_rows

LARGEST = 2**30  # bytes of a model that is copied


@dataclass(frozen=True)
class Probed:
    """What a copy of the model did with a batch. None: could not be asked.

    size: of the batch, as its first tensor has it. mixed: the largest relative change of an output in eval mode when
    the other examples of its batch are exchanged. ignored: share of examples whose output stays the same when they are
    exchanged themselves. dead: share of dead or saturated units in the worst layer. scale: root mean square of what
    enters the first layer with weights. restless: in eval mode the same input gives another output the second time.
    normalised: halving the weights of the head changes no output, as in a cosine classifier, whose scale is chosen.
    """

    size: int = 0
    mixed: float | None = None
    ignored: float | None = None
    dead: float | None = None
    scale: float | None = None
    restless: bool | None = None
    normalised: bool = False
    reason: str = ""


def copied_model(model: nn.Module) -> nn.Module | None:
    """A copy without hooks; None where the model is too large, or cannot be copied."""
    if sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers())) > LARGEST:
        return None
    try:
        other = copied(model)
    except Exception:  # a module may hold what cannot be copied, as a file
        return None
    for module in other.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks):
            hooks.clear()
    return other


def probe(model: nn.Module, args: tuple, kwargs: dict) -> Probed:
    """model: a copy, which this changes. args, kwargs: a batch as the training called the model."""
    size = batch_size((args, kwargs))
    if size < 2:
        return Probed(reason="a batch has one example")
    try:
        with torch.no_grad(), seeded(0, "watch"):
            return _probe(model, args, kwargs, size)
    except Exception as error:  # any code may refuse a part of its batch
        return Probed(reason=f"the model does not take a part of its batch: {type(error).__name__}")


def _probe(model: nn.Module, args: tuple, kwargs: dict, size: int) -> Probed:
    noted, scale = Signals(), _Scale()
    hooks = [m.register_forward_pre_hook(scale.note) for m in model.modules() if isinstance(m, PRODUCTS)]
    with WatchOperations(noted.note):
        model.train()(*args, **kwargs)
    for hook in hooks:
        hook.remove()
    model.eval()
    _add_noise(model)
    plain, again = (_outputs(model, args, kwargs, size, draw) for draw in range(2))
    if plain is None or again is None:
        return Probed(
            dead=max(noted.dead + noted.saturated, default=None), scale=scale.value, reason="no output per example"
        )
    rolled = _outputs(model, *_rows(args, kwargs, size, torch.arange(size).roll(1)), size)
    last = size // 2 - 1 if size > 3 else size - 1
    mixed = max(_change(model, args, kwargs, size, kept) for kept in (0, last))
    differ = None if rolled is None else (rolled.reshape(size, -1) != plain.reshape(size, -1)).any(1)
    return Probed(
        size=size,
        mixed=mixed,
        ignored=None if differ is None else 1 - differ.double().mean().item(),
        dead=max(noted.dead + noted.saturated, default=None),
        scale=scale.value,
        restless=not plain.equal(again),
        normalised=_head_is_normalised(model, args, kwargs, plain),
    )  # fmt: skip


def _add_noise(model: nn.Module) -> None:
    """A little on every parameter: a head of zeros would hide what comes before it."""
    for p in model.parameters():
        if p.is_floating_point():
            p.add_(torch.randn_like(p), alpha=0.01 * max(p.abs().mean().item(), 0.01))


def _head_is_normalised(model: nn.Module, args: tuple, kwargs: dict, plain: Tensor) -> bool:
    """Of one of the last three matrices that have the width of the outputs."""
    for head in [p for p in model.parameters() if p.ndim == 2 and plain.shape[-1] in p.shape][-3:]:
        head.mul_(0.5)
        halved = _outputs(model, args, kwargs, len(plain))
        head.mul_(2.0)
        if halved is not None and torch.allclose(halved, plain, rtol=1e-3, atol=1e-3):
            return True
    return False


def _change(model: nn.Module, args: tuple, kwargs: dict, size: int, kept: int) -> float:
    """The largest relative change of the output of one example when the others are replaced by those of the second half
    of the batch; in a batch of two or three, by copies of the one."""
    count = size // 2 if size > 3 else size
    one = torch.arange(count)
    other = torch.arange(count, 2 * count) if size > 3 else torch.full((size,), kept)
    other[kept] = kept
    before, after = (_outputs(model, *_rows(args, kwargs, size, index), count) for index in (one, other))
    if before is None or after is None or after.shape != before.shape:
        return 0.0
    return ((after[kept] - before[kept]).abs().max() / before[kept].abs().max().clamp_min(1e-6)).item()


def _rows(args: tuple, kwargs: dict, size: int, index: Tensor) -> tuple[tuple, dict]:
    rows: tuple[tuple, dict] = map_rows((args, kwargs), size, lambda t: t[index.to(t.device)])
    return rows


def _outputs(model: nn.Module, args: tuple, kwargs: dict, size: int, draw: int = 0) -> Tensor | None:
    """With the same random numbers for each `draw`."""
    with seeded(draw, "watch"):
        out = main_output(model(*args, **kwargs), size)
    return None if out is None else out.float()


class _Scale:
    """The root mean square of the inputs of the first layer with weights that multiply."""

    def __init__(self) -> None:
        self.value: float | None = None

    def note(self, module: nn.Module, args: tuple) -> None:
        if self.value is None and args and isinstance(args[0], Tensor) and args[0].is_floating_point():
            present = args[0][args[0] != 0].float()
            self.value = present.square().mean().sqrt().item() if len(present) else math.nan
