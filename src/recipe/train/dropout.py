"""Dropout that draws from a key: a lane has the same mask wherever it is computed."""

from typing import Any

import torch
from torch import Tensor, nn

from recipe import rng

WHOLE_CHANNELS = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


@torch.library.custom_op("recipe::draw", mutates_args=())
def draw(key: Tensor, call: int, shape: list[int]) -> Tensor:
    """Uniform numbers of the call-th use of a key: (*shape) for a key (2,), (M, *shape) for keys (M, 2)."""
    return rng.uniform(rng.fold(key, call), *shape)


@draw.register_fake
def _(key: Tensor, call: int, shape: list[int]) -> Tensor:
    return torch.empty([*key.shape[:-1], *shape], device=key.device)


@draw.register_vmap
def _(info: Any, in_dims: tuple[int, ...], key: Tensor, call: int, shape: list[int]) -> tuple[Tensor, int]:
    return draw(key.movedim(in_dims[0], 0), call, shape), 0


class Keyed(nn.Module):
    """nn.Dropout, nn.Dropout1d, 2d or 3d with a mask that depends on a key and on the number of its uses since.

    `p` and `key` are buffers, so that lanes of one architecture may differ in them; neither is saved. shared_keys:
    (the lanes whose keys differ, for each lane the one of these that has its key), where lanes are known to share keys.
    """

    p: Tensor
    key: Tensor
    shared_keys: tuple[Tensor, Tensor] | None = None

    def __init__(self, p: float, channels: bool):
        super().__init__()
        self.channels, self.calls, self.in_vmap = channels, 0, False
        self.register_buffer("p", torch.tensor(float(p)), persistent=False)
        self.register_buffer("key", torch.zeros(2, dtype=torch.int64), persistent=False)
        self.off = not p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.off:
            return x
        self.calls += 1
        drawn = draw if self.in_vmap else _draw
        u = drawn(self.key, self.calls, self.shape_of(x)).movedim(-1, 0)
        return dropped(x, u >= self.p, self.p)

    def shape_of(self, x: Tensor) -> list[int]:
        """Of the numbers for x (B, ...), examples last as layers.py has them: one per value, or per channel."""
        return [x.shape[1], *[1] * (x.ndim - 2), len(x)] if self.channels else [*x.shape[1:], len(x)]

    def extra_repr(self) -> str:
        return f"p={self.p.item():g}"


def _draw(key: Tensor, call: int, shape: list[int]) -> Tensor:
    return rng.uniform(rng.fold(key, call), *shape)


def dropped(x: Tensor, keep: Tensor, p: Tensor) -> Tensor:
    """x where `keep` is true or 1, else 0; divided by the share 1 - p that is kept (Srivastava et al. 2014)."""
    scale: Tensor = 1 / (1 - p).clamp_min(1e-12)
    return x * (keep * scale).to(x.dtype)


def keyed(model: nn.Module) -> list[Keyed]:
    """Replaces every dropout layer of `model` by Keyed; returns them in the order of the model's modules."""
    replacements: dict[nn.Module, Keyed] = {}
    device = next((p.device for p in model.parameters()), None)
    for module in list(model.modules()):
        for name, child in module._modules.items():
            if isinstance(child, nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d) and type(child) in REPLACED:
                if child not in replacements:  # a layer that is used in several places stays one layer
                    layer = Keyed(child.p, type(child) in WHOLE_CHANNELS).train(child.training)
                    replacements[child] = layer.to(device)
                module._modules[name] = replacements[child]
    return [module for module in model.modules() if isinstance(module, Keyed)]


REPLACED = (nn.Dropout, *WHOLE_CHANNELS)  # these types alone: a subclass may do something else


def give_keys(layers: list[Keyed], key: Tensor) -> None:
    """A key for each layer, from that of the step."""
    for i, layer in enumerate(layers):
        layer.key, layer.calls = rng.fold(key, i), 0
