"""Augmentation, on whole batches where it is ours, image by image where it is a person's own."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Affine:
    """Turns, scales and moves each image a little, each amount drawn evenly from -limit..limit.

    degrees: of rotation; zoom: share of the size; pixels: of either shift. What comes in at the border is the edge,
    repeated. The same as torchvision's RandomAffine per image, in one call for the batch.
    """

    degrees: float = 5.0
    zoom: float = 0.05
    pixels: float = 0.25

    def on_batch(self, x: Tensor, generator: torch.Generator) -> Tensor:
        n, _, height, width = x.shape
        turn, zoom, right, down = (torch.rand(4, n, generator=generator) * 2 - 1).to(x)
        angle, scale = turn * math.radians(self.degrees), 1 + zoom * self.zoom
        cos, sin = angle.cos() / scale, angle.sin() / scale
        # rows of the matrix from output to input places, both in -1..1 over the image
        row_x = torch.stack([cos, -sin * height / width, 2 * self.pixels * right / width], 1)
        row_y = torch.stack([sin * width / height, cos, 2 * self.pixels * down / height], 1)
        grid = F.affine_grid(torch.stack([row_x, row_y], 1), list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


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


def ours(augment) -> bool:
    return augment is None


def kind(augment):
    return augment


def stack(augments, batch_size):
    return None
