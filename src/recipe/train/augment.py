"""Augmentation, on whole batches where it is ours, image by image where it is a person's own."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Shift:
    """Moves each image by -pixels..pixels along both axes; the border is the image's edge, repeated."""

    pixels: int = 1

    def on_batch(self, x: Tensor, generator: torch.Generator) -> Tensor:
        p, (n, _, height, width) = self.pixels, x.shape
        padded = F.pad(x, (p, p, p, p), mode="replicate")
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # (n, c, 2p+1, 2p+1, height, width)
        down, right = torch.randint(0, 2 * p + 1, (2, n), generator=generator).to(x.device)
        return windows[torch.arange(n, device=x.device), :, down, right]


@dataclass(frozen=True)
class Flip:
    """Mirrors half of the images left to right."""

    def on_batch(self, x: Tensor, generator: torch.Generator) -> Tensor:
        mirrored = torch.rand(len(x), generator=generator).to(x.device) < 0.5
        return torch.where(mirrored[:, None, None, None], x.flip(3), x)


def apply(augment, x: Tensor, generator: torch.Generator) -> Tensor:
    """x: (B, C, H, W). A person's own `image -> image` is called once an image, with torch's global generator."""
    if hasattr(augment, "on_batch"):
        return augment.on_batch(x, generator)
    return torch.stack([augment(image) for image in x])
