"""Healthy trainings with unusual losses, optimizers, schedules, steps or loops: no gate may close."""

import torch
from torch import nn
from torch.nn import functional as F

from bugs.loop import scaled
from bugs.reference import (
    Net,
    Scalar,
    adam,
    diabetes,
    digits,
    fit,
    mlp,
    on_diabetes,
    on_digits,
    on_tumours,
    split,
    tumours,
)
from recipe.checks.declare import Declare


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


class Penalised(nn.Module):
    """Keeps a term for the loss of its last call, with the graph."""

    def __init__(self):
        super().__init__()
        self.net, self.terms = mlp(30, 1), []

    def forward(self, x):
        outputs = self.net(x).squeeze(1)
        self.terms = [outputs.square().mean()]
        return outputs


class RatesPerLayer(torch.optim.lr_scheduler.LRScheduler):
    """Multiplies each group's rate by its `lr_scale`, and halves it every 100 steps."""

    def get_lr(self):
        fall = 0.5 ** (self.last_epoch // 100)
        return [group["initial_lr"] * group["lr_scale"] * fall for group in self.optimizer.param_groups]


def own_names(seed):
    """Groups with a key that their scheduler reads, a term kept in the model, an evaluation over several views that
    leaves eval mode behind, and no training step of the user's."""

    def optimizer(model):
        first, last = model.net[0], model.net[2]
        groups = [{"params": p.parameters(), "lr_scale": share} for p, share in ((first, 0.5), (last, 1.0))]
        return torch.optim.Adam(groups, lr=3e-3)

    def over_views(model, loader):
        model.eval()
        right = count = 0
        with torch.no_grad():
            for x, y in loader:
                views = sum(model(x + shift).sigmoid() for shift in (-0.05, 0.0, 0.05)) / 3
                right += ((views > 0.5) == (y > 0.5)).sum().item()
                count += len(y)
        return right / count

    schedule = lambda optimizer, steps, epochs: RatesPerLayer(optimizer)  # noqa: E731
    parts = {"model": Penalised, "evaluate": over_views, "train_step": None, "schedule": schedule}
    return on_tumours(seed, optimizer=optimizer, **parts)


class Grades(nn.Module):
    """(B, 3): for each of three thresholds, whether the grade is above it."""

    def __init__(self):
        super().__init__()
        self.score, self.thresholds = Scalar(10), nn.Parameter(torch.tensor([1.0, 0.0, -1.0]))

    def forward(self, x):
        return self.score(x)[:, None] + self.thresholds


def grades(seed):
    """Ordinal regression: three outputs for four classes."""
    x, y = diabetes()
    grade = torch.bucketize(y, y.quantile(torch.tensor([0.25, 0.5, 0.75])))

    def loss(outputs, targets):
        above = (targets[:, None] > torch.arange(3)).float()
        return F.binary_cross_entropy_with_logits(outputs, above)

    def exact(model, loader):
        model.eval()
        with torch.no_grad():
            return torch.cat([((model(a) > 0).sum(1) == b).float() for a, b in loader]).mean().item()

    parts = {"model": Grades, "loss": loss, "evaluate": exact, "task": "classification", "classes": 4}
    return on_diabetes(seed, **parts, **split(x, grade, 320))


HEALTHY = {
    "names, terms and views of the user's": own_names,
    "grades in an order": grades,
    "H03 batch of 2": lambda s: on_digits(  # of few examples, since each step takes as long as one of a large batch
        s,
        batch_size=2,
        model=lambda: Net(dropout=0.0),
        optimizer=adam(3e-4),
        **split(*(t[:520] for t in digits()), 320),
    ),
    "H06 label smoothing": lambda s: on_digits(s, loss=nn.CrossEntropyLoss(label_smoothing=0.1)),
    "H10 groups, warm-up, cosine": grouped,
    "H12 mixup, declared": lambda s: on_digits(s, train_step=mixing_step, declare=Declare(mixes_samples=True)),
    "mixup, not declared": lambda s: on_digits(s, train_step=mixing_step),
    "accumulates, not declared": lambda s: on_digits(s, train_step=accumulating(), batch_size=16, epochs=12),
    "accumulates, declared": lambda s: on_digits(
        s, train_step=accumulating(), batch_size=16, epochs=12, declare=Declare(accumulate=4)
    ),
    "clips the gradient": lambda s: on_digits(s, train_step=clipping_step),
    "clears at the end": lambda s: on_digits(s, train_step=clears_at_the_end),
    "log-softmax and NLL": lambda s: on_digits(
        s, model=lambda: nn.Sequential(Net(), nn.LogSoftmax(1)), loss=nn.NLLLoss()
    ),
    "sigmoid and BCE": lambda s: on_tumours(
        s, model=lambda: nn.Sequential(Scalar(30), nn.Sigmoid()), loss=nn.BCELoss()
    ),
    "own loop": lambda s: on_digits(s, fit=fit),
    "own loop, one cycle": lambda s: on_digits(s, fit=fit, schedule=one_cycle),
    "noam": lambda s: on_digits(s, optimizer=adam(1.0), schedule=noam),
    "plateau per epoch": lambda s: on_digits(s, schedule=plateau, schedule_per="epoch"),
    "focal loss": lambda s: on_digits(s, loss=focal),
    "class weights": lambda s: on_digits(s, loss=nn.CrossEntropyLoss(weight=torch.linspace(0.5, 2, 10))),
    "Huber": lambda s: on_diabetes(s, loss=nn.HuberLoss()),
    "counts": counts,
    "mean and variance": lambda s: on_diabetes(s, model=Spread, loss=gaussian),
    "averaged weights": lambda s: on_digits(s, fit=averaging_loop),
    "Brier score": lambda s: on_digits(s, loss=brier, optimizer=adam(3e-3)),
    "mixed precision, clipped": lambda s: on_digits(s, train_step=scaled(unscale=True)),
    "hinge": lambda s: on_digits(s, loss=nn.MultiMarginLoss(), optimizer=adam(3e-3)),
    "one batch is all": lambda s: on_digits(
        s, batch_size=100, optimizer=adam(1e-2), **split(*(t[:300] for t in digits()), 100)
    ),
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
