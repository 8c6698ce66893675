"""Healthy but unusual trainings: no gate may close."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from bugs.loop import scaled
from bugs.reference import (
    Augmented,
    Net,
    Reader,
    Scalar,
    adam,
    colour,
    digits,
    fit,
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


def grouped(seed):
    """H10: AdamW with groups, no decay on norms and biases; warm-up and cosine per step"""

    def optimizer(model):
        small = [p for p in model.parameters() if p.ndim < 2]
        large = [p for p in model.parameters() if p.ndim >= 2]
        return torch.optim.AdamW(
            [{"params": large, "weight_decay": 0.05}, {"params": small, "weight_decay": 0.0}], lr=2e-3
        )

    def schedule(optimizer, steps, epochs):
        total = steps * epochs
        warm = torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, 1.0, total_iters=total // 10)
        down = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total - total // 10)
        return torch.optim.lr_scheduler.SequentialLR(optimizer, [warm, down], [total // 10])

    return on_digits(seed, optimizer=optimizer, schedule=schedule)


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


def mixing_step(model, optimizer, x, y, loss):
    model.train()
    share = float(torch.distributions.Beta(0.4, 0.4).sample())
    other = torch.randperm(len(x))
    optimizer.zero_grad()
    outputs = model(share * x + (1 - share) * x[other])
    value = share * loss(outputs, y) + (1 - share) * loss(outputs, y[other])
    value.backward()
    optimizer.step()
    return value.detach()


def accumulating():
    calls = [0]

    def one(model, optimizer, x, y, loss):
        model.train()
        value = loss(model(x), y)
        (value / 4).backward()
        calls[0] += 1
        if calls[0] % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return value.detach()

    return one


class Cosine(nn.Module):
    """16 times the cosine of features and class vectors."""

    def __init__(self):
        super().__init__()
        self.body, self.classes = Net(), nn.Parameter(torch.randn(10, 10))

    def forward(self, x):
        return 16 * F.linear(F.normalize(self.body(x), dim=1), F.normalize(self.classes, dim=1))


def clipping_step(model, optimizer, x, y, loss):
    model.train()
    value = loss(model(x), y)
    optimizer.zero_grad(set_to_none=True)
    value.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return value.detach()


def clears_at_the_end(model, optimizer, x, y, loss):
    model.train()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    return value.detach()


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


def one_cycle(optimizer, steps, epochs):
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps * epochs)


def noam(optimizer, steps, epochs):
    warm = max(1, steps * epochs // 10)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 0.05 * min((t + 1) ** -0.5, (t + 1) * warm**-1.5))


def plateau(optimizer, steps, epochs):
    return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)


def focal(z, y):
    likely = F.cross_entropy(z, y, reduction="none")
    return ((1 - (-likely).exp()) ** 2 * likely).mean()


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


def counts(seed):
    """Counts, with a Poisson likelihood: the outputs are their logarithm, and the minimum of the loss is below zero."""
    random = torch.Generator().manual_seed(3)
    x = torch.randn(900, 6, generator=random)
    y = torch.poisson((1.5 + x[:, 0] - 0.7 * x[:, 1]).exp(), generator=random)
    return on_diabetes(
        seed,
        model=lambda: Scalar(6),
        loss=nn.PoissonNLLLoss(),
        declare=Declare(irreducible_noise=True),
        **split(x, y, 600),
    )


class Spread(nn.Module):
    """(B, 2): a mean and the logarithm of a variance."""

    def __init__(self):
        super().__init__()
        self.net = mlp(10, 2)

    def forward(self, x):
        return self.net(x)


def gaussian(z, y):
    return (0.5 * (z[:, 1] + (y - z[:, 0]) ** 2 / z[:, 1].exp())).mean()


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


def averaging_loop(s, model, optimizer, scheduler, train_loader, val_loader, epochs):
    """Evaluates and keeps an exponential moving average of the weights."""
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9), use_buffers=True
    )
    history, best, kept = {"train_loss": [], "lr": [], "val": []}, -1.0, None
    for _ in range(epochs):
        for x, y in train_loader:
            history["lr"].append(optimizer.param_groups[0]["lr"])
            history["train_loss"].append(s.train_step(model, optimizer, x, y, s.loss).item())
            average.update_parameters(model)
        history["val"].append(s.evaluate(average.module, val_loader))
        if history["val"][-1] > best:
            best, kept = history["val"][-1], {n: t.clone() for n, t in average.module.state_dict().items()}
    return history | {"best_state": kept}


def brier(z, y):
    return (z.softmax(1) - F.one_hot(y, z.shape[1])).square().sum(1).mean()


HEALTHY = {
    "H01 reference": on_digits,
    "H02 imbalanced 96 to 4": imbalanced,
    "H03 batch of 2": lambda s: on_digits(s, batch_size=2, model=lambda: Net(dropout=0.0), optimizer=adam(3e-4)),
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
    "H06 label smoothing": lambda s: on_digits(s, loss=nn.CrossEntropyLoss(label_smoothing=0.1)),
    "H07 frozen body, zero head": frozen_body,
    "H08 regression": on_diabetes,
    "H09 no biases": lambda s: on_digits(
        s,
        model=lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(64, 64, bias=False), nn.ReLU(), nn.Linear(64, 10, bias=False)
        ),
    ),
    "H10 groups, warm-up, cosine": grouped,
    "H11 a hundred classes": hundred,
    "H12 mixup, declared": lambda s: on_digits(s, train_step=mixing_step, declare=Declare(mixes_samples=True)),
    "H13 colour, permuted": from_hwc,
    "mixup, not declared": lambda s: on_digits(s, train_step=mixing_step),
    "tumours": on_tumours,
    "next tokens": on_echoes,
    "next tokens, tied, declared causal": lambda s: on_echoes(s, model=Tied, declare=Declare(causal=True)),
    "accumulates, not declared": lambda s: on_digits(s, train_step=accumulating(), batch_size=16, epochs=12),
    "accumulates, declared": lambda s: on_digits(
        s, train_step=accumulating(), batch_size=16, epochs=12, declare=Declare(accumulate=4)
    ),
    "clips the gradient": lambda s: on_digits(s, train_step=clipping_step),
    "clears at the end": lambda s: on_digits(s, train_step=clears_at_the_end),
    "zero branches": lambda s: on_digits(s, model=Residual),
    "scales inside": lambda s: on_digits(s, model=Inside, **raw(s)),
    "batch norm first, raw pixels": lambda s: on_digits(
        s, model=lambda: nn.Sequential(nn.BatchNorm2d(1), Net()), **raw(s)
    ),
    "log-softmax and NLL": lambda s: on_digits(
        s, model=lambda: nn.Sequential(Net(), nn.LogSoftmax(1)), loss=nn.NLLLoss()
    ),
    "sigmoid and BCE": lambda s: on_tumours(
        s, model=lambda: nn.Sequential(Scalar(30), nn.Sigmoid()), loss=nn.BCELoss()
    ),
    "augmented": lambda s: on_digits(s, augment=shifted),
    "augmented data set, two workers": lambda s: on_digits(s, train_augmented=augmented_digits(s), workers=2),
    "own loop": lambda s: on_digits(s, fit=fit),
    "own loop, one cycle": lambda s: on_digits(s, fit=fit, schedule=one_cycle),
    "noam": lambda s: on_digits(s, optimizer=adam(1.0), schedule=noam),
    "plateau per epoch": lambda s: on_digits(s, schedule=plateau, schedule_per="epoch"),
    "focal loss": lambda s: on_digits(s, loss=focal),
    "class weights": lambda s: on_digits(s, loss=nn.CrossEntropyLoss(weight=torch.linspace(0.5, 2, 10))),
    "Huber": lambda s: on_diabetes(s, loss=nn.HuberLoss()),
    "resampled train, declared": balanced_train,
    "counts": counts,
    "mean and variance": lambda s: on_diabetes(s, model=Spread, loss=gaussian),
    "yes and no columns": yes_no_table,
    "rows read in turn": lambda s: on_digits(s, model=Rows, optimizer=adam(3e-3)),
    "vision transformer": lambda s: on_digits(s, model=Patches, optimizer=adam(3e-3)),
    "lazy layers": lambda s: on_digits(
        s, model=lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(32), nn.ReLU(), nn.LazyLinear(10))
    ),
    "averaged weights": lambda s: on_digits(s, fit=averaging_loop),
    "Brier score": lambda s: on_digits(s, loss=brier, optimizer=adam(3e-3)),
    "padded sequences": on_padded,
    "mixed precision, clipped": lambda s: on_digits(s, train_step=scaled(unscale=True)),
    "cosine head": lambda s: on_digits(s, model=Cosine),
    "hinge": lambda s: on_digits(s, loss=nn.MultiMarginLoss(), optimizer=adam(3e-3)),
    "few examples": lambda s: on_digits(s, **split(*(t[:120] for t in digits()), 80)),
    "one batch is all": lambda s: on_digits(s, batch_size=1000, optimizer=adam(1e-2)),
    "two logits": lambda s: on_tumours(
        s, model=lambda: mlp(30, 2), loss=nn.CrossEntropyLoss(), **split(tumours()[0], tumours()[1].long(), 400)
    ),
    "a column each": lambda s: on_tumours(
        s, model=lambda: mlp(30, 1), **split(tumours()[0], tumours()[1][:, None], 400)
    ),
    "RMSprop": lambda s: on_digits(s, optimizer=lambda m: torch.optim.RMSprop(m.parameters(), lr=1e-3)),
    "Adagrad": lambda s: on_digits(s, optimizer=lambda m: torch.optim.Adagrad(m.parameters(), lr=1e-2)),
    "SGD with momentum": lambda s: on_digits(
        s, optimizer=lambda m: torch.optim.SGD(m.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    ),
}
