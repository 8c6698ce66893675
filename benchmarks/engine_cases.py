"""What the benchmarks of the engine share: models, data, the lean loop, and how times are taken and shown.

Variants take turns within one process, the first of a round is another one each time, and a ratio is taken within its
round: shared cores change their speed from minute to minute. CPU seconds, one thread.
"""

import functools
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported

import torch
from torch import nn

from recipe import rng
from recipe.data.batches import Split
from recipe.models.plain import convnet, linear, mlp
from recipe.sources.digits import Digits
from recipe.stages.torch_setup import keep_freed_memory
from recipe.train.lane import Lane

warnings.filterwarnings("ignore", message="Lazy modules")
torch.set_num_threads(1)
torch.set_flush_denormal(True)  # as the stages do, and the next line too: for both sides
keep_freed_memory()


@functools.cache
def digits() -> tuple[Split, Split]:
    """scikit-learn's digits (1x8x8), standardised: 1,024 to train on, 300 to look at."""
    source = Digits()
    x, y = torch.stack([torch.as_tensor(i) for i in source.images]).float()[:, None], torch.tensor(source.targets)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x = ((x - x.mean()) / x.std())[order]
    return Split(x[:1024], y[order][:1024].long(), []), Split(x[1024:1324], y[order][1024:1324].long(), [])


@functools.cache
def noise(channels: int, side: int) -> tuple[Split, Split]:
    """Images of noise with random labels, 512 and 128: what a step costs does not depend on what is in them."""
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(640, channels, side, side, generator=g), torch.randint(10, (640,), generator=g)
    return Split(x[:512], y[:512], []), Split(x[512:], y[512:], [])


def pooled(classes: int) -> nn.Module:
    return nn.Sequential(
        nn.LazyConv2d(16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.LazyConv2d(32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(classes),
    )  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A model on data. aim: what `most` lanes should gain over the lean loop; 0 where nothing is promised."""

    what: str
    make: Callable
    data: Callable
    batch_size: int
    steps: int
    aim: float = 0.0
    most: int = 64  # lanes


CASES = {
    "linear": Case("linear, 8x8", linear, digits, 64, 320, 12),
    "mlp": Case("mlp 64-64-64-10", mlp, digits, 64, 320, 5.5),
    "dropout": Case("the same, dropout 0.25", functools.partial(mlp, dropout=0.25), digits, 64, 320),
    "conv8": Case("conv16-conv32-fc, 8x8", convnet, digits, 64, 48, 2),
    "pool8": Case("the same with max pooling", pooled, digits, 64, 48),
    "mlp28": Case("mlp 784-128-128-10", functools.partial(mlp, width=128), lambda: noise(1, 28), 128, 48),
    "conv28": Case("conv16-conv32-fc, 28x28", convnet, lambda: noise(1, 28), 128, 4, most=8),
    "conv32": Case("conv16-conv32-fc, 3x32x32", convnet, lambda: noise(3, 32), 128, 4, most=8),
}


def lanes(case: Case, count: int, steps: int | None = None, first: int = 0, **more) -> list[Lane]:
    """Fresh ones, which differ in seed, learning rate and weight decay, as those of a search do."""
    made = []
    for i in range(first, first + count):
        part = case.data()[0]
        with rng.seeded(i, "init"), torch.no_grad():
            model = case.make(10).to(part.x.device)
            model(part.x[:2])
        rates = {"lr": 1e-3 * (1 + i % 8 / 8), "weight_decay": 1e-2 * (i % 4)}
        optimizer = torch.optim.AdamW(model.parameters(), fused=True, **rates)
        made.append(Lane(model, optimizer, nn.CrossEntropyLoss(), steps or case.steps, case.batch_size, i, **more))
    return made


def lean(lanes: list[Lane], part: Split, val: Split, eval_every: int) -> None:
    """What one would write for speed: all data in memory, losses kept as tensors, one look at them per evaluation."""
    for lane in lanes:
        model, optimizer, loss_fn = lane.model, lane.optimizer, lane.loss
        g = torch.Generator().manual_seed(lane.seed)

        def scores(model=model, loss_fn=loss_fn) -> None:
            model.eval()
            with torch.no_grad():
                values = []
                for split in (part, val):
                    out = torch.cat([model(x) for x in split.x.split(1000)])
                    values += [loss_fn(out, split.y), (out.argmax(1) == split.y).float().mean()]
                torch.stack(values).tolist()
            model.train()

        scores()
        total, done = torch.zeros((), device=part.y.device), 0
        while done < lane.steps:
            for index in torch.randperm(len(part), generator=g).to(part.y.device).split(lane.batch_size):
                optimizer.zero_grad(set_to_none=True)
                loss = loss_fn(model(part.x[index]), part.y[index])
                loss.backward()
                optimizer.step()
                total += loss.detach()
                done += 1
                if done % eval_every == 0 or done == lane.steps:
                    scores()
                    total.item()
                if done == lane.steps:
                    break


# ---- times ---------------------------------------------------------------------------------------------------------


def cpu(run: Callable) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def cuda(run: Callable) -> float:
    """Seconds between two events of the stream."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1000


def in_turns(variants: dict[str, Callable[[], Callable]], rounds: int, clock: Callable = cpu) -> dict[str, list[float]]:
    """Seconds of each variant in each round. A variant gives, untimed, the call to time."""
    names, spent = list(variants), {name: [] for name in variants}
    for i in range(rounds):
        for name in names[i % len(names) :] + names[: i % len(names)]:
            spent[name].append(clock(variants[name]()))
    return spent


def ratio(above: list[float], below: list[float], scale: float = 1.0) -> tuple[float, float, float]:
    """(median, least, most) over the rounds."""
    values = [scale * a / b for a, b in zip(above, below, strict=True)]
    return statistics.median(values), min(values), max(values)


def shown(values: tuple[float, float, float]) -> str:
    digits = 2 if values[0] < 3 else 1
    return f"{values[0]:.{digits}f} ({values[1]:.{digits}f} to {values[2]:.{digits}f})"


def table(head: list[str], rows: list[list]) -> None:
    print("\n|", " | ".join(head), "|\n| --- |" + " ---: |" * (len(head) - 1))
    for row in rows:
        print("|", " | ".join(map(str, row)), "|", flush=True)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
