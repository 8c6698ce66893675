"""Inputs that the user's step prepares before the model gets them: bytes divided by 255, float64 cast to float32."""

from dataclasses import dataclass

import torch
from torch import Tensor

RAW = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.float64)  # of inputs that are no indices of tokens


@dataclass(frozen=True)
class Preparation:
    """prepared = scale * raw + shift, each of one number or of one per channel (1, C, 1, ...). dtype: of raw inputs."""

    scale: Tensor
    shift: Tensor
    dtype: torch.dtype

    def apply(self, raw: Tensor) -> Tensor:
        return self.scale.to(raw.device) * raw.float() + self.shift.to(raw.device)

    def undo(self, prepared: Tensor) -> Tensor:
        raw = (prepared - self.shift.to(prepared.device)) / self.scale.to(prepared.device)
        return raw.to(self.dtype) if self.dtype.is_floating_point else raw.round().to(self.dtype)


def cast_only(raw: Tensor) -> Preparation:
    return Preparation(torch.ones(1), torch.zeros(1), raw.dtype)


def measured(raw: Tensor, entered: Tensor) -> Preparation | None:
    """From a batch as loaded and as it entered the model, (N, ...) each; None where no scale and shift of the whole or
    of each channel makes the one of the other, as where the step augments."""
    if raw.shape != entered.shape:
        return None
    for channels in (False, True) if raw.ndim > 2 else (False,):
        x, y = (
            t.double().transpose(0, 1).flatten(1) if channels else t.double().reshape(1, -1) for t in (raw, entered)
        )
        mean_x, mean_y = x.mean(1, keepdim=True), y.mean(1, keepdim=True)
        spread = (x - mean_x).square().sum(1, keepdim=True)
        scale = ((x - mean_x) * (y - mean_y)).sum(1, keepdim=True) / spread.clamp_min(1e-12)
        shift = mean_y - scale * mean_x
        if (scale != 0).all() and (scale * x + shift - y).abs().max() < 1e-4 * max(1e-12, y.abs().max().item()):
            shape = (1, -1, *[1] * (raw.ndim - 2)) if channels else (1,) * raw.ndim
            return Preparation(scale.float().reshape(shape), shift.float().reshape(shape), raw.dtype)
    return None
