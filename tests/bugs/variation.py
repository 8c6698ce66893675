"""Many healthy trainings, drawn by a seed: no gate may close."""

import random

import torch
from torch import nn

from bugs.reference import (
    Net,
    Reader,
    Scalar,
    adam,
    fit,
    on_colour,
    on_diabetes,
    on_digits,
    on_echoes,
    on_tumours,
    train_step,
)
from bugs.unusual_models import Tied
from bugs.unusual_training import clears_at_the_end, clipping_step, focal


def variation(seed):
    """One of many healthy trainings, drawn by the seed: data, width, depth, batch, optimizer, loss, step, schedule."""
    pick = random.Random(seed)
    width, batch = pick.choice([8, 16, 24, 48]), pick.choice([8, 16, 32, 50, 128])
    base = pick.choice(["digits", "digits", "colour", "tumours", "diabetes", "echoes"])
    rate = pick.choice([1e-3, 2e-3, 3e-3])
    optimizers = {
        "adam": adam(rate),
        "adamw": lambda m: torch.optim.AdamW(m.parameters(), lr=rate, weight_decay=pick_decay),
        "momentum": lambda m: torch.optim.SGD(m.parameters(), lr=20 * rate, momentum=0.9),
        "rmsprop": lambda m: torch.optim.RMSprop(m.parameters(), lr=rate),
        "nadam": lambda m: torch.optim.NAdam(m.parameters(), lr=rate),
    }
    pick_decay = pick.choice([0.0, 0.01, 0.1])
    parts = {
        "batch_size": batch,
        "optimizer": optimizers[pick.choice(list(optimizers))],
        "epochs": pick.choice([6, 10, 15]),
    }
    parts["train_step"] = pick.choice([train_step, clipping_step, clears_at_the_end])
    parts |= pick.choice([{}, {}, {"schedule": one_cosine}, {"fit": fit}])
    if base == "echoes":
        parts["optimizer"] = adam(3e-3)
        return on_echoes(seed, model=pick.choice([Reader, Tied]), **parts)
    activation = pick.choice([nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.LeakyReLU])
    if base == "diabetes":
        parts.pop("fit", None)
        parts["epochs"] = 25
        return on_diabetes(
            seed,
            model=lambda: Scalar(10, width),
            loss=pick.choice([nn.MSELoss(), nn.HuberLoss(), nn.L1Loss()]),
            **parts,
        )
    if base == "tumours":
        parts.pop("fit", None)
        parts["epochs"] = 15
        return on_tumours(seed, model=lambda: Scalar(30, width), **parts)
    parts["loss"] = pick.choice([nn.CrossEntropyLoss(), nn.CrossEntropyLoss(label_smoothing=0.1), focal])
    channels = 3 if base == "colour" else 1
    norm = pick.choice([nn.BatchNorm2d, lambda c: nn.GroupNorm(4, c), lambda c: nn.InstanceNorm2d(c, affine=True)])
    dropout = pick.choice([0.0, 0.1, 0.3])

    def conv():
        return nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1), norm(width), activation(), nn.MaxPool2d(2),
            nn.Conv2d(width, width, 3, padding=1), norm(width), activation(), nn.Flatten(), nn.Dropout(dropout),
            nn.Linear(16 * width, 10),
        )  # fmt: skip

    def flat():
        return nn.Sequential(
            nn.Flatten(), nn.Linear(64 * channels, 2 * width), activation(), nn.Dropout(dropout),
            nn.Linear(2 * width, 2 * width), activation(), nn.Linear(2 * width, 10),
        )  # fmt: skip

    on = on_colour if base == "colour" else on_digits
    return on(seed, model=pick.choice([conv, flat, lambda: Net(width, channels, dropout=dropout)]), **parts)


def one_cosine(optimizer, steps, epochs):
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps * epochs)
