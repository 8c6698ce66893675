"""Trainings whose examples, outputs or losses have other shapes than a pair of tensors; each healthy, or with one bug.

A shape is called with a seed and `bug` and gives a Setup.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset, TensorDataset
from watching.programs import digits as ordered_digits
from watching.programs import sentences

from recipe import Setup


@dataclass(frozen=True)
class Shape:
    setup: Callable[[int, bool], Setup]
    gate: str  # which its bug closes
    hint: str  # words of its hint that name the cause


SHAPES: dict[str, Shape] = {}


def shape(gate: str, hint: str):
    def keep(make):
        SHAPES[make.__name__] = Shape(make, gate, hint)
        return make

    return keep


class Rows(Dataset):
    """What `read` makes of each row of some tensors."""

    def __init__(self, read, *tensors):
        self.read, self.tensors = read, tensors

    def __len__(self):
        return len(self.tensors[0])

    def __getitem__(self, i):
        return self.read(*(t[i] for t in self.tensors))


def parted(read, *tensors, at: int = 360):
    """Train and val."""
    return {"train": Rows(read, *(t[:at] for t in tensors)), "val": Rows(read, *(t[at:] for t in tensors))}


def digits():
    """(inputs (640, 64), labels), in a random order."""
    order = torch.randperm(640, generator=torch.Generator().manual_seed(0))
    return tuple(t[order] for t in ordered_digits())


def adam(rate: float):
    return lambda model: torch.optim.Adam(model.parameters(), rate)


# ---- several inputs --------------------------------------------------------------------------------------------------


class Words(nn.Module):
    """The mean vector of the words that are not padding, then a linear layer."""

    def __init__(self, masked: bool = True, classes: int = 2):
        super().__init__()
        self.words, self.drop, self.head = nn.Embedding(20, 16), nn.Dropout(0.1), nn.Linear(16, classes)
        self.masked = masked

    def forward(self, input_ids, attention_mask):
        mask = attention_mask[..., None].float()
        vectors = self.words(input_ids)
        pooled = (vectors * mask).sum(1) / mask.sum(1) if self.masked else vectors.mean(1)
        return self.head(self.drop(pooled))


@shape("padding_reaches_no_output", "Divide by the number of tokens, mask")
def tokens_and_mask(seed, bug):
    """((ids, mask), label); the bug averages over padding."""
    ids, _, labels = sentences()
    return Setup(
        model=lambda: Words(masked=not bug), loss=nn.CrossEntropyLoss(), optimizer=adam(1e-2), batch_size=32, seed=seed,
        **parted(lambda x, m, y: ((x, m), y), ids, (ids > 0).long(), labels),
    )  # fmt: skip


@shape("gradients_are_fresh", "`zero_grad` is forgotten")
def mapping_of_inputs(seed, bug):
    """{"input_ids", "attention_mask", "labels"} and a loss that is given; the user's step forgets zero_grad."""
    ids, _, labels = sentences()

    def step(model, optimizer, inputs, targets, loss):
        if not bug:
            optimizer.zero_grad()
        value = loss(model(**inputs), targets)
        value.backward()
        optimizer.step()
        return value.detach()

    return Setup(
        model=Words, loss=F.cross_entropy, optimizer=adam(1e-2), batch_size=32, seed=seed, train_step=step,
        **parted(lambda x, m, y: {"input_ids": x, "attention_mask": m, "labels": y}, ids, (ids > 0).long(), labels),
    )  # fmt: skip


class Recurrent(nn.Module):
    def __init__(self, time_first: bool):
        super().__init__()
        self.words = nn.Embedding(20, 16, padding_idx=0)
        self.rnn, self.head = nn.GRU(16, 16, batch_first=not time_first), nn.Linear(16, 2)

    def forward(self, ids, lengths):
        out, _ = self.rnn(self.words(ids))
        return self.head(out[torch.arange(len(ids)), lengths - 1])


@shape("batch_is_independent", "batch first taken for time first")
def sequences_with_lengths(seed, bug):
    """(ids, lengths, label), a TensorDataset of three; the bug takes time for the batch."""
    ids, lengths, labels = sentences()
    return Setup(
        model=lambda: Recurrent(time_first=bug), loss=nn.CrossEntropyLoss(), optimizer=adam(1e-2), seed=seed,
        batch_size=32, train=TensorDataset(ids[:360], lengths[:360], labels[:360]),
        val=TensorDataset(ids[360:], lengths[360:], labels[360:]),
    )  # fmt: skip


class Siamese(nn.Module):
    def __init__(self, cut: bool):
        super().__init__()
        self.body, self.head = nn.Sequential(nn.Linear(64, 32), nn.ReLU()), nn.Linear(32, 8)
        self.cut = cut

    def embed(self, x):
        hidden = self.body(x)
        return self.head(hidden.detach() if self.cut else hidden)

    def forward(self, one, other):
        return (self.embed(one) - self.embed(other)).square().sum(1)


def pairs(count: int = 480):
    x, y = digits()
    random = torch.Generator().manual_seed(0)
    i, j = torch.randint(len(x), (2, count), generator=random)
    same_class = [torch.nonzero(y == y[k]).flatten() for k in i.tolist()]
    partner = torch.stack([c[torch.randint(len(c), (), generator=random)] for c in same_class])
    j = torch.where(torch.rand(count, generator=random) < 0.5, partner, j)
    return x[i], x[j], (y[i] == y[j]).float()


def contrastive(apart, same):
    return (same * apart + (1 - same) * F.relu(1 - apart.clamp_min(1e-9).sqrt()).square()).mean()


@shape("outputs_depend_on_inputs", "A `.detach()` or `.data` between input and output")
def siamese_pairs(seed, bug):
    """((x1, x2), same or not) and a contrastive loss; half of the network is cut off by `detach`."""
    return Setup(
        model=lambda: Siamese(cut=bug), loss=contrastive, optimizer=adam(3e-3), batch_size=32, seed=seed,
        **parted(lambda a, b, y: ((a, b), y), *pairs()),
    )  # fmt: skip


@shape("loss_is_a_mean", '`reduction="sum"` or a sum over the batch')
def weighted_examples(seed, bug):
    """(x, y, weight) and a loss of three arguments; the bug sums over the batch."""
    x, y = digits()
    weights = torch.where(y < 5, 2.0, 0.5)

    def loss(outputs, targets, weights):
        each = weights * F.cross_entropy(outputs, targets, reduction="none")
        return each.sum() if bug else each.sum() / weights.sum()

    return Setup(
        model=lambda: nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)), loss=loss, optimizer=adam(3e-3),
        batch_size=32, seed=seed, **parted(lambda *row: row, x, y, weights, at=480),
    )  # fmt: skip


class OwnLoss(Words):
    """Takes and gives mappings and computes its loss, as models of transformers do."""

    def __init__(self, squashed: bool):
        super().__init__()
        self.squashed = squashed

    def forward(self, input_ids, attention_mask, labels=None):
        logits = super().forward(input_ids, attention_mask)
        logits = logits.softmax(1) if self.squashed else logits
        return {"loss": None if labels is None else F.cross_entropy(logits, labels), "logits": logits}


@shape("outputs_are_not_squashed", "Softmax or sigmoid is applied in the model and again in the loss")
def loss_of_the_model(seed, bug):
    """No loss is given; the bug is a softmax before the model's own one."""
    ids, _, labels = sentences()
    return Setup(
        model=lambda: OwnLoss(bug), loss=None, optimizer=adam(1e-2), batch_size=32, seed=seed,
        **parted(lambda x, m, y: {"input_ids": x, "attention_mask": m, "labels": y}, ids, (ids > 0).long(), labels),
    )  # fmt: skip


class NextWord(nn.Module):
    def __init__(self, sees_all: bool):
        super().__init__()
        self.words, self.head = nn.Embedding(22, 24), nn.Linear(48 if sees_all else 24, 22)
        self.rnn = nn.GRU(24, 24, batch_first=True, bidirectional=sees_all)

    def forward(self, ids):
        return self.head(self.rnn(self.words(ids))[0])


@shape("the_future_is_hidden", "a recurrent net runs in both directions")
def language_model(seed, bug):
    """The tokens are their own targets and the loss shifts them; the bug reads in both directions."""
    start = torch.randint(0, 20, (480, 1), generator=torch.Generator().manual_seed(0))
    ids = (torch.arange(10) * (start % 3 + 1) + start) % 20 + 1

    def loss(outputs, targets):
        return F.cross_entropy(outputs[:, :-1].flatten(0, 1), targets[:, 1:].flatten())

    return Setup(
        model=lambda: NextWord(bug), loss=loss, optimizer=adam(1e-2), batch_size=32, seed=seed,
        **parted(lambda x: {"ids": x, "labels": x}, ids),
    )  # fmt: skip


class Towers(nn.Module):
    def __init__(self):
        super().__init__()
        self.users, self.things = nn.Embedding(30, 8), nn.Embedding(40, 8)
        for embedding in (self.users, self.things):
            nn.init.normal_(embedding.weight, 0, 0.3)

    def forward(self, user, thing):
        return (self.users(user) * self.things(thing)).sum(1)


@shape("loss_wants_the_targets", "broadcast to (N, N)")
def two_towers(seed, bug):
    """(user, thing, rating): two indices enter; outputs of (N,) against targets of (N, 1) broadcast."""
    random = torch.Generator().manual_seed(0)
    user, thing = (torch.randint(n, (1500,), generator=random) for n in (30, 40))
    ratings = (torch.randn(30, 4, generator=random)[user] * torch.randn(40, 4, generator=random)[thing]).sum(1)

    def loss(outputs, targets):
        return (outputs - (targets[:, None] if bug else targets)).square().mean()

    return Setup(
        model=Towers, loss=loss, optimizer=adam(1e-2), batch_size=32, epochs=10, seed=seed,
        train=TensorDataset(user[:1200], thing[:1200], ratings[:1200]),
        val=TensorDataset(user[1200:], thing[1200:], ratings[1200:]),
    )  # fmt: skip


# ---- outputs that are tuples -----------------------------------------------------------------------------------------


class Outputs(NamedTuple):
    logits: torch.Tensor
    hidden: torch.Tensor


class Named(nn.Module):
    def __init__(self, dead: bool):
        super().__init__()
        self.body, self.head = nn.Linear(64, 32), nn.Linear(32, 10)
        if dead:
            nn.init.constant_(self.body.bias, -20.0)

    def forward(self, x):
        hidden = F.relu(self.body(x))
        return Outputs(self.head(hidden), hidden)


@shape("units_are_alive", "A bias far below zero")
def outputs_with_names(seed, bug):
    """A tuple of logits and features, of which the loss takes the whole; a layer is dead."""
    x, y = digits()
    return Setup(
        model=lambda: Named(bug), loss=lambda out, y: F.cross_entropy(out.logits, y), optimizer=adam(3e-3), seed=seed,
        batch_size=32, train=TensorDataset(x[:480], y[:480]), val=TensorDataset(x[480:], y[480:]),
    )  # fmt: skip


class Variational(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(64, 16), nn.Linear(8, 64)

    def forward(self, x):
        mean, log_variance = self.encoder(x).chunk(2, 1)
        noise = torch.randn_like(mean) if self.training else 0
        return self.decoder(mean + noise * (log_variance / 2).exp()), mean, log_variance


@shape("loss_is_a_mean", '`reduction="sum"` or a sum over the batch')
def variational(seed, bug):
    """(x,) is its own target, the outputs are three tensors; the error is a sum over the batch."""
    x, _ = digits()

    def loss(outputs, x):
        out, mean, log_variance = outputs
        divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1).mean()
        return F.binary_cross_entropy_with_logits(out, x, reduction="sum") / (1 if bug else len(x)) + divergence

    return Setup(
        model=Variational, loss=loss, optimizer=adam(3e-3), batch_size=32, seed=seed,
        train=TensorDataset(x[:480]), val=TensorDataset(x[480:]),
    )  # fmt: skip


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.parity, self.size = nn.Linear(64, 32), nn.Linear(32, 2), nn.Linear(32, 1)

    def forward(self, x):
        hidden = F.relu(self.body(x))
        return {"parity": self.parity(hidden), "size": self.size(hidden).squeeze(1)}


@shape("every_parameter_moves", "a part that the optimizer does not hold")
def several_heads(seed, bug):
    """Outputs and targets are mappings of two; the optimizer lacks one head."""
    x, y = digits()

    def loss(outputs, targets):
        return F.cross_entropy(outputs["parity"], targets["parity"]) + F.mse_loss(outputs["size"], targets["size"])

    def optimizer(model):
        held = [*model.body.parameters(), *model.parity.parameters()] if bug else model.parameters()
        return torch.optim.Adam(held, 3e-3)

    return Setup(
        model=Heads, loss=loss, optimizer=optimizer, batch_size=32, seed=seed,
        **parted(lambda x, a, b: (x, {"parity": a, "size": b}), x, y % 2, y / 9, at=480),
    )  # fmt: skip


# ---- the class dimension second --------------------------------------------------------------------------------------


class Segmenter(nn.Module):
    def __init__(self, squashed: bool):
        super().__init__()
        self.down, self.norm, self.up = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Conv2d(9, 3, 1)
        self.squashed = squashed

    def forward(self, x):
        z = self.up(torch.cat([x, F.relu(self.norm(self.down(x)))], 1))
        return z.softmax(1) if self.squashed else z


@shape("outputs_are_not_squashed", "Softmax or sigmoid is applied in the model and again in the loss")
def segmentation(seed, bug):
    """(B, C, H, W) and masks (B, H, W); softmax twice."""
    images, _ = digits()
    images = images.view(-1, 1, 8, 8)
    masks = (images[:, 0] > 0.25).long() + (images[:, 0] > 0.75)
    return Setup(
        model=lambda: Segmenter(bug), loss=nn.CrossEntropyLoss(), optimizer=adam(1e-2), batch_size=32, seed=seed,
        train=TensorDataset(images[:480], masks[:480]), val=TensorDataset(images[480:], masks[480:]),
    )  # fmt: skip


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, 16, padding_idx=0)
        self.mix, self.head = nn.Conv1d(16, 32, 3, padding=1), nn.Conv1d(32, 3, 1)

    def forward(self, ids):
        return self.head(F.relu(self.mix(self.words(ids).transpose(1, 2))))


@shape("loss_wants_the_targets", "targets are shifted or permuted inside the loss")
def tagging(seed, bug):
    """(B, C, T) and tags (B, T); the bug rolls the targets in the loss."""
    ids, _, _ = sentences()
    tags = (ids > 6).long() + (ids > 13)
    return Setup(
        model=Tagger, loss=lambda z, y: F.cross_entropy(z, y.roll(1, 1) if bug else y), optimizer=adam(1e-2),
        batch_size=32, seed=seed, train=TensorDataset(ids[:360], tags[:360]), val=TensorDataset(ids[360:], tags[360:]),
    )  # fmt: skip


# ---- others ----------------------------------------------------------------------------------------------------------


class Denoiser(nn.Module):
    def __init__(self, ignores_time: bool):
        super().__init__()
        self.body, self.head = nn.Linear(65, 64), nn.Linear(64, 64)
        self.ignores_time = ignores_time

    def forward(self, x, time):
        time = torch.zeros_like(time) if self.ignores_time else time
        return self.head(F.silu(self.body(torch.cat([x, time[:, None]], 1))))


@shape("every_input_is_used", "A slice that is off")
def diffusion(seed, bug):
    """((noisy, time), noise); the time of the step is lost."""
    x, _ = digits()
    random = torch.Generator().manual_seed(0)
    time, noise = torch.rand(len(x), generator=random), torch.randn(x.shape, generator=random)
    noisy = (1 - time[:, None]) * x + time[:, None] * noise
    return Setup(
        model=lambda: Denoiser(bug), loss=nn.MSELoss(), optimizer=adam(2e-3), batch_size=32, seed=seed,
        **parted(lambda a, t, b: ((a, t), b), noisy, time, noise, at=480),
    )  # fmt: skip


class Listener(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix, self.head = nn.Conv1d(4, 24, 3, padding=1), nn.Linear(24, 5)

    def forward(self, x):
        return self.head(F.relu(self.mix(x)).transpose(1, 2))


@shape("the_optimizer_steps", "`step()` is missing or called twice")
def connectionist(seed, bug):
    """CTC: outputs (B, T, C), targets (labels, lengths); `step` is missing."""
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(1, 5, (480, 4), generator=random)
    lengths = torch.randint(2, 5, (480,), generator=random)
    frames = F.one_hot(labels - 1, 4).float() * (torch.arange(4) < lengths[:, None])[..., None]
    x = frames.repeat_interleave(4, 1).transpose(1, 2) + 0.1 * torch.randn(480, 4, 16, generator=random)

    def loss(outputs, targets):
        y, n = targets
        steps = torch.full((len(y),), outputs.shape[1])
        return F.ctc_loss(outputs.log_softmax(2).transpose(0, 1), y, steps, n)

    def step(model, optimizer, inputs, targets, loss):
        optimizer.zero_grad()
        value = loss(model(inputs), targets)
        value.backward()
        if not bug:
            optimizer.step()
        return value.detach()

    return Setup(
        model=Listener, loss=loss, optimizer=adam(1e-2), batch_size=32, seed=seed, train_step=step,
        **parted(lambda a, y, n: (a, (y, n)), x, labels, lengths),
    )  # fmt: skip
