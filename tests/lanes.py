"""Lanes of several architectures on digits, for the tests of the engine."""

import torch
from healthy import digits
from torch import nn
from torch.nn import functional as F

from recipe import rng
from recipe.data.batches import Split
from recipe.models.plain import convnet, linear, mlp
from recipe.models.resnet import resnet9
from recipe.train.lane import Lane

X, Y = digits()


class Residual(nn.Module):
    """No sequence of layers, with one dropout used twice, tied weights and layer norm: what goes through vmap."""

    def __init__(self, k: int = 10, width: int = 24, scale: float = 1.0):
        super().__init__()
        self.first, self.drop, self.norm = nn.Linear(64, width), nn.Dropout(0.3), nn.LayerNorm(width)
        self.middle = nn.Linear(width, width)
        self.again = self.middle
        self.last, self.scale = nn.Linear(width, k), scale

    def forward(self, x):
        h = self.drop(F.gelu(self.first(x.flatten(1))))
        h = h + self.drop(torch.tanh(self.middle(h)))
        return self.last(self.norm(h + self.scale * self.again(h)))


def normed(k: int) -> nn.Module:
    """Batch norm, pooling, strides and both kinds of dropout.

    No bias before a batch norm: its gradient is nothing but rounding, which Adam makes steps of.
    """
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout2d(0.2), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=(1, 0), stride=(2, 1)), nn.SiLU(), nn.AvgPool2d((1, 2)), nn.Flatten(),
        nn.LazyLinear(12, bias=False), nn.BatchNorm1d(12), nn.Tanh(), nn.Dropout(0.1), nn.Linear(12, k),
    )  # fmt: skip


MODELS = {
    "linear": linear,
    "mlp": lambda k: mlp(k, width=24, dropout=0.3),
    "convnet": lambda k: convnet(k, width=4, dropout=0.3),
    "batch norm": normed,
    "resnet9": lambda k: resnet9(k, width=2, dropout=0.2),
    "residual, by vmap": Residual,
}


def parts(device: str = "cpu", dtype=torch.float32) -> tuple[Split, Split]:
    """(train, val) of 200 and 90 digits."""
    x, y = X.to(device, dtype), Y.to(device)
    return Split(x[:200], y[:200], []), Split(x[200:290], y[200:290], [])


def lane(
    make=MODELS["mlp"], seed: int = 0, *, device="cpu", dtype=torch.float32, optimizer=torch.optim.AdamW, smoothing=0.0,
    options=None, **more,
) -> Lane:  # fmt: skip
    with rng.seeded(seed, "init"):
        model = make(10)
        model.eval()(X[:2])
        model.to(device, dtype)
    more = {"steps": 100, "batch_size": 32, "loss": nn.CrossEntropyLoss(label_smoothing=smoothing)} | more
    built = optimizer(model.parameters(), **{"lr": 1e-3} | (options or {}))
    return Lane(model.train(), built, seed=seed, **more)


def bits(result) -> list:
    """All of a result but its seconds; a NaN is equal to itself."""
    tensors = [*sorted(result.last.items()), *sorted(result.best.items()), *enumerate(result.watched)]
    rest = repr((result.curve, result.best_row, result.ended))
    return [rest, *((name, t.numpy().tobytes()) for name, t in tensors)]


def same(a, b) -> bool:
    return bits(a) == bits(b)
