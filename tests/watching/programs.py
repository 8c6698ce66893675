"""Training loops as people write them, with batches of many structures; each healthy, or with one bug planted.

A program is called with `bug` and gives the watch that has looked at it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import recipe


@dataclass(frozen=True)
class Program:
    run: Callable[[bool], "recipe.watch"]
    gate: str  # which its bug closes


PROGRAMS: dict[str, Program] = {}


def program(gate: str):
    def keep(run):
        PROGRAMS[run.__name__] = Program(run, gate)
        return run

    return keep


def digits(count: int = 640) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = load_digits(return_X_y=True)
    return torch.tensor(x[:count] / 16, dtype=torch.float32), torch.tensor(y[:count])


def sentences(count: int = 480, length: int = 12) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(tokens, lengths, labels): the label is whether token 1 or token 2 is more frequent; 0 is padding."""
    random = torch.Generator().manual_seed(0)
    ids = torch.randint(1, 20, (count, length), generator=random)
    lengths = torch.randint(6, length + 1, (count,), generator=random)
    labels = torch.randint(0, 2, (count,), generator=random)
    ids[:, 0], ids[:, 3] = labels + 1, labels + 1
    ids[torch.arange(length) >= lengths[:, None]] = 0
    return ids, lengths, labels


def start(seed: int = 0) -> None:
    torch.manual_seed(seed)


# ---- one input ---------------------------------------------------------------------------------------------------


@program("each_output_meets_its_target")
def regression_of_one_number(bug):
    """Outputs (N, 1) against targets (N,)."""
    start()
    x = torch.randn(320, 5)
    y = x @ torch.randn(5)
    model = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    with recipe.watch(model, optimizer, on="quiet") as watched:
        for _ in range(3):
            for a, b in DataLoader(TensorDataset(x, y), 32, shuffle=True):
                optimizer.zero_grad()
                out = model(a)
                F.mse_loss(out if bug else out.squeeze(1), b).backward()
                optimizer.step()
    return watched


@program("outputs_are_not_squashed")
def several_labels(bug):
    """A sigmoid in the model and a loss that has its own."""
    start()
    x, y = digits()
    targets = torch.stack([y % 2, y // 5], 1).float()
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 2))
    if bug:
        model.append(nn.Sigmoid())
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    with recipe.watch(model, optimizer, on="quiet") as watched:
        for a, b in DataLoader(TensorDataset(x, targets), 32, shuffle=True):
            optimizer.zero_grad(set_to_none=True)
            F.binary_cross_entropy_with_logits(model(a), b).backward()
            optimizer.step()
    return watched


@program("parameters_are_registered")
def segmentation(bug):
    """A network on masks, classes in the second dimension (B, C, H, W); a layer in a plain list."""
    start()
    images, _ = digits(320)
    images = images.view(-1, 1, 8, 8)
    masks = (images[:, 0] > 0.5).long()

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            down = [nn.Conv2d(1, 8, 3, padding=1)]
            self.down = down if bug else nn.ModuleList(down)
            self.up, self.norm = nn.Conv2d(9, 2, 1), nn.BatchNorm2d(8)

        def forward(self, x):
            return self.up(torch.cat([x, F.relu(self.norm(self.down[0](x)))], 1))

    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    with recipe.watch(model, optimizer, on="quiet") as watched:
        for _ in range(2):
            for a, b in DataLoader(TensorDataset(images, masks), 16, shuffle=True):
                optimizer.zero_grad()
                F.cross_entropy(model(a), b).backward()
                optimizer.step()
    return watched


@program("inputs_are_scaled")
def autoencoder(bug):
    """Its target is its input; pixels 0 to 255 if the bug is planted."""
    start()
    x, _ = digits()
    x = x * 255 if bug else x
    model = nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 64))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    with recipe.watch(model, optimizer, on="quiet") as watched:
        for (a,) in DataLoader(TensorDataset(x), 32, shuffle=True):
            loss = F.mse_loss(model(a), a)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return watched


@program("learning_rate_lasts")
def with_a_schedule(bug):
    """A decay that is meant for epochs is stepped in each batch."""
    start()
    x, y = digits()
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.7)
    with recipe.watch(model, optimizer, on="quiet") as watched:
        for _ in range(4):
            for a, b in DataLoader(TensorDataset(x, y), 32, shuffle=True):
                optimizer.zero_grad()
                F.cross_entropy(model(a), b).backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                if bug:
                    schedule.step()
            schedule.step()
    return watched


# ---- batches of other structures -------------------------------------------------------------------------------------


@program("training_is_in_train_mode")
def text_of_mappings(bug):
    """A classifier that takes and gives mappings, and computes its own loss, as those of transformers."""
    start()
    ids, _, labels = sentences()
    mask = (ids > 0).long()

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.drop, self.head = nn.Embedding(20, 16, 0), nn.Dropout(0.3), nn.Linear(16, 2)

        def forward(self, input_ids, attention_mask, labels=None):
            vectors = self.words(input_ids) * attention_mask[..., None]
            logits = self.head(self.drop(vectors.sum(1) / attention_mask.sum(1, keepdim=True)))
            return {"loss": None if labels is None else F.cross_entropy(logits, labels), "logits": logits}

    def batches(first, last):
        for i in range(first, last, 32):
            part = slice(i, i + 32)
            yield {"input_ids": ids[part], "attention_mask": mask[part], "labels": labels[part]}

    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    with recipe.watch(model, optimizer, on="quiet") as watched:
        for epoch in range(3):
            if not (bug and epoch):
                model.train()
            for batch in batches(0, 384):
                optimizer.zero_grad()
                model(**batch)["loss"].backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                [model(**batch) for batch in batches(384, 480)]
    return watched


@program("batch_is_independent")
def recurrent_with_lengths(bug):
    """Packed sequences; the bug takes time for the batch."""
    start()
    ids, lengths, labels = sentences()

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(20, 16, padding_idx=0)
            self.rnn, self.head = nn.GRU(16, 16, batch_first=not bug), nn.Linear(16, 2)

        def forward(self, ids, lengths):
            out, _ = self.rnn(self.words(ids))
            return self.head(out[torch.arange(len(ids)), lengths - 1])

    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    with recipe.watch(model, optimizer, on="quiet") as watched:
        for a, n, b in DataLoader(TensorDataset(ids, lengths, labels), 32, shuffle=True):
            optimizer.zero_grad()
            F.cross_entropy(model(a, n), b).backward()
            optimizer.step()
    return watched


@program("every_parameter_moves")
def siamese(bug):
    """Two inputs through one network, a contrastive loss; half of the network is cut off by `detach`."""
    start()
    x, y = digits()

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Sequential(nn.Linear(64, 32), nn.ReLU()), nn.Linear(32, 8)

        def embed(self, x):
            hidden = self.body(x)
            return self.head(hidden.detach() if bug else hidden)

        def forward(self, one, other):
            return (self.embed(one) - self.embed(other)).square().sum(1)

    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    with recipe.watch(model, optimizer, on="quiet") as watched:
        for _ in range(20):
            i, j = torch.randint(len(x), (2, 32))
            same = (y[i] == y[j]).float()
            apart = model(x[i], x[j])
            loss = (same * apart + (1 - same) * F.relu(1 - apart)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return watched


@program("losses_are_finite")
def variational(bug):
    """An autoencoder that gives a tuple, with two losses; a logarithm of zero."""
    start()
    x, _ = digits()

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = nn.Linear(64, 8), nn.Linear(4, 64)

        def forward(self, x):
            mean, log_variance = self.encoder(x).chunk(2, 1)
            return self.decoder(mean + torch.randn_like(mean) * (log_variance / 2).exp()), mean, log_variance

    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    with recipe.watch(model, optimizer, on="quiet") as watched:
        for number, (a,) in enumerate(DataLoader(TensorDataset(x), 32, shuffle=True)):
            out, mean, log_variance = model(a)
            divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1).mean()
            loss = F.binary_cross_entropy_with_logits(out, a, reduction="sum") / len(a) + divergence
            if bug and number > 9:
                loss = loss + (a.min() * 0).log()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return watched


@program("every_parameter_moves")
def distillation(bug):
    """A teacher gives the targets; the student's body is declared frozen, and moves if the bug is planted."""
    start()
    x, _ = digits()
    teacher = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)).eval()
    student = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    student[0].requires_grad_(bug)
    optimizer = torch.optim.Adam([p for p in student.parameters() if p.requires_grad], 1e-2)
    with recipe.watch(student, optimizer, on="quiet", declare=recipe.Declare(frozen=("0.",))) as watched:
        for (a,) in DataLoader(TensorDataset(x), 32, shuffle=True):
            with torch.no_grad():
                wanted = teacher(a).softmax(1)
            loss = F.kl_div(student(a).log_softmax(1), wanted, reduction="batchmean")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return watched


@program("steps_have_gradients")
def two_optimizers(bug):
    """A generator and a discriminator; the generator's gradients are cleared before its step."""
    start()
    x, _ = digits()
    generator = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 64))
    judge = nn.Sequential(nn.Linear(64, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    first, second = (torch.optim.Adam(m.parameters(), 1e-3, betas=(0.5, 0.9)) for m in (generator, judge))
    with recipe.watch(generator, first, on="quiet") as watched:
        for (a,) in DataLoader(TensorDataset(x), 32, shuffle=True):
            made = generator(torch.randn(len(a), 8))
            second.zero_grad()
            (F.softplus(-judge(a)) + F.softplus(judge(made.detach()))).mean().backward()
            second.step()
            first.zero_grad()
            F.softplus(-judge(made)).mean().backward()
            if bug:
                first.zero_grad()
            first.step()
    return watched


@program("optimizer_holds_the_model")
def diffusion(bug):
    """The model learns the noise of a step; its head is replaced after the optimizer was made."""
    start()
    x, _ = digits()

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(65, 64), nn.Linear(64, 64)

        def forward(self, x, time):
            return self.head(F.silu(self.body(torch.cat([x, time[:, None]], 1))))

    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    if bug:
        model.head = nn.Linear(64, 64)
    with recipe.watch(model, optimizer, on="quiet") as watched:
        for _ in range(2):
            for (a,) in DataLoader(TensorDataset(x), 32, shuffle=True):
                time, noise = torch.rand(len(a)), torch.randn_like(a)
                noisy = (1 - time[:, None]) * a + time[:, None] * noise
                optimizer.zero_grad()
                F.mse_loss(model(noisy, time), noise).backward()
                optimizer.step()
    return watched


@program("gradients_are_fresh")
def accumulated(bug):
    """Four small batches make a step; their gradients are never cleared if the bug is planted."""
    start()
    x, y = digits()
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    with recipe.watch(model, optimizer, on="quiet") as watched:
        for number, (a, b) in enumerate(DataLoader(TensorDataset(x, y), 16, shuffle=True), 1):
            (F.cross_entropy(model(a), b) / 4).backward()
            if number % 4 == 0:
                optimizer.step()
                if not bug:
                    optimizer.zero_grad()
    return watched


@program("evaluation_is_in_eval_mode")
def closure(bug):
    """L-BFGS, which computes its gradients inside the step; batch norm stays in train mode while evaluating."""
    start()
    x, y = digits(400)
    model = nn.Sequential(nn.Linear(64, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Linear(16, 10))
    optimizer = torch.optim.LBFGS(model.parameters(), 0.1, max_iter=2)

    def compute():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x[:300]), y[:300])
        loss.backward()
        return loss

    with recipe.watch(model, optimizer, val=TensorDataset(x[300:], y[300:]), on="quiet") as watched:
        for _ in range(10):
            model.train()
            optimizer.step(compute)
            model.train(bug)
            with torch.no_grad():
                model(x[300:350]), model(x[350:])
    return watched


@program("loss_gets_log_probabilities")
def half_precision(bug):
    """bfloat16 through autocast."""
    start()
    x, y = digits()
    model = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 10))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    with recipe.watch(model, optimizer, on="quiet") as watched:
        for a, b in DataLoader(TensorDataset(x, y), 32, shuffle=True):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                out = model(a)
            loss = F.nll_loss(out.float() if bug else out.float().log_softmax(1), b)
            loss.backward()
            optimizer.step()
    return watched


@program("batches_are_mixed")
def sorted_by_class(bug):
    start()
    x, y = digits()
    if bug:
        x, y = x[y.argsort()], y.sort().values
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    with recipe.watch(model, optimizer, loss=loss, on="quiet") as watched:
        for a, b in DataLoader(TensorDataset(x, y), 32, shuffle=not bug):
            optimizer.zero_grad()
            loss(model(a), b).backward()
            optimizer.step()
    return watched


@program("val_is_prepared_like_train")
def two_preparations(bug):
    """Standardised for training; not for validation if the bug is planted."""
    start()
    x, y = digits()
    mean, std = x[:500].mean(), x[:500].std()
    train = TensorDataset((x[:500] - mean) / std, y[:500])
    val = TensorDataset(x[500:] if bug else (x[500:] - mean) / std, y[500:])
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    with recipe.watch(model, optimizer, val=DataLoader(val, 64), on="quiet") as watched:
        for a, b in DataLoader(train, 32, shuffle=True):
            optimizer.zero_grad()
            F.cross_entropy(model(a), b).backward()
            optimizer.step()
    return watched


@program("val_is_not_in_train")
def copies_in_val(bug):
    start()
    x, y = digits()
    train, val = TensorDataset(x[:500], y[:500]), TensorDataset(x[400 if bug else 500 :], y[400 if bug else 500 :])
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    with recipe.watch(model, optimizer, val=val, on="quiet") as watched:
        for a, b in DataLoader(train, 50, shuffle=True):
            optimizer.zero_grad()
            F.cross_entropy(model(a), b).backward()
            optimizer.step()
    return watched


@program("the_loop_is_seen")
def model_made_again(bug):
    """A new model is made after the one that is watched."""
    start()
    x, y = digits()
    model = nn.Linear(64, 10)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    trained = nn.Linear(64, 10) if bug else model
    with recipe.watch(model, optimizer, on="quiet") as watched:
        for a, b in DataLoader(TensorDataset(x, y), 32, shuffle=True):
            optimizer.zero_grad()
            F.cross_entropy(trained(a), b).backward()
            optimizer.step()
    return watched


@program("settings_are_read")
def groups_of_parameters(bug):
    """Two groups with rates of their own; one key is misspelt."""
    start()
    x, y = digits()
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    key = "learning_rate" if bug else "lr"
    groups = [{"params": model[0].parameters(), key: 1e-4}, {"params": model[2].parameters()}]
    optimizer = torch.optim.AdamW(groups, 1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=60)
    with recipe.watch(model, optimizer, on="quiet") as watched:
        for a, b in DataLoader(TensorDataset(x, y), 32, shuffle=True):
            optimizer.zero_grad()
            F.cross_entropy(model(a), b).backward()
            optimizer.step()
            schedule.step()
    return watched
