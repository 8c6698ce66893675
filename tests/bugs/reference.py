"""Healthy trainings on real data in ordinary user code, which the bugs mutate."""

from functools import cache

import torch
from healthy import digits
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset, TensorDataset

from recipe.checks.setup import Setup

torch.set_num_threads(1)


# ---- data ----------------------------------------------------------------------------------------------------------


@cache
def colour() -> tuple[torch.Tensor, torch.Tensor]:
    """Digits in random colours (1797, 3, 8, 8), with adjacent pixels that correlate as in photographs."""
    x, y = digits()
    shades = torch.rand(len(x), 3, 1, 1, generator=torch.Generator().manual_seed(1)) * 0.5 + 0.25
    return x * shades + shades, y


def _table(loader) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = loader(return_X_y=True)
    x, y = torch.tensor(x).float(), torch.tensor(y)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return ((x - x.mean(0)) / x.std(0))[order], y[order]


@cache
def tumours() -> tuple[torch.Tensor, torch.Tensor]:
    """Wisconsin breast cancer: (569, 30), 0 or 1 as float."""
    from sklearn.datasets import load_breast_cancer  # takes a second to import

    x, y = _table(load_breast_cancer)
    return x, y.float()


@cache
def diabetes() -> tuple[torch.Tensor, torch.Tensor]:
    """(442, 10), progression of the disease, standardised."""
    from sklearn.datasets import load_diabetes  # takes a second to import

    x, y = _table(load_diabetes)
    return x, ((y - y.mean()) / y.std()).float()


@cache
def echoes(length: int = 12, kinds: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens (1200, T) whose next one is mostly the sum of two before, modulo `kinds`; targets are the next ones."""
    random = torch.Generator().manual_seed(2)
    tokens = torch.randint(kinds, (1200, length + 1), generator=random)
    stray = torch.rand(tokens.shape, generator=random) < 0.1
    for t in range(2, length + 1):
        tokens[:, t] = torch.where(stray[:, t], tokens[:, t], (tokens[:, t - 1] + tokens[:, t - 2]) % kinds)
    return tokens[:, :-1], tokens[:, 1:]


@cache
def padded() -> tuple[torch.Tensor, torch.Tensor]:
    """`echoes` of 5 to 12 tokens; beyond, the token is 6 and the target -100."""
    x, y = (t.clone() for t in echoes())
    lengths = torch.randint(5, 13, (len(x),), generator=torch.Generator().manual_seed(3))
    beyond = torch.arange(x.shape[1]) >= lengths[:, None]
    x[beyond], y[beyond] = 6, -100
    return x, y


def split(x, y, at: int) -> dict:
    return {"train": TensorDataset(x[:at], y[:at]), "val": TensorDataset(x[at:], y[at:])}


class Augmented(Dataset):
    """A user-defined data set that augments its examples."""

    def __init__(self, data, augment):
        self.data, self.augment = data, augment

    def __len__(self):
        return len(self.data)

    def __getitem__(self, i):
        x, y = self.data[i]
        return self.augment(x), y


# ---- models --------------------------------------------------------------------------------------------------------


class Net(nn.Module):
    """Two convolutions with batch norm, dropout, a linear head."""

    def __init__(self, width: int = 16, channels: int = 1, classes: int = 10, dropout: float = 0.25):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(8 * width, classes)

    def forward(self, x):
        return self.head(self.drop(self.body(x).flatten(1)))


def mlp(inputs: int, outputs: int, width: int = 32) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, outputs))


class Scalar(nn.Module):
    """One number per example, (B,)."""

    def __init__(self, inputs: int, width: int = 32):
        super().__init__()
        self.net = mlp(inputs, 1, width)

    def forward(self, x):
        return self.net(x).squeeze(1)


class Reader(nn.Module):
    """A causal one-layer transformer: (B, T) tokens -> (B, T, K)."""

    def __init__(self, kinds: int = 6, length: int = 12, width: int = 32, causal: bool = True):
        super().__init__()
        self.token, self.position = nn.Embedding(kinds, width), nn.Parameter(0.1 * torch.randn(length, width))
        self.norm, self.attention = nn.LayerNorm(width), nn.MultiheadAttention(width, 4, batch_first=True)
        self.feed_forward = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width))
        self.head = nn.Linear(width, kinds)
        self.causal = causal

    def forward(self, tokens):
        h = self.token(tokens) + self.position[: tokens.shape[1]]
        hidden = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=h.device).triu(1)
        q = self.norm(h)
        h = h + self.attention(q, q, q, attn_mask=hidden if self.causal else None, need_weights=False)[0]
        return self.head(h + self.feed_forward(h))


# ---- the loop ------------------------------------------------------------------------------------------------------


def train_step(model, optimizer, x, y, loss):
    model.train()
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return value.detach()


def accuracy_without_padding(model, loader) -> float:
    model.eval()
    right = count = 0
    with torch.no_grad():
        for x, y in loader:
            right += ((model(x).argmax(-1) == y) & (y >= 0)).sum().item()
            count += (y >= 0).sum().item()
    return right / count


def accuracy(model, loader) -> float:
    model.eval()
    right = count = 0
    with torch.no_grad():
        for x, y in loader:
            right += (model(x).argmax(-1) == y).sum().item()
            count += y.numel()
    return right / count


def fit(s, model, optimizer, scheduler, train_loader, val_loader, epochs):
    history, best, kept = {"train_loss": [], "lr": [], "val": []}, -1.0, None
    for _ in range(epochs):
        for x, y in train_loader:
            history["lr"].append(optimizer.param_groups[0]["lr"])
            history["train_loss"].append(s.train_step(model, optimizer, x, y, s.loss).item())
            if scheduler is not None and s.schedule_per == "step":
                scheduler.step()
        if scheduler is not None and s.schedule_per == "epoch":
            scheduler.step()
        history["val"].append(s.evaluate(model, val_loader))
        if history["val"][-1] > best:
            best, kept = history["val"][-1], {n: t.clone() for n, t in model.state_dict().items()}
    return history | {"best_state": kept}


def adam(lr: float = 1e-3, **more):
    return lambda model: torch.optim.Adam(model.parameters(), lr=lr, **more)


# ---- the set-ups ---------------------------------------------------------------------------------------------------


def on_digits(seed: int, **changes) -> Setup:
    parts = {
        "model": Net, "loss": nn.CrossEntropyLoss(), "optimizer": adam(), "train_step": train_step,
        "evaluate": accuracy, "batch_size": 32, "seed": seed, **split(*digits(), 1000),
    }  # fmt: skip
    return Setup(**parts | changes)


def on_colour(seed: int, **changes) -> Setup:
    return on_digits(seed, **({"model": lambda: Net(channels=3)} | split(*colour(), 1000) | changes))


def on_tumours(seed: int, **changes) -> Setup:
    parts = {
        "model": lambda: Scalar(30), "loss": nn.BCEWithLogitsLoss(), "optimizer": adam(3e-3),
        "train_step": train_step, "batch_size": 32, "epochs": 20, "seed": seed, **split(*tumours(), 400),
    }  # fmt: skip
    return Setup(**parts | changes)


def on_diabetes(seed: int, **changes) -> Setup:
    parts = {
        "model": lambda: Scalar(10), "loss": nn.MSELoss(), "optimizer": adam(3e-3), "train_step": train_step,
        "batch_size": 32, "epochs": 20, "seed": seed, **split(*diabetes(), 320),
    }  # fmt: skip
    return Setup(**parts | changes)


def per_token(outputs, targets):
    return F.cross_entropy(outputs.flatten(0, 1), targets.flatten())


def on_echoes(seed: int, **changes) -> Setup:
    parts = {
        "model": Reader, "loss": per_token, "optimizer": adam(3e-3), "train_step": train_step, "evaluate": accuracy,
        "batch_size": 32, "epochs": 8, "seed": seed, **split(*echoes(), 900),
    }  # fmt: skip
    return Setup(**parts | changes)


def on_padded(seed: int, **changes) -> Setup:
    parts = {"model": lambda: Reader(kinds=7), "evaluate": accuracy_without_padding, **split(*padded(), 900)}
    return on_echoes(seed, **parts | changes)
