"""Healthy trainings with unusual data or models: no gate may close."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from bugs.reference import (
    Augmented,
    Net,
    Reader,
    Scalar,
    adam,
    colour,
    digits,
    mlp,
    on_colour,
    on_diabetes,
    on_digits,
    on_echoes,
    on_padded,
    on_tumours,
    split,
    train_step,
    tumours,
)
from recipe.checks.declare import Declare


def imbalanced(seed):
    """H02: binary, 96 : 4"""
    x, y = digits()
    y = (y == 3).float()
    keep = (y == 0) | (torch.arange(len(y)) % 5 < 2)
    x, y = x[keep].flatten(1), y[keep]
    return on_tumours(seed, model=lambda: Scalar(64), epochs=10, **split(x, y, 1000))


def normed(seed):
    """H05: layer norm, GELU, a weight-normed head"""

    def net():
        return nn.Sequential(
            nn.Flatten(), nn.Linear(64, 64), nn.LayerNorm(64), nn.GELU(),
            nn.utils.parametrizations.weight_norm(nn.Linear(64, 10)),
        )  # fmt: skip

    return on_digits(seed, model=net)


def frozen_body(seed):
    """H07: a pretrained body, frozen and declared, under a head that starts at zero"""
    torch.manual_seed(100 + seed)
    trained = Net()
    optimizer = torch.optim.Adam(trained.parameters(), lr=1e-3)
    x, y = digits()
    for start in range(0, 1000, 50):
        train_step(trained, optimizer, x[start : start + 50], y[start : start + 50], F.cross_entropy)

    def net():
        model = Net()
        model.body.load_state_dict(trained.body.state_dict())
        model.body.requires_grad_(False)
        nn.init.zeros_(model.head.weight)
        nn.init.zeros_(model.head.bias)
        return model

    return on_digits(
        seed, model=net, declare=Declare(frozen=("body",)), epochs=10,
        optimizer=lambda m: torch.optim.Adam([p for p in m.parameters() if p.requires_grad], lr=3e-3),
    )  # fmt: skip


def hundred(seed):
    """H11: 100 classes, about 8 examples of each"""
    random = torch.Generator().manual_seed(5)
    centres = torch.randn(100, 32, generator=random)
    y = torch.arange(1200) % 100
    x = centres[y] + 0.5 * torch.randn(1200, 32, generator=random)
    order = torch.randperm(1200, generator=random)
    return on_digits(
        seed, model=lambda: mlp(32, 100, 128), optimizer=adam(3e-3), epochs=20, **split(x[order], y[order], 800)
    )


class Cosine(nn.Module):
    """16 times the cosine of features and class vectors."""

    def __init__(self):
        super().__init__()
        self.body, self.classes = Net(), nn.Parameter(torch.randn(10, 10))

    def forward(self, x):
        return 16 * F.linear(F.normalize(self.body(x), dim=1), F.normalize(self.classes, dim=1))


class Residual(nn.Module):
    """Residual branches whose last layer starts at zero."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(64, 32)
        self.branches = nn.ModuleList(nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32)) for _ in range(3))
        for branch in self.branches:
            nn.init.zeros_(branch[2].weight)
            nn.init.zeros_(branch[2].bias)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        h = self.first(x.flatten(1))
        for branch in self.branches:
            h = h + branch(h)
        return self.head(h)


class Tied(Reader):
    """The head shares its weights with the embedding."""

    def __init__(self):
        super().__init__()
        nn.init.normal_(self.token.weight, std=0.2)
        self.head.weight = self.token.weight


class Inside(nn.Module):
    """Scales raw pixels inside the model."""

    def __init__(self):
        super().__init__()
        self.net = Net()

    def forward(self, x):
        return self.net((x - 90.0) / 100.0)


def shifted(x):
    dy, dx = torch.randint(-1, 2, (2,)).tolist()
    return torch.roll(x, (dy, dx), (-2, -1)) + 0.1 * torch.randn(x.shape)


def augmented_digits(seed):
    return Augmented(TensorDataset(*(t[:1000] for t in digits())), shifted)


def raw(seed):
    x, y = digits()
    return split((x - x.min()) / (x.max() - x.min()) * 255, y, 1000)


def from_hwc(seed):
    """H13: colour images from an (H, W, C) source, correctly permuted"""
    x, y = colour()
    return on_colour(seed, **split(x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2), y, 1000))


def balanced_train(seed):
    """an uneven class drawn again and again for train, and not for val"""
    x, y = tumours()
    rare = torch.nonzero(y[:400] == 0).flatten()
    rows = torch.cat([torch.arange(400), rare])
    return on_tumours(
        seed, train=TensorDataset(x[rows], y[rows]), val=TensorDataset(x[400:], y[400:]),
        declare=Declare(resampled_train=True),
    )  # fmt: skip


def yes_no_table(seed):
    """A table of few yes/no columns, in which rows are equal by nature."""
    random = torch.Generator().manual_seed(4)
    x = (torch.rand(900, 8, generator=random) < 0.4).float()
    y = ((x[:, 0] + x[:, 1] + x[:, 2] + 0.5 * torch.randn(900, generator=random)) > 1.2).float()
    return on_tumours(seed, model=lambda: Scalar(8), declare=Declare(irreducible_noise=True), **split(x, y, 600))


class Rows(nn.Module):
    """A recurrent net over the rows of an image."""

    def __init__(self):
        super().__init__()
        self.read, self.head = nn.GRU(8, 32, batch_first=True), nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.read(x[:, 0])[0][:, -1])


class Patches(nn.Module):
    """A small vision transformer, with a class token and positions that start at zero."""

    def __init__(self):
        super().__init__()
        self.cut = nn.Conv2d(1, 32, 2, stride=2)
        self.first, self.position = nn.Parameter(torch.zeros(1, 1, 32)), nn.Parameter(torch.zeros(1, 17, 32))
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True, norm_first=True)
        self.head = nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 10))

    def forward(self, x):
        h = self.cut(x).flatten(2).transpose(1, 2)
        h = torch.cat([self.first.expand(len(x), -1, -1), h], 1) + self.position
        return self.head(self.layer(h)[:, 0])


HEALTHY = {
    "H02 imbalanced 96 to 4": imbalanced,
    "H04 dropout twice": lambda s: on_digits(
        s,
        model=lambda: nn.Sequential(
            nn.Flatten(),
            nn.Linear(64, 128),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(128, 64),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(64, 10),
        ),
    ),
    "H05 layer norm, GELU, weight norm": normed,
    "H07 frozen body, zero head": frozen_body,
    "H08 regression": on_diabetes,
    "H09 no biases": lambda s: on_digits(
        s,
        model=lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(64, 64, bias=False), nn.ReLU(), nn.Linear(64, 10, bias=False)
        ),
    ),
    "H11 a hundred classes": hundred,
    "H13 colour, permuted": from_hwc,
    "tumours": on_tumours,
    "next tokens": on_echoes,
    "next tokens, tied, declared causal": lambda s: on_echoes(s, model=Tied, declare=Declare(causal=True)),
    "zero branches": lambda s: on_digits(s, model=Residual),
    "scales inside": lambda s: on_digits(s, model=Inside, **raw(s)),
    "batch norm first, raw pixels": lambda s: on_digits(
        s, model=lambda: nn.Sequential(nn.BatchNorm2d(1), Net()), **raw(s)
    ),
    "augmented": lambda s: on_digits(s, augment=shifted),
    "augmented data set, two workers": lambda s: on_digits(s, train_augmented=augmented_digits(s), workers=2),
    "resampled train, declared": balanced_train,
    "yes and no columns": yes_no_table,
    "rows read in turn": lambda s: on_digits(s, model=Rows, optimizer=adam(3e-3)),
    "vision transformer": lambda s: on_digits(s, model=Patches, optimizer=adam(3e-3)),
    "lazy layers": lambda s: on_digits(
        s, model=lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(32), nn.ReLU(), nn.LazyLinear(10))
    ),
    "padded sequences": on_padded,
    "cosine head": lambda s: on_digits(s, model=Cosine),
    "few examples": lambda s: on_digits(s, **split(*(t[:120] for t in digits()), 80)),
}
