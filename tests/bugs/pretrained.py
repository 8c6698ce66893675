"""Bugs of pretrained networks, on a small one that was trained here: on digits in colour, prepared in its own way."""

from functools import cache

import torch
from healthy import digits
from torch import nn
from torch.nn import functional as F

from bugs.reference import on_digits, split
from bugs.registry import bug
from recipe.checks.declare import Declare
from recipe.checks.setup import Setup
from recipe.rng import seeded

MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)  # its own; ImageNet has others
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE, TRAINED, AT = 16, 900, 700


@cache
def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """Digits (1797, 3, 16, 16) in 0..1, of one colour on another, reds brighter and blues darker."""
    x, y = digits()
    strokes = (x - x.min()) / (x.max() - x.min())
    strokes = F.interpolate(strokes, scale_factor=SIZE // strokes.shape[-1], mode="bilinear")
    random = torch.Generator().manual_seed(6)
    shades = (1.2 * torch.rand(2, len(x), 3, 1, 1, generator=random) - 0.1).clamp(0, 1)  # some black, some full
    shades = shades ** torch.tensor([0.6, 1.0, 1.6]).view(3, 1, 1)
    return strokes * shades[0] + (1 - strokes) * shades[1], y


def prepared(x: torch.Tensor, mean=MEAN, std=STD) -> torch.Tensor:
    m, s = (torch.tensor(v).view(3, 1, 1) for v in (mean, std))
    return (x - m) / s


def body(norm: bool = True) -> nn.Sequential:
    """(B, 3, H, W) -> (B, 32), with what timm's networks say of their pretraining."""
    norms = [nn.BatchNorm2d(16), nn.BatchNorm2d(32)] if norm else [nn.GroupNorm(4, 16), nn.GroupNorm(4, 32)]
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), norms[0], nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), norms[1], nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 32), nn.ReLU(),
    )  # fmt: skip
    net.pretrained_cfg = {"mean": MEAN, "std": STD, "input_size": (3, SIZE, SIZE)}
    return net


@cache
def weights(norm: bool = True) -> dict[str, torch.Tensor]:
    """Of a body that was trained to tell the first digits apart."""
    x, y = (t[:TRAINED] for t in pictures())
    with seeded(0, "pretraining"):
        net = nn.Sequential(body(norm), nn.Linear(32, 10))
        optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
        for _ in range(8):
            for rows in torch.randperm(TRAINED).split(50):
                optimizer.zero_grad()
                F.cross_entropy(net(prepared(x[rows])), y[rows]).backward()
                optimizer.step()
    return {name: value.detach() for name, value in net[0].state_dict().items()}


class Finetuned(nn.Module):
    """A pretrained body and a new head. frozen: without gradients, and in eval mode whatever the rest is in."""

    def __init__(self, frozen: bool = True, state=None, norm: bool = True, still: bool = True):
        super().__init__()
        self.body, self.head = body(norm), nn.Linear(32, 5)
        self.body.load_state_dict(weights(norm) if state is None else state, strict=False)
        self.body.requires_grad_(not frozen)
        self.still = frozen and still

    def train(self, mode: bool = True):
        super().train(mode)
        if self.still:
            self.body.eval()
        return self

    def forward(self, x):
        return self.head(self.body(x))


def finetuning(seed: int, x=None, frozen: bool = True, model=None, declare=None, **changes) -> Setup:
    """The digits that the body has not seen, by their value over two. x: (897, 3, H, W) as they enter."""
    pictured, y = (t[TRAINED:] for t in pictures())
    parts = split(prepared(pictured) if x is None else x, y // 2, AT)
    declared = declare or Declare(frozen=("body",) if frozen else ())
    return on_digits(
        seed, **parts, model=model or (lambda: Finetuned(frozen)), declare=declared,
        **{"optimizer": lambda m: torch.optim.Adam([p for p in m.parameters() if p.requires_grad], 3e-3)} | changes,
    )  # fmt: skip


def shown() -> torch.Tensor:
    return pictures()[0][TRAINED:]


HEALTHY = {
    "pretrained, frozen": finetuning,
    "pretrained, all of it trained": lambda s: finetuning(s, frozen=False),
    "pretrained, layers without batch norm": lambda s: finetuning(s, model=lambda: Finetuned(norm=False)),
    "pretrained, pictures without white": lambda s: finetuning(s, prepared(0.7 * shown()), frozen=False),
    "pretrained, declared": lambda s: finetuning(s, declare=Declare(frozen=("body",), pretrained=("body",))),
}


@bug("R83", "mr-eggplant/FOA#2; mlfoundations/open_clip#311", "inputs_suit_the_pretrained_part")
def another_familys_mean_and_std(seed):
    """images are prepared with ImageNet's mean and std for a network that has its own"""
    return finetuning(seed, prepared(shown(), *IMAGENET))


@bug("R84", "creafz/pytorch-cnn-finetune#20", "inputs_suit_the_pretrained_part")
def bytes_in_place_of_shares(seed):
    """0..255 in place of 0..1 goes into the normalisation"""
    return finetuning(seed, prepared(255 * shown()))


@bug("R85", "geyan21/ManiFlow_Policy#20", "inputs_suit_the_pretrained_part")
def not_normalised(seed):
    """images in 0..1 enter a network that expects them normalised"""
    return finetuning(seed, shown())


@bug("R86", "R83, by a transform in the data set and another in the loop", "inputs_suit_the_pretrained_part")
def normalised_twice(seed):
    """images are normalised twice, all layers are trained"""
    return finetuning(seed, prepared(prepared(shown())), frozen=False)


@bug("R87", "R84, without a batch norm", "inputs_suit_the_pretrained_part")
def bytes_without_batch_norm(seed):
    """0..255 enters a network without batch norm, whose configuration alone says what it expects"""
    return finetuning(seed, prepared(255 * shown()), model=lambda: Finetuned(norm=False))


@bug("R88", "CondadosAI/modern-yolonas#7; xiaochus/YOLOv3#22", "colours_are_in_order")
def blue_green_red(seed):
    """images were read by OpenCV, and are in the order blue, green, red"""
    return finetuning(seed, prepared(shown().flip(1)))


@bug("R89", "Touvron et al. 2019", "images_have_the_size_of_pretraining")
def no_resize(seed):
    """small images enter without being enlarged"""
    return finetuning(seed, prepared(F.interpolate(shown(), 4, mode="area")))


@bug(
    "R90",
    "pytorch/pytorch#141256",
    "the_pretrained_part_is_loaded",
)
def names_that_do_not_match(seed):
    """a layer of the file has another name, and strict=False hides it"""
    renamed = {name.replace("3.", "layer2."): value for name, value in weights().items()}
    declare = Declare(frozen=("body",), pretrained=("body",))
    return finetuning(seed, model=lambda: Finetuned(state=renamed), declare=declare)


@bug("R91", "R90, by an initialisation after loading", "the_pretrained_part_is_loaded")
def initialised_after_loading(seed):
    """an `apply` of an initialisation, meant for the head, reaches the whole net"""

    def model():
        net = Finetuned(frozen=False)
        net.apply(lambda m: nn.init.kaiming_normal_(m.weight) if isinstance(m, nn.Conv2d | nn.Linear) else None)
        return net

    return finetuning(seed, frozen=False, model=model, declare=Declare(pretrained=("body",)))


@bug("R92", "R90, of buffers", "the_pretrained_part_is_loaded")
def statistics_left_behind(seed):
    """only the parameters were saved, so that batch norm has the statistics of a new one"""
    parameters = {name: value for name, value in weights().items() if "running" not in name}
    return finetuning(seed, model=lambda: Finetuned(state=parameters))


@bug("R93", "pytorch/pytorch#86590; lightly-ai/lightly#1438", "frozen_statistics_stay")
def statistics_move(seed):
    """a frozen body stays in train mode, and its batch norm goes on averaging"""
    return finetuning(seed, model=lambda: Finetuned(still=False))
