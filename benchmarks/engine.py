"""What many lanes at once gain over a lean plain loop, lane after lane. Prints a Markdown table.

    python benchmarks/engine.py                           # 3 rounds of every model
    python benchmarks/engine.py --only linear mlp --rounds 5
    python benchmarks/engine.py --device cuda --lanes 1 4 16 64 256       # times between CUDA events

Both sides train and evaluate alike: resident tensors, fused AdamW, AdamW's rates and the seed of each lane its own, one
look at the numbers per evaluation, which are the first and the last step here. Building the models is in neither
side's time. The lean loop and our plain loop, whose cost per lane is the same for any number of lanes, train a few of
them. `auto` is one call of train() as a stage makes it, its own trial of the two ways included.
"""

import argparse
import statistics

from engine_cases import CASES, Case, cpu, cuda, digits, in_turns, lanes, lean, ratio, say, shown, table

from recipe.data.batches import Split
from recipe.train.engine import train

LANES = (1, 4, 16, 64)
HEAD = ["model", "batch, steps", "lean, ms a step", "plain / lean, cost of a step"]


def measured(case: Case, counts: list[int], rounds: int, clock) -> dict[tuple[str, int], list[float]]:
    """Seconds per lane in each round: {(way, lanes): ...}."""
    part, val = case.data()
    few = max(1, min(8, case.most // 4))

    def trained(mode: str, count: int):
        def fresh():
            group = lanes(case, count)
            return lambda: train(group, part, val, eval_every=case.steps, mode=mode)

        return fresh

    def leanly():
        group = lanes(case, few)
        return lambda: lean(group, part, val, case.steps)

    variants = {("lean", few): leanly, ("plain", few): trained("plain", few)}
    variants |= {("batched", count): trained("batched", count) for count in counts}
    variants |= {("auto", count): trained("auto", count) for count in sorted({*counts[1:2], counts[-1]})}
    for way in (("lean", few), ("plain", few), ("batched", counts[0])):
        variants[way]()()  # the first call of each pays for what torch sets up once
    spent = in_turns(variants, rounds, clock)
    return {way: [s / way[1] for s in seconds] for way, seconds in spent.items()}


def row(case: Case, spent: dict[tuple[str, int], list[float]], counts: list[int]) -> list[str]:
    by_way = {way: [count for w, count in spent if w == way] for way in ("lean", "plain", "auto")}
    one, plain = (spent[way, by_way[way][0]] for way in ("lean", "plain"))
    cells = [case.what, f"{case.batch_size}, {case.steps}", f"{min(one) / case.steps * 1000:.2f}"]
    cells += [shown(ratio(plain, one))]
    for count in counts:
        cells.append(shown(ratio(one, spent["batched", count])) if ("batched", count) in spent else "")
    cells.append(f"{case.aim:g}" if case.aim else "")
    chosen = []
    for count in by_way["auto"]:
        better = min(plain, spent["batched", count], key=statistics.median)
        chosen.append(f"{count}: {shown(ratio(better, spent['auto', count]))}")
    return [*cells, "; ".join(chosen)]


def to(device: str, case: Case) -> Case:
    """The case with its data on a device; models follow the data."""
    moved: tuple[Split, ...] = tuple(part.to(device) for part in case.data())
    return Case(case.what, case.make, lambda: moved, case.batch_size, case.steps, case.aim, case.most)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=list(CASES), choices=CASES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lanes", type=int, nargs="*", help=f"default: {LANES}, at most 8 of the large nets")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true", help="one round, the 8x8 models, 16 lanes")
    args = parser.parse_args()
    if args.quick:
        args.only = [name for name in args.only if CASES[name].data is digits]
        args.rounds, args.lanes = 1, args.lanes or [4, 16]
    rows, head = [], sorted(set(args.lanes or (*LANES, 8)))
    for name in args.only:
        case = to(args.device, CASES[name])
        counts = args.lanes or sorted({min(count, case.most) for count in LANES})
        spent = measured(case, counts, args.rounds, cuda if args.device.startswith("cuda") else cpu)
        rows.append(row(case, spent, head))
        say(" | ".join(rows[-1]))
    gains = [f"{n} lane{'s' * (n > 1)}, gain" for n in head]
    table([*HEAD, *gains, "aim", "auto / the better of the two, speed"], rows)


if __name__ == "__main__":
    main()
