"""How much of a training its evaluations take, from small sets of images to large ones. Prints a Markdown table.

    python benchmarks/scale.py                      # 2,000 to 60,000 images of 28x28, and 5,000 of 96x96
    python benchmarks/scale.py --only 2000 10000

Random images, for only their number and size matter; the conv net of conf/model at its usual width, one lane, one
thread, CPU seconds. Four fifths train, one fifth is val; evaluated as often as conf/learn.yaml has it, over two
evaluations' time. Every row is measured in a process of its own, which also gives the peak of its memory.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

CASES = {"2000": (2_000, 28), "10000": (10_000, 28), "30000": (30_000, 28), "60000": (60_000, 28), "5000": (5_000, 96)}
HEAD = ["images", "passes between evaluations", "seconds a pass", "evaluations, share of the time", "peak, MiB"]


def measured(count: int, side: int) -> dict[str, float]:
    import torch

    from recipe.data.batches import Split
    from recipe.models.plain import convnet
    from recipe.train import engine
    from recipe.train.evaluations import usual_eval_every
    from recipe.train.lane import Lane

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(count, 1, side, side, generator=generator), torch.randint(10, (count,), generator=generator)
    cut = count * 4 // 5
    part, val = Split(x[:cut], y[:cut], []), Split(x[cut:], y[cut:], [])
    model = convnet(10)
    model(x[:2])
    every = usual_eval_every(cut, count - cut)
    in_pass = cut / 32
    steps = round(2 * every * in_pass)
    spent = 0.0
    evaluate = engine._GroupTraining._evaluate

    def timed(*args):
        nonlocal spent
        began = time.process_time()
        result = evaluate(*args)
        spent += time.process_time() - began
        return result

    engine._GroupTraining._evaluate = timed
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)
    lane = Lane(model, optimizer, torch.nn.CrossEntropyLoss(), steps, 32, 0, eval_every=every * in_pass)
    began = time.process_time()
    engine.train([lane], part, val)
    total = time.process_time() - began
    spent *= 2 / 3  # of three evaluations, the first is that of the untrained net, which a long training has once
    return {
        "every": every, "pass": (total - spent * 3 / 2) / (2 * every), "share": spent / (total - spent / 2),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }  # fmt: skip


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    asked.add_argument("--one", nargs=2, type=int, help=argparse.SUPPRESS)
    args = asked.parse_args()
    if args.one:
        print(json.dumps(measured(*args.one)))
        return
    print(" | ".join(["", *HEAD, ""]).strip(), " | ".join(["", *["---"] * len(HEAD), ""]).strip(), sep="\n")
    for name in args.only:
        count, side = CASES[name]
        command = [sys.executable, __file__, "--one", str(count), str(side)]
        row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        cells = [f"{count:,} of {side}x{side}", f"{row['every']:g}", f"{row['pass']:.1f}", f"{row['share']:.0%}"]
        print("|", " | ".join([*cells, f"{math.ceil(row['peak']):,}"]), "|", flush=True)


if __name__ == "__main__":
    main()
