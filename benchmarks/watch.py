"""What `recipe.watch` notices of a training that runs, and what it costs. Prints Markdown.

    python benchmarks/watch.py                     # every bug and healthy set-up of tests/bugs, one seed; then the cost
    python benchmarks/watch.py --only cost

Each set-up of the corpus trains for three epochs in a plain loop (its own, where it has one), with `recipe.watch`
around it, which knows nothing but model, optimizer, loss and the validation set. CPU seconds of this process, one
thread. The cost is the time of a step after the first 20, watched and not, in turns; the smallest of the rounds.
"""

import argparse
import contextlib
import os
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import torch
from bugs import CATALOGUE, HEALTHY
from torch import nn
from torch.nn import functional as F

import recipe
from recipe.models.resnet import resnet9
from recipe.rng import seeded

EPOCHS, FIRST = 3, 20


def watched(s: recipe.Setup, seed: int) -> recipe.watch:
    """A training of the set-up in a loop as people write it."""
    model = s.new_model(seed)
    optimizer = s.optimizer(model)
    train, val = s.loader(s.training_set(), seed=seed), s.loader(s.validation_set(), shuffle=False)
    schedule = s.schedule(optimizer, len(train), EPOCHS) if s.schedule else None
    watch = recipe.watch(model, optimizer, loss=s.loss, val=s.val, on="quiet", declare=s.declare)
    with watch, seeded(seed, "training"):
        if s.fit is not None:
            s.fit(s, model, optimizer, schedule, train, val, EPOCHS)
            return watch
        for _ in range(EPOCHS):
            model.train()
            for x, y in train:
                if len(y) > 1:
                    s.train_step(model, optimizer, x, y, s.loss)
                step(schedule, s.schedule_per == "step")
            s.evaluate(model, val)
            step(schedule, s.schedule_per == "epoch")
    return watch


def step(schedule, due: bool) -> None:
    if schedule is not None and due:
        with contextlib.suppress(TypeError):  # one that follows a metric
            schedule.step()


def corpus() -> None:
    alarms = []
    for name, make in HEALTHY.items():
        if closed := list(watched(make(0), 0).closed):
            alarms.append(f"{name}: {', '.join(closed)}")
    print(f"{len(HEALTHY)} healthy set-ups: {len(alarms)} close a gate", *alarms, sep="\n")
    print("\n| bug | what is wrong | gates that close | CPU s |\n|---|---|---|---:|")
    caught = 0
    for name, bug in sorted(CATALOGUE.items()):
        began = time.process_time()
        closed = list(watched(bug.setup(0), 0).closed)
        if closed:
            caught += 1
            print(f"| {name} | {bug.what} | {', '.join(closed)} | {time.process_time() - began:.1f} |")
    print(f"\n{caught} of {len(CATALOGUE)} bugs close a gate")


def cost(rounds: int) -> None:
    cases = {
        "mlp, 784-64-10, batch 64": (
            lambda: nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10)),
            torch.randn(640, 784),
            1500,
        ),
        "ResNet-9, width 16, 3x32x32, batch 64": (
            lambda: resnet9(num_classes=10, width=16), torch.randn(640, 3, 32, 32), 60,
        ),
    }  # fmt: skip
    print("\n| training | ms a step | watched | more | first 20 steps: more, in s |\n|---|---:|---:|---:|---:|")
    for name, (make, x, steps) in cases.items():
        y = torch.randint(0, 10, (len(x),))
        later: dict[bool, list[float]] = {False: [], True: []}
        first: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(rounds):
            for watching in (False, True):
                times = seconds_of_steps(make, x, y, steps, watching)
                later[watching].append(sum(times[FIRST:]) / (steps - FIRST))
                first[watching].append(sum(times[:FIRST]))
        plain, seen = min(later[False]), min(later[True])
        print(
            f"| {name} | {1e3 * plain:.2f} | {1e3 * seen:.2f} | {100 * (seen / plain - 1):.0f} % | "
            f"{min(first[True]) - min(first[False]):.2f} |"
        )


def seconds_of_steps(make, x, y, steps: int, watching: bool) -> list[float]:
    torch.manual_seed(0)
    model = make()
    model(x[:2])  # lazy layers
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    val = torch.utils.data.TensorDataset(x, y)
    watch = recipe.watch(model, optimizer, val=val, on="quiet") if watching else contextlib.nullcontext()
    times = []
    with watch:
        for i in range(steps):
            at = (i * 64) % len(x)
            began = time.process_time()
            optimizer.zero_grad()
            F.cross_entropy(model(x[at : at + 64]), y[at : at + 64]).backward()
            optimizer.step()
            times.append(time.process_time() - began)
    return times


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--only", choices=("corpus", "cost"))
    asked.add_argument("--rounds", type=int, default=5)
    args = asked.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    if args.only != "cost":
        corpus()
    if args.only != "corpus":
        cost(args.rounds)


if __name__ == "__main__":
    main()
