"""The audit measured on real data: what it finds, beside what a user would use instead, and what the whole costs.

    python benchmarks/audit.py --data DIR                            # everything, about an hour on one core
    python benchmarks/audit.py --data DIR --only whole labels        # parts, see PARTS

DIR holds cifar10/, fashion_mnist/, natural_ants_bees/, tabular/, text/; what is absent is left out, with a message.
Each part is a separate script beside this one. `whole` is measured here: CIFAR-10 as JPEGs from prepare to the
explorer, at several sizes, each in a separate process, with the CPU seconds and the largest memory of that process and
its workers.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SIZES = (5_000, 15_000, 60_000)
PARTS = {  # part -> its script and how it takes the folder
    "files": ["audit_files.py", "{data}"],
    "duplicates": ["audit_duplicates.py", "--data", "{data}"],
    "labels": ["audit_labels.py", "--data", "{data}"],
    "targets": ["audit_targets.py", "--data", "{data}"],
    "probes": ["audit_probes.py", "--data", "{data}"],
    "explorer": ["audit_explorer.py"],
}
STEPS = ("prepare", "measure", "pictures", "explorer")


def whole(data: Path) -> None:
    """A row per size; linear growth would keep the CPU per 1,000 examples."""
    if not (data / "cifar10").is_dir():
        print(f"whole: skipped, {data} has no cifar10/")
        return
    print(f"| examples | {' | '.join(f'{step}, CPU s' for step in STEPS)} | all | per 1,000 | peak MB | explorer MB |")
    print("|---:" * (len(STEPS) + 5) + "|")
    for size in SIZES:
        command = [sys.executable, __file__, "--data", str(data), "--child", str(size)]
        out = subprocess.run(
            command, check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        row = json.loads(out.stdout.splitlines()[-1])
        total = sum(row[step] for step in STEPS)
        cells = " | ".join(f"{row[step]:.1f}" for step in STEPS)
        print(
            f"| {size:,} | {cells} | {total:.0f} | {1000 * total / size:.2f} | {row['peak']:.0f} | {row['page']:.1f} |",
            flush=True,
        )


def child(data: Path, size: int) -> None:
    """One audit of `size` examples; prints its figures as JSON."""
    import resource

    from pyarrow import parquet

    from recipe.data.store import Store
    from recipe.files import write_text
    from recipe.stages.audit.audit import audit
    from recipe.stages.audit.explorer import explorer_page
    from recipe.stages.audit.figures import draw
    from recipe.stages.audit.flags import FlagLimits
    from recipe.stages.prepare.write_store import prepare

    class Cifar:
        classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

        def __init__(self):
            tables = [parquet.read_table(data / "cifar10" / f"{part}_jpeg.parquet") for part in ("train", "test")]
            self.files = [jpeg for t in tables for jpeg in t["image"].to_pylist()][:size]
            self.targets = [label for t in tables for label in t["label"].to_pylist()][:size]

        def __len__(self):
            return len(self.files)

        def encoded(self, index):
            return f"{index}.jpg", self.files[index]

    def spent() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(u.ru_utime + u.ru_stime for u in used)

    source, config, limits = Cifar(), {"_target_": "Cifar"}, FlagLimits(near=0.05, outlier=4.0, blank=0.03)
    with tempfile.TemporaryDirectory() as folder:
        out, row, at = Path(folder), {}, spent()
        for step in STEPS:
            if step == "prepare":
                prepare(source, config, out)
                store = Store.open(config, out)
            elif step == "measure":
                audited = audit(store, limits, seed=0)
            elif step == "pictures":
                draw(audited, store, limits, out, seed=0)
            else:
                write_text(out / "explorer.html", explorer_page(audited, store, "Cifar", seed=0))
            row[step], at = spent() - at, spent()
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
        print(json.dumps(row | {"peak": peak, "page": (out / "explorer.html").stat().st_size / 1e6}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=["whole", *PARTS], default=["whole", *PARTS])
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(args.data, args.child)
    for part in args.only:
        print(f"\n## {part}\n", flush=True)
        if part == "whole":
            whole(args.data)
        else:
            script, *words = PARTS[part]
            subprocess.run(
                [sys.executable, str(HERE / script), *(w.format(data=args.data) for w in words)], check=False
            )
    return None


if __name__ == "__main__":
    main()
