"""Do two threads pay on cores that are shared? Prints a Markdown table.

    python benchmarks/engine_threads.py                   # 6 rounds, about two minutes

Processes that were all started before work in turns, half a second each, beside one that keeps a core busy: with one
thread; with two as torch has them when OpenMP is left as it is; and with two as `import recipe` sets it, which is
OMP_WAIT_POLICY=PASSIVE and GOMP_SPINCOUNT=0 before torch is imported. Work: steps of 16 mlp lanes together, and of a
conv net on 3x32x32. By default a thread that waits for the other spins, and takes the core that the other needs. Each
ratio is to one thread, within its round: here the clock on the wall counts, and the CPU seconds that were paid.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

SLOT = 0.5  # seconds of work at a time
WAYS = {"one thread": (1, True), "two, OpenMP's default": (2, False), "two, as recipe sets it": (2, True)}
WORK = {"mlp": "16 mlp lanes together", "conv32": "conv16-conv32-fc, 3x32x32"}
BUSY = "while True: pass"


def child(work: str, threads: int, ours: bool) -> None:
    """Works for a slot whenever a line comes in; answers steps, seconds and CPU seconds."""
    if ours:
        import recipe  # noqa: F401  sets what OpenMP reads when torch is imported
    import torch
    from engine_cases import CASES, lanes

    from recipe.train.engine import train

    torch.set_num_threads(threads)
    count, steps, mode = (16, 20, "batched") if work == "mlp" else (1, 1, "plain")
    part, val = CASES[work].data()
    val = type(val)(val.x[:32], val.y[:32], [])
    part = type(part)(part.x[:128], part.y[:128], [])

    def some() -> int:
        train(lanes(CASES[work], count, steps), part, val, eval_every=steps, mode=mode)
        return count * steps

    some()
    print("ready", flush=True)
    for _ in sys.stdin:
        began, used, done = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - began < SLOT:
            done += some()
        print(json.dumps([done, time.perf_counter() - began, time.process_time() - used]), flush=True)


def started(work: str, threads: int, ours: bool) -> subprocess.Popen:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    path = Path(__file__).resolve()
    command = [sys.executable, str(path), "--child", work, "--threads", str(threads), *["--ours"] * ours]
    return subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def slot(process: subprocess.Popen) -> tuple[float, float]:
    """Steps per second of the clock, and per CPU second."""
    process.stdin.write("\n")
    process.stdin.flush()
    steps, wall, cpu = json.loads(process.stdout.readline())
    return steps / wall, steps / cpu


def measured(work: str, rounds: int, neighbours: int) -> dict[str, list[tuple[float, float]]]:
    processes, busy = {}, []
    try:
        for name, (threads, ours) in WAYS.items():
            processes[name] = started(work, threads, ours)
            assert processes[name].stdout.readline() == "ready\n", f"{work}, {name}: the process failed"
        busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(neighbours)]
        names, slots = list(WAYS), {name: [] for name in WAYS}
        for i in range(rounds):
            for name in names[i % 3 :] + names[: i % 3]:
                slots[name].append(slot(processes[name]))
        return slots
    finally:
        for process in (*processes.values(), *busy):
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--only", nargs="*", default=list(WORK), choices=WORK)
    parser.add_argument("--quick", action="store_true", help="two rounds")
    for name in ("--child", "--threads"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--ours", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, int(args.threads), args.ours)
        return
    from engine_cases import ratio, say, shown, table

    rows = []
    for work in args.only:
        for neighbours in (0, 1):
            slots = measured(work, 2 if args.quick else args.rounds, neighbours)
            one = list(zip(*slots.pop("one thread"), strict=True))
            for name, pairs in slots.items():
                speeds = [shown(ratio(a, b)) for a, b in zip(zip(*pairs, strict=True), one, strict=True)]
                rows.append([f"{WORK[work]}: {name}", neighbours, *speeds])
                say(" | ".join(map(str, rows[-1])))
    table(
        ["work, threads", "busy neighbours", "speed by the clock / one thread's", "speed by CPU / one thread's"], rows
    )


if __name__ == "__main__":
    main()
