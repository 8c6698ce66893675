"""The pretrained part of a model: what was loaded, what enters it, and how well that suits it."""

import contextlib
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from recipe.checks.measurements.measured_once import measured_once
from recipe.checks.setup import Setup

LOADED = 0.5  # share of the weights that do not depend on the seed, from which on a model counts as pretrained
EXAMPLES = 64  # that enter the model
FIRST_NORMS = 10  # batch norms in which channels in another order are compared
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# (mean, std) of images in 0..1 that published weights expect: ImageNet's, -1..1, 0..1, 0..255
PREPARATIONS = (IMAGENET, ((0.5,) * 3, (0.5,) * 3), ((0.0,) * 3, (1.0,) * 3), ((0.0,) * 3, (1 / 255,) * 3))

BatchNorm = nn.modules.batchnorm._BatchNorm


@dataclass(frozen=True)
class PretrainedPart:
    """prefixes: as declared; () where the part was recognised. loaded: names of the tensors that do not depend on the
    seed; drawn: of those that do. module: the smallest one that holds all that is loaded; name: its own.

    mean, std, size: of its pretraining, as its own configuration has them; () where it has none.
    """

    prefixes: tuple[str, ...]
    loaded: frozenset[str]
    drawn: frozenset[str]
    name: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    size: tuple[int, ...] = ()

    def module(self, model: nn.Module) -> nn.Module:
        return model.get_submodule(self.name)


@measured_once
def pretrained_part(s: Setup) -> PretrainedPart | None:
    """As declared; else what most of the weights belong to, where they are the same for each seed.

    None where there is neither, and where all models are copies of one.
    """
    if s.copies_model and not s.declare.pretrained:
        return None
    one, other = s.new_model(0), s.new_model(1)
    weights, others = dict(one.named_parameters()), dict(other.named_parameters())
    random = {n for n, w in weights.items() if w.ndim > 1 and w.numel() > 1 and w.detach().std() > 0}
    loaded = {n for n in random if n in others and weights[n].equal(others[n])}
    total = sum(weights[n].numel() for n in random)
    declared = tuple(s.declare.pretrained)
    if not declared and sum(weights[n].numel() for n in loaded) <= LOADED * max(1, total):
        return None
    inside = [n for n in weights if n.startswith(declared)] if declared else sorted(loaded)
    name = _common_module(inside)
    return PretrainedPart(
        declared, frozenset(loaded), frozenset(random - loaded), name, *_preparation(one.get_submodule(name))
    )


def _common_module(names: list[str]) -> str:
    """The module that holds all of these parameters."""
    paths = [name.split(".")[:-1] for name in names]
    shared = 0
    while paths and all(len(path) > shared and path[shared] == paths[0][shared] for path in paths):
        shared += 1
    return ".".join(paths[0][:shared]) if paths else ""


def _preparation(module: nn.Module) -> tuple[tuple, tuple, tuple]:
    """(mean, std, size) as timm's networks carry them; those of torchvision are ImageNet's; empty where unknown."""
    for inner in module.modules():
        facts: Any = getattr(inner, "pretrained_cfg", None) or getattr(inner, "default_cfg", None)
        if isinstance(facts, dict) and facts.get("mean") and facts.get("std"):
            size = tuple(facts.get("input_size") or ())[1:]
            return tuple(map(float, facts["mean"])), tuple(map(float, facts["std"])), size
    if type(module).__module__.startswith("torchvision.models"):
        return *IMAGENET, ()
    return (), (), ()


@measured_once
def entering(s: Setup) -> Tensor | None:
    """(N, 3, H, W) what enters the pretrained part; None where these are no pictures of three channels."""
    part = pretrained_part(s)
    seen: list[Tensor] = []
    if part is None:
        return None
    model = _model(s)

    def note(module: nn.Module, args: tuple) -> None:
        seen.extend(args[:1])
        raise _Enough

    hook = part.module(model).register_forward_pre_hook(note)
    with torch.no_grad(), contextlib.suppress(_Enough):
        s.forward(model, s.sample[0][:EXAMPLES])
    hook.remove()
    x = seen[0] if seen else None
    return x if isinstance(x, Tensor) and x.ndim == 4 and x.shape[1] == 3 and x.is_floating_point() else None


@measured_once
def _model(s: Setup) -> nn.Module:
    return s.new_model().eval()


class _Enough(Exception):
    """All that a measurement needs has been seen: the rest of the forward pass is not needed."""


def mismatch(s: Setup, x: Tensor, norms: int = 1) -> list[float]:
    """How far x is from what the pretrained part was trained on, in its first `norms` batch norms.

    The median over channels of the Kullback-Leibler divergence from what arrives to the running statistics, both taken
    as normal: 0.01 to 0.2 where images are prepared as in its training, 0.3 to 10,000 where they are not. Empty where
    it has no batch norm with statistics of a training.
    """
    part = pretrained_part(s)
    assert part is not None
    body = part.module(_model(s))
    found: list[float] = []

    def measure(norm: nn.Module, args: tuple) -> None:
        mean, variance, eps = (getattr(norm, name) for name in ("running_mean", "running_var", "eps"))
        z = args[0].transpose(0, 1).flatten(1)
        ratio = z.var(1) / (variance + eps)
        divergence = ((z.mean(1) - mean) ** 2 / (variance + eps) + ratio - 1 - (ratio + 1e-12).log()) / 2
        found.append(divergence.median().item())
        if len(found) == norms:
            raise _Enough

    hooks = [m.register_forward_pre_hook(measure) for m in body.modules() if isinstance(m, BatchNorm) and trained(m)]
    with torch.no_grad(), contextlib.suppress(_Enough):
        if hooks:
            body(x)
    for hook in hooks:
        hook.remove()
    return found


def trained(norm: BatchNorm) -> bool:
    """It has running statistics, and not those of a new one."""
    mean, variance = norm.running_mean, norm.running_var
    return mean is not None and variance is not None and bool(mean.any() or (variance != 1).any())


def ranges(x: Tensor) -> tuple[Tensor, Tensor]:
    """(lowest, highest) of each channel (C,) of pictures (N, C, H, W)."""
    values = x.transpose(0, 1).flatten(1)
    return values.min(1).values, values.max(1).values


def own_range(mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """What black and white become."""
    m, s = torch.tensor(mean), torch.tensor(std)
    return -m / s, (1 - m) / s


def stretched(x: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """x with the lowest value of each channel where black is in a preparation, and the highest where white is."""
    (low, high), (black, white) = ranges(x), (t.to(x) for t in own_range(mean, std))
    scale = (white - black) / (high - low).clamp_min(1e-12)
    return (x - low[:, None, None]) * scale[:, None, None] + black[:, None, None]


def swapped_over_given(s: Setup, x: Tensor) -> float:
    """The mean log ratio of the mismatch of x with its channels in reverse to that of x; NaN without batch norms."""
    given, swapped = (mismatch(s, v, FIRST_NORMS) for v in (x, x.flip(1)))
    if not given:
        return math.nan
    return sum(math.log(max(b, 1e-9) / max(a, 1e-9)) for a, b in zip(given, swapped, strict=True)) / len(given)
