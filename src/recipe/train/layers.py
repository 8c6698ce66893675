"""Layers over lanes, examples last: (M, ..., B) with M sets of weights, for models that are a sequence of them and of
residual blocks.

The same mathematics as vmap's with fewer and longer kernels; every other model goes through vmap.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipe.data.quantiles import Quantiles
from recipe.models.plain import Centre
from recipe.models.resnet import Residual
from recipe.train.convolution import Convolution
from recipe.train.dropout import Keyed, draw, dropped

Forward = Callable[[dict[str, Tensor], Tensor], Tensor]
Layer = Callable[..., Tensor]  # (module, x, its tensors)
Step = Callable[[dict[str, Tensor], Tensor], Tensor]  # (tensors by name, x (M, ..., B)) -> (M, ..., B)


def forward_of(model: nn.Module) -> Forward | None:
    """(weights and buffers by name, each (M, ...); x (M, B, ...)) -> (M, B, K); None where a layer has no form here."""
    steps = _steps(model, "")
    tied = len(list(model.named_parameters(remove_duplicate=False))) != len(list(model.named_parameters()))
    if steps is None or tied:
        return None

    def forward(tensors: dict[str, Tensor], x: Tensor) -> Tensor:
        return _run(steps, tensors, x.movedim(1, -1)).movedim(-1, 1)

    return forward


def _run(steps: list[Step], tensors: dict[str, Tensor], x: Tensor) -> Tensor:
    for step in steps:
        x = step(tensors, x)
    return x


def _steps(module: nn.Module, prefix: str) -> list[Step] | None:
    if type(module) is nn.Sequential:
        steps: list[Step] = []
        for name, child in module.named_children():
            part = _steps(child, f"{prefix}{name}.")
            if part is None:
                return None
            steps += part
        return steps
    if type(module) is Residual:
        body, shortcut = (_steps(getattr(module, name), f"{prefix}{name}.") for name in ("body", "shortcut"))
        return None if body is None or shortcut is None else [partial(_residual, module, body, shortcut)]
    for types, supports, layer, names in LAYERS:
        if type(module) in types and supports(module):
            held = [prefix + name for name in names if getattr(module, name) is not None]
            return [partial(_apply, layer, module, held)]
    return None


def _apply(layer: Layer, module: nn.Module, names: list[str], tensors: dict[str, Tensor], x: Tensor) -> Tensor:
    return layer(module, x, *[tensors[name] for name in names])


def _residual(
    module: Residual, body: list[Step], shortcut: list[Step], tensors: dict[str, Tensor], x: Tensor
) -> Tensor:
    out: Tensor = module.activation(_run(shortcut, tensors, x) + _run(body, tensors, x))
    return out


def _elementwise(module: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return module(x)


def _flatten(module: nn.Flatten, x: Tensor) -> Tensor:
    return x.flatten(1, -2)


def _centre(module: Centre, x: Tensor) -> Tensor:
    """x (M, C, H, W, B)."""
    return module.forward(x.movedim(-1, 0)).movedim(0, -1)


def _linear(module: nn.Linear, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.bmm(weight, x) if bias is None else torch.baddbmm(bias.unsqueeze(2), weight, x)


def _conv(module: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    out: Tensor = Convolution.apply(x, weight, bias, module.stride, module.padding, module.dilation)
    return out


def _pool(module: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """(M, C, H, W, B) is a batch of M C with B channels, channels last; a pool treats each channel separately."""
    out = module(x.flatten(0, 1).permute(0, 3, 1, 2))
    return torch.unflatten(out.permute(0, 2, 3, 1), 0, x.shape[:2])


def _norm(
    module: nn.BatchNorm1d | nn.BatchNorm2d,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    var: Tensor,
    count: Tensor,
) -> Tensor:
    if module.training:
        count.add_(1)
    mean, var, weight, bias = (t.flatten() for t in (mean, var, weight, bias))
    momentum: Any = module.momentum  # `supports` has refused None
    x_of_channels = x.reshape(1, weight.numel(), -1)
    return F.batch_norm(x_of_channels, mean, var, weight, bias, module.training, momentum, module.eps).view(x.shape)


def _dropout(module: Keyed, x: Tensor, key: Tensor, p: Tensor) -> Tensor:
    if not module.training or module.off:
        return x
    module.calls += 1
    shape = module.shape_of(x[0].movedim(-1, 0))
    if module.shared_keys:
        first, source = module.shared_keys
        u = draw(key[first], module.calls, shape)[source]
    else:
        u = draw(key, module.calls, shape)
    p = p.view(-1, *[1] * (x.ndim - 1))
    return dropped(x, u.ge_(p), p)  # in place, so a float: a boolean takes four times as long on a CPU


def _quantiles(module: Quantiles, x: Tensor, knots: Tensor, widths: Tensor, rises: Tensor, start: Tensor) -> Tensor:
    """x (M, F, B)."""
    parts = ((x.unsqueeze(2) - knots.unsqueeze(3)) / widths.unsqueeze(3)).clamp(0, 1)
    return start.unsqueeze(2) + (parts * rises.unsqueeze(3)).sum(2)


ELEMENTWISE = (nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Softplus)
POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
LAYERS: list[tuple[tuple[type, ...], Callable[[Any], bool], Layer, tuple[str, ...]]] = [
    # (types, the settings that are supported, layer, its tensors)
    (ELEMENTWISE, lambda m: True, _elementwise, ()),
    ((nn.Flatten,), lambda m: (m.start_dim, m.end_dim) == (1, -1), _flatten, ()),
    ((Centre,), lambda m: True, _centre, ()),
    ((nn.Linear,), lambda m: True, _linear, ("weight", "bias")),
    (
        (nn.Conv2d,),
        lambda m: m.groups == 1 and m.padding_mode == "zeros" and not isinstance(m.padding, str),
        _conv,
        ("weight", "bias"),
    ),
    (POOLS, lambda m: not getattr(m, "return_indices", False), _pool, ()),
    (
        (nn.BatchNorm1d, nn.BatchNorm2d),
        lambda m: m.affine and m.track_running_stats and m.momentum is not None,
        _norm,
        ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"),
    ),
    ((Keyed,), lambda m: True, _dropout, ("key", "p")),
    ((Quantiles,), lambda m: True, _quantiles, ("knots", "widths", "rises", "start")),
]
